//! Child process that measures one precision only, so that its peak memory is that of the precision.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use pipeline::event::{memory_peak_mb, now};
use pipeline::model_file::ModelFile;
use records::benchmark::{BenchmarkModel, RateMeasurement, significant};

use super::interleaved::{MeasurementSetting, Peak, measure};
use super::median::median;
use super::request::{BenchRequest, empty_record};
use super::workload::{ModelInputs, open};
use super::{answers, profile};
use crate::counting_bar::counting_bar;
use crate::outcome::Outcome;
use crate::parent_watch;
use crate::printer::Printer;
use crate::settings::Settings;

/// Runs the measurements of a request on galaxies that the parent process made, and prints the record.
pub(crate) async fn run(
    request: &BenchRequest,
    galaxies: &Path,
    settings: &Settings,
    printer: &Printer,
) -> Result<Outcome> {
    let isa = request.isa;
    parent_watch::when_parent_ends(|| std::process::exit(1));
    let (&[precision], Some(url)) = (&request.precision[..], &request.model) else {
        anyhow::bail!("--galaxies: expected one precision and a model");
    };
    let file = ModelFile::of_url(&settings.stores(".").await?, url).await?;
    let sha256 = file.identity().await?.sha256;
    let model = file.load(precision, isa)?;
    let operations = answers::operations(&model);
    let about = BenchmarkModel {
        name: url.clone(),
        sha256,
        parameters: model.parameters(),
        mflop_per_image: significant(operations / 1e6),
    };
    let mut benchmark = empty_record(request, about, now(), settings);

    let partition = Arc::new(open(settings, galaxies).await?);
    let largest = request.batch.iter().copied().max().map_or(1, usize::from);
    ensure!(largest <= partition.len(), "--galaxies: {largest} galaxies expected, {} found", partition.len());
    let inputs = ModelInputs::read(&partition, largest).await?;
    let peak = Peak::new(isa, precision);
    let bar = counting_bar(&format!("measuring {precision}"), (request.threads.len() * request.batch.len()) as u64);
    let mut peaks = BTreeMap::new();
    for threads in request.threads.iter().map(|threads| usize::from(*threads)) {
        let mut slices = Vec::new();
        for batch in request.batch.iter().map(|batch| usize::from(*batch)) {
            let rates = measure(&model, &inputs, peak, MeasurementSetting { threads, batch, seconds: request.seconds });
            let images_per_s = rates.images_per_s();
            benchmark.measurements.push(RateMeasurement {
                precision: precision.to_string(),
                threads,
                batch,
                images_per_s: significant(images_per_s),
                gflop_per_s: significant(images_per_s * operations / 1e9),
                peak_gflop_per_s: significant(median(rates.peak.iter().copied()) / 1e9),
                percent_of_time: significant(100.0 * rates.share_of_time()),
                percent_of_peak: significant(100.0 * rates.share_of_peak(operations)),
                memory_peak_mb: significant(memory_peak_mb()),
            });
            slices.extend(rates.peak);
            bar.inc(1);
        }
        let plural = if threads == 1 { "" } else { "s" };
        peaks.insert(format!("gflop_per_s_{threads}_thread{plural}"), significant(median(slices) / 1e9));
    }
    bar.finish_and_clear();
    benchmark.peaks.insert(precision.to_string(), peaks);
    if request.profile {
        benchmark.profile = profile::profile(&model, &partition, &inputs, peak, request.seconds).await?;
    }
    printer.print(&benchmark, |_| String::new())?;
    Ok(Outcome::Done)
}
