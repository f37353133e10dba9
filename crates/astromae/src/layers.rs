//! [`Layers`]: reads the layers of a model from a checkpoint by name.
//!
//! Every tensor is requested with its expected shape, and the request is recorded. A checkpoint with a tensor that was
//! never requested is rejected.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use kernels::Weights;

use crate::checkpoint::{Checkpoint, CheckpointError, Stated, Tensor, TensorView};
use crate::config::StatedNumber;
use crate::fold::{Affine, BatchNorm, to_f32};
use crate::packing::Packing;

/// Values of AstroMAE for attributes that a state dict or a safetensors file may lack.
const LAYER_NORM_EPS: f64 = 1e-6;
const BATCH_NORM_EPS: f64 = 1e-5;
const NUM_HEADS: f64 = 12.0;

/// Prefixes of the names of large linear layers into which nothing is folded.
const NOT_FOLDED: [&str; 5] =
    ["concat_block.0", "vit_block.2", "inception_model.magnitude_block.", "magnitude_block.", "head_incept_mag.0"];

/// Reads layers from a checkpoint.
pub(crate) struct Layers<'a, 'b> {
    checkpoint: &'b Checkpoint<'a>,
    /// Names of the tensors that were requested.
    requested: RefCell<BTreeSet<String>>,
    /// Attributes that the checkpoint states, with their values and places.
    stated: RefCell<BTreeSet<StatedNumber>>,
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
            stated: RefCell::default(),
            assumed: RefCell::default(),
            packed: RefCell::default(),
            buffers: RefCell::default(),
        }
    }

    /// Returns true if the checkpoint has the tensor `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.checkpoint.tensor(name).is_some()
    }

    /// Returns true if the checkpoint has a tensor whose name starts with `prefix`.
    pub(crate) fn has_any(&self, prefix: &str) -> bool {
        self.checkpoint.tensors().any(|(name, _)| name.starts_with(prefix))
    }

    /// Error for a tensor that the checkpoint does not have.
    pub(crate) fn missing(&self, name: &str) -> CheckpointError {
        self.checkpoint.missing(name)
    }

    /// Shape of the tensor `name`. Fails if it is missing.
    pub(crate) fn shape(&self, name: &str) -> Result<&'b [usize], CheckpointError> {
        Ok(self.find(name)?.shape())
    }

    /// Values of the tensor `name`. Fails if it is missing or has another shape.
    pub(crate) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>, CheckpointError> {
        let tensor = self.request(name, shape)?;
        let (mut values, buffer) = (Vec::new(), &mut self.buffers.borrow_mut().bytes);
        let append = |view: &TensorView<'_>, values: &mut Vec<f64>| view.append_f64(values);
        self.checkpoint.append(tensor, append, buffer, &mut values).map_err(|error| error.in_tensor(name))?;
        check_finite(name, &values, |value| value.abs() <= f64::from(f32::MAX), |value| value)?;
        Ok(values)
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
        let append = |view: &TensorView<'_>, values: &mut Vec<f32>| view.append_f32(values);
        let weight_name = format!("{name}.weight");
        self.checkpoint.append(weight, append, bytes, values).map_err(|error| error.in_tensor(&weight_name))?;
        check_finite(&weight_name, values, |value| value.abs() <= f32::MAX, f64::from)?;
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
        let name = format!("{block}.attn.num_heads");
        let heads = self.positive_attribute(&name, NUM_HEADS, "attention heads")?;
        if self.checkpoint.stated(&name)?.is_none()
            && let Some((path, other)) = self.checkpoint.heads_elsewhere(heads)
        {
            return Err(CheckpointError::Unsupported(format!(
                "`{path}` is {other}, but it is at a place that is not read, and {heads} attention heads would be \
                 assumed; set `num_heads` in a `config.json` next to the file"
            )));
        }
        if heads.fract() != 0.0 || !dim.is_multiple_of(heads as usize) {
            return Err(CheckpointError::Unsupported(format!(
                "`{block}.attn`: {dim} channels cannot be divided among {heads} heads; set `num_heads` in a `config.json` \
                 next to the file"
            )));
        }
        Ok(heads as usize)
    }

    /// Factor of the queries of `{block}.attn`: its attribute `scale`, or 1/√(channels of a head).
    pub(crate) fn scale(&self, block: &str, head_dim: usize) -> Result<f64, CheckpointError> {
        let name = format!("{block}.attn.scale");
        match self.checkpoint.stated(&name)? {
            Some(stated) => self.positive(&name, &stated, "attention scale"),
            None => Ok((head_dim as f64).powf(-0.5)),
        }
    }

    /// Checks a flag of a module, such as `is_custom`, if the checkpoint states it.
    pub(crate) fn flag(&self, module: &str, name: &str, expected: bool) -> Result<(), CheckpointError> {
        let name = format!("{module}.{name}");
        match self.checkpoint.stated(&name)? {
            Some(stated) if stated.value != f64::from(u8::from(expected)) => Err(CheckpointError::Unsupported(
                format!("`{name}` is {}, but the shapes of the tensors fit only {}", stated.value != 0.0, expected),
            )),
            _ => Ok(()),
        }
    }

    /// Number of parameters: the elements of all tensors except running statistics and the second copy of
    /// `conv2d_init`.
    pub(crate) fn parameters(&self) -> usize {
        let is_buffer =
            |name: &str| ["running_mean", "running_var", "num_batches_tracked"].iter().any(|end| name.ends_with(end));
        let is_second_copy = |name: &str| {
            let path = name.strip_suffix("conv2d_init.weight").or(name.strip_suffix("conv2d_init.bias"));
            path.is_some_and(|path| self.has(&format!("{path}vis_inception.0.weight")))
        };
        self.checkpoint
            .tensors()
            .filter(|(name, _)| !(is_buffer(name) || is_second_copy(name)))
            .map(|(_, tensor)| tensor.shape().iter().product::<usize>())
            .sum()
    }

    /// Accepts the tensor `name`, which is a second copy of `other`, if it exists. Fails if their values differ.
    pub(crate) fn copy_of(&self, other: &str, name: &str) -> Result<(), CheckpointError> {
        if !self.has(name) {
            return Ok(());
        }
        let shape = self.shape(other)?;
        if self.values(name, shape)? != self.values(other, shape)? {
            return Err(CheckpointError::Unsupported(format!(
                "the tensors `{name}` and `{other}` differ, but they are one parameter in AstroMAE"
            )));
        }
        Ok(())
    }

    /// Accepts a tensor whose values are not used.
    fn ignore(&self, name: &str) {
        self.requested.borrow_mut().insert(name.to_owned());
    }

    /// Accepts all tensors whose names start with `prefix`, although they are not used.
    pub(crate) fn ignore_all(&self, prefix: &str) {
        for (name, _) in self.checkpoint.tensors().filter(|(name, _)| name.starts_with(prefix)) {
            self.ignore(name);
        }
    }

    /// Fails if the checkpoint has tensors that were never requested, because ignoring them would give plausible but
    /// wrong redshifts. Returns the attributes that the checkpoint states, and those that were assumed.
    pub(crate) fn finish(self) -> Result<(Vec<StatedNumber>, Vec<String>), CheckpointError> {
        let requested = self.requested.into_inner();
        let names = self.checkpoint.tensors().map(|(name, _)| name).chain(self.checkpoint.unreadable());
        let unknown: Vec<&str> = names.filter(|name| !requested.contains(*name)).collect();
        match unknown.as_slice() {
            [] => Ok((self.stated.into_inner().into_iter().collect(), self.assumed.into_inner().into_iter().collect())),
            [first, rest @ ..] => Err(CheckpointError::Unsupported(format!(
                "the checkpoint has the tensor `{first}`{}, which AstroMAE does not have; it may be another model",
                if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) }
            ))),
        }
    }

    fn find(&self, name: &str) -> Result<&'b Tensor, CheckpointError> {
        self.checkpoint.tensor(name).ok_or_else(|| self.checkpoint.missing(name))
    }

    /// Value of a positive attribute. If a state dict lacks it, returns `default` and records it as assumed, under the
    /// name `what`. A module has all its attributes, so one that it lacks has another name and maybe another meaning.
    fn positive_attribute(&self, name: &str, default: f64, what: &str) -> Result<f64, CheckpointError> {
        match self.checkpoint.stated(name)? {
            Some(stated) => self.positive(name, &stated, what),
            None if self.checkpoint.modules().is_some() => Err(CheckpointError::Module {
                path: name.to_owned(),
                found: "missing".to_owned(),
                expected: format!("a number ({what})"),
            }),
            None => {
                self.assumed.borrow_mut().insert(format!("{what}: {default}"));
                Ok(default)
            }
        }
    }

    /// Records an attribute that no checkpoint states.
    pub(crate) fn assume(&self, what: String) {
        self.assumed.borrow_mut().insert(what);
    }

    /// Checks that a stated number is positive, and records it under the name `what`.
    fn positive(&self, name: &str, stated: &Stated, what: &str) -> Result<f64, CheckpointError> {
        let Stated { value, place, origin } = stated;
        if !(*value > 0.0 && value.is_finite()) {
            return Err(CheckpointError::Unsupported(format!(
                "attribute `{name}` is {value}; a positive number is expected"
            )));
        }
        let (number, place, origin) = (format!("{what}: {value}"), place.clone(), origin.clone());
        self.stated.borrow_mut().insert(StatedNumber { number, place, origin });
        Ok(*value)
    }
}

/// Fails if a value is not finite, or too large for `f32`.
fn check_finite<T: Copy>(
    name: &str,
    values: &[T],
    is_finite: impl Fn(T) -> bool,
    to_f64: impl Fn(T) -> f64,
) -> Result<(), CheckpointError> {
    // Without a branch for each value, the compiler uses vectors.
    if values.iter().fold(true, |finite, value| finite & is_finite(*value)) {
        return Ok(());
    }
    let first = values.iter().find(|value| !is_finite(**value));
    Err(CheckpointError::NotFinite { name: name.to_owned(), value: first.map_or(f64::NAN, |value| to_f64(*value)) })
}
