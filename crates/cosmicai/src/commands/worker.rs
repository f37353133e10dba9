//! `cosmicai worker`: tasks of a run that is already planned.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use executors::slurm::ENDED_BY_SIGNAL;
use executors::{ATTEMPTS, Attempts, BACKOFF, Interrupts, TaskOutcome};
use pipeline::Run;
use pipeline::event::{Event, EventSink, Stopwatch, now};
use pipeline::finished::finished_task;
use pipeline::model_file::ModelFile;
use pipeline::predict::Worker;
use pipeline::prepare::read_plan;
use pipeline::results::Results;
use pipeline::storage::count_requests;
use pipeline::unattended::write_failure;
use records::plan::{Plan, Task};
use records::ranks;
use records::report::FailedTask;
use records::submission::{block, share};
use tokio_util::sync::CancellationToken;

use crate::help::section_and_examples;
use crate::outcome::Outcome;
use crate::printer::write_message;
use crate::progress::Progress;
use crate::settings::{SLURM_RANK, Settings};

/// Command that starts 6,000 workers, in `--help`.
const SRUN: &str = "srun --ntasks=6000 cosmicai worker --plan PLAN --share blocks";

/// Run one task, or one worker's share of the tasks, of a plan.
///
/// `cosmicai run --executor slurm` starts workers by itself. Use this command with any other scheduler: srun, GNU
/// parallel or your own scripts. Without --rank, a worker that srun started takes its number from SLURM_PROCID and the
/// number of workers from SLURM_NTASKS. If there are more workers than tasks, the others end at once.
///
/// `cosmicai run PAYLOAD.json --plan-only` makes the plan. Start any number of workers, on any machines that can read
/// the plan, the model and the partitions, and write to the results folder. A worker skips finished tasks, so it can be
/// started again. Afterwards, `cosmicai summarize RESULTS --report` writes the summary of the run.
#[derive(Debug, clap::Args)]
#[command(after_long_help = section_and_examples(("With srun", SRUN), [
    "cosmicai worker --plan /scratch/sky/results/plan.json --rank 3",
    "cosmicai worker --plan /scratch/sky/results/plan.json --rank 0 --of 16",
]))]
pub(crate) struct Options {
    /// plan.json of the run, or its folder: path or URL.
    #[arg(long, value_name = "URL")]
    plan: String,
    /// Folder or URL of the buckets [default: that of the plan].
    #[arg(long, value_name = "DIR|s3|URL")]
    store: Option<String>,
    /// Task to run, from 0; with --of, number of this worker [default: SLURM_PROCID].
    #[arg(long, value_name = "N")]
    rank: Option<usize>,
    /// Number of workers that share the tasks [default without --rank: SLURM_NTASKS].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    of: Option<u32>,
    /// Tasks of a worker: stride (every N-th task) or blocks (consecutive tasks).
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Share::Stride)]
    share: Share,
    /// Ranks of tasks to share [default: all], such as 3,17-20.
    #[arg(long, value_name = "RANKS")]
    among: Option<String>,
    /// Compute threads [default: cores of this process].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Most attempts at a task.
    ///
    /// A task is tried again only after errors that may be temporary.
    #[arg(long, value_name = "N", default_value_t = ATTEMPTS, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts: u32,
}

/// Tasks that a worker runs, of all tasks to share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Share {
    /// Every N-th task, starting at the number of the worker.
    Stride,
    /// Consecutive tasks.
    Blocks,
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
        bail!("`{}` has no plan.json; make it with `cosmicai run PAYLOAD.json --plan-only`", results.url());
    };
    let store = match &options.store {
        Some(store) => store.clone(),
        None => store_of(&results, &plan)?,
    };
    let stores = settings.stores(&store).await?;
    let data = stores.bucket(&plan.payload.data_bucket)?;
    let tasks = tasks(&options, settings.slurm_rank(), &plan)?;

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
    let loading = ModelFile::load_planned(&stores, &plan.model, plan.payload.precision, isa);
    let (loaded, requests) = count_requests(loading).await;
    let model = match loaded.map_err(anyhow::Error::from) {
        Ok(model) => model,
        Err(error) => {
            // This worker can run none of its tasks. Record the failure at the first.
            record_failure(&results, first, 1, format!("{error:#}")).await;
            return Err(error);
        }
    };
    let threads = options.threads.map_or_else(crate::settings::cores, usize::from);
    let mut worker = Worker::new(model, threads, watch.seconds()).with_requests(requests);
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
                record_failure(&results, task, 1, format!("{ENDED_BY_SIGNAL} after {samples} images")).await;
                return Ok(Outcome::Interrupted);
            }
        }
    }
    events.record(&Event::RunFinished { finished: tasks.len() - failed, failed, left: 0 });
    Ok(if failed == 0 { Outcome::Done } else { Outcome::Incomplete })
}

/// Returns the store of a run: its results URL without the bucket and folder of its payload.
fn store_of(results: &Results, plan: &Plan) -> Result<String> {
    let folder = plan.payload.results_folder().trim_matches('/');
    let below = if folder.is_empty() {
        format!("{}/", plan.payload.bucket)
    } else {
        format!("{}/{folder}/", plan.payload.bucket)
    };
    let url = results.url();
    let store = url.strip_suffix(&below).filter(|store| !store.is_empty());
    let store = store
        .with_context(|| format!("`{url}` does not end in `{below}`; pass the store of the buckets with --store"))?;
    Ok(store.to_owned())
}

/// Returns the tasks of this worker. `slurm` is its number and the number of workers, if srun started it.
fn tasks<'p>(options: &Options, slurm: Option<(usize, u32)>, plan: &'p Plan) -> Result<Vec<&'p Task>> {
    let count = plan.tasks.len();
    let (rank, of) = match (options.rank, slurm) {
        (Some(rank), _) => (rank, options.of),
        (None, Some((rank, of))) => (rank, Some(options.of.unwrap_or(of))),
        (None, None) => bail!(
            "--rank is missing: expected the rank of a task, or the number of this worker with --of; srun passes both in \
             {}",
            SLURM_RANK.join(" and ")
        ),
    };
    let among = match &options.among {
        Some(_) if of.is_none() => bail!("--among needs --of, the number of workers that share the tasks"),
        Some(text) => ranks::parse(text).map_err(|problem| anyhow::anyhow!("--among {problem}"))?,
        None => (0..count).collect(),
    };
    let ranks: Vec<usize> = match of {
        Some(of) if rank >= of as usize => bail!("--rank {rank}: the last of {of} workers is {}", of - 1),
        Some(of) => match options.share {
            Share::Stride => share(&among, rank, of as usize).collect(),
            Share::Blocks => block(&among, rank, of as usize).to_vec(),
        },
        None => vec![rank],
    };
    let task = |rank: usize| {
        plan.tasks.get(rank).with_context(|| {
            format!("rank {rank}: the plan has {count} tasks, with ranks 0 to {}", count.saturating_sub(1))
        })
    };
    ranks.into_iter().map(task).collect()
}

/// Records why a task failed. If that cannot be written, the task is reported as missing.
async fn record_failure(results: &Results, task: &Task, attempts: u32, error: String) {
    let files = task.files.iter().map(|file| file.key.clone()).collect();
    if let Err(unwritten) = write_failure(results, &FailedTask { rank: task.rank, files, attempts, error }).await {
        write_message(&format!("cannot record the failure of task {}: {unwritten}", task.rank));
    }
}

/// Cancels at Ctrl-C, and at the signals that schedulers send before they kill.
fn listen(cancel: &CancellationToken) -> Result<()> {
    let (mut interrupts, cancel) = (Interrupts::listen().context("listen for signals")?, cancel.clone());
    tokio::spawn(async move {
        interrupts.next().await;
        cancel.cancel();
    });
    Ok(())
}

/// Shows progress, and counts the images of the running task.
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
