//! One FITS file: its bytes in, the pixels of its first image out, scaled as its header says.
//!
//! Planes are in the file's order; the caller says how many are expected. Compressed images (`.fits.fz`) and gzip are
//! unpacked. What the header says of sizes is compared with limits before anything is allocated for it.

use bytes::Bytes;
use fitsio_pure::hdu::{Hdu, HduInfo, parse_fits};
use fitsio_pure::header::Card;
use fitsio_pure::image::{bytes_per_pixel, image_dimensions, read_image_physical_f32};
use fitsio_pure::value::Value;

use super::{guarded, unpacked};
use crate::partition::MAX_IMAGE_SIDE;

/// The largest file of a cutout, packed or not, in bytes.
pub(super) const MAX_CUTOUT_BYTES: u64 = 256 << 20;

/// Pixels of an image, its bands one after another.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cutout {
    pub(super) height: usize,
    pub(super) width: usize,
    /// (planes, height, width).
    pub(super) pixels: Vec<f32>,
    /// What the header calls the unit of its pixels.
    pub(super) unit: Option<String>,
}

/// Reads an image of so many planes.
pub(super) fn read(bytes: Bytes, planes: usize) -> Result<Cutout, String> {
    let bytes = unpacked(bytes, MAX_CUTOUT_BYTES)?;
    if !bytes.starts_with(b"SIMPLE  =") {
        return Err("no FITS: it does not begin with `SIMPLE  =`".to_owned());
    }
    guarded(|| decode(&bytes, planes))
}

fn decode(bytes: &[u8], planes: usize) -> Result<Cutout, String> {
    let fits = parse_fits(bytes).map_err(|error| format!("no FITS that can be read: {error}"))?;
    let sizes = |hdu: &Hdu| image_dimensions(hdu).ok().filter(|sizes| sizes.len() >= 2);
    let (image, mut sizes) = fits
        .hdus
        .iter()
        .find_map(|hdu| sizes(hdu).map(|sizes| (hdu, sizes)))
        .ok_or_else(|| "FITS without an image".to_owned())?;
    while sizes.len() > 2 && sizes.last() == Some(&1) {
        sizes.pop();
    }
    let shown: Vec<String> = sizes.iter().map(usize::to_string).collect();
    let (width, height) = match *sizes.as_slice() {
        [width, height] if planes == 1 => (width, height),
        [width, height, found] if found == planes => (width, height),
        _ if planes == 1 => return Err(format!("an image of {} found, one plane expected", shown.join("×"))),
        _ => {
            return Err(format!(
                "an image of {} found, width × height × {planes} planes (u g r i z) expected; where each band has a \
                 file of its own, say `{{band}}` in the pattern",
                shown.join("×")
            ));
        }
    };
    if width.max(height) > MAX_SIDE || width == 0 || height == 0 {
        return Err(format!("an image of {}, where sides of 1 to {MAX_SIDE} pixels are read", shown.join("×")));
    }
    let count = planes * height * width;
    if let HduInfo::Primary { bitpix, .. } | HduInfo::Image { bitpix, .. } = image.info {
        let expected = count * bytes_per_pixel(bitpix).map_err(|error| error.to_string())?;
        if image.data_len != expected {
            return Err(format!("{} bytes of pixels, {expected} expected: damaged", image.data_len));
        }
    }
    if let HduInfo::CompressedImage { ztile, naxis2, .. } = &image.info {
        // Each tile is unpacked by itself: none may be larger than the image.
        let tile = ztile.iter().try_fold(1_usize, |size, &side| size.checked_mul(side));
        if tile.is_none_or(|tile| tile == 0 || tile > count) || *naxis2 > count {
            return Err(format!("a compressed image of {} in tiles of {ztile:?}: damaged", shown.join("×")));
        }
    }
    if image.cards.iter().any(is_wide_offset) {
        return Err(
            "unsigned integers of 64 bits (BZERO 2^63), whose small values are lost on the way; store the image \
                    as floats"
                .to_owned(),
        );
    }
    let pixels = read_image_physical_f32(bytes, image).map_err(|error| error.to_string())?;
    if pixels.len() != count {
        return Err(format!("{} pixels, {count} expected: damaged", pixels.len()));
    }
    Ok(Cutout { height, width, pixels, unit: unit(image) })
}

/// Whether a card moves the zero of integers beyond what float64, in which they are moved, can tell apart.
fn is_wide_offset(card: &Card) -> bool {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let offset = match card.value {
        Some(Value::Float(offset)) => offset,
        Some(Value::Integer(offset)) => offset as f64,
        _ => return false,
    };
    card.keyword_str() == "BZERO" && offset.abs() > EXACT
}

/// Larger images are refused, though they be cropped.
const MAX_SIDE: usize = 4 * MAX_IMAGE_SIDE;

fn unit(image: &Hdu) -> Option<String> {
    let card = image.cards.iter().find(|card| card.keyword_str() == "BUNIT")?;
    match &card.value {
        Some(Value::String(unit)) => Some(unit.trim().to_owned()).filter(|unit| !unit.is_empty()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
