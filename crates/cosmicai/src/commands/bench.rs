//! `cosmicai bench`: speed of the engine on this machine, beside the peak of its arithmetic.
//!
//! This process makes the model and the galaxies, checks predictions, and starts this program again: once for every
//! precision, so that each has its own peak of memory, and a few times to predict a single galaxy.
//! docs/reference/benchmarking.md defines each number.

use std::path::PathBuf;

use anyhow::Result;
use astromae::{Isa, Precision};

use crate::bench::{BenchRequest, measure, one_precision, tables};
use crate::help::examples;
use crate::new_file::{self, NewFile};
use crate::outcome::Outcome;
use crate::printer::Printer;
use crate::settings::{Settings, cores};

/// Largest batch size: 84 MB of pixels for each thread.
const MAX_BATCH: i64 = 4_096;
/// Largest value of `--seconds`.
const MAX_SECONDS: f64 = 600.0;

/// Measure the speed of the engine on this machine.
///
/// First compares the predictions of every precision with the model computed in float64. A difference that is too large
/// ends the command. Then measures images per second, GFLOP/s and percent of the peak of this machine. The peak is
/// measured on as many threads, in short turns with the engine. Takes about a minute for each precision.
///
/// Without --model, the benchmark uses a model of the published size with seeded weights. The galaxies are simulated.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai bench",
    "cosmicai bench --precision int8 --threads 1 --profile --out record.json",
]))]
pub(crate) struct Options {
    /// Model file or URL [default: seeded weights].
    #[arg(long, value_name = "URL")]
    model: Option<String>,
    /// Precisions to measure [default: all that run here].
    #[arg(long, value_name = "P,…", value_delimiter = ',')]
    precision: Vec<Precision>,
    /// Numbers of threads [default: 1 and all cores].
    ///
    /// Each thread has its own batch.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Vec<u16>,
    /// Batch sizes, in images.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,8,32,64,128,256,512")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=MAX_BATCH))]
    batch: Vec<u16>,
    /// Seconds of each measurement.
    ///
    /// A measurement takes longer if a few batches take longer.
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    seconds: f64,
    /// Also measure each part of a prediction, on one thread.
    #[arg(long)]
    profile: bool,
    /// Instruction set [default: COSMICAI_ISA, or the best].
    ///
    /// One of avx512, avx2, neon and scalar.
    #[arg(long)]
    isa: Option<Isa>,
    /// Also write the results to this file, as JSON.
    #[arg(long, value_name = "RECORD.json")]
    out: Option<PathBuf>,
    /// Measure one precision on these galaxies in this process. The program starts itself with this option.
    #[arg(long, hide = true, value_name = "F.pt")]
    galaxies: Option<PathBuf>,
}

impl Options {
    /// Measurements to make on this machine.
    pub(crate) fn request(&self, isa: Isa) -> BenchRequest {
        let mut threads = self.threads.clone();
        if threads.is_empty() {
            threads = vec![1, u16::try_from(cores()).unwrap_or(u16::MAX)];
        }
        threads.dedup();
        let precision = if self.precision.is_empty() { Precision::ALL.to_vec() } else { self.precision.clone() };
        BenchRequest {
            model: self.model.clone(),
            precision,
            threads,
            batch: self.batch.clone(),
            seconds: self.seconds,
            profile: self.profile,
            isa,
        }
    }
}

pub(crate) async fn bench(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let isa = options.isa.map_or_else(|| settings.isa(), Ok)?;
    let mut request = options.request(isa);
    if let Some(galaxies) = &options.galaxies {
        return one_precision::run(&request, galaxies, settings, printer).await;
    }
    if let Some(out) = &options.out {
        // Fail before anything is measured if the record cannot be written.
        drop(NewFile::create(out)?);
    }
    let benchmark = measure(&mut request, settings, printer).await?;
    if let Some(out) = &options.out {
        new_file::write(out, (serde_json::to_string_pretty(&benchmark)? + "\n").as_bytes())?;
    }
    printer.print(&benchmark, tables::human)?;
    Ok(Outcome::Done)
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0 && *seconds <= MAX_SECONDS);
    seconds.ok_or_else(|| format!("expected a number of seconds above 0 and up to {MAX_SECONDS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_seconds_out_of_range() {
        assert_eq!(seconds("0.25"), Ok(0.25));
        for wrong in ["0", "-1", "601", "NaN", "inf", "soon"] {
            assert!(seconds(wrong).unwrap_err().contains("up to 600"), "{wrong}");
        }
    }
}
