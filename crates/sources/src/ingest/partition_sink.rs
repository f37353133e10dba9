//! Writes columns and images as a partition, for both sources, and counts values that are not finite or out of range.

use std::collections::HashSet;
use std::io::Write;

use pipeline::objects::Objects;
use pipeline::partition::{BANDS, Dtype, Layout, MAX_IMAGE_SIDE, Writer};
use pipeline::predict::crop;
use records::flags::{BAD_MAGNITUDE, BLANK_BAND, NON_FINITE_PIXEL, flags};
use records::redshift::known;

use super::{IngestError, IngestRequest, Ingested, input};

/// Maximum height and width of an image in pixels, before it is cropped.
pub(super) const MAX_SIDE: usize = 4 * MAX_IMAGE_SIDE;
/// Maximum number of repeated identifiers that a message names.
const MAX_DUPLICATES_NAMED: usize = 5;

/// Columns of a partition: everything about the samples except their images.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    /// Magnitudes u g r i z, shape (n, 5), row-major.
    pub(super) magnitudes: Vec<f64>,
    /// Type in which the partition stores the magnitudes.
    pub(super) magnitude_dtype: Dtype,
    /// Known redshifts, shape (n), and the type in which the partition stores them.
    pub(super) redshift: Option<(Vec<f64>, Dtype)>,
    /// Identifiers and positions, n of them.
    pub(super) objects: Option<Objects>,
}

impl Columns {
    pub(super) fn len(&self) -> usize {
        self.magnitudes.len() / BANDS
    }

    /// Copies only these rows.
    pub(super) fn keep(&self, rows: &[usize]) -> Self {
        let magnitudes =
            rows.iter().flat_map(|row| &self.magnitudes[row * BANDS..(row + 1) * BANDS]).copied().collect();
        let redshift = self
            .redshift
            .as_ref()
            .map(|(redshift, dtype)| (rows.iter().map(|&row| redshift[row]).collect::<Vec<f64>>(), *dtype));
        let objects = self.objects.as_ref().map(|objects| objects.keep(rows));
        Self { magnitudes, magnitude_dtype: self.magnitude_dtype, redshift, objects }
    }
}

/// Rejects identifiers that occur in more than one row. `name` is the file that they come from.
pub(super) fn reject_duplicates(objects: &Objects, name: &str) -> Result<(), IngestError> {
    let mut seen = HashSet::with_capacity(objects.len());
    let duplicates: Vec<&str> =
        objects.object_id().iter().flatten().map(String::as_str).filter(|id| !seen.insert(*id)).collect();
    if duplicates.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = duplicates.iter().take(MAX_DUPLICATES_NAMED).map(|id| format!("`{id}`")).collect();
    let more = if duplicates.len() > MAX_DUPLICATES_NAMED { ", …" } else { "" };
    Err(input(
        name,
        format!(
            "`object_id` repeats in {} rows ({}{more}); give each object its own identifier, or choose another column \
             with `--columns object_id=NAME`",
            duplicates.len(),
            shown.join(", ")
        ),
    ))
}

/// Partition that is being written.
pub(super) struct Sink<'a, W> {
    writer: Writer<W>,
    columns: &'a Columns,
    request: &'a IngestRequest,
    ingested: Ingested,
}

impl<'a, W: Write> Sink<'a, W> {
    /// Begins a partition with these columns. Its images have `height` × `width` pixels before they are cropped.
    pub(super) fn new(
        out: W,
        columns: &'a Columns,
        (height, width): (usize, usize),
        request: &'a IngestRequest,
    ) -> Result<Self, IngestError> {
        let (height, width) = request.crop.map_or((height, width), |size| (size, size));
        let layout = Layout {
            samples: columns.len(),
            height,
            width,
            magnitude_dtype: columns.magnitude_dtype,
            redshift_dtype: columns.redshift.as_ref().map(|(_, dtype)| *dtype),
        };
        let ingested = Ingested {
            samples: columns.len(),
            height,
            width,
            has_redshift: columns.redshift.is_some(),
            objects: columns.objects.clone(),
            rows_without_redshift: columns
                .redshift
                .as_ref()
                .map_or(0, |(redshift, _)| redshift.iter().filter(|&&redshift| known(redshift).is_none()).count()),
            ..Ingested::default()
        };
        Ok(Self { writer: Writer::new(out, layout).map_err(IngestError::Write)?, columns, request, ingested })
    }

    /// Appends images of `height` × `width` pixels. `done` is the number of images appended before.
    pub(super) fn put(
        &mut self,
        pixels: Vec<f32>,
        (height, width): (usize, usize),
        done: usize,
    ) -> Result<(), IngestError> {
        let mut pixels = match self.request.crop {
            Some(size) if (size, size) != (height, width) => crop(&pixels, (height, width), size),
            _ => pixels,
        };
        if let Some(scale) = self.request.flux_scale {
            pixels.iter_mut().for_each(|pixel| *pixel = (f64::from(*pixel) * scale) as f32);
        }
        let image = BANDS * self.ingested.height * self.ingested.width;
        let magnitudes = self.columns.magnitudes[done * BANDS..].chunks_exact(BANDS);
        for (image, magnitudes) in pixels.chunks_exact(image).zip(magnitudes) {
            let flags = flags(image, magnitudes, 0.0);
            self.ingested.rows_with_non_finite_pixels += usize::from(flags & NON_FINITE_PIXEL != 0);
            self.ingested.rows_with_bad_magnitudes += usize::from(flags & BAD_MAGNITUDE != 0);
            self.ingested.rows_with_blank_bands += usize::from(flags & BLANK_BAND != 0);
        }
        self.writer.write_images(&pixels).map_err(IngestError::Write)
    }

    /// Completes the partition. Values that mark an unknown redshift become NaN.
    pub(super) fn finish(self) -> Result<(Ingested, W), IngestError> {
        let Columns { magnitudes, redshift, .. } = self.columns;
        let redshift: Option<Vec<f64>> = redshift
            .as_ref()
            .map(|(redshift, _)| redshift.iter().map(|&redshift| known(redshift).unwrap_or(f64::NAN)).collect());
        let out = self.writer.finish(magnitudes, redshift.as_deref()).map_err(IngestError::Write)?;
        Ok((self.ingested, out))
    }
}

/// Checks that images of this size can be cropped to `crop` and stored.
pub(super) fn check_size((height, width): (usize, usize), crop: Option<usize>) -> Result<(), String> {
    let is_side = |side: usize| (1..=MAX_IMAGE_SIDE).contains(&side);
    if height.max(width) > MAX_SIDE {
        return Err(format!(
            "images of {height}×{width} pixels; expected sides of at most {MAX_SIDE}, also with `--crop`"
        ));
    }
    match crop {
        Some(size) if size > height || size > width => {
            Err(format!("images of {height}×{width} pixels are too small to crop to {size}×{size}"))
        }
        None if !is_side(height) || !is_side(width) => Err(format!(
            "images of {height}×{width} pixels; expected sides of 1 to {MAX_IMAGE_SIDE}; crop them with `--crop`"
        )),
        _ => Ok(()),
    }
}
