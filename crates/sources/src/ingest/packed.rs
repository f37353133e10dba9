//! Decompresses whole files: gzip and bzip2, in which archives keep FITS files and catalogues.

use std::io::Read;

use bytes::Bytes;

/// Decompresses gzip and bzip2, to `limit` bytes at most. Returns other bytes unchanged.
pub(super) fn unpacked(bytes: Bytes, limit: u64) -> Result<Bytes, String> {
    if bytes.starts_with(b"\x1f\x8b") {
        read(flate2::read::MultiGzDecoder::new(&bytes[..]), limit, "gzip")
    } else if is_bzip2(&bytes) {
        read(bzip2::read::MultiBzDecoder::new(&bytes[..]), limit, "bzip2")
    } else {
        Ok(bytes)
    }
}

/// `BZh`, the size of the blocks, and the start of the first block or of the end.
fn is_bzip2(bytes: &[u8]) -> bool {
    bytes.starts_with(b"BZh")
        && bytes.get(3).is_some_and(u8::is_ascii_digit)
        && bytes.get(4..6).is_some_and(|start| start == b"1A" || start == b"\x17\x72")
}

fn read(decoder: impl Read, limit: u64, format: &str) -> Result<Bytes, String> {
    let mut plain = Vec::new();
    decoder.take(limit + 1).read_to_end(&mut plain).map_err(|error| format!("damaged {format}: {error}"))?;
    if plain.len() as u64 > limit {
        return Err(format!("more than {limit} bytes when decompressed"));
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn decompresses_within_a_limit() {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(&[7; 5000]).unwrap();
        let packed = Bytes::from(encoder.finish().unwrap());
        assert_eq!(unpacked(packed.clone(), 5000).unwrap(), [7; 5000][..]);
        assert!(unpacked(packed.clone(), 4999).unwrap_err().contains("more than 4999 bytes"));
        assert!(unpacked(packed.slice(..packed.len() - 6), 5000).unwrap_err().starts_with("damaged bzip2"));
        let twice = Bytes::from([&packed[..], &packed[..]].concat());
        assert_eq!(unpacked(twice, 10_000).unwrap().len(), 10_000);
        let plain = Bytes::from_static(b"BZh,u,g\n");
        assert_eq!(unpacked(plain.clone(), 5).unwrap(), plain);
    }
}
