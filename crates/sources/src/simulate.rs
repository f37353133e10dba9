//! Simulates a sky: galaxies with known redshifts, written as a partition.
//!
//! In: a seed. Out: u g r i z cutouts in nanomaggies, magnitudes and redshifts.
//!
//! The galaxies resemble the SDSS main sample: a population (types, luminosities, k-corrected colours), sizes, bulges
//! and discs, seeing, neighbours, and noise of sky and photons. `docs/reference/simulated-sky.md` lists the formulas
//! and their sources. Each galaxy has its own stream of random numbers. So galaxy `i` of a seed does not depend on the
//! number of galaxies or threads.

mod cosmology;
mod galaxy;
mod image;
mod magnitudes;
mod population;
mod profile;
mod survey;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::ops::Range;

use astromae::torch::Dtype;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

pub use galaxy::Galaxy;
pub use magnitudes::BANDS;
use pipeline::partition::{Layout, Writer};
pub use population::{Kind, Sample};

use crate::ingest::BAND_NAMES;
use image::Canvas;
use magnitudes::Magnitudes;
use population::Population;

/// Number of galaxies drawn between two writes. Bounds the memory: 256 images of 64×64 pixels take 21 MB.
const CHUNK: usize = 256;

/// Description of the sky to simulate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sky<'a> {
    /// Galaxies to draw.
    pub galaxies: Galaxies<'a>,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Height and width of an image, in pixels of 0.396″.
    pub image_size: usize,
}

/// Galaxies of a sky.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Galaxies<'a> {
    /// This number of galaxies, drawn at random from a sample.
    Drawn(usize, Sample),
    /// Galaxies with known magnitudes and redshifts. Only their shapes and images are drawn at random.
    Known(&'a [Known]),
}

/// Magnitudes and redshift of a known galaxy, checked to be in the range that can be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    magnitudes: [f64; BANDS],
    redshift: f64,
}

/// Error for a galaxy whose magnitudes or redshift are out of the range that can be drawn.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{what}: expected {} to {}, found {found}", expected.0, expected.1)]
pub struct GalaxyOutOfRange {
    /// Name of the value: `u`, `g`, `r`, `i`, `z` (magnitudes) or `redshift`.
    pub what: &'static str,
    /// Value that was given.
    pub found: f64,
    /// Smallest and largest value that can be drawn.
    pub expected: (f64, f64),
}

impl Known {
    /// Smallest and largest redshift that can be drawn.
    const REDSHIFTS: (f64, f64) = (1e-4, 1.0);
    /// Smallest and largest magnitude that can be drawn.
    const MAGNITUDES: (f64, f64) = (5.0, 30.0);

    /// Creates a galaxy from its magnitudes u g r i z (AB, corrected for the dust of our Galaxy) and its redshift.
    ///
    /// # Errors
    /// Returns [`GalaxyOutOfRange`] if a value is not finite, is a catalogue's sentinel such as −9999, or is out of the
    /// range that can be drawn: magnitudes 5 to 30, redshifts 0.0001 to 1.
    pub fn new(magnitudes: [f64; BANDS], redshift: f64) -> Result<Known, GalaxyOutOfRange> {
        let check = |what, found: f64, expected: (f64, f64)| {
            if (expected.0..=expected.1).contains(&found) {
                Ok(())
            } else {
                Err(GalaxyOutOfRange { what, found, expected })
            }
        };
        for (what, found) in BAND_NAMES.into_iter().zip(magnitudes) {
            check(what, found, Self::MAGNITUDES)?;
        }
        check("redshift", redshift, Self::REDSHIFTS)?;
        Ok(Known { magnitudes, redshift })
    }
}

impl Galaxies<'_> {
    /// Number of galaxies.
    pub fn count(&self) -> usize {
        match self {
            Galaxies::Drawn(count, _) => *count,
            Galaxies::Known(known) => known.len(),
        }
    }
}

/// Writes the sky as one partition to `writer` and returns `writer`.
///
/// Draws images on `threads` threads. The bytes do not depend on their number. Calls `progress` with the number of
/// galaxies done.
///
/// # Errors
/// Returns the error of `writer` if a write fails.
pub fn write_partition<W: Write>(
    sky: Sky<'_>,
    threads: NonZeroUsize,
    writer: W,
    mut progress: impl FnMut(usize),
) -> io::Result<W> {
    let (count, image_size) = (sky.galaxies.count(), sky.image_size);
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
    let renderer = Renderer::new(sky);
    for first in (0..count).step_by(CHUNK) {
        let chunk = CHUNK.min(count - first);
        let images = &mut images[..chunk * pixels];
        for galaxy in renderer.draw(first..first + chunk, threads, images) {
            magnitudes.extend(galaxy.magnitudes);
            redshift.push(galaxy.redshift);
        }
        writer.write_images(images)?;
        progress(first + chunk);
    }
    writer.finish(&magnitudes, Some(&redshift))
}

/// Draws the galaxies of a sky.
struct Renderer<'a> {
    sky: Sky<'a>,
    /// Population from which galaxies are drawn. None if the galaxies are known.
    population: Option<Population>,
}

impl<'a> Renderer<'a> {
    fn new(sky: Sky<'a>) -> Self {
        let population = match sky.galaxies {
            Galaxies::Drawn(_, sample) => Some(Population::new(sample)),
            Galaxies::Known(_) => None,
        };
        Renderer { sky, population }
    }

    /// Draws galaxies into `images`, shape (n, 5, size, size), and returns the galaxies in order.
    fn draw(&self, galaxies: Range<usize>, threads: NonZeroUsize, images: &mut [f32]) -> Vec<Galaxy> {
        let pixels = BANDS * self.sky.image_size * self.sky.image_size;
        let share = galaxies.len().div_ceil(threads.get()).max(1);
        std::thread::scope(|scope| {
            let parts = galaxies.step_by(share).zip(images.chunks_mut(share * pixels));
            let draw_part = |(first, images): (usize, &'_ mut [f32])| {
                let mut canvas = Canvas::default();
                let images = images.chunks_exact_mut(pixels).enumerate();
                images.map(|(index, image)| self.draw_one(first + index, &mut canvas, image)).collect::<Vec<_>>()
            };
            let handles: Vec<_> = parts.map(|part| scope.spawn(move || draw_part(part))).collect();
            handles.into_iter().flat_map(|handle| handle.join().expect("drawing does not panic")).collect()
        })
    }

    fn draw_one(&self, index: usize, canvas: &mut Canvas, image: &mut [f32]) -> Galaxy {
        let mut rng = ChaCha8Rng::seed_from_u64(self.sky.seed);
        rng.set_stream(index as u64);
        let galaxy = match (&self.population, self.sky.galaxies) {
            (None, Galaxies::Known(known)) => {
                let Known { magnitudes, redshift } = known[index];
                let member = Population::classify(Magnitudes(magnitudes), redshift, &mut rng);
                Galaxy::with_known_magnitudes(&member, &mut rng)
            }
            (population, _) => {
                let population = population.as_ref().expect("galaxies that are not known have a population");
                Galaxy::with_measured_magnitudes(&population.draw(&mut rng), &mut rng)
            }
        };
        canvas.render(&galaxy, self.sky.image_size, &mut rng, image);
        galaxy
    }
}

/// Draws from the standard normal distribution.
fn normal(rng: &mut impl Rng) -> f64 {
    StandardNormal.sample(rng)
}

#[cfg(test)]
mod tests;
