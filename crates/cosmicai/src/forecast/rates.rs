//! Speed of a worker: from measured runs and benchmarks, or from a short benchmark on this machine.

use accounting::forecast::rates::Rate;
use accounting::measured::{MeasuredRun, Stated};
use anyhow::{Context, Result, ensure};
use astromae::Precision;
use pipeline::model_file::ModelFile;
use pipeline::storage::Stores;
use records::benchmark::{Benchmark, MAX_BENCHMARK_BYTES, RateMeasurement};
use records::format::FormatError;
use records::payload::Payload;

use crate::accounting_options::tell_doubts;
use crate::bench::calibration::{self, Calibration};
use crate::findings::examine;
use crate::measurements;
use crate::printer::{Printer, count};
use crate::settings::{Settings, cores};

/// Default batch size: that of the CAI study.
const BATCH_SIZE: usize = 256;

/// Reads the rates of measured runs and benchmarks, or measures this machine if there are none. `precisions` are those
/// to compare, the payload's first.
pub(crate) async fn rates(
    from: &[String],
    precisions: &[Precision],
    payload: Option<(&Payload, &Stores, Option<&str>)>,
    settings: &Settings,
    printer: &Printer,
) -> Result<Vec<Rate>> {
    let stores = settings.stores(".").await?;
    let mut rates: Vec<Rate> = Vec::new();
    for (index, url) in from.iter().enumerate() {
        ensure!(!from[..index].contains(url), "`{url}` is named twice");
        match benchmark(&stores, url).await? {
            Some(benchmark) => rates.extend(of_benchmark(&benchmark, url, precisions, printer)?),
            None => {
                let run = measurements::read(&stores, url, Stated::default()).await?;
                run.check()?;
                warn_of_differences(&run, payload, printer).await;
                tell_doubts(&run, &examine(&stores, &run, None).await?, printer);
                rates.push(Rate::of(&run)?);
            }
        }
    }
    if rates.is_empty() {
        printer
            .tell("measuring the speed of this machine for a few seconds; pass measured runs to skip this, see --help");
        rates = rates_of_this_machine(payload, precisions, settings, printer).await?;
    }
    Ok(rates)
}

/// Size of a payload's model in binary MB; `None` if the model cannot be read here. The run reports that error.
pub(crate) async fn model_mb(payload: &Payload, stores: &Stores, instead: Option<&str>) -> Option<f64> {
    let bytes = ModelFile::bytes_of_payload(stores, payload, instead).await.ok()??;
    Some(bytes as f64 / f64::from(1 << 20))
}

/// Warns if a measured run used another model or precision than the payload.
async fn warn_of_differences(run: &MeasuredRun, payload: Option<(&Payload, &Stores, Option<&str>)>, printer: &Printer) {
    /// Largest relative difference in size between file formats of one model.
    const SIMILAR: f64 = 0.05;
    let (Some(report), Some((payload, stores, instead))) = (&run.report, payload) else { return };
    let precision = payload.precision.to_string();
    if report.precision != precision {
        printer.tell(&format!(
            "doubtful: `{}` ran in {}, but the payload has {precision}; the speed of its workers differs",
            run.name, report.precision
        ));
    }
    let measured_mb = report.model.bytes as f64 / f64::from(1 << 20);
    if let Some(mb) = model_mb(payload, stores, instead).await
        && (mb / measured_mb - 1.0).abs() > SIMILAR
    {
        printer.tell(&format!(
            "doubtful: `{}` ran a model of {measured_mb:.1} MB, but the model of the payload has {mb:.1} MB; the speed \
             of its workers differs",
            run.name
        ));
    }
}

/// Measures the rates of this machine.
async fn rates_of_this_machine(
    payload: Option<(&Payload, &Stores, Option<&str>)>,
    precisions: &[Precision],
    settings: &Settings,
    printer: &Printer,
) -> Result<Vec<Rate>> {
    let (threads, isa) = (cores(), settings.isa()?);
    let (batch, file) = match payload {
        Some((payload, stores, instead)) => {
            (payload.batch_size, Some(ModelFile::of_payload(stores, payload, instead).await?))
        }
        None => (BATCH_SIZE, None),
    };
    let model = if file.is_some() { "model of the payload" } else { "model of the published size" };
    let calibration = Calibration { precisions, isa, threads, batch };
    let measured = calibration::images_per_s(file, &calibration, settings, printer).await?;
    let rate = |(precision, images_per_s): (Precision, f64)| Rate {
        batch_size: Some(batch as f64),
        precision: Some(precision.to_string()),
        images_per_s,
        threads: Some(threads as f64),
        memory_mb: None,
        jitter: None,
        straggler_fraction: None,
        straggler_factor: None,
        tasks: 0,
        source: format!("this machine, {}, {isa}, {precision}, {model}", count(threads, "thread")),
    };
    Ok(measured.into_iter().map(rate).collect())
}

/// Reads the record of a benchmark; `None` if the file is something else.
async fn benchmark(stores: &Stores, url: &str) -> Result<Option<Benchmark>> {
    let (bucket, key) = stores.open_url(url)?;
    if !key.ends_with(".json") || bucket.find(&key).await?.is_none_or(|object| object.bytes > MAX_BENCHMARK_BYTES) {
        return Ok(None);
    }
    let json = bucket.read(&key, MAX_BENCHMARK_BYTES, "a benchmark").await?;
    match Benchmark::parse(&json) {
        Ok(benchmark) => Ok(Some(benchmark)),
        Err(error @ FormatError::Version { .. }) => Err(error).with_context(|| format!("read `{url}`")),
        Err(_) => Ok(None),
    }
}

/// Rates of a benchmark for each precision and batch size, on the largest number of threads. Speeds that were measured
/// while the machine was busy are converted to those of an idle one, with a warning.
fn of_benchmark(benchmark: &Benchmark, url: &str, precisions: &[Precision], printer: &Printer) -> Result<Vec<Rate>> {
    let names: Vec<String> = precisions.iter().map(Precision::to_string).collect();
    let of_precisions = || benchmark.measurements.iter().filter(|one| names.contains(&one.precision));
    let threads = of_precisions().map(|one| one.threads).max();
    let threads = threads.with_context(|| format!("`{url}` has no measurement of {}", names.join(" or ")))?;
    let of_threads = || of_precisions().filter(|one| one.threads == threads);
    let share = |percent: f64| if percent > 0.0 { (percent / 100.0).min(1.0) } else { 1.0 };
    let least = of_threads().map(|one| share(one.percent_of_time)).fold(1.0, f64::min);
    if let Some(warning) = calibration::busy(least) {
        printer.tell(&format!("`{url}`: {warning}"));
    }
    let rate = |one: &RateMeasurement| Rate {
        batch_size: Some(one.batch as f64),
        precision: Some(one.precision.clone()),
        images_per_s: one.images_per_s / share(one.percent_of_time),
        threads: Some(threads as f64),
        memory_mb: Some(one.memory_peak_mb),
        jitter: None,
        straggler_fraction: None,
        straggler_factor: None,
        tasks: 0,
        source: url.to_owned(),
    };
    Ok(of_threads().map(rate).collect())
}
