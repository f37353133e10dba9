//! Runs a payload from another program: simulates partitions, predicts them in this process, and prints the summary.
//!
//! Run it with `cargo run --release -p executors --example embed_run`. Everything is in memory. To use real data, open
//! the store at a folder or at `s3`, and leave out the simulation.

#![allow(clippy::print_stdout, reason = "an example prints what it did")]

use std::error::Error;
use std::num::NonZeroUsize;

use astromae::Isa;
use astromae::init::{Sizes, seeded};
use executors::{ATTEMPTS, BACKOFF, Driven, Interrupts, Local, drive};
use pipeline::event::{Event, EventSink, new_run_id, now};
use pipeline::planning::Origin;
use pipeline::prepare::{Prepared, prepare};
use pipeline::storage::{Bucket, StorageOptions, Stores};
use records::payload::Payload;
use records::request::IfTaken;
use sources::simulate::{Galaxies, Sample, Sky, write_partition};
use tokio_util::sync::CancellationToken;

const PARTITIONS: u64 = 4;
const GALAXIES: usize = 100;

/// Bucket names and keys are those of the simulated data below. `result_path` is the folder of the results.
const PAYLOAD: &str = r#"{
    "bucket": "sky", "data_bucket": "sky", "data_prefix": "partitions", "model": "model.safetensors",
    "result_path": "results", "file_limit": 100, "batch_size": 64
}"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let stores = Stores::open("memory:", StorageOptions::default())?;
    simulate(&stores.bucket("sky")?).await?;

    // Plan the run and claim its folder.
    let payload = Payload::parse(PAYLOAD.as_bytes())?;
    let precision = payload.precision;
    let origin = Origin { run_id: new_run_id(), created: now(), created_by: "the example embed_run".into() };
    let prepared = prepare(&stores, payload, None, IfTaken::Refuse, origin).await?;
    let Prepared { plan, results, data, model, .. } = prepared;

    // Run its tasks in this process. Ctrl-C stops the run.
    let local = Local {
        data,
        results,
        model: model.load(precision, Isa::detect())?,
        init_seconds: 0.0,
        workers: 2,
        threads: 1,
        attempts: ATTEMPTS,
        backoff: BACKOFF,
        cancel: CancellationToken::new(),
    };
    let Driven::Ended(run) = drive(&local, &plan, None, &PrintTasks, &mut Interrupts::listen()?).await? else {
        return Err("the run was interrupted twice".into());
    };

    println!("results in {}", run.report.results_url);
    println!("{} of {} tasks finished in {:.2} s", run.summary.finished, run.summary.tasks, run.report.seconds);
    println!("{} images predicted", run.summary.samples);
    if let Some(scores) = run.summary.accuracy.and_then(|accuracy| accuracy.all) {
        // The weights are random, so these scores mean nothing.
        println!("bias {:.3}, NMAD {:.3}", scores.authors.bias, scores.authors.nmad);
    }
    Ok(())
}

/// Writes a small model with random weights and simulated partitions to a bucket.
async fn simulate(bucket: &Bucket) -> Result<(), Box<dyn Error>> {
    bucket.write("model.safetensors", seeded(&Sizes::small(), 1).into()).await?;
    for number in 1..=PARTITIONS {
        let sky = Sky { galaxies: Galaxies::Drawn(GALAXIES, Sample::Main), seed: number, image_size: 32 };
        let partition = write_partition(sky, NonZeroUsize::MIN, Vec::new(), |_| {})?;
        bucket.write(&format!("partitions/{number}.pt"), partition.into()).await?;
    }
    Ok(())
}

/// Event sink that prints finished and failed tasks.
struct PrintTasks;

impl EventSink for PrintTasks {
    fn record(&self, event: &Event) {
        match event {
            Event::TaskFinished { rank, samples, .. } => println!("task {rank}: {samples} images"),
            Event::TaskFailed { rank, error, .. } => println!("task {rank} failed: {error}"),
            _ => {}
        }
    }
}
