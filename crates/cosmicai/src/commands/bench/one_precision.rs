//! The process that measures one precision and nothing else, so that its peak of memory is that precision's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use astromae::Isa;
use pipeline::benchmark::{BenchmarkModel, Measurement, significant};
use pipeline::event::{memory_peak_mb, now};
use pipeline::model_file::ModelFile;

use super::turns::{Peak, Setting, measure};
use super::workload::{Inputs, open};
use super::{Options, answers, empty, median, profile};
use crate::commands::{Outcome, counting_bar, tether};
use crate::printer::Printer;
use crate::settings::Settings;

/// Measures what the options ask for, on galaxies that the starting process made, and prints the record.
pub(super) async fn run(
    options: &Options,
    galaxies: &Path,
    isa: Isa,
    settings: &Settings,
    printer: &Printer,
) -> Result<Outcome> {
    tether::when_released(|| std::process::exit(1));
    let (&[precision], Some(url)) = (&options.precision[..], &options.model) else {
        anyhow::bail!("--galaxies: one precision and a model are expected");
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
    let mut benchmark = empty(options, isa, about, now());

    let partition = Arc::new(open(settings, galaxies).await?);
    let largest = options.batch.iter().copied().max().map_or(1, usize::from);
    ensure!(largest <= partition.len(), "--galaxies: {largest} galaxies expected, {} found", partition.len());
    let inputs = Inputs::read(&partition, largest).await?;
    let peak = Peak::new(isa, precision);
    let bar = counting_bar(&format!("measuring {precision}"), (options.threads.len() * options.batch.len()) as u64);
    let mut peaks = BTreeMap::new();
    for threads in options.threads.iter().map(|threads| usize::from(*threads)) {
        let mut slices = Vec::new();
        for batch in options.batch.iter().map(|batch| usize::from(*batch)) {
            let turns = measure(&model, &inputs, peak, Setting { threads, batch, seconds: options.seconds });
            let images_per_s = turns.images_per_s();
            benchmark.measurements.push(Measurement {
                precision: precision.to_string(),
                threads,
                batch,
                images_per_s: significant(images_per_s),
                gflop_per_s: significant(images_per_s * operations / 1e9),
                peak_gflop_per_s: significant(median(turns.peak.iter().copied()) / 1e9),
                percent_of_time: significant(100.0 * turns.share_of_time()),
                percent_of_peak: significant(100.0 * turns.share_of_peak(operations)),
                memory_peak_mb: significant(memory_peak_mb()),
            });
            slices.extend(turns.peak);
            bar.inc(1);
        }
        let plural = if threads == 1 { "" } else { "s" };
        peaks.insert(format!("gflop_per_s_{threads}_thread{plural}"), significant(median(slices) / 1e9));
    }
    bar.finish_and_clear();
    benchmark.peaks.insert(precision.to_string(), peaks);
    if options.profile {
        benchmark.profile = profile::profile(&model, &partition, &inputs, peak, options.seconds).await?;
    }
    printer.print(&benchmark, |_| String::new())?;
    Ok(Outcome::Done)
}
