//! Model built into the program: trained on simulated galaxies, for demonstrations, not for science.

/// Content of a safetensors file.
pub(crate) static DEMO_MODEL: &[u8] = include_bytes!("../models/demo.safetensors");

#[cfg(test)]
mod tests {
    use astromae::{Isa, Model, Precision};

    use super::DEMO_MODEL;

    /// The model is small, and its file states everything that a loader needs.
    #[test]
    fn demo_model_loads_without_assumptions() {
        assert!(DEMO_MODEL.len() <= 4 << 20, "{} bytes", DEMO_MODEL.len());
        let model = Model::from_bytes(DEMO_MODEL, None, Precision::F32, Isa::detect()).unwrap();
        assert_eq!(model.config().assumed, Vec::<String>::new());
        assert_eq!(model.bands(), 5);
    }
}
