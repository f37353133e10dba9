//! [`Layers`]: reads the layers of a model from a checkpoint by name.
//!
//! Every tensor is requested with its expected shape, and the request is recorded. A checkpoint with a tensor that was
//! never requested is rejected.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use kernels::Weights;

use crate::checkpoint::{Checkpoint, CheckpointError, Tensor};
use crate::fold::{Affine, BatchNorm, to_f32};
use crate::packing::Packing;

/// Values of AstroMAE for attributes that a state dict or a safetensors file may lack.
const LAYER_NORM_EPS: f64 = 1e-6;
const BATCH_NORM_EPS: f64 = 1e-5;
const NUM_HEADS: f64 = 12.0;

/// Prefixes of the names of large linear layers into which nothing is folded.
const NOT_FOLDED: [&str; 3] = ["concat_block.0", "vit_block.2", "inception_model.magnitude_block."];

/// Reads layers from a checkpoint.
pub(crate) struct Layers<'a, 'b> {
    checkpoint: &'b Checkpoint<'a>,
    /// Names of the tensors that were requested.
    requested: RefCell<BTreeSet<String>>,
    assumed: RefCell<BTreeSet<String>>,
    /// Layers that were packed ahead and not yet requested.
    packed: RefCell<BTreeMap<String, Weights>>,
    /// Memory that is reused for each tensor. Allocating fresh memory takes longer than the work done here.
    buffers: RefCell<Buffers>,
}

#[derive(Default)]
struct Buffers {
    bytes: Vec<u8>,
    values: Vec<f32>,
}

impl<'a, 'b> Layers<'a, 'b> {
    pub(crate) fn new(checkpoint: &'b Checkpoint<'a>) -> Self {
        Layers {
            checkpoint,
            requested: RefCell::default(),
            assumed: RefCell::default(),
            packed: RefCell::default(),
            buffers: RefCell::default(),
        }
    }

    /// Returns true if the checkpoint has the tensor `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.checkpoint.tensor(name).is_some()
    }

    /// Shape of the tensor `name`. Fails if it is missing.
    pub(crate) fn shape(&self, name: &str) -> Result<&'b [usize], CheckpointError> {
        Ok(self.find(name)?.shape())
    }

    /// Values of the tensor `name`. Fails if it is missing or has another shape.
    pub(crate) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>, CheckpointError> {
        let tensor = self.request(name, shape)?;
        let (mut values, buffer) = (Vec::new(), &mut self.buffers.borrow_mut().bytes);
        let appended = self.checkpoint.append(tensor, |view, values| view.append_f64(values), buffer, &mut values);
        appended.map(|()| values).map_err(|error| error.in_tensor(name))
    }

    /// Reads and packs a linear layer into which nothing is folded. It is not converted to `f64`, because for the
    /// largest layers this would take most of the time and memory of loading a model.
    pub(crate) fn packed_linear(&self, name: &str, k: usize, packing: Packing) -> Result<Weights, CheckpointError> {
        let n = self.shape(&format!("{name}.weight"))?.first().copied().unwrap_or(0);
        let weight = self.request(&format!("{name}.weight"), &[n, k])?;
        let bias = self.values(&format!("{name}.bias"), &[n])?;
        if let Some(packed) = self.packed.borrow_mut().remove(name) {
            return Ok(packed);
        }
        let Buffers { bytes, values } = &mut *self.buffers.borrow_mut();
        values.clear();
        let appended = self.checkpoint.append(weight, |view, values| view.append_f32(values), bytes, values);
        appended.map_err(|error| error.in_tensor(&format!("{name}.weight")))?;
        Ok(Weights::pack(packing.isa, packing.of_linear(n, k), (n, k), k, values, &to_f32(&bias)))
    }

    /// Packs the linear layers that [`packed_linear`](Self::packed_linear) will return later. Layers with errors are
    /// skipped here; the later request reports the error.
    pub(crate) fn pack_ahead(checkpoint: &Checkpoint<'_>, packing: Packing) -> BTreeMap<String, Weights> {
        let layers = Layers::new(checkpoint);
        let names = checkpoint.tensors().filter_map(|(name, tensor)| {
            let name =
                name.strip_suffix(".weight").filter(|name| NOT_FOLDED.iter().any(|start| name.starts_with(start)))?;
            Some((name, *tensor.shape().get(1)?))
        });
        names.filter_map(|(name, k)| Some((name.to_owned(), layers.packed_linear(name, k, packing).ok()?))).collect()
    }

    /// Provides the layers that [`pack_ahead`](Self::pack_ahead) has packed.
    pub(crate) fn set_packed(&mut self, packed: BTreeMap<String, Weights>) {
        self.packed = RefCell::new(packed);
    }

    /// Requests a tensor of the given shape: fails if it is missing, empty or has another shape, and records the
    /// request.
    fn request(&self, name: &str, shape: &[usize]) -> Result<&'b Tensor, CheckpointError> {
        let tensor = self.find(name)?;
        if tensor.shape().contains(&0) {
            return Err(CheckpointError::Unsupported(format!(
                "tensor `{name}` is empty: its shape is {:?}",
                tensor.shape()
            )));
        }
        if tensor.shape() != shape {
            return Err(CheckpointError::Shape {
                name: name.to_owned(),
                expected: shape.to_vec(),
                found: tensor.shape().to_vec(),
            });
        }
        self.requested.borrow_mut().insert(name.to_owned());
        Ok(tensor)
    }

    /// Reads a `torch.nn.Linear`: `{name}.weight` (n, k) and `{name}.bias` (n). The checkpoint defines n.
    pub(crate) fn linear(&self, name: &str, k: usize) -> Result<Affine, CheckpointError> {
        let n = self.shape(&format!("{name}.weight"))?.first().copied().unwrap_or(0);
        self.affine(name, n, &[k])
    }

    /// Reads a `torch.nn.Conv2d` without groups. The inputs of the map are (input, window line, window column).
    pub(crate) fn convolution(&self, name: &str, inputs: usize, window: usize) -> Result<Affine, CheckpointError> {
        let n = self.shape(&format!("{name}.weight"))?.first().copied().unwrap_or(0);
        self.affine(name, n, &[inputs, window, window])
    }

    /// Reads `{name}.weight` (n, shape…) and `{name}.bias` (n). The inputs of the map are the flattened `shape`.
    pub(crate) fn affine(&self, name: &str, n: usize, shape: &[usize]) -> Result<Affine, CheckpointError> {
        let full: Vec<usize> = [n].iter().chain(shape).copied().collect();
        let weight = self.values(&format!("{name}.weight"), &full)?;
        let bias = self.values(&format!("{name}.bias"), &[n])?;
        Ok(Affine::new(n, shape.iter().product(), weight, bias))
    }

    /// Reads (gain, bias, eps) of a `torch.nn.LayerNorm`.
    pub(crate) fn layer_norm(&self, name: &str, width: usize) -> Result<(Vec<f64>, Vec<f64>, f64), CheckpointError> {
        let gain = self.values(&format!("{name}.weight"), &[width])?;
        let bias = self.values(&format!("{name}.bias"), &[width])?;
        let eps = self.positive_attribute(&format!("{name}.eps"), LAYER_NORM_EPS, "eps of layer norms")?;
        Ok((gain, bias, eps))
    }

    /// Reads a `torch.nn.BatchNorm2d` with its running statistics.
    pub(crate) fn batch_norm(&self, name: &str, width: usize) -> Result<BatchNorm, CheckpointError> {
        let values = |part: &str| self.values(&format!("{name}.{part}"), &[width]);
        let counter = format!("{name}.num_batches_tracked");
        if self.has(&counter) {
            self.ignore(&counter);
        }
        let variance = values("running_var")?;
        if let Some(negative) = variance.iter().find(|v| **v < 0.0) {
            return Err(CheckpointError::Unsupported(format!(
                "tensor `{name}.running_var` contains {negative}; a variance cannot be negative"
            )));
        }
        Ok(BatchNorm {
            gain: values("weight")?,
            bias: values("bias")?,
            mean: values("running_mean")?,
            variance,
            eps: self.positive_attribute(&format!("{name}.eps"), BATCH_NORM_EPS, "eps of batch norms")?,
        })
    }

    /// Number of attention heads of `{block}.attn`, or the default if the checkpoint does not contain it.
    pub(crate) fn heads(&self, block: &str, dim: usize) -> Result<usize, CheckpointError> {
        let heads = self.positive_attribute(&format!("{block}.attn.num_heads"), NUM_HEADS, "attention heads")?;
        if heads.fract() != 0.0 || !dim.is_multiple_of(heads as usize) {
            return Err(CheckpointError::Unsupported(format!(
                "`{block}.attn`: {dim} channels cannot be divided among {heads} heads; set `num_heads` in the metadata \
                 of the file or in a `config.json` next to it"
            )));
        }
        Ok(heads as usize)
    }

    /// Value of an optional attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<f64> {
        self.checkpoint.attribute(name)
    }

    /// Number of parameters: the elements of all tensors except running statistics and the second copy of
    /// `conv2d_init`.
    pub(crate) fn parameters(&self) -> usize {
        let is_buffer =
            |name: &str| ["running_mean", "running_var", "num_batches_tracked"].iter().any(|end| name.ends_with(end));
        let has_copy = self.has("inception_model.conv2d_init.weight");
        self.checkpoint
            .tensors()
            .filter(|(name, _)| !(is_buffer(name) || has_copy && name.starts_with("inception_model.vis_inception.0.")))
            .map(|(_, tensor)| tensor.shape().iter().product::<usize>())
            .sum()
    }

    /// Accepts a tensor whose values are not used.
    pub(crate) fn ignore(&self, name: &str) {
        self.requested.borrow_mut().insert(name.to_owned());
    }

    /// Accepts all tensors whose names start with `prefix`, although they are not used.
    pub(crate) fn ignore_all(&self, prefix: &str) {
        for (name, _) in self.checkpoint.tensors().filter(|(name, _)| name.starts_with(prefix)) {
            self.ignore(name);
        }
    }

    /// Fails if the checkpoint has tensors that were never requested, because ignoring them would give plausible but
    /// wrong redshifts. Returns the assumed attributes.
    pub(crate) fn finish(self) -> Result<Vec<String>, CheckpointError> {
        let requested = self.requested.into_inner();
        let unknown: Vec<&str> =
            self.checkpoint.tensors().map(|(name, _)| name).filter(|name| !requested.contains(*name)).collect();
        match unknown.as_slice() {
            [] => Ok(self.assumed.into_inner().into_iter().collect()),
            [first, rest @ ..] => Err(CheckpointError::Unsupported(format!(
                "the checkpoint has the tensor `{first}`{}, which AstroMAE does not have; it may be another model",
                if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) }
            ))),
        }
    }

    fn find(&self, name: &str) -> Result<&'b Tensor, CheckpointError> {
        self.checkpoint.tensor(name).ok_or_else(|| CheckpointError::MissingTensor { name: name.to_owned() })
    }

    /// Value of a positive attribute. If it is missing, returns `default` and records it as assumed, under the name
    /// `what`.
    fn positive_attribute(&self, name: &str, default: f64, what: &str) -> Result<f64, CheckpointError> {
        match self.checkpoint.attribute(name) {
            Some(value) if value > 0.0 && value.is_finite() => Ok(value),
            Some(value) => Err(CheckpointError::Unsupported(format!(
                "attribute `{name}` is {value}; a positive number is expected"
            ))),
            None => {
                self.assumed.borrow_mut().insert(format!("{what}: {default}"));
                Ok(default)
            }
        }
    }
}
