//! `cosmicai sweep`: runs over a grid of settings, each measured in its own process.
//!
//! Reads a definition in TOML. Writes a line of JSON for each run ([`records::sweep`]), and prints a table. A run that
//! has a line is not measured again.

use std::collections::{BTreeSet, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use executors::{CommandLine, Interrupts};
use pipeline::storage::Stores;
use records::ExecutorKind;

use crate::help::section_and_examples;
use crate::outcome::Outcome;
use crate::printer::{Printer, count};
use crate::settings::Settings;
use crate::sweep::child::{RunOutcome, Starter};
use crate::sweep::claim::Claim;
use crate::sweep::definition::MAX_DEFINITION_BYTES;
use crate::sweep::lines::Lines;
use crate::sweep::points::{Repeat, Sweep};
use crate::sweep::progress::SweepProgress;
use crate::sweep::{data, table};

/// Store of workers on Lambda.
const S3: &str = "s3";
/// Folder name of a warm-up run, which is not recorded.
const WARM_UP: &str = "warm-up";
/// Largest value of `--scale`.
const MAX_SCALE: f64 = 1_000.0;

/// TOML of a small sweep, in `--help`.
const DEFINITION: &str = r#"repeats = 3              # measured runs of each point
warm_up = 1              # runs before them, of the first point of an experiment
[data]
bucket = "sky"
simulate = true          # or false, with your own 25MB/1.pt, 25MB/2.pt, ...
# model = "KEY or URL"   # required if simulate is false
[base]                   # for all experiments
batch_size = 256
[[experiment]]
name = "partition-size"
partition = ["10MB", "25MB"]
data_size = "1GB"        # or file_limit = 42, or { 10MB = 105, 25MB = 42 }
precision = ["f32", "int8"]"#;

/// Measure runs over a grid of settings.
///
/// Settings are batch size, partition size, data size, precision, workers, threads, executor and memory. SWEEP.toml has
/// one or more experiments. Every combination of their values is a point. Every point is run `repeats` times, in an
/// order drawn from `seed`. Each run is a `cosmicai run` in its own process, with results in
/// <result_path>/<experiment>/<point>/<repeat>. After each run, the sweep adds a line of JSON to --out.
///
/// Run the same command again to continue an interrupted sweep. It runs only points without a line, and tries failed
/// runs again. A sweep overwrites the runs in its results folder. It therefore starts only if that folder is empty, and
/// marks it as its own (sweep.json). Another sweep, or the same one with another --out, is rejected there.
///
/// An experiment has one value of world_size, order and predictions, as in a payload. memory is the memory of SLURM
/// jobs. The table [slurm] has slurm_partition, slurm_account, time, array_size and sbatch_extra. Points on
/// step-functions need a build with `--features aws`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = section_and_examples(("SWEEP.toml", DEFINITION), [
    "cosmicai sweep sweep.toml --scale 0.02 --store ./buckets --dry-run",
    "cosmicai sweep sweep.toml --scale 0.02 --store ./buckets --out sweep.jsonl",
]))]
pub(crate) struct Options {
    /// Definition of the sweep.
    #[arg(value_name = "SWEEP.toml")]
    definition: PathBuf,
    /// Folder or URL of the buckets, as in `cosmicai run`.
    #[arg(long, value_name = "DIR|s3|URL")]
    store: Option<String>,
    /// File of results to write or continue [default: SWEEP.jsonl].
    ///
    /// The default is in the folder of SWEEP.toml.
    #[arg(long, value_name = "F.jsonl")]
    out: Option<PathBuf>,
    /// Factor for partition and data sizes.
    ///
    /// The numbers of partitions do not change. Use a small factor to try a sweep out.
    #[arg(long, value_name = "X", default_value = "1", value_parser = scale)]
    scale: f64,
    /// ARN of the state machine, for points on step-functions.
    #[arg(long, value_name = "ARN")]
    state_machine: Option<String>,
    /// Delete earlier results and start again.
    ///
    /// Deletes the lines in --out, and takes over the results folder even if another sweep owns it.
    #[arg(long, conflicts_with = "dry_run")]
    overwrite: bool,
    /// Print the remaining runs and their data; run nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn sweep(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let sweep = options.read()?;
    let executors: BTreeSet<&str> = sweep.points.iter().map(|point| point.executor.name()).collect();
    let is_on_aws = executors.contains(ExecutorKind::StepFunctions.name());
    ensure!(
        !is_on_aws || options.state_machine.is_some(),
        "{}: points on step-functions need --state-machine",
        options.definition.display()
    );
    #[cfg(not(feature = "aws"))]
    if is_on_aws {
        bail!(crate::without_aws::message("executor = \"step-functions\""));
    }
    let store = options.store.as_deref().unwrap_or(if is_on_aws { S3 } else { "." });
    if is_on_aws && store != S3 {
        bail!("--store `{store}`: workers on Lambda read and write S3 only; --endpoint-url sets its address");
    }
    sweep.check_payloads()?;
    if sweep.data.simulate {
        data::check_simulated(&sweep, store)?;
    }
    let out = options.out.clone().unwrap_or_else(|| options.definition.with_extension("jsonl"));
    let mut left = sweep.order();
    if options.dry_run {
        let measured = Lines::peek(&out, &sweep)?;
        let done: HashSet<Repeat> = measured.iter().map(Repeat::of).collect();
        left.retain(|run| !done.contains(run));
        table::print_plan(&sweep, &left, printer)?;
        return Ok(Outcome::Done);
    }

    let program = settings.program().context("start this program again for each run")?;
    let mut lines = Lines::open(&out, &sweep, options.overwrite)?;
    if lines.cut > 0 {
        printer.tell(&format!("`{}`: deleted an unfinished last line of {} bytes", out.display(), lines.cut));
    }
    let done: HashSet<Repeat> = lines.measured.iter().map(Repeat::of).collect();
    left.retain(|run| !done.contains(run));
    let mut interrupts = Interrupts::listen()?;
    let (stores, claim) = tokio::select! {
        prepared = prepare(&sweep, store, &out, !left.is_empty(), &options, settings, printer) => prepared?,
        () = interrupts.next() => return Ok(interrupted(&options, settings, printer)),
    };
    let starter = Starter {
        program,
        sweep: &sweep,
        store,
        stores: &stores,
        claim,
        state_machine: options.state_machine.as_deref(),
        settings,
        payloads: out.with_extension("payloads"),
    };
    let progress = SweepProgress::new(&sweep, &left, done.len());
    let outcome = match warm_up(&starter, &left, &progress, &mut interrupts).await? {
        Outcome::Interrupted => Outcome::Interrupted,
        _ => run_all(&starter, &left, &mut lines, &progress, &mut interrupts).await?,
    };
    progress.end();
    if outcome == Outcome::Interrupted {
        return Ok(interrupted(&options, settings, printer));
    }
    table::print_measured(&sweep, &lines.measured, printer)?;
    printer.tell(&format!("{} in {}", count(lines.measured.len(), "run"), out.display()));
    if outcome == Outcome::Incomplete {
        let missing = sweep.points.len() * sweep.repeats - lines.measured.len();
        printer.tell(&format!("{} failed; to try again: {}", count(missing, "run"), options.command_line(settings)));
    }
    Ok(outcome)
}

/// Checks the owner of the results folder, simulates data if requested, and checks that there is enough data.
async fn prepare(
    sweep: &Sweep,
    store: &str,
    out: &Path,
    are_runs_left: bool,
    options: &Options,
    settings: &Settings,
    printer: &Printer,
) -> Result<(Stores, Claim)> {
    if sweep.data.simulate {
        data::make_buckets(sweep, store)?;
    }
    let stores = match &options.state_machine {
        #[cfg(feature = "aws")]
        Some(state_machine) if store == S3 => crate::aws_execution::stores(settings, state_machine).await?,
        _ => settings.stores(store).await?,
    };
    let claim = Claim::new(sweep, &stores, out)?;
    if options.overwrite {
        claim.take_over().await?;
    } else if are_runs_left {
        // Check this before hours of simulation. The first run claims the folder.
        claim.is_ours().await?;
    }
    if sweep.data.simulate {
        data::make(sweep, store, settings, printer).await?;
    }
    data::check(sweep, &stores).await?;
    Ok((stores, claim))
}

/// Runs the first point of each experiment that has remaining runs, without recording it.
async fn warm_up(
    starter: &Starter<'_>,
    left: &[Repeat],
    progress: &SweepProgress,
    interrupts: &mut Interrupts,
) -> Result<Outcome> {
    let points = &starter.sweep.points;
    let to_do: HashSet<&str> = left.iter().map(|run| points[run.point].experiment.as_str()).collect();
    let firsts = points
        .iter()
        .enumerate()
        .filter(|(index, point)| *index == 0 || points[index - 1].experiment != point.experiment);
    for (_, point) in firsts.filter(|(_, point)| to_do.contains(point.experiment.as_str())) {
        for _ in 0..starter.sweep.warm_up {
            match starter.run(point, WARM_UP, interrupts).await? {
                RunOutcome::Done { .. } => {}
                RunOutcome::Failed(said) => progress.line(&format!("{}, warm-up: {said}", point.name())),
                RunOutcome::Interrupted(said) => {
                    said.iter().for_each(|said| progress.line(said));
                    return Ok(Outcome::Interrupted);
                }
            }
        }
    }
    Ok(Outcome::Done)
}

/// Makes the remaining runs and adds a line for each. If a run fails, prints why and goes on with the others.
async fn run_all(
    starter: &Starter<'_>,
    left: &[Repeat],
    lines: &mut Lines,
    progress: &SweepProgress,
    interrupts: &mut Interrupts,
) -> Result<Outcome> {
    let mut outcome = Outcome::Done;
    for &run in left {
        let point = &starter.sweep.points[run.point];
        let failed = match starter.run(point, &run.repeat.to_string(), interrupts).await? {
            RunOutcome::Done { seconds } => match starter.measured(run, seconds).await {
                Ok(measured) => {
                    progress.done(point, &measured);
                    lines.append(measured)?;
                    continue;
                }
                Err(error) => format!("{error:#}"),
            },
            RunOutcome::Failed(said) => said,
            RunOutcome::Interrupted(said) => {
                said.iter().for_each(|said| progress.line(said));
                return Ok(Outcome::Interrupted);
            }
        };
        progress.failed(point, run, &failed);
        outcome = Outcome::Incomplete;
    }
    Ok(outcome)
}

fn interrupted(options: &Options, settings: &Settings, printer: &Printer) -> Outcome {
    printer.tell(&format!("interrupted; to continue: {}", options.command_line(settings)));
    Outcome::Interrupted
}

impl Options {
    /// Reads and checks the definition.
    fn read(&self) -> Result<Sweep> {
        let shown = self.definition.display();
        let file = std::fs::File::open(&self.definition).with_context(|| format!("open `{shown}`"))?;
        let mut text = String::new();
        let read = file.take(MAX_DEFINITION_BYTES + 1).read_to_string(&mut text);
        read.with_context(|| format!("read `{shown}`: expected a definition in TOML"))?;
        ensure!(
            text.len() as u64 <= MAX_DEFINITION_BYTES,
            "`{shown}`: more than {MAX_DEFINITION_BYTES} bytes; expected a definition in TOML"
        );
        let stem = self.definition.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        Sweep::new(&text, stem, self.scale, self.state_machine.as_deref()).with_context(|| format!("`{shown}`"))
    }

    /// Returns the command that continues the sweep.
    fn command_line(&self, settings: &Settings) -> CommandLine {
        settings
            .command("sweep")
            .argument(self.definition.display().to_string())
            .option_if("store", self.store.as_ref())
            .option_if("out", self.out.as_ref().map(|path| path.display()))
            .option_if("scale", Some(self.scale).filter(|scale| *scale != 1.0))
            .option_if("state-machine", self.state_machine.as_ref())
    }
}

fn scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| *scale > 0.0 && *scale <= MAX_SCALE);
    scale.ok_or_else(|| format!("expected a number above 0 and up to {MAX_SCALE}"))
}

#[cfg(test)]
mod tests;
