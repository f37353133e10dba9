//! Answers before rates: every precision beside the model by the book in float64.

use anyhow::{Context, Result, bail, ensure};
use astromae::checkpoint::Checkpoint;
use astromae::{Isa, Model, Part, Precision, reference};
use pipeline::benchmark::{BenchmarkModel, Check, significant};
use pipeline::model_file::ModelFile;

use super::workload::{Inputs, Workload};
use crate::printer::Printer;

/// Galaxies compared: the reference takes a good part of a second for each.
pub(super) const GALAXIES: usize = 4;
/// The most that float32 may lie off, relative to |z|.
const F32_BOUND: f64 = 1e-5;
/// The most that a shorter arithmetic may lie off, relative to the larger of 1 and |z|. Rounding both factors of every
/// product moves z of seeded weights by up to 0.008 in bfloat16 and 0.036 in int8 (a scale for each output of a weight,
/// each token, each map), and by more with weights of seven bits: this bound finds mistakes, and judges no model.
const SHORT_BOUND: f64 = 1e-1;

/// The model in float32 and as its checkpoint has it.
pub(super) struct Judge<'a> {
    name: &'a str,
    sha256: String,
    checkpoint: Checkpoint<'a>,
    f32: Model,
}

impl<'a> Judge<'a> {
    pub(super) async fn new(file: &'a ModelFile, workload: &'a Workload, isa: Isa) -> Result<Judge<'a>> {
        let named = || format!("model `{}`", workload.model);
        let sha256 = file.identity().await?.sha256;
        let checkpoint = file.checkpoint()?;
        let f32 = Model::from_checkpoint(&checkpoint, Precision::F32, isa).with_context(named)?;
        Ok(Judge { name: &workload.model_name, sha256, checkpoint, f32 })
    }

    pub(super) fn image_size(&self) -> usize {
        self.f32.image_size()
    }

    /// The model for the record.
    pub(super) fn model(&self) -> BenchmarkModel {
        BenchmarkModel {
            name: self.name.to_owned(),
            sha256: self.sha256.clone(),
            parameters: self.f32.parameters(),
            mflop_per_image: significant(operations(&self.f32) / 1e6),
        }
    }

    /// Compares every precision that this CPU runs with the reference; of one that it does not run, says so.
    ///
    /// # Errors
    /// Where answers lie too far off, or no precision runs here.
    pub(super) fn check(&self, inputs: &Inputs, precisions: &[Precision], printer: &Printer) -> Result<Vec<Check>> {
        let Inputs { images, magnitudes } = inputs;
        let exact = reference::predict(&self.checkpoint, images, magnitudes, &mut |_, _| {})?;
        let mut checks = Vec::new();
        for &precision in precisions {
            // The checkpoint is sound, as the reference ran: what fails here is the precision on this CPU.
            let model = match Model::from_checkpoint(&self.checkpoint, precision, self.f32.isa()) {
                Ok(model) => model,
                Err(error) => {
                    printer.tell(&format!("{precision}: left out: {error}"));
                    continue;
                }
            };
            let mut redshift = vec![f32::NAN; exact.len()];
            model.predict(images, magnitudes, &mut model.scratch(), &mut redshift);
            let (floor, bound) = if precision == Precision::F32 { (0.0, F32_BOUND) } else { (1.0, SHORT_BOUND) };
            let largest_difference = largest_difference(&redshift, &exact, floor);
            ensure!(
                largest_difference <= bound,
                "{precision}: answers lie up to {largest_difference:.1e} off the reference in float64, {bound:.0e} at \
                 most expected; nothing was timed; this is a bug, please report it with this machine's processor"
            );
            let largest_difference = significant(largest_difference);
            checks.push(Check { precision: precision.to_string(), galaxies: exact.len(), largest_difference, bound });
        }
        if checks.is_empty() {
            bail!("none of the precisions runs on this machine; leave --precision away to measure those that do");
        }
        Ok(checks)
    }
}

/// Floating-point operations of one image.
pub(super) fn operations(model: &Model) -> f64 {
    Part::ALL.into_iter().map(|part| model.operations(part)).sum()
}

/// The largest difference relative to the larger of `floor` and the exact value; NaN where one is NaN.
fn largest_difference(values: &[f32], exact: &[f64], floor: f64) -> f64 {
    let differences = values.iter().zip(exact).map(|(z, exact)| (f64::from(*z) - exact).abs() / exact.abs().max(floor));
    differences
        .fold(0.0, |largest, difference| if difference > largest || difference.is_nan() { difference } else { largest })
}

#[cfg(test)]
mod tests {
    use super::largest_difference;

    #[test]
    fn differences_are_relative_and_nan_is_never_small() {
        assert_eq!(largest_difference(&[1.5, 4.0], &[1.0, 2.0], 0.0), 1.0);
        assert_eq!(largest_difference(&[0.5], &[0.25], 1.0), 0.25);
        assert!(largest_difference(&[f32::NAN, 1.0], &[1.0, 1.0], 0.0).is_nan());
        assert!(largest_difference(&[1.0, f32::NAN, 1.0], &[1.0, 1.0, 1.5], 0.0).is_nan());
    }
}
