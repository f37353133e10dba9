//! `cosmicai sweep`: many runs over a grid of settings, each measured in a process of its own.
//!
//! In: a definition in TOML. Out: a line of JSON for each run ([`pipeline::sweep`]), and a table. What was measured is
//! never measured again: the lines say what is left to do.

mod axes;
mod child;
mod claim;
mod data;
mod definition;
mod lines;
mod points;
mod progress;
mod table;
mod workplace;

use std::collections::{BTreeSet, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use pipeline::storage::Stores;

use super::interruption::Signals;
use super::run::Where;
use super::{Outcome, execution};
use crate::executor::slurm::quoted;
use crate::printer::Printer;
use crate::settings::Settings;
use child::{Ran, Starter};
use claim::Claim;
use definition::MAX_DEFINITION_BYTES;
use lines::Lines;
use points::{Repeat, Sweep};
use progress::Progress;

/// Where workers on Lambda read and write.
const S3: &str = "s3";
/// Folder name of a run that is not recorded.
const WARM_UP: &str = "warm-up";
/// The largest `--scale`.
const MAX_SCALE: f64 = 1_000.0;

/// Measure runs over a grid of settings: batch and partition sizes, data sizes, precisions, threads, executors.
///
/// SWEEP.toml holds one or more experiments, each with its own values; every combination is a point, and every point is
/// run `repeats` times, in an order drawn from `seed`. Each run is an ordinary `cosmicai run` in a process of its own,
/// with its results in <result_path>/<experiment>/<point>/<repeat>. After each a line of JSON is added to --out. The same
/// command again goes on where it was left, whatever ended it: only runs without a line are made, and those that failed
/// are tried again. What lies at a run's place is overwritten, so a sweep begins only where its folder of results is empty,
/// and marks it as its own (sweep.json); another sweep, or one of the same name with another --out, is refused there.
///
///   repeats = 3                       # measured runs of each point
///   warm_up = 1                       # before them, of the first point of each experiment
///   [data]
///   bucket = "sky"
///   simulate = true                   # or your own 25MB/1.pt, …, and model = "KEY or URL"
///   [base]                            # for all experiments
///   batch_size = 256
///   [[experiment]]
///   name = "partition-size"
///   partition = ["10MB", "25MB"]
///   data_size = "1GB"                 # or file_limit = 42, or { 10MB = 105, 25MB = 42 }
///   precision = ["f32", "int8"]       # likewise threads, workers, executor, memory
///
/// world_size, order and predictions have one value for an experiment, as in a payload. memory is what jobs of SLURM ask
/// for; a table [slurm] has slurm_partition, slurm_account, time, array_size and sbatch_extra.
///
/// Examples:
///   cosmicai sweep study.toml --scale 0.02 --store ./buckets --dry-run
///   cosmicai sweep study.toml --scale 0.02 --store ./buckets --out study.jsonl
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Options {
    /// Definition of the sweep.
    #[arg(value_name = "SWEEP.toml")]
    definition: PathBuf,
    /// Where the buckets are, as of `cosmicai run`.
    #[arg(long, value_name = "DIR|s3|URL")]
    store: Option<String>,
    /// File of lines to write and to go on with [default: SWEEP.jsonl beside SWEEP.toml].
    #[arg(long, value_name = "F.jsonl")]
    out: Option<PathBuf>,
    /// Multiply sizes of partitions, and of data with them; their numbers stay.
    #[arg(long, value_name = "X", default_value = "1", value_parser = scale)]
    scale: f64,
    /// ARN of the state machine, for points on step-functions.
    #[arg(long, value_name = "ARN")]
    state_machine: Option<String>,
    /// Delete the lines of a sweep in --out, whichever it was, take over the folder of results, whosever it was, and
    /// begin anew.
    #[arg(long, conflicts_with = "dry_run")]
    overwrite: bool,
    /// Print the runs that are left, in their order, and how much data they read; run and write nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn sweep(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let sweep = options.read()?;
    let executors: BTreeSet<&str> = sweep.points.iter().map(|point| point.executor.name()).collect();
    let is_on_aws = executors.contains(Where::StepFunctions.name());
    ensure!(
        !is_on_aws || options.state_machine.is_some(),
        "{}: points on step-functions; --state-machine is missing",
        options.definition.display()
    );
    let store = options.store.as_deref().unwrap_or(if is_on_aws { S3 } else { "." });
    if is_on_aws && store != S3 {
        bail!("--store `{store}`: workers on Lambda read and write S3 alone; --endpoint-url says where that is");
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
        printer.tell(&format!("`{}`: {} bytes of an unfinished last line were cut off", out.display(), lines.cut));
    }
    let done: HashSet<Repeat> = lines.measured.iter().map(Repeat::of).collect();
    left.retain(|run| !done.contains(run));
    let mut signals = Signals::listen();
    let (stores, claim) = tokio::select! {
        prepared = prepare(&sweep, store, &out, !left.is_empty(), &options, settings, printer) => prepared?,
        () = signals.heard() => return Ok(interrupted(&options, printer)),
    };
    let starter = Starter {
        program,
        sweep: &sweep,
        store,
        stores: &stores,
        claim,
        state_machine: options.state_machine.as_deref(),
        endpoint_url: settings.endpoint_given(),
        payloads: out.with_extension("payloads"),
    };
    let progress = Progress::new(&sweep, &left, done.len());
    let outcome = match warm_up(&starter, &left, &progress, &mut signals).await? {
        Outcome::Interrupted => Outcome::Interrupted,
        _ => run_all(&starter, &left, &mut lines, &progress, &mut signals).await?,
    };
    progress.end();
    if outcome == Outcome::Interrupted {
        return Ok(interrupted(&options, printer));
    }
    table::print_measured(&sweep, &lines.measured, printer)?;
    printer.tell(&format!("{} runs in {}", lines.measured.len(), out.display()));
    if outcome == Outcome::Incomplete {
        let missing = sweep.points.len() * sweep.repeats - lines.measured.len();
        printer.tell(&format!("{missing} runs failed; to try them again: {}", options.command()));
    }
    Ok(outcome)
}

/// Looks whose the folder of results is, makes what is predicted, where it is simulated, and looks whether there is enough.
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
        Some(state_machine) if store == S3 => execution::stores(settings, state_machine).await?,
        _ => settings.stores(store).await?,
    };
    let claim = Claim::new(sweep, &stores, out)?;
    if options.overwrite {
        claim.take_over().await?;
    } else if are_runs_left {
        // Hours of simulation would be for nothing. It is claimed with the first run.
        claim.is_ours().await?;
    }
    if sweep.data.simulate {
        data::make(sweep, store, settings, printer).await?;
    }
    data::check(sweep, &stores).await?;
    Ok((stores, claim))
}

/// Runs the first point of each experiment that has runs left, without recording it.
async fn warm_up(
    starter: &Starter<'_>,
    left: &[Repeat],
    progress: &Progress,
    signals: &mut Signals,
) -> Result<Outcome> {
    let points = &starter.sweep.points;
    let to_do: HashSet<&str> = left.iter().map(|run| points[run.point].experiment.as_str()).collect();
    let firsts = points
        .iter()
        .enumerate()
        .filter(|(index, point)| *index == 0 || points[index - 1].experiment != point.experiment);
    for (_, point) in firsts.filter(|(_, point)| to_do.contains(point.experiment.as_str())) {
        for _ in 0..starter.sweep.warm_up {
            match starter.run(point, WARM_UP, signals).await? {
                Ran::Done { .. } => {}
                Ran::Failed(said) => progress.line(&format!("{}, warming up: {said}", point.name())),
                Ran::Interrupted(said) => {
                    said.iter().for_each(|said| progress.line(said));
                    return Ok(Outcome::Interrupted);
                }
            }
        }
    }
    Ok(Outcome::Done)
}

/// Makes the runs that are left and adds a line for each. One that fails is told of, and the others go on.
async fn run_all(
    starter: &Starter<'_>,
    left: &[Repeat],
    lines: &mut Lines,
    progress: &Progress,
    signals: &mut Signals,
) -> Result<Outcome> {
    let mut outcome = Outcome::Done;
    for &run in left {
        let point = &starter.sweep.points[run.point];
        let failed = match starter.run(point, &run.repeat.to_string(), signals).await? {
            Ran::Done { seconds } => match starter.measured(run, seconds).await {
                Ok(measured) => {
                    progress.done(point, &measured);
                    lines.append(measured)?;
                    continue;
                }
                Err(error) => format!("{error:#}"),
            },
            Ran::Failed(said) => said,
            Ran::Interrupted(said) => {
                said.iter().for_each(|said| progress.line(said));
                return Ok(Outcome::Interrupted);
            }
        };
        progress.failed(point, run, &failed);
        outcome = Outcome::Incomplete;
    }
    Ok(outcome)
}

fn interrupted(options: &Options, printer: &Printer) -> Outcome {
    printer.tell(&format!("interrupted; to go on: {}", options.command()));
    Outcome::Interrupted
}

impl Options {
    /// Reads and checks the definition.
    fn read(&self) -> Result<Sweep> {
        let shown = self.definition.display();
        let file = std::fs::File::open(&self.definition).with_context(|| format!("open `{shown}`"))?;
        let mut text = String::new();
        let read = file.take(MAX_DEFINITION_BYTES + 1).read_to_string(&mut text);
        read.with_context(|| format!("read `{shown}`: a definition in TOML is expected"))?;
        ensure!(
            text.len() as u64 <= MAX_DEFINITION_BYTES,
            "`{shown}`: more than {MAX_DEFINITION_BYTES} bytes; a definition in TOML is expected"
        );
        let stem = self.definition.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        Sweep::new(&text, stem, self.scale, self.state_machine.as_deref()).with_context(|| format!("`{shown}`"))
    }

    /// The same command, to go on.
    fn command(&self) -> String {
        let path = |path: &Path| quoted(&path.display().to_string());
        let mut command = format!("cosmicai sweep {}", path(&self.definition));
        if let Some(store) = &self.store {
            command += &format!(" --store {}", quoted(store));
        }
        if let Some(out) = &self.out {
            command += &format!(" --out {}", path(out));
        }
        if self.scale != 1.0 {
            command += &format!(" --scale {}", self.scale);
        }
        if let Some(state_machine) = &self.state_machine {
            command += &format!(" --state-machine {state_machine}");
        }
        command
    }
}

fn scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| *scale > 0.0 && *scale <= MAX_SCALE);
    scale.ok_or_else(|| format!("a number above 0 and up to {MAX_SCALE} is expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_bounded() {
        assert_eq!(scale("0.02"), Ok(0.02));
        for wrong in ["0", "-1", "NaN", "inf", "1001", "small"] {
            assert!(scale(wrong).unwrap_err().contains("above 0"), "{wrong}");
        }
    }
}
