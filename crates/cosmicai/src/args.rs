//! Command line of the program. The options of a command are in the module of the command.

use clap::{ArgAction, Parser, Subcommand};

use crate::commands::{
    audit, bench, completions, concat, convert, cost, demo, deploy, executions, forecast, ingest, inspect, logs,
    man_pages, metrics, model_init, predict, report, run, simulate, split, status, stop, summarize, sweep,
    validate_forecast, worker,
};
use crate::help::{self, GLOBAL};
use crate::printer::Format;

/// Sections at the end of `--help`.
const NOTES: [(&str, &str); 3] = [
    (
        "Environment",
        "COSMICAI_ISA      Instruction set: avx512, avx2, neon or scalar [default: the
                  best that this machine has]
AWS_ENDPOINT_URL  Address of an S3 server other than AWS. AWS_REGION,
                  AWS_ACCESS_KEY_ID and the other standard variables are
                  read too. AWS_PROFILE, SSO and the files of AWS need a
                  build with --features aws
NO_COLOR          Print without colours",
    ),
    (
        "Exit status",
        "0    Done
1    Failed, some tasks failed, or --budget stopped the run
2    Wrong arguments
3    `audit` found warnings
4    `audit` found errors
130  Interrupted",
    ),
    (
        "References",
        "AstroMAE: Fathkouhi & Fox, \"AstroMAE: Redshift Prediction Using a Masked
Autoencoder with a Novel Fine-Tuning Architecture\", arXiv:2409.01825
CAI study: Staylor et al., \"Scalable Cosmic AI Inference using Cloud
Serverless Computing\", arXiv:2501.06249, doi:10.1177/10943420251399942",
    ),
];

/// Last line of `-h`.
const MORE: &str = "Run `cosmicai COMMAND --help` for all options of a command and for examples.";

/// Predict photometric redshifts from galaxy cutouts, fast and at a known cost.
///
/// cosmicai reads partitions of five-band (u g r i z) galaxy cutouts from a folder or from object storage, runs them
/// through a pre-trained AstroMAE network, and writes a redshift for every galaxy. It needs only the images, their
/// magnitudes and the weights of the model.
///
/// Start with `cosmicai demo`, which makes its own data and model. Then use `cosmicai predict` to make a catalogue from
/// a few files, or `cosmicai run` to process a whole folder of partitions with results that can be resumed.
///
/// Results go to standard output; messages and progress go to standard error.
#[derive(Debug, Parser)]
#[command(name = "cosmicai", version, propagate_version = true, max_term_width = 100)]
#[command(disable_help_flag = true, disable_version_flag = true)]
#[command(help_template = help::template())]
#[command(before_help = help::commands(&program(), "\n"), before_long_help = help::commands(&program(), "\n\n"))]
#[command(after_help = MORE, after_long_help = help::sections(&NOTES))]
pub(crate) struct Args {
    /// Format of results: human or json.
    ///
    /// `executions` also has csv.
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    #[arg(hide_possible_values = true, help_heading = GLOBAL)]
    pub(crate) format: Format,
    /// Address of S3 and the other AWS services, for a server other than AWS. Overrides AWS_ENDPOINT_URL.
    #[arg(long, global = true, value_name = "URL", hide_short_help = true, help_heading = GLOBAL)]
    pub(crate) endpoint_url: Option<String>,
    /// Print help. -h prints a summary, --help everything.
    #[arg(short, long, global = true, action = ArgAction::Help, help_heading = GLOBAL)]
    help: Option<bool>,
    /// Print version.
    #[arg(short = 'V', long, global = true, action = ArgAction::Version, help_heading = GLOBAL)]
    version: Option<bool>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The program with its commands, for the list of commands in its help.
fn program() -> clap::Command {
    Command::augment_subcommands(clap::Command::new("cosmicai"))
}

/// Commands. Each describes itself where its options are.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::Options),
    Predict(predict::Options),
    Run(run::Options),
    Worker(worker::Options),
    Summarize(summarize::Options),
    Forecast(forecast::Options),
    ValidateForecast(validate_forecast::Options),
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
    Concat(concat::Options),
    Ingest(ingest::Options),
    Simulate(simulate::Options),
    Inspect(inspect::Options),
    Convert(convert::Options),
    ModelInit(model_init::Options),
    Metrics(metrics::Options),
    Bench(bench::Options),
    Completions(completions::Options),
    ManPages(man_pages::Options),
}

#[cfg(test)]
impl Args {
    /// Parses a printed command line as a shell and this program do.
    pub(crate) fn of_line(line: &executors::CommandLine) -> Self {
        let script = format!("for word in {line}; do printf '%s\\0' \"$word\"; done");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let words = String::from_utf8(output.stdout).unwrap();
        Self::try_parse_from(words.split_terminator('\0')).unwrap_or_else(|error| panic!("{line}: {error}"))
    }
}

impl Args {
    /// Checks that the command has the format of results that the user wants.
    ///
    /// # Errors
    /// Returns the message of a wrong argument.
    pub(crate) fn checked(self) -> Result<Args, clap::Error> {
        if self.format == Format::Csv && !matches!(self.command, Command::Executions(_)) {
            let message = "--format csv: only `executions` prints CSV; use --format json";
            return Err(<Args as clap::CommandFactory>::command().error(clap::error::ErrorKind::InvalidValue, message));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    #[test]
    fn only_executions_print_csv() {
        let of = |words: &[&str]| super::Args::try_parse_from(words).unwrap().checked().map(drop);
        let arn = "arn:aws:states:us-east-1:123456789012:stateMachine:sky";
        assert!(of(&["cosmicai", "executions", arn, "--format", "csv"]).is_ok());
        let error = of(&["cosmicai", "audit", "sky", "--format", "csv"]).unwrap_err().to_string();
        assert!(error.contains("--format csv"), "{error}");
    }

    #[test]
    fn arguments_are_consistent() {
        super::Args::command().debug_assert();
    }

    /// A doc comment on a variant of the enum would hide the long help of its command.
    #[test]
    fn long_help_says_more_than_short_help() {
        for command in super::Args::command().get_subcommands() {
            let (short, long) = (command.get_about(), command.get_long_about());
            let length = |text: Option<&clap::builder::StyledStr>| text.map_or(0, |text| text.to_string().len());
            assert!(length(long) > length(short) + 20, "{}: {short:?}, {long:?}", command.get_name());
        }
    }
}
