//! Checkpoints: a file's bytes in, named tensors and numeric attributes out.
//!
//! Three forms are told apart by their content: a pickled module (`torch.save(model)`), a state dict
//! (`torch.save(model.state_dict())`, also under `"state_dict"` or `"model"`), and safetensors. The
//! names are those of the module tree, without the `module.` that `DataParallel` puts in front.
//!
//! Never here: a file or a path (the caller names them in its errors), the meaning of a tensor, and
//! code from a pickle: classes are recognised by name and their attributes read as data.

mod attributes;
mod globals;
mod module;
mod safetensors;

use std::collections::BTreeMap;

use crate::torch::pickle::{MAX_PICKLE_BYTES, Pickle};
use crate::torch::zip::{Entry, TAIL_BYTES, locate_directory, parse_directory};
use crate::torch::{Archive, TensorSpec, TorchError};
pub use crate::torch::{Dtype, TensorView};

/// A checkpoint with more tensors is refused; AstroMAE has 510.
pub const MAX_TENSORS: usize = 16_384;
/// A checkpoint with more numeric attributes is refused; AstroMAE has about 3,000.
pub const MAX_ATTRIBUTES: usize = 65_536;
/// A longer name is refused.
pub const MAX_NAME_BYTES: usize = 1_024;
/// A longer `config.json` is refused.
pub const MAX_CONFIG_BYTES: usize = 16 << 20;
/// Tensors may together stand for this many times the bytes of their file (expanded or shared ones
/// stand for more than they occupy), and [`MAX_UNFOLDED_BYTES`] beyond.
pub const MAX_UNFOLDED_RATIO: u64 = 4;
/// See [`MAX_UNFOLDED_RATIO`].
pub const MAX_UNFOLDED_BYTES: u64 = 64 << 20;

/// Why a checkpoint cannot be used. The caller adds the path.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CheckpointError {
    /// Truncated, damaged or inconsistent: the file must be made or copied again.
    #[error("{0}")]
    Malformed(String),
    /// The pickle names something that no model needs; the file should not be trusted.
    #[error(
        "the pickle names `{0}`, which a model does not need; it was refused and nothing was executed: save the state dict instead, `torch.save(model.state_dict(), …)`"
    )]
    Refused(String),
    /// A valid file of a kind or an architecture that is not read here.
    #[error("{0}")]
    Unsupported(String),
    /// The model needs a tensor that the checkpoint lacks.
    #[error("tensor `{name}` is missing")]
    MissingTensor {
        /// Its name, without a leading `module.`.
        name: String,
    },
    /// A tensor's shape does not fit its place in the model.
    #[error("tensor `{name}`: shape {expected:?} expected, {found:?} found")]
    Shape {
        /// Its name, without a leading `module.`.
        name: String,
        /// The shape that the rest of the model calls for.
        expected: Vec<usize>,
        /// The shape in the checkpoint.
        found: Vec<usize>,
    },
}

impl From<TorchError> for CheckpointError {
    fn from(error: TorchError) -> Self {
        match error {
            TorchError::Malformed(what) => Self::Malformed(what),
            TorchError::Unsupported(what) => Self::Unsupported(what),
            TorchError::Refused(global) => Self::Refused(global),
        }
    }
}

/// What a checkpoint was saved as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `torch.save(model)`: tensors and all attributes.
    PickledModule,
    /// `torch.save(model.state_dict())`: tensors alone.
    StateDict,
    /// Safetensors: tensors and, from `convert`, the attributes.
    Safetensors,
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PickledModule => "pickled module",
            Self::StateDict => "state dict",
            Self::Safetensors => "safetensors",
        })
    }
}

/// A model's tensors and numeric attributes, borrowing the file's bytes.
#[derive(Debug, Clone)]
pub struct Checkpoint<'a> {
    form: Form,
    tensors: BTreeMap<String, TensorView<'a>>,
    attributes: BTreeMap<String, f64>,
}

impl<'a> Checkpoint<'a> {
    /// Reads a checkpoint of any of the three forms.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`], [`CheckpointError::Refused`] or [`CheckpointError::Unsupported`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, CheckpointError> {
        Self::read_with_config(bytes, None)
    }

    /// Reads a checkpoint and completes its attributes from the text of the `config.json` found beside
    /// it. What the checkpoint itself says prevails.
    ///
    /// # Errors
    /// As [`Checkpoint::read`], and when `config_json` is no JSON object.
    pub fn read_with_config(bytes: &'a [u8], config_json: Option<&str>) -> Result<Self, CheckpointError> {
        let mut checkpoint =
            if safetensors::is_safetensors(bytes) { safetensors::read(bytes)? } else { read_torch(bytes)? };
        if let Some(config) = config_json {
            for (name, value) in attributes::from_json(config)? {
                checkpoint.attributes.entry(name).or_insert(value);
            }
        }
        Ok(checkpoint)
    }

    /// What the file was saved as.
    pub fn form(&self) -> Form {
        self.form
    }

    /// All tensors by name, sorted.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorView<'a>)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensor of that name, such as `blocks.0.attn.qkv.weight`.
    pub fn tensor(&self, name: &str) -> Option<&TensorView<'a>> {
        self.tensors.get(name)
    }

    /// A number of the module tree such as `blocks.0.attn.num_heads`, from the pickled attributes, the
    /// safetensors metadata or `config.json`: under its full name, else, as a configuration states it
    /// once for all blocks, under its last component (`num_heads`). A module's `eps` is looked for as
    /// `eps` or `layer_norm_eps` where the module is called a norm (`norm1`, `fc_norm`) and as
    /// `batch_norm_eps` elsewhere, for the two differ.
    pub fn attribute(&self, name: &str) -> Option<f64> {
        attributes::find(&self.attributes, name)
    }

    /// All numeric attributes by name, sorted.
    pub fn attributes(&self) -> &BTreeMap<String, f64> {
        &self.attributes
    }

    /// The same tensors and attributes as a safetensors file: types kept, values bit for bit, the
    /// attributes as JSON under `config.json` in its metadata. Equal checkpoints give equal bytes.
    ///
    /// # Errors
    /// When the tensors exceed what the format can state.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, CheckpointError> {
        safetensors::write(self)
    }

    /// Strips wrappers from all names and gathers what a pickle or safetensors held.
    fn new(
        form: Form,
        tensors: impl IntoIterator<Item = (String, TensorView<'a>)>,
        attributes: impl IntoIterator<Item = (String, f64)>,
        file_bytes: usize,
    ) -> Result<Self, CheckpointError> {
        let limit = file_bytes as u64 * MAX_UNFOLDED_RATIO + MAX_UNFOLDED_BYTES;
        let mut unfolded_bytes = 0_u64;
        let mut named = BTreeMap::new();
        for (name, tensor) in tensors {
            unfolded_bytes = unfolded_bytes.saturating_add(tensor.bytes() as u64);
            if unfolded_bytes > limit {
                return Err(CheckpointError::Malformed(format!(
                    "its tensors stand for more than {limit} bytes, in a file of {file_bytes}"
                )));
            }
            let name = without_wrappers(&name).to_owned();
            if named.contains_key(&name) {
                return Err(CheckpointError::Malformed(format!("two tensors are called `{name}`")));
            }
            named.insert(name, tensor);
        }
        if named.is_empty() {
            return Err(CheckpointError::Malformed("no tensor in it".to_owned()));
        }
        let attributes = attributes
            .into_iter()
            .filter(|(_, value)| value.is_finite())
            .map(|(name, value)| (without_wrappers(&name).to_owned(), value))
            .collect();
        Ok(Self { form, tensors: named, attributes })
    }
}

/// A name without what `DataParallel` (`module.`) and `torch.compile` (`_orig_mod.`) put in front.
fn without_wrappers(mut name: &str) -> &str {
    while let Some(inner) = name.strip_prefix("module.").or_else(|| name.strip_prefix("_orig_mod.")) {
        name = inner;
    }
    name
}

fn read_torch(bytes: &[u8]) -> Result<Checkpoint<'_>, CheckpointError> {
    let archive = open_archive(bytes)?;
    if let Some(byte_order) = archive.byte_order() {
        Archive::check_byte_order(entry_data(bytes, byte_order)?)?;
    }
    if archive.pickle().bytes > MAX_PICKLE_BYTES {
        return Err(CheckpointError::Malformed(format!(
            "a pickle of {} bytes, more than {MAX_PICKLE_BYTES}",
            archive.pickle().bytes
        )));
    }
    let pickle = Pickle::read(entry_data(bytes, archive.pickle())?, globals::is_model_global)?;
    let tree = module::read(&pickle)?;

    let mut storages = BTreeMap::new();
    let mut tensors = Vec::with_capacity(tree.tensors.len());
    for (name, spec) in tree.tensors {
        let tensor = view(bytes, &archive, &mut storages, spec).map_err(|error| in_tensor(&name, error))?;
        tensors.push((name, tensor));
    }
    Checkpoint::new(tree.form, tensors, tree.attributes, bytes.len())
}

fn open_archive(bytes: &[u8]) -> Result<Archive, TorchError> {
    Archive::check_start(&bytes[..bytes.len().min(512)])?;
    let tail = bytes.len().min(TAIL_BYTES as usize);
    let location = locate_directory(&bytes[bytes.len() - tail..], bytes.len() as u64)?;
    let directory = &bytes[location.range.start as usize..location.range.end as usize];
    Archive::new(parse_directory(directory, &location)?)
}

/// The data of `entry`, whose checksum is right.
fn entry_data<'a>(bytes: &'a [u8], entry: &Entry) -> Result<&'a [u8], TorchError> {
    let range = entry.data_range(&bytes[entry.header_offset as usize..])?;
    let data = &bytes[range.start as usize..range.end as usize];
    entry.check_crc32(crc32fast::hash(data))?;
    Ok(data)
}

/// `storages` remembers which were checked: several tensors may share one.
fn view<'a>(
    bytes: &'a [u8],
    archive: &Archive,
    storages: &mut BTreeMap<String, &'a [u8]>,
    spec: TensorSpec,
) -> Result<TensorView<'a>, TorchError> {
    let data = match storages.get(&spec.storage) {
        Some(data) => data,
        None => {
            let data = entry_data(bytes, archive.storage(&spec.storage)?)?;
            storages.insert(spec.storage.clone(), data);
            data
        }
    };
    spec.check_storage_bytes(data.len() as u64)?;
    let start = spec.offset as usize * spec.dtype.bytes();
    TensorView::new(spec.dtype, spec.shape, spec.strides, &data[start..])
}

fn in_tensor(name: &str, error: TorchError) -> CheckpointError {
    match CheckpointError::from(error) {
        CheckpointError::Malformed(what) => CheckpointError::Malformed(format!("tensor `{name}`: {what}")),
        CheckpointError::Unsupported(what) => CheckpointError::Unsupported(format!("tensor `{name}`: {what}")),
        other => other,
    }
}
