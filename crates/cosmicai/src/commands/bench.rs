//! `cosmicai bench`: how fast the engine is on this machine, beside the most that its arithmetic gives.
//!
//! This process makes what is measured, checks answers, and starts itself: once for every precision, so that each has
//! its own peak of memory, and a few times to predict a single galaxy. What each number is stands in
//! docs/benchmarking.md.

mod answers;
pub(crate) mod calibration;
mod children;
mod one_precision;
mod profile;
mod tables;
mod turns;
mod workload;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use astromae::{Isa, Precision};
use pipeline::benchmark::{BENCHMARK_FORMAT, Benchmark, BenchmarkMachine, BenchmarkModel};
use pipeline::event::{Machine, cpu_features, now};
use pipeline::model_file::ModelFile;

use super::new_file::{self, NewFile};
use super::{Outcome, cores};
use crate::printer::Printer;
use crate::settings::Settings;
use workload::{Inputs, Workload, open};

/// The largest batch: 84 MB of pixels for each thread.
const MAX_BATCH: i64 = 4_096;
/// The longest that one measurement may be asked to take.
const MAX_SECONDS: f64 = 600.0;

/// Measure how fast the engine is on this machine, beside the most that its arithmetic gives.
///
/// First the answers of every precision are compared with the model computed by the book in float64; a difference that
/// is too large ends the command. Then images per second, GFLOP/s and percent of the machine's own peak, which is
/// measured in turn with the engine, a fraction of a second each, on as many threads. Without --model it is the
/// published model's size with seeded weights; galaxies are simulated. Takes about a minute for each precision.
///
/// Example: cosmicai bench --profile --out record.json
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Model file or URL, instead of seeded weights of the published size.
    #[arg(long)]
    model: Option<String>,
    /// Arithmetics to measure; all that this machine runs by default.
    #[arg(long, value_name = "P,…", value_delimiter = ',')]
    precision: Vec<Precision>,
    /// Numbers of threads, each thread with a batch of its own; one and all cores by default.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Vec<u16>,
    /// Numbers of images pushed through together.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,8,32,64,128,256,512")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=MAX_BATCH))]
    batch: Vec<u16>,
    /// Seconds of each measurement; more where a few batches take longer.
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    seconds: f64,
    /// Measure what each part of an image's way costs, too, on one thread.
    #[arg(long)]
    profile: bool,
    /// Instruction set to use, instead of COSMICAI_ISA or the best one present.
    #[arg(long)]
    isa: Option<Isa>,
    /// Write what was measured to this file, as --format json prints it.
    #[arg(long, value_name = "RECORD.json")]
    out: Option<PathBuf>,
    /// Measure one precision on these galaxies in this process: how the program starts itself.
    #[arg(long, hide = true, value_name = "F.pt")]
    galaxies: Option<PathBuf>,
}

pub(crate) async fn bench(mut options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let isa = options.isa.map_or_else(|| settings.isa(), Ok)?;
    if options.threads.is_empty() {
        options.threads = vec![1, u16::try_from(cores()).unwrap_or(u16::MAX)];
    }
    options.threads.dedup();
    if options.precision.is_empty() {
        options.precision = Precision::ALL.to_vec();
    }
    if let Some(galaxies) = options.galaxies.clone() {
        return one_precision::run(&options, &galaxies, isa, settings, printer).await;
    }
    if let Some(out) = &options.out {
        // A place that cannot be written to is told of before anything is measured.
        drop(NewFile::create(out)?);
    }
    let benchmark = measure(&mut options, isa, settings, printer).await?;
    if let Some(out) = &options.out {
        new_file::write(out, (serde_json::to_string_pretty(&benchmark)? + "\n").as_bytes())?;
    }
    printer.print(&benchmark, tables::human)?;
    Ok(Outcome::Done)
}

/// Makes the workload, checks answers, and lets children measure.
async fn measure(options: &mut Options, isa: Isa, settings: &Settings, printer: &Printer) -> Result<Benchmark> {
    let created = now();
    printer.tell("making the model and galaxies, and comparing answers with float64");
    let workload = Workload::make(options.model.as_deref(), settings)?;
    let file = ModelFile::of_url(&settings.stores(".").await?, &workload.model).await?;
    let (model, checks) = {
        let judge = answers::Judge::new(&file, &workload, isa).await?;
        let galaxies = options.batch.iter().copied().max().map_or(answers::GALAXIES, usize::from);
        workload.simulate(galaxies.max(answers::GALAXIES), judge.image_size())?;
        let inputs = Inputs::read(&open(settings, &workload.galaxies).await?, answers::GALAXIES).await?;
        (judge.model(), judge.check(&inputs, &options.precision, printer)?)
    };
    let ran = |precision: &Precision| checks.iter().any(|check| check.precision == precision.to_string());
    options.precision.retain(ran);

    let program = settings.program().context("start this program again to measure it")?;
    let child = children::Child { program, workload: &workload, isa };
    let mut benchmark = empty(options, isa, model, created);
    benchmark.checks = checks;
    // The first precision's; which comes first is the person's choice.
    benchmark.first_result_ms = Some(child.first_result_ms(options.precision[0])?);
    for precision in &options.precision {
        let count = options.threads.len() * options.batch.len();
        printer.tell(&format!("{precision}: {count} × {} s or more", options.seconds));
        benchmark.take_up(child.measure(options, *precision)?);
    }
    Ok(benchmark)
}

/// A record of which nothing is measured yet.
fn empty(options: &Options, isa: Isa, model: BenchmarkModel, created: String) -> Benchmark {
    let mut command = format!("cosmicai bench {}", options.arguments(&options.precision).join(" "));
    if let Some(model) = &options.model {
        command += &format!(" --model {model}");
    }
    Benchmark {
        format_version: BENCHMARK_FORMAT,
        command: format!("{command} --isa {isa}"),
        program: format!("cosmicai {}", env!("CARGO_PKG_VERSION")),
        created,
        machine: BenchmarkMachine { machine: Machine::detect(), isa: isa.to_string(), features: cpu_features() },
        model,
        checks: Vec::new(),
        peaks: BTreeMap::new(),
        first_result_ms: None,
        profile: Vec::new(),
        measurements: Vec::new(),
    }
}

impl Options {
    /// The options that say what is measured of these precisions, but for the model and the instruction set.
    fn arguments(&self, precisions: &[Precision]) -> Vec<String> {
        let list = |items: &[u16]| items.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        let precisions: Vec<String> = precisions.iter().map(Precision::to_string).collect();
        let mut arguments = vec!["--precision".to_owned(), precisions.join(",")];
        arguments.extend(["--threads".to_owned(), list(&self.threads), "--batch".to_owned(), list(&self.batch)]);
        arguments.extend(["--seconds".to_owned(), self.seconds.to_string()]);
        if self.profile {
            arguments.push("--profile".to_owned());
        }
        arguments
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0 && *seconds <= MAX_SECONDS);
    seconds.ok_or_else(|| format!("a number of seconds above 0 and up to {MAX_SECONDS} is expected"))
}

/// The middle value; of two middle ones, their mean.
///
/// # Panics
/// Where there is none.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 100.0]), 3.0);
        assert_eq!(median([4.0, 1.0, 2.0, 100.0]), 3.0);
    }

    #[test]
    fn seconds_are_bounded() {
        assert_eq!(seconds("0.25"), Ok(0.25));
        for wrong in ["0", "-1", "601", "NaN", "inf", "soon"] {
            assert!(seconds(wrong).unwrap_err().contains("up to 600"), "{wrong}");
        }
    }
}
