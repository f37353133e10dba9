//! `cosmicai worker`: some tasks of a run that was planned elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use pipeline::Run;
use pipeline::elsewhere::write_failure;
use pipeline::event::{Event, EventSink, Stopwatch, now};
use pipeline::finished::finished_task;
use pipeline::model_file::ModelFile;
use pipeline::plan::{Plan, Task};
use pipeline::predict::Worker;
use pipeline::prepare::read_plan;
use pipeline::report::FailedTask;
use pipeline::results::Results;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Outcome;
use crate::executor::slurm::{ENDED, ranks, share};
use crate::executor::{ATTEMPTS, Attempts, BACKOFF, Outcome as TaskOutcome};
use crate::progress::Progress;
use crate::settings::Settings;

/// Do one task of a planned run, or one worker's share of its tasks. `run --executor slurm` starts workers by itself.
///
/// A worker needs the plan alone: it reads the plan, the model and its partitions, and writes what its tasks come to into the
/// run's folder. Finished tasks are skipped, so that it may be started again. Workers share nothing but the folder: start as
/// many as you like, on as many machines as see it, by srun, GNU parallel or any other scheduler. `cosmicai run … --plan-only`
/// makes the plan, `cosmicai summarize RESULTS --report` sums up afterwards.
///
/// Example: cosmicai worker --plan /scratch/sky/results/plan.json --rank 3
/// Example: srun --ntasks=16 sh -c 'cosmicai worker --plan PLAN --rank $SLURM_PROCID --of 16'
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The run's plan.json, or its folder: path or URL.
    #[arg(long, value_name = "URL")]
    plan: String,
    /// Where the buckets are [default: where the plan lies].
    #[arg(long, value_name = "DIR|s3|URL")]
    store: Option<String>,
    /// Rank of the task to do; with --of, which of so many workers this is, from 0.
    #[arg(long, value_name = "N")]
    rank: usize,
    /// Share the tasks among so many workers: this one does every N-th, beginning with the one at --rank.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    of: Option<u32>,
    /// Share these ranks only, such as 3,17-20.
    #[arg(long, value_name = "RANKS", requires = "of")]
    among: Option<String>,
    /// Compute threads [default: one for each core that this process may use].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// How often a task is tried where trying again can help.
    #[arg(long, default_value_t = ATTEMPTS, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts: u32,
}

pub(crate) async fn worker(options: Options, settings: &Settings) -> Result<Outcome> {
    let isa = settings.isa()?;
    let folder = match options.plan.strip_suffix("plan.json") {
        Some("") => ".",
        Some(folder) if folder.ends_with('/') => folder,
        _ => &options.plan,
    };
    let results = Results::open(&settings.stores(".").await?, folder)?;
    let Some(plan) = read_plan(&results).await? else {
        bail!("`{}` holds no plan.json", results.url());
    };
    let store = match &options.store {
        Some(store) => store.clone(),
        None => store_of(&results, &plan)?,
    };
    let stores = settings.stores(&store).await?;
    let data = stores.bucket(&plan.payload.data_bucket)?;
    let tasks = tasks(&options, &plan)?;

    let cancel = CancellationToken::new();
    listen(&cancel)?;
    let events = Counting::default();
    let mut left = Vec::new();
    for task in &tasks {
        if finished_task(&results, &plan, task).await?.is_none() {
            left.push(*task);
        }
    }
    events.record(&Event::RunStarted {
        run_id: plan.run_id.clone(),
        tasks: tasks.len(),
        finished_before: tasks.len() - left.len(),
        bytes: left.iter().map(|task| task.bytes()).sum(),
    });
    let Some(first) = left.first() else { return Ok(Outcome::Done) };

    let watch = Stopwatch::start();
    let loaded = async {
        Ok::<_, anyhow::Error>(ModelFile::of_plan(&stores, &plan.model).await?.load(plan.payload.precision, isa)?)
    };
    let model = match loaded.await {
        Ok(model) => model,
        Err(error) => {
            // No task of this worker can be done; the first says why for all.
            leave_word(&results, first, 1, format!("{error:#}")).await;
            return Err(error);
        }
    };
    let threads = options.threads.map_or_else(super::cores, usize::from);
    let mut worker = Worker::new(model, threads, watch.seconds());
    let attempts = Attempts { attempts: options.attempts, backoff: BACKOFF, cancel: &cancel };
    let run = Run { plan: &plan, data: &data, results: &results, events: &events };
    let (queued, mut failed) = (now(), 0);
    for task in left {
        events.samples.store(0, Ordering::Relaxed);
        match attempts.run(run, task, &queued, &mut worker).await {
            TaskOutcome::Finished(_) => {}
            TaskOutcome::Failed(task) => {
                failed += 1;
                write_failure(&results, &task).await?;
            }
            TaskOutcome::Abandoned => {
                let samples = events.samples.load(Ordering::Relaxed);
                leave_word(&results, task, 1, format!("{ENDED} after {samples} images")).await;
                return Ok(Outcome::Interrupted);
            }
        }
    }
    events.record(&Event::RunFinished { finished: tasks.len() - failed, failed, left: 0 });
    Ok(if failed == 0 { Outcome::Done } else { Outcome::Incomplete })
}

/// The place under which a run's folder lies as its payload says.
fn store_of(results: &Results, plan: &Plan) -> Result<String> {
    let folder = plan.payload.results_folder().trim_matches('/');
    let below = if folder.is_empty() {
        format!("{}/", plan.payload.bucket)
    } else {
        format!("{}/{folder}/", plan.payload.bucket)
    };
    let url = results.url();
    let store = url.strip_suffix(&below).filter(|store| !store.is_empty());
    let store =
        store.with_context(|| format!("`{url}` does not end in `{below}`; say with --store where the buckets are"))?;
    Ok(store.to_owned())
}

/// The tasks that this worker is to do.
fn tasks<'p>(options: &Options, plan: &'p Plan) -> Result<Vec<&'p Task>> {
    let count = plan.tasks.len();
    let among = match &options.among {
        Some(text) => ranks::parse(text).map_err(|problem| anyhow::anyhow!("--among {problem}"))?,
        None => (0..count).collect(),
    };
    let ranks: Vec<usize> = match options.of {
        Some(of) if options.rank >= of as usize => {
            bail!("--rank {}: of {of} workers, the last is {}", options.rank, of - 1)
        }
        Some(of) => share(&among, options.rank, of as usize).collect(),
        None => vec![options.rank],
    };
    let task = |rank: usize| {
        plan.tasks.get(rank).with_context(|| {
            format!("rank {rank}: the plan has {count} tasks, of ranks 0 to {}", count.saturating_sub(1))
        })
    };
    ranks.into_iter().map(task).collect()
}

/// Leaves word of a task; where even that cannot be written, whoever looks finds the task missing.
async fn leave_word(results: &Results, task: &Task, attempts: u32, error: String) {
    let files = task.files.iter().map(|file| file.key.clone()).collect();
    if let Err(unwritten) = write_failure(results, &FailedTask { rank: task.rank, files, attempts, error }).await {
        eprintln!("no word of task {} could be left: {unwritten}", task.rank);
    }
}

/// Cancels at Ctrl-C, and at what schedulers send before they kill.
fn listen(cancel: &CancellationToken) -> Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let (mut signals, cancel) = (signal(kind).context("listen for signals")?, cancel.clone());
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                cancel.cancel();
            }
        });
    }
    Ok(())
}

/// Shows progress, and counts the images of the task under way.
struct Counting {
    progress: Progress,
    samples: AtomicU64,
}

impl Default for Counting {
    fn default() -> Self {
        Self { progress: Progress::new(), samples: AtomicU64::new(0) }
    }
}

impl EventSink for Counting {
    fn record(&self, event: &Event) {
        if let Event::BatchPredicted { samples, .. } = event {
            self.samples.fetch_add(*samples as u64, Ordering::Relaxed);
        }
        self.progress.record(event);
    }
}
