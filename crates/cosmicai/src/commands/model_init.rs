//! `cosmicai model-init`: a full-size model with seeded, untrained weights.

use anyhow::Result;
use astromae::init::{Sizes, seeded};
use serde_json::json;

use super::{Outcome, new_file};
use crate::printer::{Printer, bytes};

/// Make a full-size model with seeded, untrained weights, for trials and benchmarks.
///
/// It has the published model's sizes (15,902,889 parameters) and costs as much to run, but its redshifts mean nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seed; the same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// File to write.
    #[arg(long, value_name = "F.safetensors")]
    out: std::path::PathBuf,
}

pub(crate) fn model_init(options: &Options, printer: &Printer) -> Result<Outcome> {
    let model = seeded(&Sizes::full(), options.seed);
    new_file::write(&options.out, &model)?;
    let report = json!({ "out": options.out, "bytes": model.len(), "seed": options.seed });
    printer.print(&report, |_| {
        let size = bytes(model.len() as u64);
        format!("{}: {size} of untrained weights, seed {}\n", options.out.display(), options.seed)
    })?;
    Ok(Outcome::Done)
}
