//! Writes the samples of arrays as one partition, or as many of one size.

use std::collections::BTreeSet;
use std::io::Write;

use pipeline::partition::samples_per_part;
use pipeline::storage::{Bucket, Stores};
use records::redshift::known;
use tokio::runtime::Handle;

use super::super::partition_sink::{Columns, Sink};
use super::super::{ArraySource, IngestError, IngestRequest, Ingested, IngestedParts, PartFolder, input};
use super::Arrays;
use super::choose::choose;
use super::elements::Elements;
use super::finished::Part;
use super::images::Images;

/// Maximum number of partitions. More are refused, because the size is probably a mistake.
const MAX_PARTS: usize = 1_000_000;

/// Folder that receives partitions of one size.
pub(in crate::ingest) struct Destination<'a, F> {
    pub(in crate::ingest) runtime: &'a Handle,
    pub(in crate::ingest) stores: &'a Stores,
    pub(in crate::ingest) size_bytes: u64,
    pub(in crate::ingest) folder: &'a mut F,
}

/// Writes all samples as one partition.
pub(in crate::ingest) fn ingest<W: Write>(
    mut arrays: Arrays,
    source: &ArraySource,
    request: &IngestRequest,
    out: W,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Ingested, W), IngestError> {
    let chosen = choose(&arrays, source)?;
    let columns = chosen.read(&mut arrays)?;
    let shown = arrays.describe(chosen.images);
    let complain = |problem: String| input(&shown, problem);
    let (images, sink) = arrays.with(chosen.images, |header, elements| {
        let images = Images::new(header, columns.len(), source.channels, request).map_err(complain)?;
        let mut sink = Sink::new(out, &columns, (images.height, images.width), request)?;
        let samples = columns.len();
        copy(&images, elements, 0..samples, &mut sink, &shown, &mut |done| progress(done, samples))?;
        Ok((images, sink))
    })?;
    // The checksum of the images has been compared by now.
    let (mut ingested, out) = sink.finish()?;
    ingested.notes = chosen.notes.into_iter().chain(images.notes()).collect();
    Ok((ingested, out))
}

/// Writes the samples as partitions of `size_bytes`, in order.
///
/// A partition that exists is kept if `folder` resumes, after it was compared with the arrays.
pub(in crate::ingest) fn ingest_parts<F: PartFolder>(
    to: Destination<'_, F>,
    request: &IngestRequest,
    source: &ArraySource,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<IngestedParts, IngestError> {
    let Destination { runtime, stores, size_bytes, folder } = to;
    let mut arrays = Arrays::open(runtime, stores, source)?;
    let chosen = choose(&arrays, source)?;
    let columns = chosen.read(&mut arrays)?;
    let samples = columns.len();
    let shown = arrays.describe(chosen.images);
    let complain = |problem: String| input(&shown, problem);
    let (bucket, prefix) = stores.open_url(folder.url())?;
    let key = |number: usize| match prefix.trim_end_matches('/') {
        "" => format!("{number}.pt"),
        prefix => format!("{prefix}/{number}.pt"),
    };
    let mut parts = IngestedParts::default();
    let (images, has_skipped) = arrays.with(chosen.images, |header, elements| {
        let images = Images::new(header, samples, source.channels, request).map_err(complain)?;
        let (height, width) = request.crop.map_or((images.height, images.width), |size| (size, size));
        let at_once = samples_per_part(size_bytes, height, width);
        let count = samples.div_ceil(at_once);
        if count > MAX_PARTS {
            return Err(input("--size", format!("{count} partitions, more than {MAX_PARTS}; pass a larger size")));
        }
        parts.total = empty(&images, &columns, request);
        let existing = existing(runtime, &bucket, prefix.trim_end_matches('/'), count, folder.resumes())?;
        for number in 1..=count {
            let rows = (number - 1) * at_once..(number * at_once).min(samples);
            let part = columns.keep(&rows.clone().collect::<Vec<_>>());
            if existing.contains(&number) {
                let part = Part { images: &images, columns: &part, request, shown: &shown };
                if part.is_finished(runtime, (&bucket, &key(number)), elements)? {
                    parts.kept += 1;
                    progress(rows.end, samples);
                    continue;
                }
            }
            let file = folder.create(number).map_err(IngestError::Write)?;
            let mut sink = Sink::new(file, &part, (images.height, images.width), request)?;
            copy(&images, elements, rows, &mut sink, &shown, &mut |done| progress(done, samples))?;
            let (ingested, file) = sink.finish()?;
            folder.keep(number, file, &ingested).map_err(IngestError::Write)?;
            parts.written += 1;
            parts.total.rows_with_non_finite_pixels += ingested.rows_with_non_finite_pixels;
            parts.total.rows_with_bad_magnitudes += ingested.rows_with_bad_magnitudes;
            parts.total.rows_with_blank_bands += ingested.rows_with_blank_bands;
        }
        Ok((images, elements.has_skipped()))
    })?;
    parts.total.notes = chosen.notes.into_iter().chain(images.notes()).collect();
    if parts.kept > 0 {
        parts.total.notes.push(format!(
            "{} finished partitions were compared with the input and kept; bad pixels and magnitudes are counted in new \
             partitions only",
            parts.kept
        ));
    }
    if has_skipped {
        parts.total.notes.push(format!(
            "the checksum of `{shown}` was not compared, because the images of finished partitions were not read again; \
             `python3 -m zipfile -t FILE` compares it"
        ));
    }
    Ok(parts)
}

/// Report of no partitions yet, with what is true of all of them.
fn empty(images: &Images, columns: &Columns, request: &IngestRequest) -> Ingested {
    let (height, width) = request.crop.map_or((images.height, images.width), |size| (size, size));
    let unknown =
        |(redshift, _): &(Vec<f64>, _)| redshift.iter().filter(|&&redshift| known(redshift).is_none()).count();
    Ingested {
        samples: columns.len(),
        height,
        width,
        has_redshift: columns.redshift.is_some(),
        objects: columns.objects.clone(),
        rows_without_redshift: columns.redshift.as_ref().map_or(0, unknown),
        ..Ingested::default()
    }
}

/// Copies the next images, those of `rows`, to a partition. Calls `progress` with the number of rows done so far.
fn copy<W: Write>(
    images: &Images,
    elements: &mut Elements<'_>,
    rows: std::ops::Range<usize>,
    sink: &mut Sink<'_, W>,
    shown: &str,
    progress: &mut dyn FnMut(usize),
) -> Result<(), IngestError> {
    let mut bytes = Vec::new();
    for start in rows.clone().step_by(images.at_once()) {
        let count = images.at_once().min(rows.end - start);
        let pixels = images
            .read(elements, count, &mut bytes)
            .map_err(|problem| input(shown, format!("at image {start} or after it: {problem}")))?;
        sink.put(pixels, (images.height, images.width), start - rows.start)?;
        progress(start + count);
    }
    Ok(())
}

/// Numbers of the partitions in the folder. Fails if one of them is not one of those that this ingest makes.
fn existing(
    runtime: &Handle,
    bucket: &Bucket,
    prefix: &str,
    count: usize,
    resumes: bool,
) -> Result<BTreeSet<usize>, IngestError> {
    let mut found = BTreeSet::new();
    for object in runtime.block_on(bucket.list(prefix))? {
        let name = object.key.strip_prefix(prefix).unwrap_or(&object.key).trim_start_matches('/');
        let Some(stem) = name.strip_suffix(".pt") else { continue };
        let url = bucket.url(&object.key);
        let number =
            stem.parse::<usize>().ok().filter(|number| (1..=count).contains(number) && number.to_string() == stem);
        let Some(number) = number else {
            return Err(input(
                &url,
                format!(
                    "exists and is not one of the {count} partitions to write; empty the folder or choose another one"
                ),
            ));
        };
        if !resumes {
            return Err(input(
                &url,
                "exists already; pass `--resume` to go on with an ingest that was interrupted, or choose another folder",
            ));
        }
        found.insert(number);
    }
    Ok(found)
}
