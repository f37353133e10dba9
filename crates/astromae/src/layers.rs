//! Layers by their checkpoint names: each tensor is asked for with the shape it must have, and remembered, so that a
//! tensor nobody asked for can be refused.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use kernels::Weights;

use crate::checkpoint::{Checkpoint, CheckpointError, Tensor};
use crate::fold::{Affine, BatchNorm, to_f32};
use crate::packing::Packing;

/// What a state dict and a safetensors file may leave out, as AstroMAE was trained.
const LAYER_NORM_EPS: f64 = 1e-6;
const BATCH_NORM_EPS: f64 = 1e-5;
const NUM_HEADS: f64 = 12.0;

/// How the names of the large layers start that nothing is folded into.
const PLAIN: [&str; 3] = ["concat_block.0", "vit_block.2", "inception_model.magnitude_block."];

/// Reads layers from a checkpoint.
pub(crate) struct Layers<'a, 'b> {
    checkpoint: &'b Checkpoint<'a>,
    read: RefCell<BTreeSet<String>>,
    assumed: RefCell<BTreeSet<String>>,
    /// Layers packed ahead, until they are asked for.
    packed: RefCell<BTreeMap<String, Weights>>,
    /// Memory of one tensor after another: fresh memory costs more than what is done with it here.
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
            read: RefCell::default(),
            assumed: RefCell::default(),
            packed: RefCell::default(),
            buffers: RefCell::default(),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.checkpoint.tensor(name).is_some()
    }

    /// The shape of a tensor that must be there.
    pub(crate) fn shape(&self, name: &str) -> Result<&'b [usize], CheckpointError> {
        Ok(self.find(name)?.shape())
    }

    /// The values of a tensor that must be there and of this shape.
    pub(crate) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>, CheckpointError> {
        let tensor = self.take(name, shape)?;
        let (mut values, buffer) = (Vec::new(), &mut self.buffers.borrow_mut().bytes);
        let appended = self.checkpoint.append(tensor, |view, values| view.append_f64(values), buffer, &mut values);
        appended.map(|()| values).map_err(|error| error.in_tensor(name))
    }

    /// A linear layer that nothing is folded into, packed as it is: without the detour through `f64`, which for the
    /// largest layers would cost more time and memory at the start than anything else.
    pub(crate) fn packed_linear(&self, name: &str, k: usize, packing: Packing) -> Result<Weights, CheckpointError> {
        let n = self.shape(&format!("{name}.weight"))?.first().copied().unwrap_or(0);
        let weight = self.take(&format!("{name}.weight"), &[n, k])?;
        let bias = self.values(&format!("{name}.bias"), &[n])?;
        if let Some(packed) = self.packed.borrow_mut().remove(name) {
            return Ok(packed);
        }
        let Buffers { bytes, values } = &mut *self.buffers.borrow_mut();
        values.clear();
        let appended = self.checkpoint.append(weight, |view, values| view.append_f32(values), bytes, values);
        appended.map_err(|error| error.in_tensor(&format!("{name}.weight")))?;
        Ok(Weights::pack(packing.isa, packing.of_rows(n, k), (n, k), k, values, &to_f32(&bias)))
    }

    /// Packs the linear layers that [`packed_linear`](Self::packed_linear) will be asked for, as far as they are sound:
    /// what is wrong with others is said when they are asked for.
    pub(crate) fn pack_ahead(checkpoint: &Checkpoint<'_>, packing: Packing) -> BTreeMap<String, Weights> {
        let layers = Layers::new(checkpoint);
        let names = checkpoint.tensors().filter_map(|(name, tensor)| {
            let name = name.strip_suffix(".weight").filter(|name| PLAIN.iter().any(|start| name.starts_with(start)))?;
            Some((name, *tensor.shape().get(1)?))
        });
        names.filter_map(|(name, k)| Some((name.to_owned(), layers.packed_linear(name, k, packing).ok()?))).collect()
    }

    /// Takes what [`pack_ahead`](Self::pack_ahead) packed.
    pub(crate) fn adopt(&mut self, packed: BTreeMap<String, Weights>) {
        self.packed = RefCell::new(packed);
    }

    /// A tensor that must be there and of this shape, noted as used.
    fn take(&self, name: &str, shape: &[usize]) -> Result<&'b Tensor, CheckpointError> {
        let tensor = self.find(name)?;
        if tensor.shape().contains(&0) {
            return Err(CheckpointError::Unsupported(format!("tensor `{name}` of shape {shape:?} holds no values")));
        }
        if tensor.shape() != shape {
            return Err(CheckpointError::Shape {
                name: name.to_owned(),
                expected: shape.to_vec(),
                found: tensor.shape().to_vec(),
            });
        }
        self.read.borrow_mut().insert(name.to_owned());
        Ok(tensor)
    }

    /// `torch.nn.Linear`: `{name}.weight` (n, k) and `{name}.bias` (n); n is the checkpoint's.
    pub(crate) fn linear(&self, name: &str, k: usize) -> Result<Affine, CheckpointError> {
        let n = self.shape(&format!("{name}.weight"))?.first().copied().unwrap_or(0);
        self.window(name, n, &[k])
    }

    /// `torch.nn.Conv2d` without groups, as a map of (input, window line, window column).
    pub(crate) fn convolution(&self, name: &str, inputs: usize, window: usize) -> Result<Affine, CheckpointError> {
        let n = self.shape(&format!("{name}.weight"))?.first().copied().unwrap_or(0);
        self.window(name, n, &[inputs, window, window])
    }

    /// `{name}.weight` (n, shape…) and `{name}.bias` (n).
    pub(crate) fn window(&self, name: &str, n: usize, shape: &[usize]) -> Result<Affine, CheckpointError> {
        let full: Vec<usize> = [n].iter().chain(shape).copied().collect();
        let weight = self.values(&format!("{name}.weight"), &full)?;
        let bias = self.values(&format!("{name}.bias"), &[n])?;
        Ok(Affine::new(n, shape.iter().product(), weight, bias))
    }

    /// Gain and bias of a `torch.nn.LayerNorm`, and its eps.
    pub(crate) fn layer_norm(&self, name: &str, width: usize) -> Result<(Vec<f64>, Vec<f64>, f64), CheckpointError> {
        let gain = self.values(&format!("{name}.weight"), &[width])?;
        let bias = self.values(&format!("{name}.bias"), &[width])?;
        let eps = self.positive(&format!("{name}.eps"), LAYER_NORM_EPS, "layer norms' eps")?;
        Ok((gain, bias, eps))
    }

    /// `torch.nn.BatchNorm2d` with its running statistics.
    pub(crate) fn batch_norm(&self, name: &str, width: usize) -> Result<BatchNorm, CheckpointError> {
        let values = |part: &str| self.values(&format!("{name}.{part}"), &[width]);
        let counter = format!("{name}.num_batches_tracked");
        if self.has(&counter) {
            self.ignore(&counter);
        }
        let variance = values("running_var")?;
        if let Some(negative) = variance.iter().find(|v| **v < 0.0) {
            return Err(CheckpointError::Unsupported(format!("`{name}.running_var` holds {negative}, below zero")));
        }
        Ok(BatchNorm {
            gain: values("weight")?,
            bias: values("bias")?,
            mean: values("running_mean")?,
            variance,
            eps: self.positive(&format!("{name}.eps"), BATCH_NORM_EPS, "batch norms' eps")?,
        })
    }

    /// Attention heads of `{block}.attn`.
    pub(crate) fn heads(&self, block: &str, dim: usize) -> Result<usize, CheckpointError> {
        let heads = self.positive(&format!("{block}.attn.num_heads"), NUM_HEADS, "attention heads")?;
        if heads.fract() != 0.0 || !dim.is_multiple_of(heads as usize) {
            return Err(CheckpointError::Unsupported(format!(
                "`{block}.attn`: {heads} heads do not divide the {dim} channels; state `num_heads` in the file's \
                 metadata or in a config.json beside it"
            )));
        }
        Ok(heads as usize)
    }

    /// An attribute that the checkpoint may leave out.
    pub(crate) fn attribute(&self, name: &str) -> Option<f64> {
        self.checkpoint.attribute(name)
    }

    /// Parameters: every tensor but running statistics and the second name of `conv2d_init`.
    pub(crate) fn parameters(&self) -> usize {
        let buffer =
            |name: &str| ["running_mean", "running_var", "num_batches_tracked"].iter().any(|end| name.ends_with(end));
        let twice = self.has("inception_model.conv2d_init.weight");
        self.checkpoint
            .tensors()
            .filter(|(name, _)| !(buffer(name) || twice && name.starts_with("inception_model.vis_inception.0.")))
            .map(|(_, tensor)| tensor.shape().iter().product::<usize>())
            .sum()
    }

    /// Marks a tensor as known although its values are not used.
    pub(crate) fn ignore(&self, name: &str) {
        self.read.borrow_mut().insert(name.to_owned());
    }

    /// Marks every tensor whose name starts with `prefix` as known although not used.
    pub(crate) fn ignore_all(&self, prefix: &str) {
        for (name, _) in self.checkpoint.tensors().filter(|(name, _)| name.starts_with(prefix)) {
            self.ignore(name);
        }
    }

    /// Refuses a checkpoint that holds tensors which no layer asked for: computing without them would give plausible
    /// wrong redshifts. Returns what had to be assumed.
    pub(crate) fn finish(self) -> Result<Vec<String>, CheckpointError> {
        let read = self.read.into_inner();
        let unknown: Vec<&str> =
            self.checkpoint.tensors().map(|(name, _)| name).filter(|name| !read.contains(*name)).collect();
        match unknown.as_slice() {
            [] => Ok(self.assumed.into_inner().into_iter().collect()),
            [first, rest @ ..] => Err(CheckpointError::Unsupported(format!(
                "the checkpoint holds `{first}`{}, which AstroMAE has no use for",
                if rest.is_empty() { String::new() } else { format!(" and {} more tensors", rest.len()) }
            ))),
        }
    }

    fn find(&self, name: &str) -> Result<&'b Tensor, CheckpointError> {
        self.checkpoint.tensor(name).ok_or_else(|| CheckpointError::MissingTensor { name: name.to_owned() })
    }

    fn positive(&self, name: &str, default: f64, what: &str) -> Result<f64, CheckpointError> {
        match self.checkpoint.attribute(name) {
            Some(value) if value > 0.0 && value.is_finite() => Ok(value),
            Some(value) => Err(CheckpointError::Unsupported(format!("`{name}` is {value}, not a positive number"))),
            None => {
                self.assumed.borrow_mut().insert(format!("{what}: {default}"));
                Ok(default)
            }
        }
    }
}
