//! Check of the predictions before timing: every precision against the reference implementation in float64.

use anyhow::{Context, Result, bail, ensure};
use astromae::checkpoint::Checkpoint;
use astromae::{Isa, Model, Part, Precision, reference};
use pipeline::model_file::ModelFile;
use records::benchmark::{BenchmarkModel, Check, significant};

use super::workload::{ModelInputs, Workload};
use crate::printer::Printer;

/// Number of galaxies to compare. The reference takes almost a second for each.
pub(crate) const GALAXIES: usize = 4;
/// Largest difference allowed for float32, relative to |z|.
const F32_BOUND: f64 = 1e-5;
/// Largest difference allowed for shorter number formats, relative to the larger of 1 and |z|. With seeded weights,
/// rounding both factors of every product changes z by up to 0.008 in bfloat16 and 0.036 in int8 (with one scale for
/// each output of a weight, each token and each map), and by more with 7-bit weights. The bound finds bugs; it does not
/// measure accuracy.
const SHORT_BOUND: f64 = 1e-1;

/// Model in float32, and its checkpoint for the reference implementation.
pub(crate) struct ReferenceModel<'a> {
    name: &'a str,
    sha256: String,
    checkpoint: Checkpoint<'a>,
    f32: Model,
}

impl<'a> ReferenceModel<'a> {
    pub(crate) async fn new(file: &'a ModelFile, workload: &'a Workload, isa: Isa) -> Result<ReferenceModel<'a>> {
        let named = || format!("model `{}`", workload.model);
        let sha256 = file.identity().await?.sha256;
        let checkpoint = file.checkpoint()?;
        let f32 = Model::from_checkpoint(&checkpoint, Precision::F32, isa).with_context(named)?;
        Ok(ReferenceModel { name: &workload.model_name, sha256, checkpoint, f32 })
    }

    pub(crate) fn image_size(&self) -> usize {
        self.f32.image_size()
    }

    /// Description of the model for the record.
    pub(crate) fn model(&self) -> BenchmarkModel {
        BenchmarkModel {
            name: self.name.to_owned(),
            sha256: self.sha256.clone(),
            parameters: self.f32.parameters(),
            mflop_per_image: significant(operations(&self.f32) / 1e6),
        }
    }

    /// Compares every precision that this CPU supports with the reference, and reports the others.
    ///
    /// # Errors
    /// Predictions differ too much, or this CPU supports none of the precisions.
    pub(crate) fn check(
        &self,
        inputs: &ModelInputs,
        precisions: &[Precision],
        printer: &Printer,
    ) -> Result<Vec<Check>> {
        let ModelInputs { images, magnitudes } = inputs;
        let exact = reference::predict(&self.checkpoint, images, magnitudes, &mut |_, _| {})?;
        let mut checks = Vec::new();
        for &precision in precisions {
            // The reference has used the checkpoint, so an error here means that this CPU does not support the
            // precision.
            let model = match Model::from_checkpoint(&self.checkpoint, precision, self.f32.isa()) {
                Ok(model) => model,
                Err(error) => {
                    printer.tell(&format!("{precision} skipped: {error}"));
                    continue;
                }
            };
            let mut redshift = vec![f32::NAN; exact.len()];
            model.predict(images, magnitudes, &mut model.scratch(), &mut redshift);
            let (floor, bound) = if precision == Precision::F32 { (0.0, F32_BOUND) } else { (1.0, SHORT_BOUND) };
            let largest_difference = largest_difference(&redshift, &exact, floor);
            ensure!(
                largest_difference <= bound,
                "{precision}: predictions differ from the float64 reference by up to {largest_difference:.1e}, more \
                 than the allowed {bound:.0e}; nothing was timed. This is a bug: please report it with the model of \
                 this CPU"
            );
            let largest_difference = significant(largest_difference);
            checks.push(Check { precision: precision.to_string(), galaxies: exact.len(), largest_difference, bound });
        }
        if checks.is_empty() {
            bail!("this machine supports none of the precisions; omit --precision to measure those that it supports");
        }
        Ok(checks)
    }
}

/// Floating-point operations of one image.
pub(crate) fn operations(model: &Model) -> f64 {
    Part::ALL.into_iter().map(|part| model.operations(part)).sum()
}

/// Largest difference relative to the larger of `floor` and the exact value; NaN if a value is NaN.
fn largest_difference(values: &[f32], exact: &[f64], floor: f64) -> f64 {
    let differences = values.iter().zip(exact).map(|(z, exact)| (f64::from(*z) - exact).abs() / exact.abs().max(floor));
    differences
        .fold(0.0, |largest, difference| if difference > largest || difference.is_nan() { difference } else { largest })
}

#[cfg(test)]
mod tests {
    use super::largest_difference;

    #[test]
    fn largest_difference_is_relative_and_keeps_nan() {
        assert_eq!(largest_difference(&[1.5, 4.0], &[1.0, 2.0], 0.0), 1.0);
        assert_eq!(largest_difference(&[0.5], &[0.25], 1.0), 0.25);
        assert!(largest_difference(&[f32::NAN, 1.0], &[1.0, 1.0], 0.0).is_nan());
        assert!(largest_difference(&[1.0, f32::NAN, 1.0], &[1.0, 1.0, 1.5], 0.0).is_nan());
    }
}
