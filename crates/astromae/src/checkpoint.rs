//! Reads checkpoints: from the bytes of a file to named tensors and numeric attributes.
//!
//! [`Checkpoint::read`] is for a file that is in memory. [`Checkpoint::open`] is for a file that should not be: it
//! reads only the positions of the tensors, and [`Checkpoint::view`] then reads one tensor at a time.
//!
//! Three forms of checkpoint are recognised by their content: a pickled module (`torch.save(model)`), a state dict
//! (`torch.save(model.state_dict())`), and safetensors. A module or state dict may be inside the dict of a training
//! file, with an optimizer and other objects beside it, which are skipped. Tensors have the names of the module tree,
//! without prefixes such as the `module.` that `DataParallel` adds. [`Checkpoint::notes`] states what was chosen.
//!
//! Nothing in a pickle is executed: classes are recognised by name, and their attributes are read as data. Errors do
//! not contain the path of the file, because this crate does not know it; the caller adds it.

mod attributes;
mod error;
mod find;
mod globals;
mod module;
mod modules;
mod names;
mod nearest;
mod pytorch;
mod safetensors;
mod source;
mod state_dict;
mod tensor;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

pub use crate::torch::{Dtype, TensorView};
pub use attributes::Stated;
use attributes::{Attributes, Origin};
pub use error::CheckpointError;
pub(crate) use modules::{Constant, Module, Modules};
use source::File;
pub use source::Source;
pub use tensor::Tensor;

/// Largest number of tensors in a checkpoint. AstroMAE has 510.
pub const MAX_TENSORS: usize = 16_384;
/// Largest number of attributes in a checkpoint. AstroMAE has about 4,000.
pub const MAX_ATTRIBUTES: usize = 65_536;
/// Largest length of a name, in bytes.
pub const MAX_NAME_BYTES: usize = 1_024;
/// Largest length of a `config.json`, in bytes.
pub const MAX_CONFIG_BYTES: usize = 16 << 20;
/// Limit of the total size of all tensors: MAX_EXPANSION_RATIO × the size of the file + [`MAX_EXPANSION_BYTES`].
/// Expanded and shared tensors are larger than the bytes they take in the file, and a small file must not fill the
/// memory.
pub const MAX_EXPANSION_RATIO: u64 = 4;
/// Constant part of the limit that [`MAX_EXPANSION_RATIO`] describes, in bytes.
pub const MAX_EXPANSION_BYTES: u64 = 64 << 20;

/// Form in which a checkpoint was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `torch.save(model)`: tensors and all attributes.
    PickledModule,
    /// `torch.save(model.state_dict())`: only tensors.
    StateDict,
    /// Safetensors: tensors, and attributes if [`Checkpoint::to_safetensors`] wrote the file.
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

/// Tensors and numeric attributes of a model. A checkpoint borrows the bytes of its file.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    file: File<'a>,
    form: Form,
    tensors: BTreeMap<String, Tensor>,
    attributes: Attributes,
    /// Classes and constants of a pickled module; `None` for the other forms, which have only tensors.
    modules: Option<Modules>,
    /// Names in a state dict whose values are not tensors that can be read, with their descriptions.
    unreadable: BTreeMap<String, String>,
    notes: Vec<String>,
    /// Starts of the storages whose checksums are verified. Several tensors may share a storage.
    checked: Mutex<BTreeSet<u64>>,
}

impl<'a> Checkpoint<'a> {
    /// Reads a checkpoint of any of the three forms and verifies all checksums.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`], [`CheckpointError::Refused`] or [`CheckpointError::Unsupported`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, CheckpointError> {
        Self::read_with_config(bytes, None)
    }

    /// Reads a checkpoint and takes missing attributes from `config_json`, the text of a `config.json`. Attributes of
    /// the checkpoint itself take precedence.
    ///
    /// # Errors
    /// The errors of [`Checkpoint::read`], and [`CheckpointError::Malformed`] if `config_json` is not a JSON object.
    pub fn read_with_config(bytes: &'a [u8], config_json: Option<&str>) -> Result<Self, CheckpointError> {
        let checkpoint = Self::open_file(File::Memory(bytes), config_json)?;
        for (name, tensor) in checkpoint.tensors.iter().filter(|(_, tensor)| !checkpoint.is_checked(tensor)) {
            checkpoint.read_storage(tensor, &mut Vec::new()).map_err(|error| error.in_tensor(name))?;
        }
        Ok(checkpoint)
    }

    /// Reads the positions of the tensors, which are a small part of the file. [`Checkpoint::view`] later reads the
    /// values of a tensor and verifies their checksum.
    ///
    /// # Errors
    /// The errors of [`Checkpoint::read_with_config`], and [`CheckpointError::Unreadable`].
    pub fn open(source: &'a dyn Source, config_json: Option<&str>) -> Result<Self, CheckpointError> {
        Self::open_file(File::Source(source), config_json)
    }

    fn open_file(file: File<'a>, config_json: Option<&str>) -> Result<Self, CheckpointError> {
        let mut checkpoint =
            if safetensors::is_safetensors(file)? { safetensors::open(file)? } else { pytorch::open(file)? };
        if let Some(config) = config_json {
            let numbers = attributes::from_json(config, "config.json")?;
            checkpoint.attributes.add(Origin { name: Some("config.json".to_owned()), numbers });
        }
        Ok(checkpoint)
    }

    /// Form in which the file was saved.
    pub fn form(&self) -> Form {
        self.form
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Tensor with the given name, such as `blocks.0.attn.qkv.weight`.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Reads the elements of a tensor of this checkpoint. They are read into `buffer`, or borrowed if the file is in
    /// memory.
    ///
    /// # Errors
    /// [`CheckpointError::Unreadable`], and [`CheckpointError::Malformed`] if the checksum is wrong.
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

    /// Appends the values of a tensor, decoded by `append`, to `values`. A row-major tensor is read in pieces through
    /// `buffer`, so that the bytes of a large tensor are never in memory all at once.
    ///
    /// # Errors
    /// The errors of [`Checkpoint::view`].
    pub(crate) fn append<T>(
        &self,
        tensor: &Tensor,
        append: impl Fn(&TensorView<'_>, &mut Vec<T>),
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

    /// Reads the whole storage of a tensor and verifies its checksum, if it has one.
    fn read_storage<'b>(&'b self, tensor: &Tensor, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], CheckpointError> {
        let bytes = self.file.read(tensor.storage(), buffer)?;
        self.check_crc32(tensor, crc32fast::hash(bytes))?;
        Ok(bytes)
    }

    /// Compares the checksum of the storage of a tensor with the recorded one. Records the storage as verified if they
    /// are equal, fails otherwise.
    fn check_crc32(&self, tensor: &Tensor, found: u32) -> Result<(), CheckpointError> {
        if let Some(entry) = tensor.entry() {
            entry.check_crc32(found)?;
            self.checked.lock().unwrap_or_else(PoisonError::into_inner).insert(tensor.storage_start());
        }
        Ok(())
    }

    /// Value of a numeric attribute such as `blocks.0.attn.num_heads`, and the place that states it.
    ///
    /// The places are, in this order: the attributes of a pickled module itself; the keys `hyper_parameters`, `config`
    /// and `args` of the dict around a module or state dict; the metadata of a safetensors file (a JSON object under
    /// `config.json` or `config`, or one of the general names); and the file `config.json`.
    ///
    /// The full name is looked up first. If no place has it, general names are looked up, because a configuration states
    /// a number once for all layers: `num_heads` or `num_attention_heads`, `qk_scale` for the `scale` of an attention,
    /// `layer_norm_eps` for the `eps` of a module with `norm` in its name (`norm1`, `fc_norm`), and `batch_norm_eps` for
    /// the `eps` of other modules.
    ///
    /// # Errors
    /// [`CheckpointError::Unsupported`] if two places state different numbers under general names.
    pub fn stated(&self, name: &str) -> Result<Option<Stated>, CheckpointError> {
        self.attributes.find(name)
    }

    /// Value of a numeric attribute, as [`stated`](Self::stated) finds it; `None` if it is missing or ambiguous.
    pub fn attribute(&self, name: &str) -> Option<f64> {
        self.stated(name).ok().flatten().map(|stated| stated.value)
    }

    /// All numeric attributes, sorted by name. If several places state one, the first counts.
    pub fn attributes(&self) -> BTreeMap<String, f64> {
        self.attributes.merged()
    }

    /// Number of attention heads at a place that is not read, if it is not `assumed`: the path and the number.
    pub(crate) fn heads_elsewhere(&self, assumed: f64) -> Option<(String, f64)> {
        self.attributes.heads_elsewhere(assumed)
    }

    /// Classes and constants of a pickled module; `None` for the other forms, which have only tensors.
    pub(crate) fn modules(&self) -> Option<&Modules> {
        self.modules.as_ref()
    }

    /// Names in a state dict whose values are not tensors that can be read.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = &str> {
        self.unreadable.keys().map(String::as_str)
    }

    /// Error for a tensor that the checkpoint does not have. It lists the nearest names.
    pub(crate) fn missing(&self, name: &str) -> CheckpointError {
        match self.unreadable.get(name) {
            Some(found) => CheckpointError::Unsupported(format!(
                "tensor `{name}` is saved as {found}; save it as a dense tensor of PyTorch"
            )),
            None => nearest::missing_tensor(name, self.tensors.keys().map(String::as_str)),
        }
    }

    /// Decisions about the content of the file that its reader should know, such as which of two models was taken.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Converts the checkpoint to the bytes of a safetensors file. Types and bits of all values are preserved. The
    /// attributes are JSON under the key `config.json` of the metadata. Equal checkpoints give equal bytes.
    ///
    /// # Errors
    /// The errors of [`Checkpoint::view`], and [`CheckpointError::Unsupported`] if safetensors cannot represent a
    /// tensor.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, CheckpointError> {
        safetensors::write(self)
    }

    /// Makes a checkpoint from the tensors and attributes of a file, after removing prefixes from the names of tensors.
    fn new(
        file: File<'a>,
        form: Form,
        tensors: Vec<(String, Tensor)>,
        attributes: Attributes,
        mut notes: Vec<String>,
    ) -> Result<Self, CheckpointError> {
        let tensors = tensors.into_iter().map(|(name, tensor)| (names::without_wrappers(&name), tensor)).collect();
        let tensors = names::within_model(tensors, &mut notes)?;
        let file_bytes = file.bytes();
        let limit = file_bytes.saturating_mul(MAX_EXPANSION_RATIO).saturating_add(MAX_EXPANSION_BYTES);
        let mut expanded_bytes = 0_u64;
        let mut named = BTreeMap::new();
        for (name, tensor) in tensors {
            expanded_bytes = expanded_bytes.saturating_add(tensor.bytes() as u64);
            if expanded_bytes > limit {
                return Err(CheckpointError::Malformed(format!(
                    "the tensors have more than {limit} bytes, but the file has only {file_bytes}; call \
                     `.contiguous()` on expanded tensors before saving"
                )));
            }
            if named.contains_key(&name) {
                return Err(CheckpointError::Malformed(format!("two tensors have the name `{name}`")));
            }
            named.insert(name, tensor);
        }
        if named.is_empty() {
            return Err(CheckpointError::Malformed(
                "there is no tensor in the file; save the state dict: `torch.save(model.state_dict(), …)`".to_owned(),
            ));
        }
        Ok(Self {
            file,
            form,
            tensors: named,
            attributes,
            modules: None,
            unreadable: BTreeMap::new(),
            notes,
            checked: Mutex::default(),
        })
    }
}
