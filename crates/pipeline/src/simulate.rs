//! A simulated sky: a seed in, galaxies with known redshifts out, as partitions hold them (u g r i z cutouts in
//! nanomaggies, magnitudes, redshift).
//!
//! A first version: redshifts, luminosities, two spectral types, exponential and de Vaucouleurs profiles, seeing and sky
//! noise at the scale of SDSS, with colours that follow redshift linearly. Galaxy `i` of a seed is the same whatever
//! the number of galaxies or threads, since each has its own stream of random numbers.

mod galaxy;
mod image;

use std::io::{self, Write};
use std::num::NonZeroUsize;

use astromae::torch::Dtype;

use crate::partition::{Layout, Writer};
pub use galaxy::Galaxy;

/// u g r i z
pub const BANDS: usize = 5;

/// Galaxies drawn between two writes: bounds the memory, 256 images of 64×64 pixels being 21 MB.
const CHUNK: usize = 256;

/// What to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sky {
    /// Number of galaxies.
    pub count: usize,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Lines and columns of an image.
    pub image_size: usize,
}

/// Writes the sky as one partition, its images streaming through `threads` threads; `progress` is told how many
/// galaxies are done.
///
/// # Errors
/// What the writer says.
pub fn write_partition<W: Write>(
    sky: Sky,
    threads: NonZeroUsize,
    writer: W,
    mut progress: impl FnMut(usize),
) -> io::Result<W> {
    let Sky { count, image_size, .. } = sky;
    let layout = Layout {
        samples: count,
        height: image_size,
        width: image_size,
        magnitude_dtype: Dtype::F64,
        redshift_dtype: Some(Dtype::F32),
    };
    let mut writer = Writer::new(writer, layout)?;
    let (mut magnitudes, mut redshift) = (Vec::with_capacity(count * BANDS), Vec::with_capacity(count));
    let pixels = BANDS * image_size * image_size;
    let mut images = vec![0.0; CHUNK.min(count) * pixels];
    for first in (0..count).step_by(CHUNK) {
        let chunk = CHUNK.min(count - first);
        let images = &mut images[..chunk * pixels];
        for galaxy in draw_images(sky, first, threads, images) {
            magnitudes.extend(galaxy.magnitudes);
            redshift.push(galaxy.redshift);
        }
        writer.write_images(images)?;
        progress(first + chunk);
    }
    writer.finish(&magnitudes, Some(&redshift))
}

/// Draws the galaxies from `first` on into `images` (n, 5, size, size) and returns them in order.
fn draw_images(sky: Sky, first: usize, threads: NonZeroUsize, images: &mut [f32]) -> Vec<Galaxy> {
    let pixels = BANDS * sky.image_size * sky.image_size;
    let share = (images.len() / pixels).div_ceil(threads.get()).max(1);
    std::thread::scope(|scope| {
        let handles: Vec<_> = images
            .chunks_mut(share * pixels)
            .enumerate()
            .map(|(part, images)| {
                scope.spawn(move || {
                    let galaxies = images.chunks_exact_mut(pixels).enumerate().map(|(index, image)| {
                        let (galaxy, mut rng) = Galaxy::draw(sky.seed, (first + part * share + index) as u64);
                        image::render(&galaxy, sky.image_size, &mut rng, image);
                        galaxy
                    });
                    galaxies.collect::<Vec<_>>()
                })
            })
            .collect();
        handles.into_iter().flat_map(|handle| handle.join().expect("drawing does not panic")).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simulate(count: usize, seed: u64, threads: usize) -> Vec<u8> {
        let sky = Sky { count, seed, image_size: 32 };
        write_partition(sky, NonZeroUsize::new(threads).unwrap(), Vec::new(), |_| {}).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
        let once = simulate(300, 5, 1);
        assert_eq!(once, simulate(300, 5, 2));
        assert_eq!(once, simulate(300, 5, 7));
        assert_ne!(once, simulate(300, 6, 1));
    }

    #[test]
    fn a_galaxy_does_not_depend_on_how_many_there_are() {
        let sky = |count| Sky { count, seed: 9, image_size: 32 };
        let pixels = BANDS * 32 * 32;
        let (mut few, mut many) = (vec![0.0; 3 * pixels], vec![0.0; 10 * pixels]);
        let threads = NonZeroUsize::MIN;
        let a = draw_images(sky(3), 0, threads, &mut few);
        let b = draw_images(sky(10), 0, threads, &mut many);
        assert_eq!(a[..], b[..3]);
        assert_eq!(few, many[..3 * pixels]);
    }

    #[test]
    fn images_hold_the_light_that_the_magnitudes_say() {
        let sky = Sky { count: 200, seed: 1, image_size: 64 };
        let pixels = 64 * 64;
        let mut images = vec![0.0; 200 * BANDS * pixels];
        let galaxies = draw_images(sky, 0, NonZeroUsize::MIN, &mut images);
        let mut ratios: Vec<f64> = galaxies
            .iter()
            .zip(images.chunks_exact(BANDS * pixels))
            .map(|(galaxy, image)| {
                let r = &image[2 * pixels..3 * pixels];
                r.iter().map(|x| f64::from(*x)).sum::<f64>() / 10f64.powf(0.4 * (22.5 - galaxy.magnitudes[2]))
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        // The light outside a 25″ cutout and the noise keep single galaxies from 1.
        assert!((0.75..1.1).contains(&ratios[100]), "median ratio {}", ratios[100]);
        assert!(galaxies.iter().all(|galaxy| (0.01..0.4).contains(&galaxy.redshift)));
        assert!(galaxies.iter().all(|galaxy| galaxy.magnitudes[2] < 17.9));
    }
}
