//! [`AlignedVec`]: a vector that starts on a cache line.

const LINE_BYTES: usize = 64;

/// Vector of fixed length that starts on a 64-byte boundary. A full-width load of packed weights then never spans two
/// cache lines.
#[derive(Debug)]
pub struct AlignedVec<T> {
    storage: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> AlignedVec<T> {
    /// Allocates `len` zeros.
    pub fn zeroed(len: usize) -> AlignedVec<T> {
        let slack = LINE_BYTES / size_of::<T>();
        let storage = vec![T::default(); len + slack];
        let start = storage.as_ptr().align_offset(LINE_BYTES).min(slack);
        AlignedVec { storage, start, len }
    }
}

impl<T> AlignedVec<T> {
    /// Total size of the elements in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.len * size_of::<T>()
    }
}

impl<T> std::ops::Deref for AlignedVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl<T> std::ops::DerefMut for AlignedVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.storage[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_aligned<T: Copy + Default>() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let vec = AlignedVec::<T>::zeroed(len);
            assert_eq!(vec.len(), len);
            assert_eq!(vec.bytes(), len * size_of::<T>());
            assert_eq!(vec.as_ptr() as usize % LINE_BYTES, 0);
        }
    }

    #[test]
    fn starts_on_a_cache_line_and_holds_its_length() {
        assert_aligned::<f32>();
        assert_aligned::<u16>();
        assert_aligned::<i8>();
    }
}
