//! `cosmicai model-init`: a model to try things with: full-size and untrained, or the demonstration's.

use anyhow::Result;
use astromae::init::{Sizes, seeded};
use serde_json::json;

use super::{Outcome, new_file};
use crate::demo_model::DEMO_MODEL;
use crate::printer::{Printer, bytes};

/// Make a model to try things with: full-size and untrained, or with --demo the demonstration's.
///
/// Without --demo it has the published model's sizes (15,902,889 parameters) and costs as much to run, but its weights
/// are seeded and its redshifts mean nothing: for trials and benchmarks. With --demo it is the small model that `cosmicai
/// demo` runs, trained on simulated galaxies: it predicts your own files, for demonstration and not for science.
///
/// Example: cosmicai model-init --demo --out demo.safetensors
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seed; the same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the demonstration's model, which this program carries with it.
    #[arg(long, conflicts_with = "seed")]
    demo: bool,
    /// File to write.
    #[arg(long, value_name = "F.safetensors")]
    out: std::path::PathBuf,
}

pub(crate) fn model_init(options: &Options, printer: &Printer) -> Result<Outcome> {
    let out = options.out.display();
    if options.demo {
        new_file::write(&options.out, DEMO_MODEL)?;
        let report = json!({ "out": options.out, "bytes": DEMO_MODEL.len(), "demo": true });
        printer.print(&report, |_| {
            let size = bytes(DEMO_MODEL.len() as u64);
            format!("{out}: {size}, trained on simulated galaxies; a demonstration, not science\n")
        })?;
        return Ok(Outcome::Done);
    }
    let model = seeded(&Sizes::full(), options.seed);
    new_file::write(&options.out, &model)?;
    let report = json!({ "out": options.out, "bytes": model.len(), "seed": options.seed });
    printer.print(&report, |_| {
        let size = bytes(model.len() as u64);
        format!("{out}: {size} of untrained weights, seed {}\n", options.seed)
    })?;
    Ok(Outcome::Done)
}
