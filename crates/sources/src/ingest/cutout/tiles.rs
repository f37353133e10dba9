//! Checks the tiles of a compressed image before the decoder allocates memory for them.
//!
//! Each tile is compressed separately. A few bytes of deflate may become a thousand times as many, and the decoder
//! writes all of them. So each tile is decompressed here without keeping its bytes, up to the size that it may have.

use std::io::{Read, copy, sink};

use fitsio_pure::bintable::{BinaryColumnType, parse_binary_table_columns};
use fitsio_pure::hdu::{Hdu, HduInfo};

use super::super::fits_file::text;

/// Bytes that a tile may have in addition to its pixels.
const SLACK_BYTES: u64 = 1 << 16;
/// Maximum size of a pixel in bytes.
const PIXEL_BYTES: u64 = 8;

/// Checks the tiles of a compressed image of `count` pixels. Other images pass.
pub(super) fn check(bytes: &[u8], hdu: &Hdu, count: usize) -> Result<(), String> {
    let HduInfo::CompressedImage { ztile, naxis1, naxis2, tfields, zcmptype, .. } = &hdu.info else { return Ok(()) };
    // Each tile is decompressed separately, so a tile must not be larger than the image.
    let tile = ztile.iter().try_fold(1_usize, |size, &side| size.checked_mul(side));
    let Some(tile) = tile.filter(|&tile| tile > 0 && tile <= count && *naxis2 <= count) else {
        return Err(format!("compressed image of {count} pixels with tiles of {ztile:?}: damaged"));
    };
    let columns = parse_binary_table_columns(&hdu.cards, *tfields).map_err(|error| error.to_string())?;
    let width = columns.iter().try_fold(0_usize, |sum, column| sum.checked_add(column.byte_width));
    if width != Some(*naxis1) {
        return Err(format!("the columns (`TFORM`) take {width:?} bytes, but a row (`NAXIS1`) has {naxis1}: damaged"));
    }
    let limit = tile as u64 * PIXEL_BYTES + SLACK_BYTES;
    let mut offset = 0;
    for (number, column) in (1..).zip(&columns) {
        let name = text(&hdu.cards, &format!("TTYPE{number}")).unwrap_or_default();
        let is_deflated = name == "GZIP_COMPRESSED_DATA" || (name == "COMPRESSED_DATA" && zcmptype.starts_with("GZIP"));
        let is_wide = matches!(column.col_type, BinaryColumnType::VarArrayQ(_));
        if is_deflated && (is_wide || matches!(column.col_type, BinaryColumnType::VarArrayP(_))) {
            for row in 0..*naxis2 {
                let at = hdu.data_start + row * naxis1 + offset;
                let packed = heap_bytes(bytes, hdu, at, is_wide, naxis1 * naxis2);
                let packed = packed.ok_or_else(|| format!("tile {row} is outside the file: damaged"))?;
                if is_larger(packed, limit) {
                    return Err(format!("tile {row} has more than {limit} bytes when decompressed: damaged"));
                }
            }
        }
        offset += column.byte_width;
    }
    Ok(())
}

/// Bytes to which the descriptor at `at` points. A tile is an array of bytes.
fn heap_bytes<'a>(bytes: &'a [u8], hdu: &Hdu, at: usize, is_wide: bool, rows_bytes: usize) -> Option<&'a [u8]> {
    let number = |at: usize| -> Option<usize> {
        match is_wide {
            true => u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?).try_into().ok(),
            false => u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?).try_into().ok(),
        }
    };
    let count = number(at)?;
    let start = number(at + if is_wide { 8 } else { 4 })?.checked_add(hdu.data_start)?.checked_add(rows_bytes)?;
    bytes.get(start..start.checked_add(count)?)
}

/// Returns true if the bytes decompress to more than `limit` bytes: as gzip, as zlib, or as deflate alone. Damaged bytes
/// are left to the decoder.
fn is_larger(packed: &[u8], limit: u64) -> bool {
    let more = |decoder: &mut dyn Read| {
        let mut decoder = decoder.take(limit + 1);
        drop(copy(&mut decoder, &mut sink()));
        decoder.limit() == 0
    };
    if packed.starts_with(b"\x1f\x8b") {
        return more(&mut flate2::read::MultiGzDecoder::new(packed));
    }
    more(&mut flate2::read::ZlibDecoder::new(packed)) || more(&mut flate2::read::DeflateDecoder::new(packed))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn finds_tiles_that_are_larger_than_their_image() {
        let zeros = vec![0; 100_000];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&zeros).unwrap();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        zlib.write_all(&zeros).unwrap();
        for packed in [gzip.finish().unwrap(), zlib.finish().unwrap()] {
            assert!(packed.len() < 1_000);
            assert!(is_larger(&packed, 99_999) && !is_larger(&packed, 100_000));
        }
        assert!(!is_larger(b"not compressed", 10));
    }
}
