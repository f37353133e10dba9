//! Reads the layout of a partition: parses the zip directory and the pickle, and validates the columns.

use std::sync::atomic::AtomicU64;

use astromae::file_kind::Purpose;
use astromae::torch::pickle::{Pickle, Value};
use astromae::torch::zip::{TAIL_BYTES, locate_directory, parse_directory};
use astromae::torch::{Archive, Dtype, TensorSpec, TorchError, is_tensor_global};

use super::column::{Column, FetchLimits};
use super::error::PartitionError;
use super::limits::{BANDS, MAX_IMAGE_SIDE};
use super::source::Source;

/// Largest pickle, in bytes. A partition with a larger pickle is rejected; three tensors need 400 bytes.
const MAX_PICKLE_BYTES: u64 = 64 << 10;
/// Bytes fetched together with the pickle, for the headers of the entries after it.
const HEAD_SLACK: u64 = 8 << 10;
/// Number of bytes at the start of a file that identify older formats of PyTorch.
const START_BYTES: u64 = 512;
/// Largest ratio of the size of all samples to the size of the file. Expanded tensors repeat the stored elements, so
/// the samples may be larger than the file. [`MAX_UNFOLDED_BYTES`] are allowed in addition.
const MAX_UNFOLDED_RATIO: u64 = 4;
/// Size of all samples, in bytes, that is allowed in addition to [`MAX_UNFOLDED_RATIO`].
const MAX_UNFOLDED_BYTES: u64 = 2 << 30;

/// Tensors of a partition, with the same number of rows.
pub(super) struct Columns {
    /// Images, (n, 5, H, W), float32.
    pub(super) images: Column,
    /// Magnitudes, (n, 5).
    pub(super) magnitudes: Column,
    /// Redshifts, (n) or (n, 1); `None` if the partition has none.
    pub(super) redshift: Option<Column>,
}

/// Reads and validates everything except the elements of the tensors.
pub(super) async fn read(source: &mut Source, limits: FetchLimits) -> Result<Columns, PartitionError> {
    let archive = open_archive(source).await?;
    let specs = read_pickle(source, &archive).await?;
    let tensors = specs.len();
    if !(2..=3).contains(&tensors) {
        let plural = if tensors == 1 { "tensor" } else { "tensors" };
        return Err(source.malformed(format!(
            "a TensorDataset of {tensors} {plural}; expected images, magnitudes and optionally redshift"
        )));
    }
    let mut columns = NAMES.into_iter().zip(specs).map(|(name, spec)| {
        let entry = archive.storage(&spec.storage)?.clone();
        spec.check_storage_bytes(entry.bytes)?;
        Column::new(name, spec, entry, limits)
    });
    let mut next = || columns.next().transpose().map_err(|error| source.torch_error(error));
    let (Some(images), Some(magnitudes), redshift) = (next()?, next()?, next()?) else {
        return Err(source.malformed("a TensorDataset without images and magnitudes"));
    };
    let columns = Columns { images, magnitudes, redshift };
    check(source, &columns)?;
    Ok(columns)
}

/// Names of the tensors in messages.
const NAMES: [&str; 3] = ["images", "magnitudes", "redshift"];

async fn open_archive(source: &mut Source) -> Result<Archive, PartitionError> {
    let file_bytes = source.bytes();
    let tail_start = file_bytes.saturating_sub(TAIL_BYTES);
    source.keep(tail_start..file_bytes).await?;
    let kept = &AtomicU64::new(0);

    let tail = source.fetch(tail_start..file_bytes, kept).await?;
    let location = match locate_directory(&tail, file_bytes) {
        Ok(location) => location,
        Err(error) => {
            // The start of the file identifies another format, which gives a better message.
            let start = source.fetch(0..file_bytes.min(START_BYTES), kept).await?;
            let error = Archive::check_start(&start, Purpose::Partition).err().unwrap_or(error);
            return Err(source.torch_error(error));
        }
    };
    let directory = source.fetch(location.range.clone(), kept).await?;
    parse_directory(&directory, &location).and_then(Archive::new).map_err(|error| source.torch_error(error))
}

async fn read_pickle(source: &mut Source, archive: &Archive) -> Result<Vec<TensorSpec>, PartitionError> {
    let entry = archive.pickle();
    if entry.bytes > MAX_PICKLE_BYTES {
        // The whole pickle is too large to read here. Its start shows whether it names layers.
        let start = entry.header_offset..source.bytes().min(entry.header_offset + MAX_PICKLE_BYTES);
        let is_model = names_weights(&source.fetch(start, &AtomicU64::new(0)).await?);
        return Err(source.malformed(match is_model {
            true => A_MODEL.to_owned(),
            false => format!(
                "not a partition: its pickle has {} bytes, and that of a TensorDataset has at most {MAX_PICKLE_BYTES}",
                entry.bytes
            ),
        }));
    }
    let head_end = entry.header_offset + entry.bytes + HEAD_SLACK;
    source.keep(entry.header_offset..head_end.min(source.bytes())).await?;
    let kept = &AtomicU64::new(0);

    if let Some(byte_order) = archive.byte_order() {
        if byte_order.bytes > MAX_PICKLE_BYTES {
            return Err(source.malformed(format!("a `byteorder` entry of {} bytes", byte_order.bytes)));
        }
        let content = source.fetch_entry(byte_order, kept).await?;
        Archive::check_byte_order(&content).map_err(|error| source.torch_error(error))?;
    }
    let bytes = source.fetch_entry(entry, kept).await?;
    tensors(&bytes).map_err(|error| match names_weights(&bytes) {
        true => source.malformed(A_MODEL),
        false => source.torch_error(error),
    })
}

/// Description of a model among partitions, and what to do.
const A_MODEL: &str = "a model, not a partition; pass it to `--model`, and keep models in another folder";

/// Returns true if the pickle of a file that is no partition is that of a model: it names the classes or the weights of
/// layers.
fn names_weights(pickle: &[u8]) -> bool {
    let marks: [&[u8]; 3] = [b"torch.nn.modules", b".weight", b"state_dict"];
    marks.iter().any(|mark| pickle.windows(mark.len()).any(|window| window == *mark))
}

/// Parses the tensors of a pickled `TensorDataset`.
fn tensors(pickle: &[u8]) -> Result<Vec<TensorSpec>, TorchError> {
    let pickle = Pickle::read(pickle, is_partition_global)?;
    let root = pickle.root();
    let no_dataset = || {
        TorchError::Malformed(format!(
            "expected a torch TensorDataset, found {}; save `torch.utils.data.TensorDataset(images, magnitudes, \
             redshift)` with `torch.save`",
            pickle.describe(root)
        ))
    };
    let state = pickle
        .call(root)
        .filter(|call| call.is("torch.utils.data.dataset", "TensorDataset"))
        .and_then(|call| call.state)
        .ok_or_else(no_dataset)?;
    let tensors: &[Value<'_>] =
        pickle.get(state, "tensors").and_then(|tensors| pickle.sequence(tensors)).ok_or_else(no_dataset)?;
    // One tensor more than expected is enough to detect that there are too many.
    let found = tensors.iter().take(NAMES.len() + 1);
    found
        .zip(NAMES.into_iter().chain(["a fourth tensor"]))
        .map(|(&value, name)| {
            TensorSpec::from_pickle(&pickle, value).map_err(|error| match error {
                TorchError::Malformed(what) => TorchError::Malformed(format!("{name}: {what}")),
                TorchError::Unsupported(what) => TorchError::Unsupported(format!("{name}: {what}")),
                refused @ TorchError::Refused(_) => refused,
            })
        })
        .collect()
}

/// Returns true for the classes and functions that a pickled `TensorDataset` needs.
fn is_partition_global(module: &str, name: &str) -> bool {
    is_tensor_global(module, name)
        || matches!(
            (module, name),
            ("torch.utils.data.dataset", "TensorDataset")
                | ("torch._tensor", "_rebuild_from_type_v2")
                | ("torch", "Tensor" | "Size")
        )
}

/// Checks the shapes and types of the columns.
fn check(source: &Source, columns: &Columns) -> Result<(), PartitionError> {
    let Columns { images, magnitudes, redshift } = columns;
    let wrong = |name: &str, column: &Column, expected: &str| {
        let shape = python_shape(column.shape());
        source.malformed(format!("{name}: found {} of shape {shape}, expected {expected}", column.dtype()))
    };
    let expected = "float32 (n, 5, height, width): 5 bands";
    let &[samples, BANDS, height, width] = images.shape() else {
        return Err(match images.shape() {
            [_, _, _, BANDS] => wrong("images", images, &format!("{expected}; apply `.permute(0, 3, 1, 2)`")),
            _ => wrong("images", images, expected),
        });
    };
    if images.dtype() != Dtype::F32 {
        return Err(wrong("images", images, &format!("{expected}; apply `.float()`")));
    }
    if samples == 0 {
        return Err(PartitionError::Empty { path: source.path().clone() });
    }
    if !(1..=MAX_IMAGE_SIDE).contains(&height) || !(1..=MAX_IMAGE_SIDE).contains(&width) {
        return Err(wrong("images", images, &format!("sides of 1 to {MAX_IMAGE_SIDE} pixels")));
    }
    if magnitudes.shape() != [samples, BANDS] || !is_float(magnitudes.dtype()) {
        return Err(wrong(
            "magnitudes",
            magnitudes,
            &format!("float64 or float32 ({samples}, 5){}", float(magnitudes)),
        ));
    }
    if let Some(redshift) = redshift
        && (redshift.shape() != [samples] && redshift.shape() != [samples, 1] || !is_float(redshift.dtype()))
    {
        return Err(wrong("redshift", redshift, &format!("float64 or float32 ({samples},){}", float(redshift))));
    }
    let unfolded = (samples as u64).saturating_mul((images.row_bytes() + magnitudes.row_bytes()) as u64);
    if unfolded > source.bytes() * MAX_UNFOLDED_RATIO + MAX_UNFOLDED_BYTES {
        return Err(source.malformed(format!(
            "its {samples} samples expand to {unfolded} bytes, but the file has {}",
            source.bytes()
        )));
    }
    Ok(())
}

/// Advice for a column of another type.
fn float(column: &Column) -> &'static str {
    if is_float(column.dtype()) { "" } else { "; apply `.float()`" }
}

fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F64)
}

/// Formats a shape as PyTorch prints it: `(3, 5)`, `(3,)`.
fn python_shape(shape: &[usize]) -> String {
    let lengths: Vec<String> = shape.iter().map(usize::to_string).collect();
    match lengths.as_slice() {
        [one] => format!("({one},)"),
        _ => format!("({})", lengths.join(", ")),
    }
}
