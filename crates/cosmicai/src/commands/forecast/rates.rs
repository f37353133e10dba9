//! How fast a worker is: from runs and benchmarks that were measured, or from a few seconds of the engine here.

use accounting::forecast::rates::Rate;
use accounting::measured::{MeasuredRun, Told};
use anyhow::{Context, Result, ensure};
use astromae::Precision;
use pipeline::benchmark::{BENCHMARK_FORMAT, Benchmark};
use pipeline::model_file::ModelFile;
use pipeline::payload::Payload;
use pipeline::storage::Stores;

use crate::commands::audit::examine;
use crate::commands::bench::calibration;
use crate::commands::cores;
use crate::commands::cost::tell_doubts;
use crate::measurements;
use crate::printer::Printer;
use crate::settings::Settings;

/// The largest record of a benchmark that is read, in bytes.
const MAX_BENCHMARK_BYTES: u64 = 16 << 20;
/// Images in a batch where nobody asks for another number: the study's choice.
const BATCH_SIZE: usize = 256;

/// The rates that are known, or that of this machine.
pub(crate) async fn rates(
    from: &[String],
    payload: Option<(&Payload, &Stores, Option<&str>)>,
    settings: &Settings,
    printer: &Printer,
) -> Result<Vec<Rate>> {
    let stores = settings.stores(".").await?;
    let precision = payload.map_or(Precision::F32, |(payload, ..)| payload.precision);
    let mut rates: Vec<Rate> = Vec::new();
    for (index, url) in from.iter().enumerate() {
        ensure!(!from[..index].contains(url), "`{url}` is named twice");
        match benchmark(&stores, url).await? {
            Some(benchmark) => rates.extend(of_benchmark(&benchmark, url, precision)?),
            None => {
                let run = measurements::read(&stores, url, Told::default()).await?;
                run.check().map_err(anyhow::Error::msg)?;
                tell_differences(&run, payload, printer).await;
                tell_doubts(&run, &examine(&stores, &run, None).await?, printer);
                rates.push(Rate::of(&run).map_err(anyhow::Error::msg)?);
            }
        }
    }
    if rates.is_empty() {
        printer.tell("measuring the engine on this machine for a few seconds; runs that were measured may be named instead: --help");
        rates.push(here(payload, precision, settings).await?);
    }
    Ok(rates)
}

/// Binary MB of a payload's model; None where it cannot be looked at from here, which a run will tell.
pub(crate) async fn model_mb(payload: &Payload, stores: &Stores, instead: Option<&str>) -> Option<f64> {
    let bytes = ModelFile::bytes_of_payload(stores, payload, instead).await.ok()??;
    Some(bytes as f64 / f64::from(1 << 20))
}

/// Says of a run whose rate is taken for a payload's where it predicted with another model or precision.
async fn tell_differences(run: &MeasuredRun, payload: Option<(&Payload, &Stores, Option<&str>)>, printer: &Printer) {
    /// How far, relatively, files of one model in several forms differ in size.
    const ALIKE: f64 = 0.05;
    let (Some(report), Some((payload, stores, instead))) = (&run.report, payload) else { return };
    let precision = payload.precision.to_string();
    if report.precision != precision {
        printer.tell(&format!(
            "doubtful: `{}` ran with {}, and the payload asks for {precision}: its workers have another speed",
            run.name, report.precision
        ));
    }
    let measured_mb = report.model.bytes as f64 / f64::from(1 << 20);
    if let Some(mb) = model_mb(payload, stores, instead).await
        && (mb / measured_mb - 1.0).abs() > ALIKE
    {
        printer.tell(&format!(
            "doubtful: `{}` ran a model of {measured_mb:.1} MB, and the payload's has {mb:.1} MB: its workers have another speed",
            run.name
        ));
    }
}

/// The rate whose batch is nearest.
pub(crate) fn nearest(rates: &[Rate], batch_size: f64) -> &Rate {
    let distance = |rate: &Rate| rate.batch_size.map_or(f64::MAX, |size| (size / batch_size).ln().abs());
    rates.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).expect("there is a rate, or none was asked for")
}

async fn here(
    payload: Option<(&Payload, &Stores, Option<&str>)>,
    precision: Precision,
    settings: &Settings,
) -> Result<Rate> {
    let (threads, isa) = (cores(), settings.isa()?);
    let (batch, file) = match payload {
        Some((payload, stores, instead)) => {
            (payload.batch_size, Some(ModelFile::of_payload(stores, payload, instead).await?))
        }
        None => (BATCH_SIZE, None),
    };
    let whose = if file.is_some() { "its model" } else { "a model of the published size" };
    let images_per_s = calibration::images_per_s(file, precision, isa, threads, batch, settings).await?;
    Ok(Rate {
        batch_size: Some(batch as f64),
        images_per_s,
        threads: Some(threads as f64),
        memory_mb: None,
        jitter: None,
        straggler_fraction: None,
        straggler_factor: None,
        tasks: 0,
        source: format!("this machine, {threads} threads, {isa}, {precision}, {whose}"),
    })
}

/// The record of a benchmark, if that is what a file is.
async fn benchmark(stores: &Stores, url: &str) -> Result<Option<Benchmark>> {
    let (bucket, key) = stores.open_url(url)?;
    if !key.ends_with(".json") || bucket.find(&key).await?.is_none_or(|object| object.bytes > MAX_BENCHMARK_BYTES) {
        return Ok(None);
    }
    let json = bucket.read(&key, MAX_BENCHMARK_BYTES, "a benchmark").await?;
    let Ok(benchmark) = serde_json::from_slice::<Benchmark>(&json) else { return Ok(None) };
    ensure!(benchmark.format_version == BENCHMARK_FORMAT, "`{url}`: a benchmark of another version; measure again");
    Ok(Some(benchmark))
}

/// The rates of a benchmark by batch, on the most threads that it measured.
fn of_benchmark(benchmark: &Benchmark, url: &str, precision: Precision) -> Result<Vec<Rate>> {
    let of_precision = || benchmark.measurements.iter().filter(|one| one.precision == precision.to_string());
    let threads = of_precision().map(|one| one.threads).max();
    let threads = threads.with_context(|| format!("`{url}`: nothing was measured of {precision}"))?;
    let rate = |batch: usize, images_per_s: f64, memory_mb: f64| Rate {
        batch_size: Some(batch as f64),
        images_per_s,
        threads: Some(threads as f64),
        memory_mb: Some(memory_mb),
        jitter: None,
        straggler_fraction: None,
        straggler_factor: None,
        tasks: 0,
        source: url.to_owned(),
    };
    let of_threads = of_precision().filter(|one| one.threads == threads);
    Ok(of_threads.map(|one| rate(one.batch, one.images_per_s, one.memory_peak_mb)).collect())
}
