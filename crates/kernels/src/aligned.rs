//! A vector of `f32` whose first element lies on a cache line.

const LINE_BYTES: usize = 64;

/// Fixed-length `f32` storage starting on a 64-byte boundary, so that full-width loads of packed weights never
/// straddle two cache lines.
#[derive(Debug)]
pub struct AlignedVec {
    storage: Vec<f32>,
    start: usize,
    len: usize,
}

impl AlignedVec {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> AlignedVec {
        let slack = LINE_BYTES / size_of::<f32>();
        let storage = vec![0.0; len + slack];
        let start = storage.as_ptr().align_offset(LINE_BYTES).min(slack);
        AlignedVec { storage, start, len }
    }
}

impl std::ops::Deref for AlignedVec {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl std::ops::DerefMut for AlignedVec {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.storage[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_on_a_cache_line_and_holds_its_length() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let vec = AlignedVec::zeroed(len);
            assert_eq!(vec.len(), len);
            assert_eq!(vec.as_ptr() as usize % LINE_BYTES, 0);
        }
    }
}
