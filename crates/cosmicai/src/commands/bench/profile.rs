//! What each part of an image's way costs: an observer with a clock, and the pipeline's own account of reading.

use std::sync::Arc;

use anyhow::Result;
use astromae::{Model, Observer, Part};
use pipeline::benchmark::{PartCost, significant};
use pipeline::event::{Stopwatch, thread_cpu_seconds};
use pipeline::partition::Partition;
use pipeline::predict::{Worker, predict};

use super::median;
use super::turns::Peak;
use super::workload::Inputs;

/// Images of one round, where there are as many.
const BATCH: usize = 64;
/// The fewest rounds.
const ROUNDS_MIN: usize = 3;
/// Seconds of the peak between two rounds.
const PEAK_SLICE: f64 = 0.02;
/// How often the whole partition is read.
const READS: usize = 3;

/// Measures on this thread for about `seconds`; every time is the median over rounds.
pub(super) async fn profile(
    model: &Arc<Model>,
    partition: &Arc<Partition>,
    inputs: &Inputs,
    peak: Peak,
    seconds: f64,
) -> Result<Vec<PartCost>> {
    let (read, decode) = reading(model, partition).await?;
    let costs = parts(model, inputs, peak, seconds);
    let total: f64 = read + decode + costs.iter().map(|cost| cost.seconds).sum::<f64>();
    let line = |part: &str, seconds: f64| PartCost {
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
        PartCost {
            mflop_per_image: significant(operations / 1e6),
            gflop_per_s: Some(significant(operations / cost.seconds / 1e9)),
            percent_of_peak: Some(significant(100.0 * operations * cost.per_peak_operation)),
            ..line(cost.part.name(), cost.seconds)
        }
    }));
    Ok(lines)
}

/// Seconds per image that the pipeline waits for rows, and that it converts them, on one thread.
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

/// The cost of a part of the model.
struct Cost {
    part: Part,
    /// Of one image.
    seconds: f64,
    /// One over the operations of the peak in that time.
    per_peak_operation: f64,
}

fn parts(model: &Model, inputs: &Inputs, peak: Peak, seconds: f64) -> Vec<Cost> {
    let batch = (inputs.magnitudes.len() / model.bands()).min(BATCH);
    let (images, magnitudes) = inputs.first(model, batch);
    let (mut scratch, mut redshift) = (model.scratch(), vec![0.0; batch]);
    // The first one warms up.
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
        Cost { part, seconds: median(times()), per_peak_operation: 1.0 / median(slices) }
    });
    costs.collect()
}

/// Adds up this thread's processor time from each part's beginning to the next one's.
struct Clock {
    part: Option<Part>,
    since: f64,
    seconds: [f64; Part::ALL.len()],
}

impl Clock {
    fn new() -> Clock {
        Clock { part: None, since: thread_cpu_seconds(), seconds: [0.0; Part::ALL.len()] }
    }

    /// The last part ends; seconds in the order of [`Part::ALL`].
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
    fn time_belongs_to_the_part_that_began_last() {
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
