//! Reads the image of a galaxy from a FITS file and scales its pixels as the header states.
//!
//! In: the bytes of a file, and what is wanted of it: five bands, as a cube or in five extensions, or one band. Out:
//! the planes in the order u g r i z. If the header states the bands, they are taken by name; otherwise the planes of a
//! cube must be u g r i z. Compressed images (`.fits.fz`), gzip and bzip2 are decompressed. Sizes in the header are
//! compared with limits before memory is allocated for them.

mod bands;
mod tiles;

use astromae::file_kind::Purpose;
use bytes::Bytes;
use fitsio_pure::hdu::{Hdu, HduInfo};
use fitsio_pure::header::Card;
use fitsio_pure::image::{bytes_per_pixel, image_dimensions, read_image_physical_f32};
use fitsio_pure::value::Value;
use pipeline::decoder::guarded;
use pipeline::partition::BANDS;

use super::columns::BAND_NAMES;
use super::file_kind::other_kind;
use super::fits_file;
use super::packed::unpacked;
use super::partition_sink::MAX_SIDE;

/// Maximum size of a cutout's file in bytes, compressed and decompressed.
pub(super) const MAX_CUTOUT_BYTES: u64 = 256 << 20;
/// Maximum number of planes of a cube, of which five are taken.
const MAX_PLANES: usize = 16;

/// Part of the image of a galaxy that a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All five bands.
    Cube,
    /// This band, 0 to 4 for u g r i z.
    Band(usize),
}

/// Pixels of an image, plane by plane.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cutout {
    pub(super) height: usize,
    pub(super) width: usize,
    /// Pixels, shape (planes, height, width).
    pub(super) pixels: Vec<f32>,
    /// Unit of the pixels, if the header states one (`BUNIT`).
    pub(super) unit: Option<String>,
}

/// An image of the file, with its sizes. Axes of size 1 after the second one are left out.
struct Image<'a> {
    hdu: &'a Hdu,
    sizes: Vec<usize>,
}

/// Reads the image or the band of a galaxy.
pub(super) fn read(bytes: Bytes, wanted: Wanted) -> Result<Cutout, String> {
    let bytes = unpacked(bytes, MAX_CUTOUT_BYTES)?;
    if !bytes.starts_with(b"SIMPLE  =") {
        let problem = other_kind(&bytes, Purpose::Cutout, "a FITS file", &[]);
        return Err(problem.unwrap_or_else(|| "not a FITS file: it does not begin with `SIMPLE  =`".to_owned()));
    }
    guarded(|| decode(&bytes, wanted)).map_err(|panicked| panicked.to_string())?
}

fn decode(bytes: &[u8], wanted: Wanted) -> Result<Cutout, String> {
    let hdus = fits_file::parse(bytes)?;
    fits_file::verify(bytes, &hdus)?;
    let images: Vec<Image<'_>> = hdus.iter().filter_map(Image::of).collect();
    let first = images.first().ok_or_else(|| "FITS file without an image".to_owned())?;
    match wanted {
        Wanted::Band(band) => {
            let is_band = |image: &&Image<'_>| {
                image.sizes.len() == 2 && bands::of_image(&image.hdu.cards).as_deref() == Some(BAND_NAMES[band])
            };
            let image = images.iter().find(is_band).unwrap_or(first);
            if image.sizes.len() != 2 {
                return Err(format!("expected one plane, found an image of {}", image.shown()));
            }
            let stated = bands::of_image(&image.hdu.cards).or_else(|| bands::of_image(&hdus[0].cards));
            if let Some(stated) = stated.filter(|stated| stated != BAND_NAMES[band]) {
                return Err(format!("the header states the band {stated}; expected {}", BAND_NAMES[band]));
            }
            image.read(bytes)
        }
        Wanted::Cube => match images.iter().find(|image| image.sizes.len() > 2) {
            Some(cube) => read_cube(bytes, cube, &hdus[0].cards),
            None => read_extensions(bytes, &images),
        },
    }
}

/// Reads a cube, and takes its planes by the bands that its header, or the first header of the file, states.
fn read_cube(bytes: &[u8], cube: &Image<'_>, first_cards: &[Card]) -> Result<Cutout, String> {
    let planes = match cube.sizes.as_slice() {
        &[_, _, planes] if planes <= MAX_PLANES => planes,
        _ => return Err(cube.not_a_cube()),
    };
    let stated = bands::of_planes(&cube.hdu.cards, planes).or_else(|| bands::of_planes(first_cards, planes));
    let order = match stated {
        Some((found, keyword)) => bands::order(&found, keyword)?,
        None if planes == BANDS => std::array::from_fn(|band| band),
        None => return Err(cube.not_a_cube()),
    };
    if let Some(&plane) = order.iter().find(|&&plane| plane >= planes) {
        return Err(format!("the header states a band for plane {plane}, but the image has {planes} planes"));
    }
    let whole = cube.read(bytes)?;
    let size = whole.height * whole.width;
    let pixels = order.iter().flat_map(|plane| &whole.pixels[plane * size..(plane + 1) * size]).copied().collect();
    Ok(Cutout { pixels, ..whole })
}

/// Reads five extensions with a band each, by the bands that their headers state.
fn read_extensions(bytes: &[u8], images: &[Image<'_>]) -> Result<Cutout, String> {
    let named: Vec<(String, &Image<'_>)> =
        images.iter().filter_map(|image| Some((bands::of_image(&image.hdu.cards)?, image))).collect();
    let names: Vec<String> = named.iter().map(|(band, _)| band.clone()).collect();
    let order = match bands::order(&names, "EXTNAME or FILTER of the extensions") {
        Ok(order) => order,
        Err(problem) if images.len() > 1 && !named.is_empty() => return Err(problem),
        Err(_) if images.len() >= BANDS => {
            return Err(format!(
                "{} images in extensions, whose headers do not state a band; name them u g r i z (EXTNAME or FILTER), \
                 or store one cube of five planes",
                images.len()
            ));
        }
        Err(_) => return Err(images[0].not_a_cube()),
    };
    let mut whole: Option<Cutout> = None;
    for (place, band) in order.into_iter().zip(BAND_NAMES) {
        let cutout = named[place].1.read(bytes).map_err(|problem| format!("band {band}: {problem}"))?;
        whole = Some(match whole {
            None => cutout,
            Some(whole) => whole.with_band(cutout).map_err(|problem| format!("band {band}: {problem}"))?,
        });
    }
    whole.ok_or_else(|| "FITS file without an image".to_owned())
}

impl Cutout {
    /// Adds the pixels of another band.
    pub(super) fn with_band(mut self, band: Self) -> Result<Self, String> {
        if (self.height, self.width) != (band.height, band.width) {
            return Err(format!(
                "{}×{} pixels, but the bands before it have {}×{}",
                band.height, band.width, self.height, self.width
            ));
        }
        self.pixels.extend(band.pixels);
        Ok(self)
    }
}

impl<'a> Image<'a> {
    fn of(hdu: &'a Hdu) -> Option<Self> {
        let mut sizes = image_dimensions(hdu).ok().filter(|sizes| sizes.len() >= 2)?;
        while sizes.len() > 2 && sizes.last() == Some(&1) {
            sizes.pop();
        }
        Some(Self { hdu, sizes })
    }

    fn shown(&self) -> String {
        self.sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
    }

    fn not_a_cube(&self) -> String {
        format!(
            "expected width × height × {BANDS} planes (u g r i z), found an image of {}; if each band has its own \
             file, put `{{band}}` in the pattern",
            self.shown()
        )
    }

    /// Reads all planes.
    fn read(&self, bytes: &[u8]) -> Result<Cutout, String> {
        let (width, height) = (self.sizes[0], self.sizes[1]);
        if width.max(height) > MAX_SIDE || width == 0 || height == 0 {
            return Err(format!("image of {}; expected sides of 1 to {MAX_SIDE} pixels", self.shown()));
        }
        let count = self.sizes[2..].iter().product::<usize>() * height * width;
        if let HduInfo::Primary { bitpix, .. } | HduInfo::Image { bitpix, .. } = self.hdu.info {
            let expected = count * bytes_per_pixel(bitpix).map_err(|error| error.to_string())?;
            if self.hdu.data_len != expected {
                return Err(format!("expected {expected} bytes of pixels, found {}: damaged", self.hdu.data_len));
            }
        }
        if self.hdu.cards.iter().any(is_wide_offset) {
            return Err(
                "unsigned integers of 64 bits (BZERO 2^63), whose small values would be lost; store the image \
                        as floats"
                    .to_owned(),
            );
        }
        tiles::check(bytes, self.hdu, count)?;
        let pixels = match with_blank(self.hdu)? {
            Some(hdu) => read_image_physical_f32(bytes, &hdu),
            None => read_image_physical_f32(bytes, self.hdu),
        };
        let pixels = pixels.map_err(|error| error.to_string())?;
        if pixels.len() != count {
            return Err(format!("expected {count} pixels, found {}: damaged", pixels.len()));
        }
        Ok(Cutout { height, width, pixels, unit: unit(self.hdu) })
    }
}

/// Returns the part with a `BLANK` for its undefined pixels, if it is a compressed image of integers whose header states
/// their value in `ZBLANK` only, where the decoder does not look for it.
fn with_blank(hdu: &Hdu) -> Result<Option<Hdu>, String> {
    let HduInfo::CompressedImage { zbitpix, .. } = &hdu.info else { return Ok(None) };
    let lacks_blank = *zbitpix > 0 && fits_file::integer(&hdu.cards, "BLANK").is_none();
    let Some(blank) = fits_file::integer(&hdu.cards, "ZBLANK").filter(|_| lacks_blank) else { return Ok(None) };
    let card = Card::new("BLANK", Value::Integer(blank)).map_err(|error| error.to_string())?;
    let mut hdu = hdu.clone();
    hdu.cards.push(card);
    Ok(Some(hdu))
}

/// Returns true if a card adds an offset (`BZERO`) to integers that float64 cannot represent exactly.
/// The decoder adds it in float64.
fn is_wide_offset(card: &Card) -> bool {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let offset = match card.value {
        Some(Value::Float(offset)) => offset,
        Some(Value::Integer(offset)) => offset as f64,
        _ => return false,
    };
    card.keyword_str() == "BZERO" && offset.abs() > EXACT
}

fn unit(image: &Hdu) -> Option<String> {
    let card = image.cards.iter().find(|card| card.keyword_str() == "BUNIT")?;
    match &card.value {
        Some(Value::String(unit)) => Some(unit.trim().to_owned()).filter(|unit| !unit.is_empty()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
