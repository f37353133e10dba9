//! Reads the first image of a FITS file and scales its pixels as the header states.
//!
//! Planes keep the order of the file. The caller states how many are expected. Compressed images (`.fits.fz`) and gzip
//! are decompressed. Sizes in the header are compared with limits before memory is allocated for them.

use bytes::Bytes;
use fitsio_pure::hdu::{Hdu, HduInfo, parse_fits};
use fitsio_pure::header::Card;
use fitsio_pure::image::{bytes_per_pixel, image_dimensions, read_image_physical_f32};
use fitsio_pure::value::Value;
use pipeline::partition::MAX_IMAGE_SIDE;

use super::{guarded, unpacked};

/// Maximum size of a cutout's file in bytes, compressed and decompressed.
pub(super) const MAX_CUTOUT_BYTES: u64 = 256 << 20;

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

/// Reads an image with this number of planes.
pub(super) fn read(bytes: Bytes, planes: usize) -> Result<Cutout, String> {
    let bytes = unpacked(bytes, MAX_CUTOUT_BYTES)?;
    if !bytes.starts_with(b"SIMPLE  =") {
        return Err("not a FITS file: it does not begin with `SIMPLE  =`".to_owned());
    }
    guarded(|| decode(&bytes, planes))
}

fn decode(bytes: &[u8], planes: usize) -> Result<Cutout, String> {
    let fits = parse_fits(bytes).map_err(|error| format!("not a readable FITS file: {error}"))?;
    let sizes = |hdu: &Hdu| image_dimensions(hdu).ok().filter(|sizes| sizes.len() >= 2);
    let (image, mut sizes) = fits
        .hdus
        .iter()
        .find_map(|hdu| sizes(hdu).map(|sizes| (hdu, sizes)))
        .ok_or_else(|| "FITS file without an image".to_owned())?;
    while sizes.len() > 2 && sizes.last() == Some(&1) {
        sizes.pop();
    }
    let shown: Vec<String> = sizes.iter().map(usize::to_string).collect();
    let (width, height) = match *sizes.as_slice() {
        [width, height] if planes == 1 => (width, height),
        [width, height, found] if found == planes => (width, height),
        _ if planes == 1 => return Err(format!("expected one plane, found an image of {}", shown.join("×"))),
        _ => {
            return Err(format!(
                "expected width × height × {planes} planes (u g r i z), found an image of {}; if each band has its own \
                 file, put `{{band}}` in the pattern",
                shown.join("×")
            ));
        }
    };
    if width.max(height) > MAX_SIDE || width == 0 || height == 0 {
        return Err(format!("image of {}; expected sides of 1 to {MAX_SIDE} pixels", shown.join("×")));
    }
    let count = planes * height * width;
    if let HduInfo::Primary { bitpix, .. } | HduInfo::Image { bitpix, .. } = image.info {
        let expected = count * bytes_per_pixel(bitpix).map_err(|error| error.to_string())?;
        if image.data_len != expected {
            return Err(format!("expected {expected} bytes of pixels, found {}: damaged", image.data_len));
        }
    }
    if let HduInfo::CompressedImage { ztile, naxis2, .. } = &image.info {
        // Each tile is decompressed separately, so a tile must not be larger than the image.
        let tile = ztile.iter().try_fold(1_usize, |size, &side| size.checked_mul(side));
        if tile.is_none_or(|tile| tile == 0 || tile > count) || *naxis2 > count {
            return Err(format!("compressed image of {} with tiles of {ztile:?}: damaged", shown.join("×")));
        }
    }
    if image.cards.iter().any(is_wide_offset) {
        return Err(
            "unsigned integers of 64 bits (BZERO 2^63), whose small values would be lost; store the image as floats"
                .to_owned(),
        );
    }
    let pixels = read_image_physical_f32(bytes, image).map_err(|error| error.to_string())?;
    if pixels.len() != count {
        return Err(format!("expected {count} pixels, found {}: damaged", pixels.len()));
    }
    Ok(Cutout { height, width, pixels, unit: unit(image) })
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

/// Maximum height and width of an image in pixels, before it is cropped.
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
