//! Predicts rows that are in memory, on all threads of a worker.

use std::sync::{Arc, Mutex, PoisonError};

use astromae::{Model, Scratch};
use records::flags::flags;

use super::{PredictError, Worker};
use crate::event::{Stopwatch, thread_cpu_seconds};
use crate::partition::{Partition, Rows};

/// Maximum number of images that a thread takes at a time. It is larger than the groups in which the model works, and
/// small enough that threads wait only shortly for each other at the end.
const MAX_PIECE: usize = 96;

/// Predictions of some rows, and their cost.
pub(super) struct PredictedRows {
    pub(super) z_phot: Vec<f32>,
    pub(super) flags: Vec<u8>,
    pub(super) magnitudes: Vec<f64>,
    pub(super) redshift: Option<Vec<f64>>,
    pub(super) decode_seconds: f64,
    pub(super) infer_seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) bytes_allocated: u64,
}

/// Predicts rows on blocking threads, so that reading continues. `first` is the number of the first row.
pub(super) async fn predict(
    rows: Rows,
    partition: &Partition,
    worker: &mut Worker,
    batch_size: usize,
    first: usize,
) -> Result<PredictedRows, PredictError> {
    let model = worker.model().clone();
    let mut scratches = worker.take_scratches();
    let (height, width) = (partition.height(), partition.width());
    let count = rows.magnitudes.len() / partition.bands();
    let compute = tokio::task::spawn_blocking(move || {
        let predicted = compute(rows, (height, width), &model, &mut scratches, batch_size);
        (predicted, scratches)
    });
    match compute.await {
        Ok((predicted, scratches)) => {
            worker.give_back(scratches);
            Ok(predicted)
        }
        Err(error) => {
            let message = match error.try_into_panic() {
                Ok(panic) => {
                    let text = panic.downcast_ref::<String>().map(String::as_str);
                    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
                }
                Err(error) => error.to_string(),
            };
            Err(PredictError::Panicked { path: partition.path().to_string(), rows: first..first + count, message })
        }
    }
}

fn compute(
    rows: Rows,
    (height, width): (usize, usize),
    model: &Arc<Model>,
    scratches: &mut [Scratch],
    batch_size: usize,
) -> PredictedRows {
    let watch = Stopwatch::start();
    let cpu_before = thread_cpu_seconds();
    let (bands, size) = (model.bands(), model.image_size());
    let Rows { images, magnitudes, redshift, .. } = rows;
    let cropped = (height != size || width != size).then(|| crop(&images, (height, width), size));
    let images = cropped.as_ref().unwrap_or(&images);
    let model_magnitudes: Vec<f32> = magnitudes.iter().map(|&magnitude| magnitude as f32).collect();
    let count = magnitudes.len() / bands;
    let mut z_phot = vec![0.0; count];
    let mut row_flags = vec![0; count];
    let decode_seconds = watch.seconds();

    let watch = Stopwatch::start();
    // All threads take the same number of pieces, which are as large as possible.
    let rounds = count.div_ceil(scratches.len() * MAX_PIECE).max(1);
    let piece = count.div_ceil(scratches.len() * rounds).clamp(1, batch_size);
    let pixels = bands * size * size;
    let pieces = images
        .chunks(piece * pixels)
        .zip(model_magnitudes.chunks(piece * bands))
        .zip(magnitudes.chunks(piece * bands))
        .zip(z_phot.chunks_mut(piece).zip(row_flags.chunks_mut(piece)));
    let pieces = Mutex::new(pieces);
    let work = |scratch: &mut Scratch| {
        let cpu_before = thread_cpu_seconds();
        loop {
            let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((((images, model_magnitudes), magnitudes), (z_phot, row_flags))) = next else { break };
            model.predict(images, model_magnitudes, scratch, z_phot);
            let rows = images.chunks(pixels).zip(magnitudes.chunks(bands)).zip(z_phot.iter());
            for (((pixels, magnitudes), &z_phot), row_flags) in rows.zip(row_flags) {
                *row_flags = flags(pixels, magnitudes, z_phot);
            }
        }
        thread_cpu_seconds() - cpu_before
    };
    let own_cpu = thread_cpu_seconds() - cpu_before;
    let cpu_seconds = match scratches {
        [alone] => own_cpu + work(alone),
        many => std::thread::scope(|scope| {
            let threads: Vec<_> = many.iter_mut().map(|scratch| scope.spawn(|| work(scratch))).collect();
            threads.into_iter().fold(own_cpu, |sum, thread| {
                sum + thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        }),
    };
    let bytes_allocated = cropped.as_ref().map_or(0, |cropped| cropped.len() * 4)
        + model_magnitudes.len() * 4
        + magnitudes.len() * 8
        + redshift.as_ref().map_or(0, |redshift| redshift.len() * 8)
        + count * (4 + 1);
    PredictedRows {
        z_phot,
        flags: row_flags,
        magnitudes,
        redshift,
        decode_seconds,
        infer_seconds: watch.seconds(),
        cpu_seconds,
        bytes_allocated: bytes_allocated as u64,
    }
}

/// Crops each image to its centre: shape (n, height, width) becomes (n, size, size). Each band counts as one image.
///
/// If a margin is odd, its smaller half is above and on the left.
///
/// # Panics
/// Panics if `size` is 0 or larger than an image.
pub fn crop(images: &[f32], (height, width): (usize, usize), size: usize) -> Vec<f32> {
    assert!((1..=height.min(width)).contains(&size), "crop of {size} pixels from {height}×{width}");
    let (top, left) = ((height - size) / 2, (width - size) / 2);
    images
        .chunks(height * width)
        .flat_map(|image| image.chunks(width).skip(top).take(size))
        .flat_map(|line| &line[left..left + size])
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::crop;

    #[test]
    fn crop_keeps_the_centre() {
        let image: Vec<f32> = (0..20_u8).map(f32::from).collect();
        assert_eq!(crop(&image, (4, 5), 2), [6.0, 7.0, 11.0, 12.0]);
        assert_eq!(crop(&image, (4, 5), 4), [0., 1., 2., 3., 5., 6., 7., 8., 10., 11., 12., 13., 15., 16., 17., 18.]);
        let two = [image.clone(), image].concat();
        assert_eq!(crop(&two, (4, 5), 1), [7.0, 7.0]);
    }

    #[test]
    #[should_panic(expected = "crop of 5 pixels from 4×5")]
    fn panics_for_a_crop_larger_than_the_image() {
        crop(&[0.0; 20], (4, 5), 5);
    }
}
