//! The command line as a person types it; each command's own options stand with the command.

use clap::{Parser, Subcommand, ValueEnum};

use crate::commands::{
    audit, bench, convert, cost, demo, deploy, executions, forecast, ingest, inspect, logs, metrics, model_init,
    predict, report, run, simulate, split, status, stop, summarize, sweep, worker,
};

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
Exit status: 0 done, 1 failed (or some tasks failed), 2 wrong arguments, 130 interrupted; `audit` also
3 warnings, 4 errors.")]
pub(crate) struct Args {
    /// How results are printed on standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    /// Address of S3 and of the other services, instead of AWS and of what the environment says.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
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

/// What each says of itself stands with its options.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::Options),
    Predict(predict::Options),
    Run(run::Options),
    Worker(worker::Options),
    Summarize(summarize::Options),
    Forecast(forecast::Options),
    Cost(cost::Options),
    Sweep(sweep::Options),
    Report(report::Options),
    Audit(audit::Options),
    Deploy(deploy::Options),
    Executions(executions::Options),
    Status(status::Options),
    Logs(logs::Options),
    Stop(stop::Options),
    Split(split::Options),
    Ingest(ingest::Options),
    Simulate(simulate::Options),
    Inspect(inspect::Options),
    Convert(convert::Options),
    ModelInit(model_init::Options),
    Metrics(metrics::Options),
    Bench(bench::Options),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Args::command().debug_assert();
    }

    /// A command's own text was once hidden by a line beside its name.
    #[test]
    fn long_help_teaches() {
        for command in super::Args::command().get_subcommands() {
            let (short, long) = (command.get_about(), command.get_long_about());
            let length = |text: Option<&clap::builder::StyledStr>| text.map_or(0, |text| text.to_string().len());
            assert!(length(long) > length(short) + 20, "{}: {short:?}, {long:?}", command.get_name());
        }
    }
}
