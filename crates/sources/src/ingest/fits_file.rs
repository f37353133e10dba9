//! Divides a FITS file into its parts (HDUs), after it checked their headers.
//!
//! The decoder believes a header: a false count makes it allocate memory, read other bytes or never end. So every
//! count, length and product is compared here with the limits of the standard and with the size of the file, before
//! the decoder sees it. [`verify`] compares the data with the checksums that a header states.

use fitsio_pure::block::BLOCK_SIZE;
use fitsio_pure::hdu::Hdu;
use fitsio_pure::header::{Card, header_byte_len, parse_header_blocks};
use fitsio_pure::value::Value;

mod limits;

/// Maximum number of parts of a file.
const MAX_HDUS: usize = 1_000;
/// Maximum number of blocks of one header: 36 cards each.
const MAX_HEADER_BLOCKS: usize = 10_000;

/// Parts of the file, with checked headers. Bytes after the last part that are not a part are ignored, as the standard
/// allows.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Hdu>, String> {
    let mut hdus: Vec<Hdu> = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let rest = &bytes[start..];
        if !hdus.is_empty() && !rest.starts_with(b"XTENSION") {
            break;
        }
        let part = hdus.len() + 1;
        let damaged = |problem: String| match part {
            1 => format!("not a readable FITS file: {problem}"),
            _ => format!("FITS file, part {part}: {problem}"),
        };
        if hdus.len() == MAX_HDUS {
            return Err(damaged(format!("more than the limit of {MAX_HDUS} parts")));
        }
        let header = header_bytes(rest).ok_or_else(|| damaged("end of file in the header: truncated".to_owned()))?;
        let cards = parse_header_blocks(&rest[..header]).map_err(|error| damaged(error.to_string()))?;
        let data = limits::data_bytes(&cards).map_err(damaged)?;
        let available = (rest.len() - header) as u64;
        if data > available {
            return Err(damaged(format!(
                "the header states {data} bytes of data, but the end of file comes after {available}: truncated or \
                 damaged"
            )));
        }
        // Kinds of extensions that the decoder does not know are passed over.
        if let Ok(hdu) = Hdu::from_cards(cards, start, start + header) {
            if hdu.data_len as u64 != data {
                return Err(damaged("a header that contradicts itself: damaged".to_owned()));
            }
            hdus.push(hdu);
        } else if hdus.is_empty() {
            return Err(damaged("a header that is not valid".to_owned()));
        }
        start += header + (data as usize).next_multiple_of(BLOCK_SIZE);
    }
    if hdus.is_empty() { Err("not a readable FITS file: end of file in the header".to_owned()) } else { Ok(hdus) }
}

/// Compares the parts with the checksums in their headers (`DATASUM`, `CHECKSUM`). A part without them passes.
pub(super) fn verify(bytes: &[u8], hdus: &[Hdu]) -> Result<(), String> {
    for (index, hdu) in hdus.iter().enumerate() {
        let end = (hdu.data_start + hdu.data_len.next_multiple_of(BLOCK_SIZE)).min(bytes.len());
        let data = sum(&bytes[hdu.data_start..end]);
        let part = index + 1;
        if let Some(stated) = text(&hdu.cards, "DATASUM").filter(|stated| !stated.is_empty())
            && stated.parse() != Ok(data)
        {
            return Err(format!(
                "damaged: DATASUM differs: the header of part {part} states {}, its data have {data}; copy the file \
                 again",
                stated.chars().take(20).collect::<String>()
            ));
        }
        let has_checksum = text(&hdu.cards, "CHECKSUM").is_some_and(|stated| !stated.is_empty());
        let whole = add(sum(&bytes[hdu.header_start..hdu.data_start]), data);
        if has_checksum && whole != 0 && whole != u32::MAX {
            return Err(format!(
                "damaged: CHECKSUM differs in part {part}; copy the file again, or, if you changed its header, write \
                 the checksum again (astropy: `hdu.add_checksum()`)"
            ));
        }
    }
    Ok(())
}

/// Value of a card that is text.
pub(super) fn text<'a>(cards: &'a [Card], keyword: &str) -> Option<&'a str> {
    cards.iter().filter(|card| card.keyword_str() == keyword).find_map(|card| match &card.value {
        Some(Value::String(text)) => Some(text.trim()),
        _ => None,
    })
}

/// Value of a card that is a whole number.
pub(super) fn integer(cards: &[Card], keyword: &str) -> Option<i64> {
    cards.iter().filter(|card| card.keyword_str() == keyword).find_map(|card| match card.value {
        Some(Value::Integer(number)) => Some(number),
        _ => None,
    })
}

/// Length of the header at the start of these bytes, in whole blocks.
fn header_bytes(bytes: &[u8]) -> Option<usize> {
    let mut blocks = bytes.chunks_exact(BLOCK_SIZE).take(MAX_HEADER_BLOCKS);
    let last = blocks.position(|block| header_byte_len(block).is_ok())?;
    Some((last + 1) * BLOCK_SIZE)
}

/// Sum of 32-bit words in ones' complement, as the checksum convention of FITS defines it. Missing padding counts as 0.
fn sum(bytes: &[u8]) -> u32 {
    let mut sum = 0_u64;
    for words in bytes.chunks(4) {
        let mut word = [0; 4];
        word[..words.len()].copy_from_slice(words);
        sum += u64::from(u32::from_be_bytes(word));
    }
    while sum > u64::from(u32::MAX) {
        sum = (sum & u64::from(u32::MAX)) + (sum >> 32);
    }
    sum as u32
}

fn add(a: u32, b: u32) -> u32 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u32::from(carry)
}

#[cfg(test)]
mod tests;
