//! The machine's peak and the engine, a slice of each in turn, on the same threads.
//!
//! A processor's clock and its neighbours change within seconds, so that a peak measured before or after says little
//! about a rate: the same code once seemed to reach 52 and 104 % of it. Here each slice of the engine lies between two
//! of the peak, and the share is the median over the slices. For the share, both are timed by the processor time of
//! their threads, so that waiting for a processor that others use is not taken for slowness of either.

use std::sync::Barrier;

use astromae::{Isa, Model, Precision, Scratch, peak_operations};
use pipeline::event::{Stopwatch, thread_cpu_seconds};

use super::median;
use super::workload::Inputs;

/// Seconds of a slice of the engine, unless one batch takes longer.
const ENGINE_SLICE: f64 = 0.15;
/// Seconds of a slice of the peak, and the share of a measurement that it is where that is short.
const PEAK_SLICE: f64 = 0.04;
const PEAK_SHARE: f64 = 0.2;
/// The fewest slices of the engine.
const ROUNDS_MIN: usize = 3;
/// Seconds that one call of the peak takes at least, to be long beside reading the clock.
const PEAK_CALL: f64 = 1e-3;
/// The most rounds of multiply-adds that one call runs.
const MAX_PEAK_ROUNDS: usize = 1 << 30;
/// Images that a thread warms up with at most.
const WARM_UP: usize = 32;

/// Rates of slices: `peak.len() == engine.len() + 1`, each of the engine between two of the peak.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Turns {
    /// Operations per second of processor time.
    pub(super) peak: Vec<f64>,
    /// Images per second of processor time.
    engine: Vec<f64>,
    /// Images per second.
    images_per_s: Vec<f64>,
}

impl Turns {
    /// Images per second: the median of the slices.
    pub(super) fn images_per_s(&self) -> f64 {
        median(self.images_per_s.iter().copied())
    }

    /// The share of the time that threads ran instead of waiting for a processor: the median over the slices.
    pub(super) fn share_of_time(&self) -> f64 {
        median(self.images_per_s.iter().zip(&self.engine).map(|(by_wall, by_processor)| by_wall / by_processor))
    }

    /// The share of the peak that an engine of `operations` per image reaches: the median over the slices, each beside
    /// the mean of the peak before and after it.
    pub(super) fn share_of_peak(&self, operations: f64) -> f64 {
        let slices = self.engine.iter().zip(self.peak.windows(2));
        median(slices.map(|(rate, peak)| rate * operations / ((peak[0] + peak[1]) / 2.0)))
    }

    /// Takes in a thread that ran beside: rates of the same slice add up.
    fn add(&mut self, other: &Turns) {
        self.peak.iter_mut().zip(&other.peak).for_each(|(sum, rate)| *sum += rate);
        self.engine.iter_mut().zip(&other.engine).for_each(|(sum, rate)| *sum += rate);
        self.images_per_s.iter_mut().zip(&other.images_per_s).for_each(|(sum, rate)| *sum += rate);
    }
}

/// Multiply-adds on registers alone.
#[derive(Clone, Copy)]
pub(super) struct Peak {
    isa: Isa,
    precision: Precision,
    rounds: usize,
}

impl Peak {
    /// Finds how many rounds are long beside reading the clock.
    pub(super) fn new(isa: Isa, precision: Precision) -> Peak {
        let mut rounds = 1_000;
        loop {
            let watch = Stopwatch::start();
            peak_operations(isa, precision, rounds);
            if watch.seconds() >= PEAK_CALL || rounds >= MAX_PEAK_ROUNDS {
                return Peak { isa, precision, rounds };
            }
            rounds *= 2;
        }
    }

    /// Operations per second of processor time, over about `seconds`.
    pub(super) fn slice(self, seconds: f64) -> f64 {
        let (watch, begun, mut operations) = (Stopwatch::start(), thread_cpu_seconds(), 0.0);
        loop {
            operations += peak_operations(self.isa, self.precision, self.rounds);
            if watch.seconds() >= seconds {
                return operations / (thread_cpu_seconds() - begun);
            }
        }
    }
}

/// One measurement: how many threads, each with a batch of how many images, for how many seconds.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub(super) threads: usize,
    pub(super) batch: usize,
    pub(super) seconds: f64,
}

/// Measures on `setting.threads` threads at once.
pub(super) fn measure(model: &Model, inputs: &Inputs, peak: Peak, setting: Setting) -> Turns {
    // Every thread does the same work in a slice, so that all are busy until about the same time.
    let batch_seconds = time_of_batch(model, inputs, setting.batch);
    let slice = ENGINE_SLICE.min(setting.seconds / ROUNDS_MIN as f64);
    let calls = ((slice / batch_seconds) as usize).max(1);
    let slice = batch_seconds * calls as f64;
    let peak_slice = PEAK_SLICE.min(setting.seconds * PEAK_SHARE / ROUNDS_MIN as f64);
    let rounds = ((setting.seconds / (slice + peak_slice)) as usize).max(ROUNDS_MIN);

    let barrier = Barrier::new(setting.threads);
    let thread = || {
        let mut own = Own::new(model, inputs, setting.batch);
        own.predict(model, setting.batch.min(WARM_UP));
        let mut turns = Turns::default();
        for _ in 0..rounds {
            barrier.wait();
            turns.peak.push(peak.slice(peak_slice));
            barrier.wait();
            let (watch, begun) = (Stopwatch::start(), thread_cpu_seconds());
            for _ in 0..calls {
                own.predict(model, setting.batch);
            }
            let images = (calls * setting.batch) as f64;
            turns.engine.push(images / (thread_cpu_seconds() - begun));
            turns.images_per_s.push(images / watch.seconds());
        }
        barrier.wait();
        turns.peak.push(peak.slice(peak_slice));
        turns
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (1..setting.threads).map(|_| scope.spawn(thread)).collect();
        let mut turns = thread();
        for handle in handles {
            turns.add(&handle.join().expect("predicting does not panic"));
        }
        turns
    })
}

/// Seconds that a batch takes, from a few images of it.
fn time_of_batch(model: &Model, inputs: &Inputs, batch: usize) -> f64 {
    let few = batch.min(WARM_UP);
    let mut own = Own::new(model, inputs, few);
    own.predict(model, few);
    let watch = Stopwatch::start();
    own.predict(model, few);
    watch.seconds() * batch as f64 / few as f64
}

/// What each thread has for itself.
struct Own {
    images: Vec<f32>,
    magnitudes: Vec<f32>,
    redshift: Vec<f32>,
    scratch: Scratch,
}

impl Own {
    fn new(model: &Model, inputs: &Inputs, batch: usize) -> Own {
        let (images, magnitudes) = inputs.first(model, batch);
        let (images, magnitudes) = (images.to_vec(), magnitudes.to_vec());
        Own { images, magnitudes, redshift: vec![0.0; batch], scratch: model.scratch() }
    }

    fn predict(&mut self, model: &Model, count: usize) {
        let images = &self.images[..count * model.bands() * model.image_size().pow(2)];
        let magnitudes = &self.magnitudes[..count * model.bands()];
        model.predict(images, magnitudes, &mut self.scratch, &mut self.redshift[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The machine slows down to half, and the engine with it: its share stays what it is.
    #[test]
    fn a_share_follows_the_clock() {
        let engine = vec![8.0, 6.0, 4.0];
        let turns = Turns { peak: vec![100.0, 100.0, 50.0, 50.0], images_per_s: vec![4.0, 3.0, 3.0], engine };
        assert_eq!(turns.share_of_peak(10.0), 0.8);
        assert_eq!(turns.images_per_s(), 3.0);
        assert_eq!(turns.share_of_time(), 0.5);
        let mut both = turns.clone();
        both.add(&turns);
        assert_eq!(both.share_of_peak(10.0), 0.8);
        assert_eq!(both.images_per_s(), 6.0);
        assert_eq!(both.share_of_time(), 0.5);
    }
}
