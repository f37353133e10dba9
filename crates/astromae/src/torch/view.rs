//! [`TensorView`]: decodes the elements of a tensor in row-major order.

use half::{bf16, f16};

use super::tensor::span;
use super::{Dtype, TorchError};

/// Tensor with any strides, in the bytes of a file.
#[derive(Clone)]
pub struct TensorView<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    strides: Vec<usize>,
    /// Bytes from the first element of the tensor on.
    data: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// Makes a view of a tensor whose first element is at the start of `data`. `strides` are in elements.
    ///
    /// # Errors
    /// If the last element is outside `data`.
    pub fn new(dtype: Dtype, shape: Vec<usize>, strides: Vec<usize>, data: &'a [u8]) -> Result<Self, TorchError> {
        let stored = (data.len() / dtype.bytes()) as u64;
        let countable = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
        let span = span(&shape, &strides).filter(|_| countable.is_some() && shape.len() == strides.len());
        if span.is_none_or(|span| span > stored) {
            return Err(TorchError::malformed(format!(
                "a tensor of shape {shape:?} and strides {strides:?} does not fit into {stored} {dtype} elements"
            )));
        }
        Ok(Self { dtype, shape, strides, data })
    }

    /// Length of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Type of the elements in the file.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Size of all elements in bytes. An element that several indices share is counted for each index.
    pub fn bytes(&self) -> usize {
        self.elements().saturating_mul(self.dtype.bytes())
    }

    /// Returns the values in row-major order. They are exact, except for integers beyond 2⁵³.
    pub fn to_f64(&self) -> Vec<f64> {
        let mut values = Vec::new();
        self.append_f64(&mut values);
        values
    }

    /// Returns the values in row-major order, rounded to the nearest `f32`.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut values = Vec::new();
        self.append_f32(&mut values);
        values
    }

    /// Appends the values that [`TensorView::to_f64`] returns.
    pub fn append_f64(&self, values: &mut Vec<f64>) {
        match self.dtype {
            Dtype::F64 => self.gather(values, f64::from_le_bytes),
            Dtype::F32 => self.gather(values, |bytes| f64::from(f32::from_le_bytes(bytes))),
            Dtype::F16 => self.gather(values, |bytes| f16::from_le_bytes(bytes).to_f64()),
            Dtype::Bf16 => self.gather(values, |bytes| bf16::from_le_bytes(bytes).to_f64()),
            Dtype::I64 => self.gather(values, |bytes| i64::from_le_bytes(bytes) as f64),
            Dtype::I32 => self.gather(values, |bytes| f64::from(i32::from_le_bytes(bytes))),
            Dtype::I16 => self.gather(values, |bytes| f64::from(i16::from_le_bytes(bytes))),
            Dtype::I8 => self.gather(values, |bytes| f64::from(i8::from_le_bytes(bytes))),
            Dtype::U8 => self.gather(values, |[byte]| f64::from(byte)),
            Dtype::Bool => self.gather(values, |[byte]| f64::from(u8::from(byte != 0))),
        }
    }

    /// Appends the values that [`TensorView::to_f32`] returns.
    pub fn append_f32(&self, values: &mut Vec<f32>) {
        match self.dtype {
            Dtype::F64 => self.gather(values, |bytes| f64::from_le_bytes(bytes) as f32),
            Dtype::F32 => self.gather(values, f32::from_le_bytes),
            Dtype::F16 => self.gather(values, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Dtype::Bf16 => self.gather(values, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            Dtype::I64 => self.gather(values, |bytes| i64::from_le_bytes(bytes) as f32),
            Dtype::I32 => self.gather(values, |bytes| i32::from_le_bytes(bytes) as f32),
            Dtype::I16 => self.gather(values, |bytes| f32::from(i16::from_le_bytes(bytes))),
            Dtype::I8 => self.gather(values, |bytes| f32::from(i8::from_le_bytes(bytes))),
            Dtype::U8 => self.gather(values, |[byte]| f32::from(byte)),
            Dtype::Bool => self.gather(values, |[byte]| f32::from(u8::from(byte != 0))),
        }
    }

    /// Returns the bytes of the elements in row-major order, little-endian.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match self.dtype.bytes() {
            8 => self.gather_bytes::<8>(),
            4 => self.gather_bytes::<4>(),
            2 => self.gather_bytes::<2>(),
            _ => self.gather_bytes::<1>(),
        }
    }

    fn gather_bytes<const N: usize>(&self) -> Vec<u8> {
        let mut elements: Vec<[u8; N]> = Vec::new();
        self.gather(&mut elements, |bytes| bytes);
        elements.into_flattened()
    }

    /// Decodes every element, `N` bytes wide, in row-major order.
    fn gather<T, const N: usize>(&self, values: &mut Vec<T>, decode: impl Fn([u8; N]) -> T) {
        let elements = self.elements();
        let (stored, _) = self.data.as_chunks::<N>();
        values.reserve(elements);
        if self.strides == row_major_strides(&self.shape) {
            values.extend(stored[..elements].iter().map(|&bytes| decode(bytes)));
            return;
        }
        let mut index = vec![0; self.shape.len()];
        let mut at = 0;
        for _ in 0..elements {
            values.push(decode(stored[at]));
            // Increments the index like an odometer: the last axis runs fastest and carries into the one before it.
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= self.strides[axis] * index[axis];
                index[axis] = 0;
            }
        }
    }
}

impl std::fmt::Debug for TensorView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TensorView({} {:?})", self.dtype, self.shape)
    }
}

/// Appends float32 values in little-endian order.
pub fn encode_f32(values: &[f32], bytes: &mut Vec<u8>) {
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

/// Appends float64 values in little-endian order.
pub fn encode_f64(values: &[f64], bytes: &mut Vec<u8>) {
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

/// Strides, in elements, of a tensor in row-major order without gaps.
pub fn row_major_strides(shape: &[usize]) -> Vec<usize> {
    // The multiplication saturates only for empty tensors, whose strides are not used.
    let mut strides = vec![1_usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage() -> Vec<u8> {
        (0..12_u8).flat_map(|value| f32::from(value).to_le_bytes()).collect()
    }

    #[test]
    fn gathers_any_strides_in_row_major_order() {
        let storage = storage();
        let gathered = |offset: usize, shape: &[usize], strides: &[usize]| {
            let data = &storage[4 * offset..];
            TensorView::new(Dtype::F32, shape.to_vec(), strides.to_vec(), data).unwrap().to_f32()
        };
        assert_eq!(gathered(0, &[3, 4], &[4, 1])[..5], [0., 1., 2., 3., 4.]);
        assert_eq!(gathered(0, &[4, 3], &[1, 4])[..5], [0., 4., 8., 1., 5.]);
        assert_eq!(gathered(5, &[2, 2], &[3, 2]), [5., 7., 8., 10.]);
        assert_eq!(gathered(2, &[2, 3], &[0, 1]), [2., 3., 4., 2., 3., 4.]);
        assert_eq!(gathered(7, &[], &[]), [7.]);
        assert_eq!(gathered(12, &[0, 3], &[3, 1]), [0.; 0]);
    }

    #[test]
    fn decodes_every_type() {
        let one = |dtype, bytes: &[u8]| TensorView::new(dtype, vec![], vec![], bytes).unwrap().to_f64()[0];
        assert_eq!(one(Dtype::F64, &(-1.5_f64).to_le_bytes()), -1.5);
        assert_eq!(one(Dtype::F16, &[0x00, 0xc0]), -2.0);
        assert_eq!(one(Dtype::Bf16, &[0x80, 0x3f]), 1.0);
        assert_eq!(one(Dtype::I64, &(-3_i64).to_le_bytes()), -3.0);
        assert_eq!(one(Dtype::I32, &(-3_i32).to_le_bytes()), -3.0);
        assert_eq!(one(Dtype::I16, &(-3_i16).to_le_bytes()), -3.0);
        assert_eq!(one(Dtype::I8, &[0xff]), -1.0);
        assert_eq!(one(Dtype::U8, &[0xff]), 255.0);
        assert_eq!(one(Dtype::Bool, &[1]), 1.0);
        let half = TensorView::new(Dtype::F16, vec![], vec![], &[0x00, 0x3c]).unwrap();
        assert_eq!(half.to_f32(), [1.0]);
    }

    #[test]
    fn rejects_layouts_outside_the_data() {
        let storage = storage();
        let rejected = |shape: &[usize], strides: &[usize]| {
            TensorView::new(Dtype::F32, shape.to_vec(), strides.to_vec(), &storage).is_err()
        };
        assert!(!rejected(&[3, 4], &[4, 1]));
        assert!(rejected(&[13], &[1]));
        assert!(rejected(&[2], &[12]));
        assert!(rejected(&[2, 2], &[1]));
        assert!(rejected(&[usize::MAX, 2], &[usize::MAX, 1]));
        assert!(rejected(&[usize::MAX, 2], &[0, 0]));
        assert!(!rejected(&[0, usize::MAX, 2], &[0, 0, 0]));
    }
}
