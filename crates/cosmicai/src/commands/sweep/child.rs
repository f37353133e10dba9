//! One run of a sweep: this program, started again with the point's payload, so that its peak of memory is its own and
//! what kills it costs one point; and what is measured of it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use accounting::statistics::mean;
use anyhow::{Context, Result, bail, ensure};
use pipeline::event::{Stopwatch, seconds_between};
use pipeline::payload::Payload;
use pipeline::record::StudyRecord;
use pipeline::report::{PhaseSeconds, RunReport};
use pipeline::results::Results;
use pipeline::storage::Stores;
use pipeline::sweep::{SWEEP_FORMAT, SweepPoint};
use serde_json::{Map, Value, json};
use tokio::process::Command;

use super::axes::{Axis, One};
use super::claim::Claim;
use super::points::{Point, Repeat, Sweep};
use crate::commands::interruption::Signals;
use crate::commands::run::Where;

/// The largest report of a run, and file of the study's records, that is read, in bytes.
const MAX_RESULT_BYTES: u64 = 1 << 30;
/// Lines of what a run said that are repeated where it failed.
const SAID_LINES: usize = 6;
/// The commit of the program's sources, where git knew it.
const COMMIT: Option<&str> = option_env!("COSMICAI_COMMIT");

/// How runs are started.
pub(super) struct Starter<'a> {
    pub(super) program: &'a Path,
    pub(super) sweep: &'a Sweep,
    /// Where the buckets are.
    pub(super) store: &'a str,
    pub(super) stores: &'a Stores,
    pub(super) claim: Claim,
    pub(super) state_machine: Option<&'a str>,
    pub(super) endpoint_url: Option<&'a str>,
    /// Folder of the payloads.
    pub(super) payloads: PathBuf,
}

/// What became of a run.
pub(super) enum Ran {
    /// It is complete, and took so many seconds from the start of its process to its end.
    Done { seconds: f64 },
    /// It ended otherwise; what it said.
    Failed(String),
    /// The sweep was told to end, and the process with it; where the run goes on elsewhere, how to end that.
    Interrupted(Option<String>),
}

impl Sweep {
    /// Whether every point's payload is one, before anything runs.
    pub(super) fn check_payloads(&self) -> Result<()> {
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
        if let (Where::StepFunctions, Some(workers)) = (point.executor, settings.workers) {
            payload.insert("max_concurrency".to_owned(), workers.into());
        }
        payload
    }
}

impl Starter<'_> {
    /// Runs a point; `repeat` names its folder. Whatever lies there of an earlier attempt is overwritten, so that all
    /// times are of one execution: hence the claim is looked at each time, as another sweep may have taken it over.
    pub(super) async fn run(&self, point: &Point, repeat: &str, signals: &mut Signals) -> Result<Ran> {
        self.claim.take().await?;
        let payload = self.sweep.payload(point, repeat);
        let path = self.payloads.join(&point.experiment).join(point.label()).join(format!("{repeat}.json"));
        // Written plainly: it is made anew for every run, and a signal to end must reach the sweep, which says how to go on.
        let place = || format!("write `{}`", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(place)?;
        }
        std::fs::write(&path, serde_json::to_string_pretty(&payload)? + "\n").with_context(place)?;
        let mut command = Command::new(self.program);
        command
            .args(self.arguments(point))
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // Ctrl-C on a terminal reaches a whole group of processes; the run hears of it by its tether, once.
        command.process_group(0);
        let watch = Stopwatch::start();
        let mut child = command.spawn().with_context(|| format!("start `{}`", self.program.display()))?;
        let tether = child.stdin.take();
        let ended = child.wait_with_output();
        tokio::pin!(ended);
        let output: Output = tokio::select! {
            output = &mut ended => output.context("wait for a run")?,
            () = signals.heard() => {
                drop(tether);
                let output = ended.await.context("wait for a run to end")?;
                return Ok(Ran::Interrupted((point.executor != Where::Local).then(|| said(&output))));
            }
        };
        let seconds = watch.seconds();
        Ok(if output.status.success() {
            Ran::Done { seconds }
        } else {
            Ran::Failed(format!("{}\n{}", output.status, said(&output)))
        })
    }

    /// All of the command line but the payload.
    fn arguments(&self, point: &Point) -> Vec<String> {
        let settings = &point.settings;
        let mut arguments: Vec<String> =
            ["run", "--tethered", "--overwrite", "--format", "json"].map(str::to_owned).into();
        let mut add =
            |option: &str, value: Option<String>| arguments.extend(value.map(|value| format!("--{option}={value}")));
        add("store", Some(self.store.to_owned()));
        add("executor", Some(settings.executor.clone()));
        add("endpoint-url", self.endpoint_url.map(str::to_owned));
        let (threads, workers) = (settings.threads.map(|n| n.to_string()), settings.workers.map(|n| n.to_string()));
        match point.executor {
            Where::Local => {
                add("threads", threads);
                add("workers", workers);
            }
            Where::Slurm => {
                let text = |text: &Option<One<String>>| text.as_ref().map(|One(text)| text.clone());
                let cluster = &self.sweep.cluster;
                add("cpus-per-task", threads);
                add("array-limit", workers);
                add("mem", settings.memory_mb.map(|mb| format!("{}M", mb.ceil())));
                add("slurm-partition", text(&cluster.slurm_partition));
                add("slurm-account", text(&cluster.slurm_account));
                add("time", text(&cluster.time));
                add("array-size", cluster.array_size.as_ref().map(|One(size)| size.to_string()));
                for extra in cluster.sbatch_extra.iter().flat_map(|Axis(extra)| extra) {
                    add("sbatch-extra", Some(extra.clone()));
                }
            }
            Where::StepFunctions => add("state-machine", self.state_machine.map(str::to_owned)),
        }
        arguments
    }

    /// What was measured of a run that is complete.
    pub(super) async fn measured(&self, run: Repeat, seconds: f64) -> Result<SweepPoint> {
        let point = &self.sweep.points[run.point];
        let bucket = self.stores.bucket(self.sweep.results_bucket())?;
        let results = Results::new(bucket.clone(), &self.sweep.folder(point, &run.repeat.to_string()));
        let json = bucket.read(&results.report(), MAX_RESULT_BYTES, "a run's report").await?;
        let report =
            RunReport::parse(&json).map_err(anyhow::Error::msg).with_context(|| bucket.url(&results.report()))?;
        ensure!(report.is_complete(), "`{}`: {} of {} tasks", results.url(), report.tasks.len(), report.tasks_planned);
        let json = bucket.read(&results.combined(), MAX_RESULT_BYTES, "the study's records").await?;
        let records: Vec<StudyRecord> =
            serde_json::from_slice(&json).with_context(|| bucket.url(&results.combined()))?;
        // Of a run on AWS, its process waits for logs long after the run.
        let seconds = if point.executor == Where::StepFunctions { report.seconds } else { seconds };
        self.point(run, report, &records, seconds)
    }

    fn point(&self, run: Repeat, report: RunReport, records: &[StudyRecord], seconds: f64) -> Result<SweepPoint> {
        let Point { experiment, settings, .. } = &self.sweep.points[run.point];
        let tasks = &report.tasks;
        let first = tasks.iter().map(|task| &task.started).min();
        let last = tasks.iter().map(|task| &task.finished).max();
        let Some(map_seconds) = first.zip(last).and_then(|(first, last)| seconds_between(first, last)) else {
            bail!("`{}`: no task says when it began and ended", report.results_url);
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
        // A clock that was set back leaves times that nobody would read again.
        measured.check().map_err(anyhow::Error::msg).with_context(|| measured.results_url.clone())?;
        Ok(measured)
    }
}

/// The last lines that a process said.
fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SAID_LINES)..].join("\n")
}
