//! Identities between the time and the data of a record, and the diagnosis of the value that breaks them.
//!
//! A record is redundant: samples per second, bits per second and seconds per batch are the same rate. Rate × time is a
//! whole number of samples, which must agree with the number of batches and the size of a batch. A wrong value breaks
//! some of these identities and not others, which shows which value is wrong. If it is wrong by the factor of a unit,
//! the diagnosis names the unit.

use super::digits::rounding;
use crate::record::Record;
use crate::statistics::median;
use crate::{MB, SAMPLE_BYTES};

/// Value of a record that takes part in identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Throughput,
    Rate,
    PerBatch,
    Batches,
    ImageMemory,
    BatchSize,
    Seconds,
}

use Field::{BatchSize, Batches, ImageMemory, PerBatch, Rate, Seconds, Throughput};

const FIELDS: usize = 7;

/// Wrong unit of a value: factor to the right unit, and name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unit {
    pub(super) factor: f64,
    pub(super) looks_like: &'static str,
}

const fn unit(factor: f64, looks_like: &'static str) -> Unit {
    Unit { factor, looks_like }
}

const KB: f64 = 1_024.0;
const GB: f64 = 1_073_741_824.0;

const UNITS_OF_THROUGHPUT: &[Unit] = &[
    unit(1.0 / 8.0, "bytes/s"),
    unit(8.0, "bits/s multiplied by 8 once more"),
    unit(1e-3, "kbit/s"),
    unit(1e-6, "Mbit/s"),
    unit(1e-9, "Gbit/s"),
    unit(1.0 / KB, "Kibit/s"),
    unit(1.0 / MB, "Mibit/s"),
    unit(1.0 / GB, "Gibit/s"),
    unit(1.0 / 8e3, "kB/s of 10³ bytes"),
    unit(1.0 / 8e6, "MB/s of 10⁶ bytes"),
    unit(1.0 / 8e9, "GB/s of 10⁹ bytes"),
    unit(1.0 / 8.0 / KB, "KB/s of 2¹⁰ bytes"),
    unit(1.0 / 8.0 / MB, "MB/s of 2²⁰ bytes"),
    unit(1.0 / 8.0 / GB, "GB/s of 2³⁰ bytes"),
    unit(60.0, "bits a minute"),
    unit(1e3, "a thousand times bits/s"),
    unit(1e6, "a million times bits/s"),
    unit(1e9, "10⁹ times bits/s"),
];
const UNITS_OF_TIME: &[Unit] = &[
    unit(1e3, "milliseconds"),
    unit(1e6, "microseconds"),
    unit(1e9, "nanoseconds"),
    unit(1.0 / 60.0, "minutes"),
    unit(1.0 / 3_600.0, "hours"),
    unit(1e-3, "thousands of seconds"),
];
const UNITS_OF_RATE: &[Unit] = &[
    unit(60.0, "samples a minute"),
    unit(3_600.0, "samples an hour"),
    unit(1e-3, "samples a millisecond"),
    unit(1e3, "a thousand times samples/s"),
    unit(1.0 / 60.0, "a sixtieth of samples/s"),
];
/// Units that may be mistaken for binary MB.
pub(super) const UNITS_OF_MEMORY: &[Unit] = &[
    unit(MB, "bytes"),
    unit(KB, "KB"),
    unit(1.0 / KB, "GB"),
    unit(MB / 1e6, "MB of 10⁶ bytes"),
    unit(1e6 / MB, "MB of 10⁶ bytes, converted the wrong way"),
    unit(MB / 1e3, "kB of 10³ bytes"),
    unit(MB / 1e9, "GB of 10⁹ bytes"),
    unit(8.0, "Mbit"),
    unit(1e3, "a thousand times MB"),
];

/// Values that may be in a wrong unit together.
const UNITS: &[(&[Field], &[Unit])] = &[
    (&[Throughput], UNITS_OF_THROUGHPUT),
    (&[Seconds], UNITS_OF_TIME),
    (&[Seconds, PerBatch], UNITS_OF_TIME),
    (&[PerBatch], UNITS_OF_TIME),
    (&[Rate], UNITS_OF_RATE),
    (&[ImageMemory], UNITS_OF_MEMORY),
];

/// Values that may be wrong together, the likely ones first. Time is the last single one, because few identities remain
/// without it.
const SUSPECTS: &[&[Field]] = &[
    &[Throughput],
    &[Rate],
    &[PerBatch],
    &[Batches],
    &[ImageMemory],
    &[BatchSize],
    &[Seconds],
    &[Throughput, Rate],
    &[Seconds, PerBatch],
    &[BatchSize, Batches],
    &[Throughput, PerBatch],
    &[Rate, PerBatch],
];

/// Cause of a contradiction in a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cause {
    /// Values in another unit.
    Unit(&'static [Field], Unit),
    /// Values that contradict the others, which are consistent.
    Wrong(&'static [Field]),
    /// More than two values are wrong.
    Inconsistent,
}

/// Most inconsistent records that are diagnosed. Each diagnosis takes some hundred trials.
const MAX_DIAGNOSED: usize = 20_000;

/// Values of a record, and the cause of their contradiction; `None` if they are consistent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Diagnosis {
    pub(super) timing: Timing,
    pub(super) cause: Option<Cause>,
}

/// Diagnoses each record.
pub(super) fn diagnose<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Diagnosis> {
    let mut broken = 0;
    let diagnosed = records.into_iter().map(|record| {
        let timing = Timing::of(record);
        if timing.holds() {
            return Diagnosis { timing, cause: None };
        }
        broken += 1;
        let cause = if broken <= MAX_DIAGNOSED { timing.cause() } else { Cause::Inconsistent };
        Diagnosis { timing, cause: Some(cause) }
    });
    let mut diagnosed: Vec<Diagnosis> = diagnosed.collect();
    blame_seconds(&mut diagnosed);
    diagnosed
}

/// Corrects a diagnosis: a time that is wrong by a whole factor still gives a whole number of samples, and only
/// contradicts the number of batches. If that number is as in the other records, the time is wrong.
fn blame_seconds(diagnosed: &mut [Diagnosis]) {
    let consistent = diagnosed.iter().filter(|diagnosis| diagnosis.cause.is_none());
    let Some(usual) = median(consistent.filter_map(|diagnosis| diagnosis.timing.get(Batches))) else { return };
    for Diagnosis { timing, cause } in diagnosed {
        if *cause == Some(Cause::Wrong(&[Batches])) && timing.get(Batches) == Some(usual) {
            *cause = Some(Cause::Wrong(&[Seconds]));
        }
    }
}

impl Diagnosis {
    /// Number of samples of a consistent record.
    pub(super) fn samples(&self) -> Option<f64> {
        if self.cause.is_none() { self.timing.samples() } else { None }
    }
}

/// Values of a record that take part in identities. A value that is missing or not positive takes part in none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Timing {
    values: [Option<f64>; FIELDS],
    /// Relative rounding error of each value.
    rounding: [f64; FIELDS],
    files: f64,
}

/// Number with its relative rounding error.
#[derive(Clone, Copy)]
struct Rounded {
    value: f64,
    by: f64,
}

impl Timing {
    pub(super) fn of(record: &Record) -> Self {
        let values = [
            record.throughput_bps,
            record.sample_persec,
            record.seconds_per_batch,
            record.num_batches,
            record.image_memory_mb,
            record.batch_size,
            record.seconds,
        ];
        let values = values.map(|value| value.filter(|value| value.is_finite() && *value > 0.0));
        let rounding = values.map(|value| value.map_or(0.0, rounding));
        Self { values, rounding, files: record.files().len().max(1) as f64 }
    }

    pub(super) fn get(&self, field: Field) -> Option<f64> {
        self.values[field as usize]
    }

    /// Replaces one value.
    pub(super) fn with(mut self, field: Field, value: Option<f64>) -> Self {
        self.values[field as usize] = value;
        self.rounding[field as usize] = value.map_or(0.0, rounding);
        self
    }

    fn rounded(&self, field: Field) -> Option<Rounded> {
        Some(Rounded { value: self.get(field)?, by: self.rounding[field as usize] })
    }

    /// Returns true if the values that are present are consistent.
    pub(super) fn holds(&self) -> bool {
        self.holds_with(SAMPLE_BYTES) || self.own_sample_bytes().is_some_and(|bytes| self.holds_with(bytes))
    }

    /// Number of samples, if the values are consistent.
    fn samples(&self) -> Option<f64> {
        let samples = self.rate(self.sample_bytes())?.value * self.get(Seconds)?;
        (samples.round() >= 1.0).then(|| samples.round())
    }

    /// Cause of the contradiction. It assumes the study's size of a sample first, because the size that an inconsistent
    /// record gives is not reliable.
    fn cause(&self) -> Cause {
        for &(fields, units) in UNITS {
            if fields.iter().all(|field| self.get(*field).is_some())
                && let Some(unit) = units.iter().find(|unit| self.divided(fields, unit.factor).holds_with(SAMPLE_BYTES))
            {
                return Cause::Unit(fields, *unit);
            }
        }
        let is_of_study = |timing: &Self| timing.holds_with(SAMPLE_BYTES);
        let wrong = SUSPECTS.iter().find(|fields| self.holds_without(fields, is_of_study));
        let wrong = wrong.or_else(|| SUSPECTS.iter().find(|fields| self.holds_without(fields, Self::holds)));
        wrong.map_or(Cause::Inconsistent, |fields| Cause::Wrong(fields))
    }

    /// Expected value of a field, from the other values.
    pub(super) fn expected(&self, field: Field) -> Option<f64> {
        let others = self.with(field, None);
        let bytes = others.sample_bytes();
        let rate = others.rate(bytes);
        let samples = || Some((rate?.value * others.get(Seconds)?).round());
        match field {
            Throughput => Some(rate?.value * 8.0 * bytes),
            Rate => Some(rate?.value),
            PerBatch => Some(others.get(BatchSize)? / rate?.value),
            Batches => Some((samples()? / others.get(BatchSize)?).ceil()),
            ImageMemory => Some(samples()?.min(others.get(BatchSize)?) * bytes / MB),
            BatchSize => Some((others.rate_beside_batches(bytes)?.value * others.get(PerBatch)?).round()),
            Seconds => {
                let (batch, size) = (others.get(ImageMemory)? * MB / bytes, others.get(BatchSize)?);
                // A batch smaller than the batch size is the whole file.
                (batch.round() < size && others.files == 1.0).then_some(batch.round() / rate?.value)
            }
        }
    }

    /// Converts values to the right unit and keeps their rounding errors.
    fn divided(mut self, fields: &[Field], factor: f64) -> Self {
        for &field in fields {
            self.values[field as usize] = self.get(field).map(|value| value / factor);
        }
        self
    }

    /// Returns true if the other values are consistent, and if there are enough of them.
    fn holds_without(&self, fields: &[Field], holds: impl Fn(&Self) -> bool) -> bool {
        const ENOUGH: usize = 3;
        let others = fields.iter().fold(*self, |timing, &field| timing.with(field, None));
        let is_enough = others.values.iter().flatten().count() >= ENOUGH;
        let is_there = fields.iter().all(|field| self.get(*field).is_some());
        let others = match fields {
            [BatchSize] => match self.expected(BatchSize) {
                Some(size) if size >= 1.0 => others.with(BatchSize, Some(size)),
                _ => return false,
            },
            _ => others,
        };
        is_enough && is_there && holds(&others)
    }

    fn holds_with(&self, sample_bytes: f64) -> bool {
        let ways = [self.rate_of_throughput(sample_bytes), self.rate_of_samples(), self.rate_of_batches()];
        let ways: Vec<Rounded> = ways.into_iter().flatten().collect();
        let agree = |a: f64, b: f64, by: f64| (a / b - 1.0).abs() <= by;
        let is_one_rate = ways
            .iter()
            .enumerate()
            .all(|(index, a)| ways[..index].iter().all(|b| agree(a.value, b.value, a.by + b.by)));
        let (batches, batch_size) = (self.get(Batches), self.get(BatchSize));
        let is_whole = [batches, batch_size].iter().flatten().all(|value| value.fract() == 0.0);
        if !is_one_rate || !is_whole {
            return false;
        }
        let batch = self.rounded(ImageMemory).map(|mb| Rounded { value: mb.value * MB / sample_bytes, ..mb });
        let samples = match (self.rate(sample_bytes), self.rounded(Seconds)) {
            (Some(rate), Some(seconds)) => Rounded { value: rate.value * seconds.value, by: rate.by + seconds.by },
            // The number of samples is unknown, but a batch cannot exceed the batch size.
            _ => return batch.zip(batch_size).is_none_or(|(batch, size)| batch.value <= size * (1.0 + batch.by)),
        };
        let whole = samples.value.round();
        let slack = samples.value * samples.by;
        if whole < 1.0 || (samples.value - whole).abs() > slack {
            return false;
        }
        let (fewest, most) =
            if slack < 0.5 { (whole, whole) } else { ((samples.value - slack).max(1.0), samples.value + slack) };
        let batches_fit = batches.zip(batch_size).is_none_or(|(batches, size)| {
            // Each file of a task may end with a smaller batch.
            batches >= (fewest / size).ceil() && batches <= (most / size).ceil() + self.files - 1.0
        });
        let batch_fits = batch.is_none_or(|batch| {
            let is_whole = (batch.value - batch.value.round()).abs() <= batch.value * batch.by;
            let largest = batch_size.map_or(whole, |size| size.min(whole));
            let by = batch.by + samples.by;
            // The first of several files may be smaller than a batch.
            let may_be_smaller = self.files > 1.0 && sample_bytes == SAMPLE_BYTES;
            let is_smaller = may_be_smaller && batch.value <= largest * (1.0 + by);
            is_whole && (is_smaller || batch_size.is_none() || agree(batch.value, largest, by))
        });
        batches_fit && batch_fits
    }

    /// Size of a sample in bytes with which the values are consistent.
    fn sample_bytes(&self) -> f64 {
        match self.own_sample_bytes() {
            Some(bytes) if !self.holds_with(SAMPLE_BYTES) && self.holds_with(bytes) => bytes,
            _ => SAMPLE_BYTES,
        }
    }

    /// Size of a sample in bytes from the rates, for images of another size than the study's. Requires the values to
    /// compare it with the memory of a batch.
    fn own_sample_bytes(&self) -> Option<f64> {
        // Without these values, the memory of a batch cannot be checked.
        let _there = (self.get(ImageMemory)?, self.get(BatchSize)?, self.get(Seconds)?);
        let bytes = self.get(Throughput)? / 8.0 / self.get(Rate)?;
        let is_whole = (bytes - bytes.round()).abs() <= bytes * MAX_OF_WHOLE;
        (is_whole && bytes >= 1.0).then(|| bytes.round())
    }

    /// Samples per second, from the first of three values that is present.
    fn rate(&self, sample_bytes: f64) -> Option<Rounded> {
        self.rate_beside_batches(sample_bytes).or_else(|| self.rate_of_batches())
    }

    fn rate_beside_batches(&self, sample_bytes: f64) -> Option<Rounded> {
        self.rate_of_samples().or_else(|| self.rate_of_throughput(sample_bytes))
    }

    fn rate_of_samples(&self) -> Option<Rounded> {
        self.rounded(Rate)
    }

    fn rate_of_throughput(&self, sample_bytes: f64) -> Option<Rounded> {
        self.rounded(Throughput).map(|bps| Rounded { value: bps.value / 8.0 / sample_bytes, ..bps })
    }

    fn rate_of_batches(&self) -> Option<Rounded> {
        let (size, seconds) = (self.get(BatchSize)?, self.rounded(PerBatch)?);
        Some(Rounded { value: size / seconds.value, ..seconds })
    }
}

/// Largest relative difference of a sample size from a whole number of bytes.
const MAX_OF_WHOLE: f64 = 1e-6;

impl Field {
    /// Key in the study's records.
    pub(super) fn key(self) -> &'static str {
        match self {
            Throughput => "throughput_bps",
            Rate => "sample_persec",
            PerBatch => "execution_time (seconds/batch)",
            Batches => "num_batches",
            ImageMemory => "total_image_memory (MB)",
            BatchSize => "batch_size",
            Seconds => "total_cpu_time (seconds)",
        }
    }
}
