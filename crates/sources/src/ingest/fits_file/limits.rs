//! Checks the numbers in a FITS header against the limits of the standard (version 4.0).

use fitsio_pure::header::Card;
use fitsio_pure::value::Value;

use super::{integer, text};

/// Maximum number of axes, and of columns.
const MAX_COUNT: i64 = 999;
/// Maximum number of pixels of a compressed image. Each of them takes 8 bytes at most.
const MAX_PIXELS: u64 = 1 << 30;

/// Number of bytes of data that the header states, without padding.
pub(super) fn data_bytes(cards: &[Card]) -> Result<u64, String> {
    let is_primary = cards.first().is_some_and(|card| card.keyword_str() == "SIMPLE");
    let bitpix = required(cards, "BITPIX")?;
    if ![8, 16, 32, 64, -32, -64].contains(&bitpix) {
        return Err(format!("BITPIX = {bitpix}; expected 8, 16, 32, 64, -32 or -64"));
    }
    let sizes = axes(cards, "NAXIS")?;
    let (pcount, gcount) = (counted(cards, "PCOUNT", 0)?, counted(cards, "GCOUNT", 1)?);
    let extension = text(cards, "XTENSION").unwrap_or_default();
    if extension == "BINTABLE" || extension == "TABLE" {
        let columns = required(cards, "TFIELDS")?;
        if !(0..=MAX_COUNT).contains(&columns) {
            return Err(format!("TFIELDS = {columns}; expected 0 to {MAX_COUNT}"));
        }
        if sizes.len() != 2 {
            return Err(format!("a table with NAXIS = {}; expected 2", sizes.len()));
        }
    }
    if cards.iter().any(|card| card.keyword_str() == "ZIMAGE" && card.value == Some(Value::Logical(true))) {
        check_compressed(cards)?;
    }
    if sizes.is_empty() {
        return Ok(0);
    }
    let has_groups = || cards.iter().any(|c| c.keyword_str() == "GROUPS" && c.value == Some(Value::Logical(true)));
    let pixels = match is_primary && sizes[0] == 0 && has_groups() {
        true => product(&sizes[1..]).and_then(|pixels| pixels.checked_add(pcount)?.checked_mul(gcount)),
        false if is_primary => product(&sizes),
        false => product(&sizes).and_then(|pixels| pixels.checked_mul(gcount.max(1))),
    };
    let heap = if is_primary { Some(0) } else { pcount.checked_mul(gcount.max(1)) };
    let bytes = pixels.and_then(|pixels| pixels.checked_mul(bitpix.unsigned_abs() / 8)?.checked_add(heap?));
    bytes
        .filter(|&bytes| bytes < 1 << 48)
        .ok_or_else(|| format!("NAXIS: the sizes {sizes:?} overflow: more data than a file can have"))
}

/// Checks the description of a compressed image, whose size does not follow from the size of its data.
fn check_compressed(cards: &[Card]) -> Result<(), String> {
    let sizes = axes(cards, "ZNAXIS")?;
    if product(&sizes).is_none_or(|pixels| pixels > MAX_PIXELS) {
        return Err(format!("ZNAXIS: an image of {sizes:?}, more than the limit of {MAX_PIXELS} pixels"));
    }
    for (axis, &size) in sizes.iter().enumerate() {
        let keyword = format!("ZTILE{}", axis + 1);
        if let Some(tile) = integer(cards, &keyword)
            && !(1..=size.max(1) as i64).contains(&tile)
        {
            return Err(format!("{keyword} = {tile}; expected 1 to {size}: damaged"));
        }
    }
    if text(cards, "ZCMPTYPE").is_some_and(|kind| kind.starts_with("RICE")) {
        for number in 1..=9 {
            let Some(name) = text(cards, &format!("ZNAME{number}")) else { continue };
            let keyword = format!("ZVAL{number}");
            let (place, allowed): (i32, &[i64]) = match name {
                "BLOCKSIZE" => (1, &[16, 32]),
                "BYTEPIX" => (2, &[1, 2, 4, 8]),
                // Others, such as NOISEBIT, do not say how the data are stored, and may be no whole numbers.
                _ => continue,
            };
            let value = required(cards, &keyword)?;
            if !allowed.contains(&value) {
                return Err(format!("{keyword} = {value} ({name}); expected one of {allowed:?}: damaged"));
            }
            // The decoder reads the parameters by their place.
            if number != place {
                return Err(format!(
                    "the parameter {name} of Rice compression in {keyword}; expected it in ZVAL{place}"
                ));
            }
        }
        for (keyword, allowed) in [("ZVAL1", &[16, 32][..]), ("ZVAL2", &[1, 2, 4, 8])] {
            if let Some(value) = integer(cards, keyword)
                && !allowed.contains(&value)
            {
                return Err(format!("{keyword} = {value}; expected one of {allowed:?}: damaged"));
            }
        }
    }
    Ok(())
}

/// Sizes of the axes that `keyword` (`NAXIS` or `ZNAXIS`) counts.
fn axes(cards: &[Card], keyword: &str) -> Result<Vec<u64>, String> {
    let count = required(cards, keyword)?;
    if !(0..=MAX_COUNT).contains(&count) {
        return Err(format!("{keyword} = {count}; expected 0 to {MAX_COUNT}: damaged"));
    }
    let size = |axis: i64| {
        let keyword = format!("{keyword}{axis}");
        let size = required(cards, &keyword)?;
        u64::try_from(size).map_err(|_| format!("{keyword} = {size}; expected 0 or more: damaged"))
    };
    (1..=count).map(size).collect()
}

fn required(cards: &[Card], keyword: &str) -> Result<i64, String> {
    integer(cards, keyword).ok_or_else(|| format!("no whole number for {keyword} in the header"))
}

fn counted(cards: &[Card], keyword: &str, default: i64) -> Result<u64, String> {
    let value = integer(cards, keyword).unwrap_or(default);
    u64::try_from(value).map_err(|_| format!("{keyword} = {value}; expected 0 or more: damaged"))
}

fn product(sizes: &[u64]) -> Option<u64> {
    sizes.iter().try_fold(1_u64, |product, &size| product.checked_mul(size))
}
