//! `cosmicai convert`: a model of any form to safetensors.

use anyhow::{Context, Result};
use astromae::{Isa, Model, Precision};
use pipeline::model_file::ModelFile;
use serde_json::json;

use super::{Outcome, new_file};
use crate::printer::{Printer, bytes, grouped};
use crate::settings::Settings;

/// Turn a model of any form into safetensors.
///
/// Reads a pickled module, a state dict or safetensors; nothing in a pickle is executed. Tensors keep their types and
/// bits; attributes that a state dict lacks (attention heads, eps) go into the file's metadata.
#[derive(Debug, clap::Args)]
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
        // A file that is no AstroMAE is refused here rather than at its first use.
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
        "out": options.out,
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
