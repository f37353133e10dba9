//! The model that the program carries with it: trained on simulated galaxies, for demonstration and not for science.

/// A safetensors file.
pub(crate) static DEMO_MODEL: &[u8] = include_bytes!("../models/demo.safetensors");

#[cfg(test)]
mod tests {
    use astromae::{Isa, Model, Precision};

    use super::DEMO_MODEL;

    /// Small enough to carry about, and says of itself all that a loader asks.
    #[test]
    fn the_model_loads_without_assumptions() {
        assert!(DEMO_MODEL.len() <= 4 << 20, "{} bytes", DEMO_MODEL.len());
        let model = Model::from_bytes(DEMO_MODEL, None, Precision::F32, Isa::detect()).unwrap();
        assert_eq!(model.config().assumed, Vec::<String>::new());
        assert_eq!(model.bands(), 5);
    }
}
