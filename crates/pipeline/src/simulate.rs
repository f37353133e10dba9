//! A simulated sky: a seed in, galaxies with known redshifts out, as partitions hold them (u g r i z cutouts in
//! nanomaggies, magnitudes, redshift).
//!
//! Galaxies as the SDSS main sample has them: a population (types, luminosities, k-corrected colours), sizes, bulges and
//! discs, seeing, neighbours, sky and photon noise. `docs/simulated-sky.md` has the formulas and their sources. Galaxy
//! `i` of a seed is the same whatever the number of galaxies or threads, since each has its own stream of random
//! numbers. Never here: a redshift predicted.

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
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::partition::{Layout, Writer};
pub use galaxy::Galaxy;
pub use magnitudes::BANDS;
pub use population::{Kind, Sample};

use image::Canvas;
use magnitudes::Magnitudes;
use population::Population;

/// Galaxies drawn between two writes: bounds the memory, 256 images of 64×64 pixels being 21 MB.
const CHUNK: usize = 256;

/// What to simulate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sky<'a> {
    /// Whose images.
    pub galaxies: Galaxies<'a>,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Lines and columns of an image.
    pub image_size: usize,
}

/// Which galaxies a sky has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Galaxies<'a> {
    /// So many, drawn from a sample.
    Drawn(usize, Sample),
    /// These, whose magnitudes and redshifts are known; only their shapes and images are drawn.
    Known(&'a [Known]),
}

/// What is known of a galaxy before its image is drawn; such that an image can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    magnitudes: [f64; BANDS],
    redshift: f64,
}

/// Why no image can be drawn of a galaxy.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{what}: found {found}, {} to {} expected", expected.0, expected.1)]
pub struct UnknownGalaxy {
    /// Which value.
    pub what: &'static str,
    /// What it is.
    pub found: f64,
    /// From where to where it may lie.
    pub expected: (f64, f64),
}

impl Known {
    /// Redshifts that an image can be drawn for.
    const REDSHIFTS: (f64, f64) = (1e-4, 1.0);
    /// Magnitudes that an image can be drawn for.
    const MAGNITUDES: (f64, f64) = (5.0, 30.0);

    /// A galaxy of these magnitudes u g r i z (AB, corrected for the dust of our Galaxy) and redshift.
    ///
    /// # Errors
    /// Where one of them is not finite, a sentinel, or beyond what can be drawn.
    pub fn new(magnitudes: [f64; BANDS], redshift: f64) -> Result<Known, UnknownGalaxy> {
        let check = |what, found: f64, expected: (f64, f64)| {
            if (expected.0..=expected.1).contains(&found) {
                Ok(())
            } else {
                Err(UnknownGalaxy { what, found, expected })
            }
        };
        for (what, found) in ["u", "g", "r", "i", "z"].into_iter().zip(magnitudes) {
            check(what, found, Self::MAGNITUDES)?;
        }
        check("redshift", redshift, Self::REDSHIFTS)?;
        Ok(Known { magnitudes, redshift })
    }
}

impl Galaxies<'_> {
    /// How many.
    pub fn count(&self) -> usize {
        match self {
            Galaxies::Drawn(count, _) => *count,
            Galaxies::Known(known) => known.len(),
        }
    }
}

/// Writes the sky as one partition, its images streaming through `threads` threads; `progress` is told how many
/// galaxies are done.
///
/// # Errors
/// What the writer says.
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
    let artist = Artist::new(sky);
    for first in (0..count).step_by(CHUNK) {
        let chunk = CHUNK.min(count - first);
        let images = &mut images[..chunk * pixels];
        for galaxy in artist.draw(first..first + chunk, threads, images) {
            magnitudes.extend(galaxy.magnitudes);
            redshift.push(galaxy.redshift);
        }
        writer.write_images(images)?;
        progress(first + chunk);
    }
    writer.finish(&magnitudes, Some(&redshift))
}

/// Draws the galaxies of a sky.
struct Artist<'a> {
    sky: Sky<'a>,
    /// Where galaxies are drawn from; none where they are known.
    population: Option<Population>,
}

impl<'a> Artist<'a> {
    fn new(sky: Sky<'a>) -> Self {
        let population = match sky.galaxies {
            Galaxies::Drawn(_, sample) => Some(Population::new(sample)),
            Galaxies::Known(_) => None,
        };
        Artist { sky, population }
    }

    /// Draws galaxies into `images` (n, 5, size, size) and returns them in order.
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
                let member = Population::recognise(Magnitudes(magnitudes), redshift, &mut rng);
                Galaxy::known(&member, &mut rng)
            }
            (population, _) => {
                let population = population.as_ref().expect("galaxies that are not known have a population");
                Galaxy::drawn(&population.draw(&mut rng), &mut rng)
            }
        };
        canvas.render(&galaxy, self.sky.image_size, &mut rng, image);
        galaxy
    }
}

#[cfg(test)]
mod tests;
