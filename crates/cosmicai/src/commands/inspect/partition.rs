//! Contents of a partition: layout, ranges of values and bad rows.

use anyhow::Result;
use pipeline::objects::Objects;
use pipeline::partition::Partition;
use records::flags::{BAD_MAGNITUDE, BLANK_BAND, NON_FINITE_PIXEL, flags};
use records::redshift::known;
use serde::Serialize;

use crate::printer::{bytes, count, grouped, table};

/// Images read at a time.
const ROWS: usize = 512;
const BANDS: [&str; 5] = ["u", "g", "r", "i", "z"];

#[derive(Serialize)]
pub(super) struct Report {
    kind: &'static str,
    url: String,
    images: usize,
    bands: usize,
    height: usize,
    width: usize,
    file_bytes: u64,
    bytes_per_sample: usize,
    tensors: Vec<Tensor>,
    magnitudes: Vec<Range>,
    redshift: Option<Range>,
    rows_with_non_finite_pixels: usize,
    rows_with_bad_magnitudes: usize,
    /// Rows with a band whose pixels all have one value.
    rows_with_blank_bands: usize,
    /// Rows whose redshift is NaN or a value that marks an unknown one; None if the file has no redshifts.
    rows_without_redshift: Option<usize>,
    /// Contents of the file of objects; None if there is no such file.
    objects: Option<Known>,
}

/// Rows with an identifier or a position.
#[derive(Serialize)]
struct Known {
    rows_with_object_id: usize,
    rows_with_position: usize,
    /// First identifier.
    object_id: Option<String>,
}

#[derive(Serialize)]
struct Tensor {
    name: &'static str,
    shape: Vec<usize>,
    dtype: String,
}

/// Smallest and largest finite value; None if no value is finite.
#[derive(Serialize)]
struct Range {
    name: &'static str,
    min: Option<f64>,
    max: Option<f64>,
}

impl Range {
    fn new(name: &'static str) -> Range {
        Range { name, min: None, max: None }
    }

    fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.min = Some(self.min.map_or(value, |min| min.min(value)));
            self.max = Some(self.max.map_or(value, |max| max.max(value)));
        }
    }
}

pub(super) async fn look(url: &str, partition: Partition, objects: Option<Objects>) -> Result<Report> {
    let (images, bands) = (partition.len(), partition.bands());
    let (height, width) = (partition.height(), partition.width());
    let mut tensors = vec![
        Tensor { name: "images", shape: vec![images, bands, height, width], dtype: "float32".to_owned() },
        Tensor { name: "magnitudes", shape: vec![images, bands], dtype: partition.magnitude_dtype().name().to_owned() },
    ];
    if let Some(dtype) = partition.redshift_dtype() {
        tensors.push(Tensor { name: "redshift", shape: vec![images], dtype: dtype.name().to_owned() });
    }
    let mut report = Report {
        kind: "partition",
        url: url.to_owned(),
        images,
        bands,
        height,
        width,
        file_bytes: partition.file_bytes(),
        bytes_per_sample: partition.bytes_per_sample(),
        tensors,
        magnitudes: BANDS.map(Range::new).into(),
        redshift: partition.redshift_dtype().map(|_| Range::new("redshift")),
        rows_with_non_finite_pixels: 0,
        rows_with_bad_magnitudes: 0,
        rows_with_blank_bands: 0,
        rows_without_redshift: partition.redshift_dtype().map(|_| 0),
        objects: objects.as_ref().map(|objects| Known {
            rows_with_object_id: objects.object_id().iter().flatten().count(),
            rows_with_position: objects
                .ra()
                .iter()
                .zip(objects.dec())
                .filter(|(a, d)| a.is_some() && d.is_some())
                .count(),
            object_id: objects.object_id().iter().flatten().next().cloned(),
        }),
    };
    let bar = crate::counting_bar::counting_bar("images", images as u64);
    for start in (0..images).step_by(ROWS) {
        let rows = partition.read(start..images.min(start + ROWS)).await?;
        let pixels = rows.images.chunks_exact(bands * height * width);
        for (image, magnitudes) in pixels.zip(rows.magnitudes.chunks_exact(bands)) {
            let flags = flags(image, magnitudes, 0.0);
            report.rows_with_non_finite_pixels += usize::from(flags & NON_FINITE_PIXEL != 0);
            report.rows_with_bad_magnitudes += usize::from(flags & BAD_MAGNITUDE != 0);
            report.rows_with_blank_bands += usize::from(flags & BLANK_BAND != 0);
            for (range, magnitude) in report.magnitudes.iter_mut().zip(magnitudes) {
                range.add(*magnitude);
            }
        }
        if let (Some(range), Some(redshift)) = (&mut report.redshift, &rows.redshift) {
            redshift.iter().filter_map(|z| known(*z)).for_each(|z| range.add(z));
            *report.rows_without_redshift.get_or_insert(0) += redshift.iter().filter(|z| known(**z).is_none()).count();
        }
        bar.inc((rows.magnitudes.len() / bands) as u64);
    }
    bar.finish_and_clear();
    Ok(report)
}

pub(super) fn human(report: &Report) -> String {
    let mut text = table(
        ["tensor", "shape", "type"],
        report.tensors.iter().map(|tensor| {
            let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
            [tensor.name.to_owned(), shape.join("×"), tensor.dtype.clone()]
        }),
    );
    let value = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    text += &table(
        ["values", "min", "max"],
        report
            .magnitudes
            .iter()
            .chain(&report.redshift)
            .map(|range| [range.name.to_owned(), value(range.min), value(range.max)]),
    );
    text += &format!("partition  {} ({})\n", report.url, bytes(report.file_bytes));
    text += &format!(
        "images     {} of {}×{}×{}, {} bytes per image with its magnitudes\n",
        grouped(report.images as u64),
        report.bands,
        report.height,
        report.width,
        grouped(report.bytes_per_sample as u64)
    );
    if report.redshift.is_none() {
        text += "redshift   not in the file\n";
    }
    if let Some(Known { rows_with_object_id, rows_with_position, object_id }) = &report.objects {
        let first = object_id.as_ref().map_or_else(String::new, |id| format!(" (first: {id})"));
        text += &format!(
            "objects    {} with an identifier{first}, {} with a position\n",
            grouped(*rows_with_object_id as u64),
            grouped(*rows_with_position as u64)
        );
    }
    if let Some(unknown) = report.rows_without_redshift.filter(|&unknown| unknown > 0) {
        text += &format!("unknown    redshift of {}: NaN, or a value that no galaxy has\n", count(unknown, "row"));
    }
    match (report.rows_with_non_finite_pixels, report.rows_with_bad_magnitudes, report.rows_with_blank_bands) {
        (0, 0, 0) => {
            text + "valid      every pixel is finite, every band has an image, every magnitude is within 0–40\n"
        }
        (pixels, magnitudes, blank) => {
            text + &format!(
                "flagged    {} rows with pixels that are not finite, {} with magnitudes outside 0–40, {} with a band of \
                 equal pixels\n",
                grouped(pixels as u64),
                grouped(magnitudes as u64),
                grouped(blank as u64)
            )
        }
    }
}
