//! Runs of a sweep as child processes of this program. Each run has its own peak memory, and a crash costs one run
//! only.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use accounting::statistics::mean;
use anyhow::{Context, Result, bail, ensure};
use executors::{CommandLine, Interrupts};
use pipeline::event::Stopwatch;
use pipeline::results::Results;
use pipeline::storage::Stores;
use records::ExecutorKind;
use records::payload::Payload;
use records::report::{PhaseSeconds, RunReport};
use records::study_record::StudyRecord;
use records::sweep::{SWEEP_FORMAT, SweepPoint};
use records::time::seconds_between;
use serde_json::{Map, Value, json};
use tokio::process::Command;

use super::axes::{Axis, One};
use super::claim::Claim;
use super::points::{Point, Repeat, Sweep};
use crate::settings::Settings;

/// Largest report or records file of a run that is read, in bytes.
const MAX_RESULT_BYTES: u64 = 1 << 30;
/// Number of lines of a failed run's messages that the sweep repeats.
const MESSAGE_LINES: usize = 6;
/// Commit of the program's sources, if git knew it at build time.
const COMMIT: Option<&str> = option_env!("COSMICAI_COMMIT");

/// Starts the runs of a sweep.
pub(crate) struct Starter<'a> {
    pub(crate) program: &'a Path,
    pub(crate) sweep: &'a Sweep,
    /// Location of the buckets, as for `cosmicai run --store`.
    pub(crate) store: &'a str,
    pub(crate) stores: &'a Stores,
    pub(crate) claim: Claim,
    pub(crate) state_machine: Option<&'a str>,
    pub(crate) settings: &'a Settings,
    /// Folder for the payloads of the runs.
    pub(crate) payloads: PathBuf,
}

/// Outcome of a run.
pub(crate) enum RunOutcome {
    /// The run is complete. `seconds` is the time from the start of its process to the end.
    Done { seconds: f64 },
    /// The run failed, with these last messages.
    Failed(String),
    /// The sweep was interrupted and stopped the process. A run on another executor may continue; its last messages
    /// state how to stop it.
    Interrupted(Option<String>),
}

impl Sweep {
    /// Checks that the payload of every point is valid, before anything runs.
    pub(crate) fn check_payloads(&self) -> Result<()> {
        for point in &self.points {
            let payload = Value::Object(self.payload(point, "1")).to_string();
            let place = || format!("experiment `{}`, {}", point.experiment, point.label());
            Payload::parse(payload.as_bytes()).with_context(place)?;
        }
        Ok(())
    }

    fn payload(&self, point: &Point, repeat: &str) -> Map<String, Value> {
        let settings = &point.settings;
        let payload = json!({
            "bucket": self.results_bucket(),
            "file_limit": settings.file_limit,
            "batch_size": settings.batch_size,
            "result_path": format!("{}/", self.folder(point, repeat)),
            "data_bucket": self.data.bucket.0.0,
            "data_prefix": self.data_prefix(point),
            "model": self.model(),
            "precision": settings.precision,
        });
        let mut payload = if let Value::Object(payload) = payload { payload } else { Map::new() };
        payload.extend(settings.others.iter().map(|(key, value)| (key.clone(), value.as_str().into())));
        if let (ExecutorKind::StepFunctions, Some(workers)) = (point.executor, settings.workers) {
            payload.insert("max_concurrency".to_owned(), workers.into());
        }
        payload
    }
}

impl Starter<'_> {
    /// Runs a point in the folder named `repeat`, and overwrites the results of earlier attempts there, so that all
    /// times are from one execution. Checks the claim each time, because another sweep may have taken the folder over.
    pub(crate) async fn run(&self, point: &Point, repeat: &str, interrupts: &mut Interrupts) -> Result<RunOutcome> {
        self.claim.take().await?;
        let payload = self.sweep.payload(point, repeat);
        let path = self.payloads.join(&point.experiment).join(point.label()).join(format!("{repeat}.json"));
        // `NewFile` would handle Ctrl-C itself and end the program before the sweep prints how to continue. A partial
        // file does no harm, since every run writes its payload again.
        let place = || format!("write `{}`", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(place)?;
        }
        std::fs::write(&path, serde_json::to_string_pretty(&payload)? + "\n").with_context(place)?;
        let mut command = Command::new(self.program);
        command
            .args(self.command_line(point, &path).arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // A terminal sends Ctrl-C to the whole process group. Give the run its own group, and stop it by closing its
        // stdin.
        command.process_group(0);
        let watch = Stopwatch::start();
        let mut child = command.spawn().with_context(|| format!("start `{}`", self.program.display()))?;
        let parent_end = child.stdin.take();
        let ended = child.wait_with_output();
        tokio::pin!(ended);
        let output: Output = tokio::select! {
            output = &mut ended => output.context("wait for a run")?,
            () = interrupts.next() => {
                drop(parent_end);
                let output = ended.await.context("wait for a run to end")?;
                let may_continue = point.executor != ExecutorKind::Local;
                return Ok(RunOutcome::Interrupted(may_continue.then(|| last_messages(&output))));
            }
        };
        let seconds = watch.seconds();
        Ok(if output.status.success() {
            RunOutcome::Done { seconds }
        } else {
            RunOutcome::Failed(format!("{}\n{}", output.status, last_messages(&output)))
        })
    }

    /// Command line of the run of a point.
    fn command_line(&self, point: &Point, payload: &Path) -> CommandLine {
        let settings = &point.settings;
        let line = self
            .settings
            .command("run")
            .argument(payload.display().to_string())
            .flag("stop-with-parent", true)
            .flag("overwrite", true)
            .option("format", "json")
            .option("store", self.store)
            .option("executor", point.executor);
        match point.executor {
            ExecutorKind::Local | ExecutorKind::Workers => {
                line.option_if("threads", settings.threads).option_if("workers", settings.workers)
            }
            ExecutorKind::Slurm => {
                let text = |text: &Option<One<String>>| text.as_ref().map(|One(text)| text.clone());
                let cluster = &self.sweep.cluster;
                line.option_if("cpus-per-task", settings.threads)
                    .option_if("array-limit", settings.workers)
                    .option_if("mem", settings.memory_mb.map(|mb| format!("{}M", mb.ceil())))
                    .option_if("slurm-partition", text(&cluster.slurm_partition))
                    .option_if("slurm-account", text(&cluster.slurm_account))
                    .option_if("time", text(&cluster.time))
                    .option_if("array-size", cluster.array_size.as_ref().map(|One(size)| size.to_string()))
                    .options("sbatch-extra", cluster.sbatch_extra.iter().flat_map(|Axis(extra)| extra))
            }
            ExecutorKind::StepFunctions => line.option_if("state-machine", self.state_machine),
        }
    }

    /// Reads the measurements of a complete run.
    pub(crate) async fn measured(&self, run: Repeat, seconds: f64) -> Result<SweepPoint> {
        let point = &self.sweep.points[run.point];
        let bucket = self.stores.bucket(self.sweep.results_bucket())?;
        let results = Results::new(bucket.clone(), &self.sweep.folder(point, &run.repeat.to_string()));
        let json = bucket.read(&results.report(), MAX_RESULT_BYTES, "a run's report").await?;
        let report =
            RunReport::parse(&json).map_err(anyhow::Error::msg).with_context(|| bucket.url(&results.report()))?;
        ensure!(
            report.is_complete(),
            "`{}`: {} of {} tasks finished",
            results.url(),
            report.tasks.len(),
            report.tasks_planned
        );
        let json = bucket.read(&results.combined(), MAX_RESULT_BYTES, "records of the CAI study").await?;
        let records: Vec<StudyRecord> =
            serde_json::from_slice(&json).with_context(|| bucket.url(&results.combined()))?;
        // The process of a run on AWS waits for logs long after the run has ended.
        let seconds = if point.executor == ExecutorKind::StepFunctions { report.seconds } else { seconds };
        self.point(run, report, &records, seconds)
    }

    fn point(&self, run: Repeat, report: RunReport, records: &[StudyRecord], seconds: f64) -> Result<SweepPoint> {
        let Point { experiment, settings, .. } = &self.sweep.points[run.point];
        let tasks = &report.tasks;
        let first = tasks.iter().map(|task| &task.started).min();
        let last = tasks.iter().map(|task| &task.finished).max();
        let Some(map_seconds) = first.zip(last).and_then(|(first, last)| seconds_between(first, last)) else {
            bail!("`{}`: no task has a start and an end", report.results_url);
        };
        let of_records = |of: fn(&StudyRecord) -> f64| mean(records.iter().map(of)).unwrap_or_default();
        let mut phases = PhaseSeconds::default();
        for PhaseSeconds { init, list, read, decode, infer, write } in tasks.iter().map(|task| task.seconds) {
            phases.init += init;
            phases.list += list;
            phases.read += read;
            phases.decode += decode;
            phases.infer += infer;
            phases.write += write;
        }
        let measured = SweepPoint {
            format_version: SWEEP_FORMAT,
            sweep: self.sweep.name.clone(),
            sweep_sha256: self.sweep.sha256.clone(),
            experiment: experiment.clone(),
            point: run.point,
            repeat: run.repeat,
            settings: settings.clone(),
            program: format!("cosmicai {}", env!("CARGO_PKG_VERSION")),
            commit: COMMIT.unwrap_or_default().to_owned(),
            seconds,
            map_seconds,
            tasks: report.tasks_planned,
            tasks_finished: tasks.len(),
            samples: report.samples,
            bytes: report.bytes,
            runtime_seconds_mean: of_records(|record| record.total_cpu_time),
            memory_mb_mean: of_records(|record| record.total_process_memory),
            memory_mb_peak: tasks.iter().map(|task| task.memory_peak_mb).fold(0.0, f64::max),
            allocated_mb: Some(records.iter().map(|record| record.total_cpu_memory).sum()),
            task_seconds: records.iter().map(|record| record.total_cpu_time).collect(),
            phases,
            cpu_seconds: tasks.iter().map(|task| task.cpu_seconds).sum(),
            run_id: report.run_id,
            results_url: report.results_url,
            machine: report.machine,
            isa: report.isa,
            started: report.started,
            finished: report.finished,
            billed: report.billed,
        };
        // If the clock was set back, the times are invalid, and the line could not be read again.
        measured.check().map_err(anyhow::Error::msg).with_context(|| measured.results_url.clone())?;
        Ok(measured)
    }
}

/// Last lines of a process's messages.
fn last_messages(output: &Output) -> String {
    let messages = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = messages.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(MESSAGE_LINES)..].join("\n")
}

#[cfg(test)]
mod tests;
