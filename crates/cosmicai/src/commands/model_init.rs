//! `cosmicai model-init`: a model for tests, full-size and untrained, or the demo model.

use anyhow::Result;
use astromae::init::{Sizes, seeded};
use serde_json::json;

use crate::demo_model::DEMO_MODEL;
use crate::help::examples;
use crate::new_file;
use crate::outcome::Outcome;
use crate::printer::{Printer, bytes};

/// Make a model for tests: full-size, or the small demo model.
///
/// Without --demo, the model has the sizes of the published AstroMAE (Fathkouhi & Fox, arXiv:2409.01825; 15,902,889
/// parameters) and runs at the same speed. Its weights are seeded and not trained, so its redshifts mean nothing. Use
/// it for tests and benchmarks.
///
/// With --demo, the model is the small one that `cosmicai demo` runs. It was trained on simulated galaxies. It can
/// predict your own files, for demonstration, not for science.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai model-init --out astromae.safetensors",
    "cosmicai model-init --demo --out demo.safetensors",
]))]
pub(crate) struct Options {
    /// Seed of the weights.
    ///
    /// The same seed gives the same bytes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write the small demo model, which is part of this program.
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
        let report = json!({ "out": options.out.to_string_lossy(), "bytes": DEMO_MODEL.len(), "demo": true });
        printer.print(&report, |_| {
            let size = bytes(DEMO_MODEL.len() as u64);
            format!("{out}: {size}, trained on simulated galaxies, for demonstration only\n")
        })?;
        return Ok(Outcome::Done);
    }
    let model = seeded(&Sizes::full(), options.seed);
    new_file::write(&options.out, &model)?;
    let report = json!({ "out": options.out.to_string_lossy(), "bytes": model.len(), "seed": options.seed });
    printer.print(&report, |_| {
        let size = bytes(model.len() as u64);
        format!("{out}: {size} of untrained weights, seed {}\n", options.seed)
    })?;
    Ok(Outcome::Done)
}
