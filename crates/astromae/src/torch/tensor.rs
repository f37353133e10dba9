//! [`TensorSpec`]: validates the layout of a pickled tensor.
//!
//! The elements of a [`TensorSpec`] are inside its storage for any strides. A reader only needs to check that the
//! storage has all its bytes.

use super::TorchError;
use super::pickle::{Node, Pickle, Value};

/// Largest number of dimensions of a tensor. The weight of a convolution has four.
pub const MAX_DIMENSIONS: usize = 8;
/// Largest length of a storage key, in bytes. PyTorch numbers storages from `0`.
pub const MAX_KEY_BYTES: usize = 64;

/// Type of the elements of a tensor. They are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE double.
    F64,
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// bfloat16: the upper half of an IEEE single.
    Bf16,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// 16-bit integer.
    I16,
    /// 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl Dtype {
    /// Size of one element in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Name in PyTorch, such as `float32` for `torch.float32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "float64",
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::I16 => "int16",
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::Bool => "bool",
        }
    }

    /// Name of the storage class in pickles, in the module `torch`.
    pub fn storage_class(self) -> &'static str {
        match self {
            Self::F64 => "DoubleStorage",
            Self::F32 => "FloatStorage",
            Self::F16 => "HalfStorage",
            Self::Bf16 => "BFloat16Storage",
            Self::I64 => "LongStorage",
            Self::I32 => "IntStorage",
            Self::I16 => "ShortStorage",
            Self::I8 => "CharStorage",
            Self::U8 => "ByteStorage",
            Self::Bool => "BoolStorage",
        }
    }

    /// Type of the elements of a storage class, or `None` if it is not supported (complex, quantised).
    pub fn from_storage_class(name: &str) -> Option<Self> {
        const ALL: [Dtype; 10] = [
            Dtype::F64,
            Dtype::F32,
            Dtype::F16,
            Dtype::Bf16,
            Dtype::I64,
            Dtype::I32,
            Dtype::I16,
            Dtype::I8,
            Dtype::U8,
            Dtype::Bool,
        ];
        ALL.into_iter().find(|dtype| dtype.storage_class() == name)
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Layout of a tensor in a storage. All its elements are inside the storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Type of the elements.
    pub dtype: Dtype,
    /// Key of the storage, which is the entry `data/KEY` of the archive.
    pub storage: String,
    /// Number of elements of the storage.
    pub storage_elements: u64,
    /// Index of the first element in the storage.
    pub offset: u64,
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// Distance in elements from one index to the next, for each dimension.
    pub strides: Vec<usize>,
}

impl TensorSpec {
    /// Returns true if `value` is a pickled tensor or parameter.
    pub fn is_tensor(pickle: &Pickle<'_>, value: Value<'_>) -> bool {
        let Value::Node(id) = value else { return false };
        match pickle.node(id) {
            Node::Call(call) => matches!(
                (call.module, call.name),
                ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_parameter" | "_rebuild_parameter_with_state")
                    | ("torch._tensor", "_rebuild_from_type_v2")
            ),
            _ => false,
        }
    }

    /// Reads and validates a pickled tensor or parameter.
    ///
    /// # Errors
    /// If the dtype, storage, offset, shape or strides are wrong or not supported; the message names which.
    pub fn from_pickle<'p>(pickle: &Pickle<'p>, value: Value<'p>) -> Result<Self, TorchError> {
        let found = || TorchError::malformed(format!("a tensor is expected, but {} was found", pickle.describe(value)));
        let arguments = tensor_arguments(pickle, value).ok_or_else(found)?;
        let &[storage, offset, shape, strides, _requires_grad, _hooks, ref rest @ ..] = arguments else {
            return Err(TorchError::malformed(format!(
                "a pickled tensor has {} arguments; at least 6 are expected",
                arguments.len()
            )));
        };
        // The seventh argument marks tensors whose values are the negatives or conjugates of the stored elements.
        let plain = |&value| matches!(value, Value::None) || pickle.items(value).is_some_and(<[_]>::is_empty);
        if !rest.iter().all(plain) {
            return Err(TorchError::unsupported(
                "the tensor is a lazy negative or conjugate; call `resolve_neg()` or `resolve_conj()` before saving it",
            ));
        }
        let (dtype, storage, storage_elements) = storage_id(pickle, storage)?;
        let spec = Self {
            dtype,
            storage,
            storage_elements,
            offset: count(offset)
                .ok_or_else(|| TorchError::malformed("the offset of a tensor is negative or not an integer"))?,
            shape: counts(pickle, shape).ok_or_else(|| {
                TorchError::malformed(format!(
                    "the shape of a tensor has negative values, values that are not integers, or more than \
                     {MAX_DIMENSIONS} dimensions"
                ))
            })?,
            strides: counts(pickle, strides).ok_or_else(|| {
                TorchError::malformed(format!(
                    "the strides of a tensor have negative values, values that are not integers, or more than \
                     {MAX_DIMENSIONS} dimensions"
                ))
            })?,
        };
        spec.check()?;
        Ok(spec)
    }

    /// Number of elements of the tensor (not of its storage).
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of elements in the storage from the first to the last element of the tensor, 0 if the tensor is empty.
    pub fn span(&self) -> u64 {
        span(&self.shape, &self.strides).expect("`from_pickle` has checked the span")
    }

    /// Checks that the entry of the storage has the size of its elements.
    ///
    /// # Errors
    /// If the sizes differ; the message contains both.
    pub fn check_storage_bytes(&self, entry_bytes: u64) -> Result<(), TorchError> {
        let expected = self.storage_elements.checked_mul(self.dtype.bytes() as u64);
        if expected == Some(entry_bytes) {
            return Ok(());
        }
        Err(TorchError::malformed(format!(
            "storage `{}` should have {} {} elements, but has {entry_bytes} bytes in the archive",
            self.storage, self.storage_elements, self.dtype
        )))
    }

    fn check(&self) -> Result<(), TorchError> {
        if self.shape.len() != self.strides.len() {
            return Err(TorchError::malformed(format!(
                "a tensor of {} dimensions has {} strides",
                self.shape.len(),
                self.strides.len()
            )));
        }
        let outside = || {
            TorchError::malformed(format!(
                "a tensor of shape {:?}, strides {:?} and offset {} leaves its storage of {} elements",
                self.shape, self.strides, self.offset, self.storage_elements
            ))
        };
        let fits = || {
            self.shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length))?;
            let end = self.offset.checked_add(span(&self.shape, &self.strides)?)?;
            Some(end <= self.storage_elements)
        };
        if fits() == Some(true) { Ok(()) } else { Err(outside()) }
    }
}

/// Number of elements in memory from the first to the last element of a tensor. It is 0 if the tensor is empty, and
/// `None` if it overflows.
pub fn span(shape: &[usize], strides: &[usize]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    let mut last = 0_u64;
    for (&length, &stride) in shape.iter().zip(strides) {
        last = last.checked_add((length as u64 - 1).checked_mul(stride as u64)?)?;
    }
    last.checked_add(1)
}

/// Arguments of `_rebuild_tensor_v2`, for a tensor or for the tensor inside a parameter.
fn tensor_arguments<'a, 'p>(pickle: &'a Pickle<'p>, value: Value<'p>) -> Option<&'a [Value<'p>]> {
    let call = pickle.call(value)?;
    let arguments = pickle.tuple(call.arguments)?;
    match (call.module, call.name) {
        ("torch._utils", "_rebuild_tensor_v2") => Some(arguments),
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            let inner = pickle.call(*arguments.first()?)?;
            // A parameter contains a tensor, never another parameter, so there is no recursion.
            inner.is("torch._utils", "_rebuild_tensor_v2").then(|| pickle.tuple(inner.arguments))?
        }
        // A tensor with Python attributes has the arguments function, type, arguments, attributes.
        ("torch._tensor", "_rebuild_from_type_v2") => match arguments {
            &[Value::Global("torch._utils", "_rebuild_tensor_v2"), _, arguments, _] => pickle.tuple(arguments),
            _ => None,
        },
        _ => None,
    }
}

/// Reads the dtype, key and number of elements of a storage, which is pickled as
/// `("storage", torch.FloatStorage, key, location, elements)`.
fn storage_id<'p>(pickle: &Pickle<'p>, value: Value<'p>) -> Result<(Dtype, String, u64), TorchError> {
    let malformed = || TorchError::malformed("a tensor has no valid storage");
    let Value::Node(id) = value else {
        return Err(malformed());
    };
    let Node::Persistent(id) = pickle.node(id) else {
        return Err(malformed());
    };
    let Some(&[Value::Str("storage"), Value::Global("torch", class), Value::Str(key), Value::Str(_), elements]) =
        pickle.tuple(*id)
    else {
        return Err(malformed());
    };
    if key.len() > MAX_KEY_BYTES {
        return Err(malformed());
    }
    let dtype = Dtype::from_storage_class(class)
        .ok_or_else(|| TorchError::unsupported(format!("tensors of type `torch.{class}` are not supported")))?;
    let elements = count(elements).ok_or_else(malformed)?;
    Ok((dtype, key.to_owned(), elements))
}

fn count(value: Value<'_>) -> Option<u64> {
    match value {
        Value::Int(int) => u64::try_from(int).ok(),
        _ => None,
    }
}

fn counts<'p>(pickle: &Pickle<'p>, value: Value<'p>) -> Option<Vec<usize>> {
    let items = pickle.sequence(value)?;
    if items.len() > MAX_DIMENSIONS {
        return None;
    }
    items.iter().map(|&item| usize::try_from(count(item)?).ok()).collect()
}
