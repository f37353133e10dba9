//! Sizes of partitions: text such as `25MB`, and the number of samples of that size.

use super::limits::BANDS;

/// Error for a text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "size `{0}`: expected a number of bytes, or a number with a unit such as `25MB` or `1GB` (binary: 1 MB is \
     1,048,576 bytes)"
)]
pub struct SizeError(String);

/// Parses a size such as `25MB`, `100 MB`, `1.5GB` or `4096` to bytes. Units are binary, as in the CAI study.
///
/// # Errors
/// The text is not a number with a unit of B, KB, MB, GB, TB or PB, or the size is less than one byte.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let error = || SizeError(text.to_owned());
    let trimmed = text.trim();
    let unit_at = trimmed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(unit_at);
    let unit_bytes: u64 = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" | "KIB" => 1 << 10,
        "MB" | "MIB" => 1 << 20,
        "GB" | "GIB" => 1 << 30,
        "TB" | "TIB" => 1 << 40,
        "PB" | "PIB" => 1 << 50,
        _ => return Err(error()),
    };
    let number = number.trim();
    let digits_only = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = number.parse().ok().filter(|_| digits_only).ok_or_else(error)?;
    let bytes = number * unit_bytes as f64;
    if (1.0..u64::MAX as f64).contains(&bytes) { Ok(bytes as u64) } else { Err(error()) }
}

/// Number of samples of each part (except the last) of `size_bytes`, at least 1, as the CAI study counts them.
///
/// The CAI study divides by the bytes of float32 pixels, float32 magnitudes and an 8-byte redshift (20,508 bytes for
/// 32×32 pixels) and rounds down, although it stores magnitudes as float64. For 10, 25, 50, 75 and 100 MB, this gives
/// its 511, 1,278, 2,556, 3,834 and 5,113 samples.
pub fn samples_per_part(size_bytes: u64, height: usize, width: usize) -> usize {
    let counted_bytes = 4 * (BANDS * height * width + BANDS) + 8;
    usize::try_from(size_bytes / counted_bytes as u64).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_per_part_match_the_cai_study() {
        let study = [("10MB", 511), ("25MB", 1_278), ("50 MB", 2_556), ("75mb", 3_834), ("100MB", 5_113)];
        for (size, samples) in study {
            assert_eq!(samples_per_part(parse_size(size).unwrap(), 32, 32), samples, "{size}");
        }
        assert_eq!(samples_per_part(1, 32, 32), 1);
        assert_eq!(samples_per_part(u64::MAX, 1, 1), usize::MAX / 48);
    }

    #[test]
    fn parses_sizes_with_binary_units() {
        for (text, bytes) in
            [("4096", 4_096), ("1B", 1), (" 2 kB ", 2_048), ("25MB", 25 << 20), ("25MiB", 25 << 20), ("1.5GB", 3 << 29)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in
            ["", "MB", "0", "0.2B", "-1MB", "1e3", "25 MBit", "1TBB", "1..5MB", "inf", "99999999999GB", "２５MB"]
        {
            let error = parse_size(text).expect_err(text);
            assert!(error.to_string().contains("25MB"), "{error}");
        }
    }
}
