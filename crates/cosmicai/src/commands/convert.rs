//! `cosmicai convert`: conversion of a model to safetensors.

use anyhow::{Context, Result};
use astromae::{Isa, Model, Precision};
use pipeline::model_file::ModelFile;
use serde_json::json;

use crate::help::examples;
use crate::new_file;
use crate::outcome::Outcome;
use crate::printer::{Printer, bytes, grouped};
use crate::settings::Settings;

/// Convert a model to safetensors.
///
/// Reads a pickled module, a state dict or safetensors. Nothing in a pickle is executed. Tensors keep their types and
/// bits. Attributes that a state dict lacks (number of attention heads, eps) are written to the metadata of the file.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples(["cosmicai convert astromae.pt --out astromae.safetensors"]))]
pub(crate) struct Options {
    /// Model file or URL.
    model: String,
    /// File to write.
    #[arg(long, value_name = "F.safetensors")]
    out: std::path::PathBuf,
}

pub(crate) async fn convert(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let file = ModelFile::of_url(&settings.stores(".").await?, &options.model).await?;
    let converted = {
        let checkpoint = file.checkpoint()?;
        // Reject a file that is not an AstroMAE model here, not at its first use.
        let model = Model::from_checkpoint(&checkpoint, Precision::F32, Isa::detect())
            .with_context(|| format!("model `{}`", options.model))?;
        let written = checkpoint.to_safetensors().with_context(|| format!("model `{}`", options.model))?;
        (checkpoint.form(), model.parameters(), written)
    };
    let (form, parameters, written) = converted;
    new_file::write(&options.out, &written)?;
    let report = json!({
        "model": options.model,
        "form": form.to_string(),
        "parameters": parameters,
        "out": options.out.to_string_lossy(),
        "bytes": written.len(),
    });
    printer.print(&report, |_| {
        format!(
            "{}: {} with {} parameters → {} ({})\n",
            options.model,
            form,
            grouped(parameters as u64),
            options.out.display(),
            bytes(written.len() as u64)
        )
    })?;
    Ok(Outcome::Done)
}
