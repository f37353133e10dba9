//! Checkpoints: a file's bytes in, named tensors and numeric attributes out.
//!
//! [`Checkpoint::open`] reads where the tensors lie, [`Checkpoint::view`] then one tensor at a time, so that a model is
//! made without its whole file in memory; [`Checkpoint::read`] is for files that are in memory anyway.
//!
//! Three forms are told apart by their content: a pickled module (`torch.save(model)`), a state dict
//! (`torch.save(model.state_dict())`, also under `"state_dict"` or `"model"`), and safetensors. The
//! names are those of the module tree, without the `module.` that `DataParallel` puts in front.
//!
//! Never here: a file or a path (the caller names them in its errors), the meaning of a tensor, and
//! code from a pickle: classes are recognised by name and their attributes read as data.

mod attributes;
mod error;
mod globals;
mod module;
mod pytorch;
mod safetensors;
mod source;
mod tensor;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

pub use crate::torch::{Dtype, TensorView};
pub use error::CheckpointError;
use source::File;
pub use source::Source;
pub use tensor::Tensor;

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
#[derive(Debug)]
pub struct Checkpoint<'a> {
    file: File<'a>,
    form: Form,
    tensors: BTreeMap<String, Tensor>,
    attributes: BTreeMap<String, f64>,
    /// Where storages start whose checksums were found right: several tensors may share one.
    checked: Mutex<BTreeSet<u64>>,
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
        let checkpoint = Self::open_file(File::Memory(bytes), config_json)?;
        for (name, tensor) in checkpoint.tensors.iter().filter(|(_, tensor)| !checkpoint.is_checked(tensor)) {
            checkpoint.read_storage(tensor, &mut Vec::new()).map_err(|error| error.in_tensor(name))?;
        }
        Ok(checkpoint)
    }

    /// Reads where the tensors of a file lie, which is a small part of it. A tensor's bytes are read, and their checksum
    /// compared, when [`Checkpoint::view`] asks for them.
    ///
    /// # Errors
    /// As [`Checkpoint::read_with_config`], and [`CheckpointError::Unreadable`].
    pub fn open(source: &'a dyn Source, config_json: Option<&str>) -> Result<Self, CheckpointError> {
        Self::open_file(File::Source(source), config_json)
    }

    fn open_file(file: File<'a>, config_json: Option<&str>) -> Result<Self, CheckpointError> {
        let mut checkpoint =
            if safetensors::is_safetensors(file)? { safetensors::open(file)? } else { pytorch::open(file)? };
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
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensor of that name, such as `blocks.0.attn.qkv.weight`.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The elements of one of this checkpoint's tensors, read into `buffer` unless they are in memory already.
    ///
    /// # Errors
    /// [`CheckpointError::Unreadable`], and [`CheckpointError::Malformed`] where the checksum is wrong.
    pub fn view<'b>(&'b self, tensor: &Tensor, buffer: &'b mut Vec<u8>) -> Result<TensorView<'b>, CheckpointError> {
        let data = if self.is_checked(tensor) {
            self.file.read(tensor.data(), buffer)?
        } else {
            let (storage, data) = (tensor.storage_start(), tensor.data());
            let bytes = self.read_storage(tensor, buffer)?;
            &bytes[(data.start - storage) as usize..(data.end - storage) as usize]
        };
        Ok(tensor.view(data)?)
    }

    /// Appends the values of a tensor, as `append` decodes them: piece by piece through `buffer` where they lie in the
    /// file as they are wanted, so that a large tensor is never in memory as bytes.
    ///
    /// # Errors
    /// As [`Checkpoint::view`].
    pub(crate) fn append<T>(
        &self,
        tensor: &Tensor,
        append: fn(&TensorView<'_>, &mut Vec<T>),
        buffer: &mut Vec<u8>,
        values: &mut Vec<T>,
    ) -> Result<(), CheckpointError> {
        let checked = self.is_checked(tensor);
        let whole = tensor.data() == tensor.storage();
        if !tensor.is_row_major() || !checked && !whole {
            append(&self.view(tensor, buffer)?, values);
            return Ok(());
        }
        values.reserve(tensor.elements());
        let mut hash = crc32fast::Hasher::new();
        for piece in tensor.pieces() {
            let bytes = self.file.read(piece, buffer)?;
            hash.update(bytes);
            append(&tensor.flat(bytes)?, values);
        }
        if !checked {
            self.check_crc32(tensor, hash.finalize())?;
        }
        Ok(())
    }

    fn is_checked(&self, tensor: &Tensor) -> bool {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        tensor.entry().is_none() || checked.contains(&tensor.storage_start())
    }

    /// Reads the whole storage of a tensor and compares its checksum, where it has one.
    fn read_storage<'b>(&'b self, tensor: &Tensor, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], CheckpointError> {
        let bytes = self.file.read(tensor.storage(), buffer)?;
        self.check_crc32(tensor, crc32fast::hash(bytes))?;
        Ok(bytes)
    }

    /// Notes the checksum of a tensor's storage where it is the recorded one, and refuses it where it is not.
    fn check_crc32(&self, tensor: &Tensor, found: u32) -> Result<(), CheckpointError> {
        if let Some(entry) = tensor.entry() {
            entry.check_crc32(found)?;
            self.checked.lock().unwrap_or_else(PoisonError::into_inner).insert(tensor.storage_start());
        }
        Ok(())
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
        file: File<'a>,
        form: Form,
        tensors: impl IntoIterator<Item = (String, Tensor)>,
        attributes: impl IntoIterator<Item = (String, f64)>,
    ) -> Result<Self, CheckpointError> {
        let file_bytes = file.bytes();
        let limit = file_bytes.saturating_mul(MAX_UNFOLDED_RATIO).saturating_add(MAX_UNFOLDED_BYTES);
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
        Ok(Self { file, form, tensors: named, attributes, checked: Mutex::default() })
    }
}

/// A name without what `DataParallel` (`module.`) and `torch.compile` (`_orig_mod.`) put in front.
fn without_wrappers(mut name: &str) -> &str {
    while let Some(inner) = name.strip_prefix("module.").or_else(|| name.strip_prefix("_orig_mod.")) {
        name = inner;
    }
    name
}
