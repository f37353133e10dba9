//! Interleaved measurement of the engine and of the machine's peak, on the same threads.
//!
//! The clock of a processor and the load of its neighbours change within seconds. A peak measured before or after the
//! engine is therefore useless: the same code once seemed to reach 52 % and then 104 % of it. Here each slice of the
//! engine is between two slices of the peak, and the share is the median over the slices. For the share, both are timed
//! in processor time of their threads, so that waiting for a busy processor does not count.

use std::sync::Barrier;

use astromae::{Isa, Model, Precision, Scratch, peak_operations};
use pipeline::event::{Stopwatch, thread_cpu_seconds};

use super::median::median;
use super::workload::ModelInputs;

/// Seconds of a slice of the engine, unless one batch takes longer.
const ENGINE_SLICE: f64 = 0.15;
/// Seconds of a slice of the peak.
const PEAK_SLICE: f64 = 0.04;
/// Share of a short measurement that slices of the peak take.
const PEAK_SHARE: f64 = 0.2;
/// Smallest number of slices of the engine.
const ROUNDS_MIN: usize = 3;
/// Shortest call of the peak in seconds, so that reading the clock does not matter.
const PEAK_CALL: f64 = 1e-3;
/// Largest number of rounds of multiply-adds in one call.
const MAX_PEAK_ROUNDS: usize = 1 << 30;
/// Largest number of images for the warm-up of a thread.
const WARM_UP: usize = 32;

/// Rates of slices. Each slice of the engine is between two of the peak: `peak.len() == engine.len() + 1`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct InterleavedRates {
    /// Operations per second of processor time.
    pub(crate) peak: Vec<f64>,
    /// Images per second of processor time.
    engine: Vec<f64>,
    /// Images per second of wall time.
    images_per_s: Vec<f64>,
}

impl InterleavedRates {
    /// Images per second of wall time: the median over the slices.
    pub(crate) fn images_per_s(&self) -> f64 {
        median(self.images_per_s.iter().copied())
    }

    /// Images per second of processor time: the median over the slices. It does not fall if other programs use the
    /// processors.
    pub(crate) fn images_per_processor_s(&self) -> f64 {
        median(self.engine.iter().copied())
    }

    /// Share of the time that threads ran instead of waiting for a processor: the median over the slices.
    pub(crate) fn share_of_time(&self) -> f64 {
        median(self.images_per_s.iter().zip(&self.engine).map(|(by_wall, by_processor)| by_wall / by_processor))
    }

    /// Share of the peak that an engine with `operations` per image reaches: the median over the slices, each relative
    /// to the mean of the peak before and after it.
    pub(crate) fn share_of_peak(&self, operations: f64) -> f64 {
        let slices = self.engine.iter().zip(self.peak.windows(2));
        median(slices.map(|(rate, peak)| rate * operations / ((peak[0] + peak[1]) / 2.0)))
    }

    /// Adds the rates of another thread, slice by slice.
    fn add(&mut self, other: &InterleavedRates) {
        self.peak.iter_mut().zip(&other.peak).for_each(|(sum, rate)| *sum += rate);
        self.engine.iter_mut().zip(&other.engine).for_each(|(sum, rate)| *sum += rate);
        self.images_per_s.iter_mut().zip(&other.images_per_s).for_each(|(sum, rate)| *sum += rate);
    }
}

/// Peak of the machine: multiply-adds on registers.
#[derive(Clone, Copy)]
pub(crate) struct Peak {
    isa: Isa,
    precision: Precision,
    rounds: usize,
}

impl Peak {
    /// Finds a number of rounds for which reading the clock does not matter.
    pub(crate) fn new(isa: Isa, precision: Precision) -> Peak {
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

    /// Measures operations per second of processor time for about `seconds`.
    pub(crate) fn slice(self, seconds: f64) -> f64 {
        let (watch, begun, mut operations) = (Stopwatch::start(), thread_cpu_seconds(), 0.0);
        loop {
            operations += peak_operations(self.isa, self.precision, self.rounds);
            if watch.seconds() >= seconds {
                return operations / (thread_cpu_seconds() - begun);
            }
        }
    }
}

/// Setting of one measurement: number of threads, images in the batch of each thread, and duration.
#[derive(Clone, Copy)]
pub(crate) struct MeasurementSetting {
    pub(crate) threads: usize,
    pub(crate) batch: usize,
    pub(crate) seconds: f64,
}

/// Measures on `setting.threads` threads at once.
pub(crate) fn measure(
    model: &Model,
    inputs: &ModelInputs,
    peak: Peak,
    setting: MeasurementSetting,
) -> InterleavedRates {
    // All threads do the same work in a slice, so they finish at about the same time.
    let batch_seconds = time_of_batch(model, inputs, setting.batch);
    let slice = ENGINE_SLICE.min(setting.seconds / ROUNDS_MIN as f64);
    let calls = ((slice / batch_seconds) as usize).max(1);
    let slice = batch_seconds * calls as f64;
    let peak_slice = PEAK_SLICE.min(setting.seconds * PEAK_SHARE / ROUNDS_MIN as f64);
    let rounds = ((setting.seconds / (slice + peak_slice)) as usize).max(ROUNDS_MIN);

    let barrier = Barrier::new(setting.threads);
    let thread = || {
        let mut buffers = ThreadBuffers::new(model, inputs, setting.batch);
        buffers.predict(model, setting.batch.min(WARM_UP));
        let mut rates = InterleavedRates::default();
        for _ in 0..rounds {
            barrier.wait();
            rates.peak.push(peak.slice(peak_slice));
            barrier.wait();
            let (watch, begun) = (Stopwatch::start(), thread_cpu_seconds());
            for _ in 0..calls {
                buffers.predict(model, setting.batch);
            }
            let images = (calls * setting.batch) as f64;
            rates.engine.push(images / (thread_cpu_seconds() - begun));
            rates.images_per_s.push(images / watch.seconds());
        }
        barrier.wait();
        rates.peak.push(peak.slice(peak_slice));
        rates
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (1..setting.threads).map(|_| scope.spawn(thread)).collect();
        let mut rates = thread();
        for handle in handles {
            rates.add(&handle.join().expect("predicting does not panic"));
        }
        rates
    })
}

/// Estimates the seconds of a batch from a few of its images.
fn time_of_batch(model: &Model, inputs: &ModelInputs, batch: usize) -> f64 {
    let few = batch.min(WARM_UP);
    let mut buffers = ThreadBuffers::new(model, inputs, few);
    buffers.predict(model, few);
    let watch = Stopwatch::start();
    buffers.predict(model, few);
    watch.seconds() * batch as f64 / few as f64
}

/// Buffers of one thread.
struct ThreadBuffers {
    images: Vec<f32>,
    magnitudes: Vec<f32>,
    redshift: Vec<f32>,
    scratch: Scratch,
}

impl ThreadBuffers {
    fn new(model: &Model, inputs: &ModelInputs, batch: usize) -> ThreadBuffers {
        let (images, magnitudes) = inputs.first(model, batch);
        let (images, magnitudes) = (images.to_vec(), magnitudes.to_vec());
        ThreadBuffers { images, magnitudes, redshift: vec![0.0; batch], scratch: model.scratch() }
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

    /// The machine slows down to half its speed, and the engine with it, so the share does not change.
    #[test]
    fn share_of_peak_does_not_depend_on_the_clock() {
        let engine = vec![8.0, 6.0, 4.0];
        let rates =
            InterleavedRates { peak: vec![100.0, 100.0, 50.0, 50.0], images_per_s: vec![4.0, 3.0, 3.0], engine };
        assert_eq!(rates.share_of_peak(10.0), 0.8);
        assert_eq!((rates.images_per_s(), rates.images_per_processor_s()), (3.0, 6.0));
        assert_eq!(rates.share_of_time(), 0.5);
        let mut both = rates.clone();
        both.add(&rates);
        assert_eq!(both.share_of_peak(10.0), 0.8);
        assert_eq!(both.images_per_s(), 6.0);
        assert_eq!(both.share_of_time(), 0.5);
    }
}
