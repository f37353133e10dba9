//! Time of each part of the model, measured by an observer with a clock, and time of reading, measured by the pipeline.

use std::sync::Arc;

use anyhow::Result;
use astromae::{Model, Observer, Part};
use pipeline::event::{Stopwatch, thread_cpu_seconds};
use pipeline::partition::Partition;
use pipeline::predict::{Worker, predict};
use records::benchmark::{PartProfile, significant};

use super::interleaved::Peak;
use super::median::median;
use super::workload::ModelInputs;

/// Largest number of images in a round.
const BATCH: usize = 64;
/// Smallest number of rounds.
const ROUNDS_MIN: usize = 3;
/// Seconds of the peak measurement between two rounds.
const PEAK_SLICE: f64 = 0.02;
/// Number of times that the partition is read.
const READS: usize = 3;

/// Measures each part on this thread for about `seconds`. Every time is the median over rounds.
pub(crate) async fn profile(
    model: &Arc<Model>,
    partition: &Arc<Partition>,
    inputs: &ModelInputs,
    peak: Peak,
    seconds: f64,
) -> Result<Vec<PartProfile>> {
    let (read, decode) = reading(model, partition).await?;
    let costs = parts(model, inputs, peak, seconds);
    let total: f64 = read + decode + costs.iter().map(|cost| cost.seconds).sum::<f64>();
    let line = |part: &str, seconds: f64| PartProfile {
        precision: model.precision().to_string(),
        part: part.to_owned(),
        us_per_image: significant(seconds * 1e6),
        share_percent: significant(100.0 * seconds / total),
        mflop_per_image: 0.0,
        gflop_per_s: None,
        percent_of_peak: None,
    };
    let mut lines = vec![line("read", read), line("decode", decode)];
    lines.extend(costs.iter().map(|cost| {
        let operations = model.operations(cost.part);
        PartProfile {
            mflop_per_image: significant(operations / 1e6),
            gflop_per_s: Some(significant(operations / cost.seconds / 1e9)),
            percent_of_peak: Some(significant(100.0 * operations * cost.per_peak_operation)),
            ..line(cost.part.name(), cost.seconds)
        }
    }));
    Ok(lines)
}

/// Seconds per image that the pipeline waits for rows and converts them, on one thread.
async fn reading(model: &Arc<Model>, partition: &Arc<Partition>) -> Result<(f64, f64)> {
    let mut worker = Worker::new(model.clone(), 1, 0.0);
    let mut costs = Vec::new();
    for _ in 0..READS {
        costs.push(predict(partition.clone(), &mut worker, BATCH, &|_| ()).await?.cost);
    }
    let per_image = |seconds: fn(&pipeline::predict::Cost) -> f64| {
        median(costs.iter().map(|cost| seconds(cost) / partition.len() as f64))
    };
    Ok((per_image(|cost| cost.read_seconds), per_image(|cost| cost.decode_seconds)))
}

/// Cost of a part of the model.
struct PartCost {
    part: Part,
    /// Processor seconds for one image.
    seconds: f64,
    /// 1 ÷ the operations that the peak does in that time.
    per_peak_operation: f64,
}

fn parts(model: &Model, inputs: &ModelInputs, peak: Peak, seconds: f64) -> Vec<PartCost> {
    let batch = (inputs.magnitudes.len() / model.bands()).min(BATCH);
    let (images, magnitudes) = inputs.first(model, batch);
    let (mut scratch, mut redshift) = (model.scratch(), vec![0.0; batch]);
    // Warm up.
    model.predict(images, magnitudes, &mut scratch, &mut redshift);
    let (watch, mut rounds, mut peaks) = (Stopwatch::start(), Vec::new(), vec![peak.slice(PEAK_SLICE)]);
    while rounds.len() < ROUNDS_MIN || watch.seconds() < seconds {
        let mut clock = Clock::new();
        model.predict_observed(images, magnitudes, &mut scratch, &mut redshift, &mut clock);
        rounds.push(clock.finish());
        peaks.push(peak.slice(PEAK_SLICE));
    }
    let costs = Part::ALL.into_iter().enumerate().map(|(index, part)| {
        let times = || rounds.iter().map(|round: &[f64; Part::ALL.len()]| round[index] / batch as f64);
        let slices = times().zip(peaks.windows(2)).map(|(time, peak)| time * (peak[0] + peak[1]) / 2.0);
        PartCost { part, seconds: median(times()), per_peak_operation: 1.0 / median(slices) }
    });
    costs.collect()
}

/// Adds up the processor time of this thread from the start of each part to the start of the next one.
struct Clock {
    part: Option<Part>,
    since: f64,
    seconds: [f64; Part::ALL.len()],
}

impl Clock {
    fn new() -> Clock {
        Clock { part: None, since: thread_cpu_seconds(), seconds: [0.0; Part::ALL.len()] }
    }

    /// Ends the last part; returns seconds in the order of [`Part::ALL`].
    fn finish(mut self) -> [f64; Part::ALL.len()] {
        self.end();
        self.seconds
    }

    fn end(&mut self) {
        let passed = thread_cpu_seconds() - self.since;
        if let Some(part) = self.part {
            // `Part::ALL` is in the order of declaration.
            self.seconds[part as usize] += passed;
        }
    }
}

impl Observer for Clock {
    fn begin(&mut self, part: Part) {
        self.end();
        self.part = Some(part);
        self.since = thread_cpu_seconds();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_adds_time_to_the_current_part() {
        for (index, part) in Part::ALL.into_iter().enumerate() {
            assert_eq!(part as usize, index);
        }
        let work = || {
            let begun = thread_cpu_seconds();
            while thread_cpu_seconds() < begun + 0.02 {}
        };
        let mut clock = Clock::new();
        clock.begin(Part::Qkv);
        work();
        clock.begin(Part::Mlp);
        clock.begin(Part::Head);
        work();
        let seconds = clock.finish();
        assert!(seconds[Part::Qkv as usize] >= 0.02 && seconds[Part::Head as usize] >= 0.02, "{seconds:?}");
        assert!(seconds[Part::Mlp as usize] < 0.02 && seconds[Part::PatchEmbed as usize] == 0.0, "{seconds:?}");
    }
}
