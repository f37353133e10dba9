//! The command line as a person types it; each command's own options stand with the command.

use clap::{Parser, Subcommand, ValueEnum};

use crate::commands::{convert, demo, ingest, inspect, metrics, model_init, predict, run, simulate, split, summarize};

/// Photometric redshifts from galaxy cutouts, fast, at a known cost.
///
/// cosmicai reads partitions of five-band (u g r i z) galaxy images from a folder or from object storage, sends them
/// through a pre-trained AstroMAE, and writes a redshift for every galaxy. Nothing but the images, their magnitudes and
/// the model's weights is needed.
///
/// Start with `cosmicai demo`, which makes everything it needs. Then `cosmicai predict` for a catalogue from a few
/// files, or `cosmicai run` for a whole folder of partitions with results that can be resumed.
///
/// Data goes to standard output, talk and progress to standard error.
#[derive(Debug, Parser)]
#[command(name = "cosmicai", version, propagate_version = true, max_term_width = 110)]
#[command(after_long_help = "Environment:
  COSMICAI_ISA         instruction set to use: avx512, avx2, neon or scalar (default: the best one present)
  AWS_ENDPOINT_URL     address of an S3 server other than AWS; AWS_PROFILE, AWS_REGION, AWS_ACCESS_KEY_ID and the
                       other usual variables and files are honoured too
  NO_COLOR             no colours
Exit status: 0 done, 1 failed (or some tasks failed), 2 wrong arguments, 130 interrupted.")]
pub(crate) struct Args {
    /// How results are printed on standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables for people.
    Human,
    /// JSON for programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Simulate a sky, split it, run it, sum it up, draw it: a first look, in under a minute.
    Demo(demo::Options),
    /// Predict the redshifts of a few files and write a catalogue.
    Predict(predict::Options),
    /// Run a payload: plan, predict every partition, write the study's result files and ours.
    Run(run::Options),
    /// Rebuild a run's combined records and summary from what is there, saying what is missing.
    Summarize(summarize::Options),
    /// Cut a partition into smaller ones.
    Split(split::Options),
    // What it says of itself, at length, stands with its options.
    Ingest(ingest::Options),
    /// Make a partition of simulated galaxies with known redshifts.
    Simulate(simulate::Options),
    /// Show what is in a model or a partition, and whether it is sound.
    Inspect(inspect::Options),
    /// Turn a model of any form into safetensors.
    Convert(convert::Options),
    /// Make a model to try things with: full-size and untrained, or the demonstration's.
    ModelInit(model_init::Options),
    /// Measure predictions against known redshifts, and draw them.
    Metrics(metrics::Options),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Args::command().debug_assert();
    }
}
