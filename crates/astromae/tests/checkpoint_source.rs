//! Checkpoints that are read a range at a time: they give the same model, read few bytes at once, and report damage
//! when a tensor is read.

mod assemble;

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use assemble::*;
use astromae::checkpoint::{Checkpoint, CheckpointError, Source};
use astromae::init::{Sizes, seeded};
use astromae::{Isa, Model, Precision, Sequential};

/// File that records how much is read, and fails for bytes after the first `readable`.
#[derive(Debug)]
struct Ranges {
    bytes: Vec<u8>,
    readable: u64,
    longest: AtomicU64,
    read: AtomicU64,
}

impl Ranges {
    fn new(bytes: Vec<u8>) -> Self {
        let readable = bytes.len() as u64;
        Self { bytes, readable, longest: AtomicU64::new(0), read: AtomicU64::new(0) }
    }
}

impl Source for Ranges {
    fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read<'b>(&'b self, range: Range<u64>, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        if range.end > self.readable {
            return Err(io::Error::other("the disk is gone"));
        }
        self.longest.fetch_max(range.end - range.start, Ordering::Relaxed);
        self.read.fetch_add(range.end - range.start, Ordering::Relaxed);
        buffer.clear();
        buffer.extend_from_slice(&self.bytes[range.start as usize..range.end as usize]);
        Ok(buffer)
    }
}

fn redshift(model: &Model) -> Vec<u32> {
    let pixels = model.bands() * model.image_size().pow(2);
    let images: Vec<f32> = (0..3 * pixels).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
    let magnitudes: Vec<f32> = (0..3 * model.bands()).map(|i| 15.0 + (i * 37 % 70) as f32 / 10.0).collect();
    let mut redshift = vec![0.0; 3];
    model.predict(&images, &magnitudes, &mut model.scratch(), &mut redshift);
    redshift.into_iter().map(f32::to_bits).collect()
}

#[test]
fn model_from_ranges_is_the_same_and_reads_few_bytes_at_once() {
    let bytes = seeded(&Sizes::full(), 3);
    let whole = Model::from_bytes(&bytes, None, Precision::F32, Isa::detect()).unwrap();
    let source = Ranges::new(bytes);
    let checkpoint = Checkpoint::open(&source, None).unwrap();
    assert!(source.read.load(Ordering::Relaxed) < 1 << 20, "opening must read only the header");
    let model = Model::from_checkpoint_joined(&checkpoint, Precision::F32, Isa::detect(), &Sequential).unwrap();
    assert_eq!(redshift(&model), redshift(&whole));
    let longest = source.longest.load(Ordering::Relaxed);
    assert!(longest <= 256 << 10, "{longest} bytes read at once");
}

/// Archive with two tensors that share a storage, and a third one in its own storage in column-major order.
fn archive_of_three() -> Vec<u8> {
    let tensors = ordered_dict(&[
        ("a", tensor(storage("FloatStorage", "0", 6), 0, &[2, 2], &[2, 1])),
        ("b", tensor(storage("FloatStorage", "0", 6), 4, &[2], &[1])),
        ("c", tensor(storage("FloatStorage", "1", 4), 0, &[2, 2], &[1, 2])),
    ]);
    archive(&tensors, &[("0", &floats(&[1., 2., 3., 4., 5., 6.])), ("1", &floats(&[1., 2., 3., 4.]))])
}

fn values(source: &Ranges, name: &str) -> Result<Vec<f64>, CheckpointError> {
    let checkpoint = Checkpoint::open(source, None)?;
    Ok(checkpoint.view(checkpoint.tensor(name).unwrap(), &mut Vec::new())?.to_f64())
}

#[test]
fn damage_is_reported_when_a_tensor_is_read() {
    let bytes = archive_of_three();
    let undamaged = Ranges::new(bytes.clone());
    assert_eq!(values(&undamaged, "a").unwrap(), [1., 2., 3., 4.]);
    assert_eq!(values(&undamaged, "b").unwrap(), [5., 6.]);
    assert_eq!(values(&undamaged, "c").unwrap(), [1., 3., 2., 4.]);

    let last = floats(&[5., 6.]);
    let at = bytes.windows(8).position(|eight| eight == last).unwrap();
    let mut damaged = bytes;
    damaged[at] ^= 1;
    let damaged = Ranges::new(damaged);
    for name in ["a", "b"] {
        let error = values(&damaged, name).unwrap_err();
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
    assert_eq!(values(&damaged, "c").unwrap(), [1., 3., 2., 4.]);
}

#[test]
fn read_error_is_not_reported_as_damage() {
    let mut source = Ranges::new(seeded(&Sizes::small(), 1));
    source.readable = source.bytes() - 1;
    let checkpoint = Checkpoint::open(&source, None).unwrap();
    let error = Model::from_checkpoint(&checkpoint, Precision::F32, Isa::detect()).unwrap_err();
    assert!(matches!(error, CheckpointError::Unreadable { .. }), "{error}");
    assert!(error.to_string().contains("the disk is gone"), "{error}");
}
