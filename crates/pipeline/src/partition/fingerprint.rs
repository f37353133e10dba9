//! Fingerprint of a partition.

/// Formats the fingerprint of a partition from the CRC-32 of the storages of its images and magnitudes, each with the
/// offset of the first element in its storage.
pub(super) fn fingerprint(images: (u32, u64), magnitudes: (u32, u64)) -> String {
    let part = |(crc32, offset): (u32, u64)| format!("{crc32:08x}+{offset}");
    format!("crc32 images {} magnitudes {}", part(images), part(magnitudes))
}
