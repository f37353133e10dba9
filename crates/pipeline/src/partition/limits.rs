//! Dimensions and limits of partitions.

/// Number of bands of an image and of its magnitudes: u g r i z.
pub const BANDS: usize = 5;
/// Largest height and width of an image, in pixels. Larger images are rejected.
pub const MAX_IMAGE_SIDE: usize = 1_024;
/// Largest size of the images of one batch, in bytes. Larger batches are rejected.
pub const MAX_BATCH_BYTES: usize = 1 << 30;
