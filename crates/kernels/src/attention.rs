//! Softmax attention within each image, for the few tokens of a small transformer: neighbouring lanes are neighbouring
//! heads.
//!
//! Scores, softmax and weighted sums of a vector of heads are then whole vectors read as they lie: nothing is
//! transposed and almost nothing is summed across lanes. Heads that fill no vector (12 heads are 8 and 4 where a vector
//! has 8 lanes) share theirs with further values of the same heads. [`AttentionShape::order`] is the order of values
//! that this takes; whoever makes q, k and v and reads the output puts weights into that order, once.

use crate::activation::exp;
use crate::isa::Isa;
use crate::simd::{Kernel, LANES_MAX, Simd, dispatch, lanes};

/// Queries that go through the keys together: each key loaded serves all of them.
const QUERIES: usize = 3;

/// Keys that a tile of scores, and vectors of values that a tile of weighted sums, takes at most: with [`QUERIES`],
/// twelve sums in sixteen registers.
const TILE: usize = 4;

/// Sizes of an attention: each image has `tokens` rows of q, k and v, each of `heads` × `head_dim` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Rows per image, the class token included.
    pub tokens: usize,
    /// Heads.
    pub heads: usize,
    /// Values per head.
    pub head_dim: usize,
}

impl AttentionShape {
    /// What lies where in a row of q, k, v or output on `isa`: value `head · head_dim + d`, or nothing. Where a row of
    /// q, k or v holds nothing it must hold 0, and so will the output.
    pub fn order(&self, isa: Isa) -> Vec<Option<usize>> {
        let lanes = lanes(isa);
        let mut order = Vec::new();
        for part in self.parts(lanes) {
            for slot in 0..part.vectors * lanes {
                let (d, head) = (slot / part.heads, part.first_head + slot % part.heads);
                order.push((d < self.head_dim).then_some(head * self.head_dim + d));
            }
        }
        order
    }

    /// Values of a row of q, k, v or output on `isa`: the length of [`AttentionShape::order`].
    pub fn width(&self, isa: Isa) -> usize {
        let lanes = lanes(isa);
        self.parts(lanes).map(|part| part.vectors * lanes).sum()
    }

    /// Splits the heads into powers of two that fit a vector.
    fn parts(&self, lanes: usize) -> impl Iterator<Item = Part> {
        let AttentionShape { heads, head_dim, .. } = *self;
        let (mut first_head, mut first) = (0, 0);
        std::iter::from_fn(move || {
            let left = heads - first_head;
            let heads = lanes.min(1 << left.checked_ilog2()?);
            let vectors = head_dim.div_ceil(lanes / heads);
            let part = Part { first_head, heads, first, vectors };
            first_head += heads;
            first += vectors * lanes;
            Some(part)
        })
    }
}

/// Heads that share vectors: (d, head) in `vectors` whole vectors from value `first` of a row on.
#[derive(Clone, Copy)]
struct Part {
    first_head: usize,
    heads: usize,
    first: usize,
    vectors: usize,
}

/// `output = softmax(q·kᵀ)·v` per image and head. `qkv` is (images, tokens, 3, width) with q already scaled; `output` is
/// (images, tokens, width), both in [`AttentionShape::order`]; `scratch` has at least [`attention_scratch_len`] values.
///
/// # Panics
/// Where the lengths do not fit each other.
pub fn attention(isa: Isa, shape: AttentionShape, qkv: &[f32], scratch: &mut [f32], output: &mut [f32]) {
    let width = shape.width(isa);
    assert!(width > 0 && shape.tokens > 0, "an attention without values");
    assert!(output.len().is_multiple_of(shape.tokens * width), "output is not whole images");
    assert_eq!(qkv.len(), 3 * output.len(), "qkv is not three times the output");
    assert!(scratch.len() >= attention_scratch_len(shape), "scratch is too small");
    dispatch(isa, Attention { shape, width, qkv, scratch, output });
}

/// Values of scratch that [`attention`] needs, whatever the instruction set.
pub fn attention_scratch_len(shape: AttentionShape) -> usize {
    QUERIES * shape.tokens * LANES_MAX
}

struct Attention<'a> {
    shape: AttentionShape,
    width: usize,
    qkv: &'a [f32],
    scratch: &'a mut [f32],
    output: &'a mut [f32],
}

impl Kernel for Attention<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (tokens, width) = (self.shape.tokens, self.width);
        let images = self.qkv.chunks_exact(tokens * 3 * width).zip(self.output.chunks_exact_mut(tokens * width));
        for (qkv, output) in images {
            for part in self.shape.parts(S::LANES) {
                for query in (0..tokens).step_by(QUERIES) {
                    let weights = self.scratch.as_mut_ptr();
                    let at =
                        Strip { tokens, width, part, query, qkv: qkv.as_ptr(), weights, output: output.as_mut_ptr() };
                    // SAFETY: a row has the part's vectors from its first value on, q, k and v lie `width` apart in
                    // rows of 3·width, and there are `tokens` rows in qkv and output; `attention` asserted that the
                    // scratch has a vector for each of these queries and all keys.
                    unsafe {
                        match tokens - query {
                            1 => at.run::<S, 1>(s),
                            2 => at.run::<S, 2>(s),
                            _ => at.run::<S, QUERIES>(s),
                        }
                    }
                }
            }
        }
    }
}

/// A few queries of an image against all its keys, for one part of the heads.
struct Strip {
    tokens: usize,
    width: usize,
    part: Part,
    /// The first query.
    query: usize,
    qkv: *const f32,
    /// (key, query, lane)
    weights: *mut f32,
    output: *mut f32,
}

impl Strip {
    /// # Safety
    /// Behind the pointers lie `tokens` rows of qkv and output, Q queries among them from `query` on, and tokens × Q
    /// vectors of weights.
    #[inline(always)]
    unsafe fn run<S: Simd, const Q: usize>(&self, s: S) {
        // SAFETY: handed on from the caller; tiles cover every key and every vector of the part once.
        unsafe {
            for (key, keys) in tiles(self.tokens) {
                match keys {
                    1 => self.scores::<S, Q, 1>(s, key),
                    2 => self.scores::<S, Q, 2>(s, key),
                    3 => self.scores::<S, Q, 3>(s, key),
                    _ => self.scores::<S, Q, TILE>(s, key),
                }
            }
            let scale = self.softmax::<S, Q>(s);
            for (vector, vectors) in tiles(self.part.vectors) {
                match vectors {
                    1 => self.sums::<S, Q, 1>(s, vector, scale),
                    2 => self.sums::<S, Q, 2>(s, vector, scale),
                    3 => self.sums::<S, Q, 3>(s, vector, scale),
                    _ => self.sums::<S, Q, TILE>(s, vector, scale),
                }
            }
        }
    }

    /// Writes the scores of the queries with K keys from `key` on, in each lane that of the lane's head.
    ///
    /// # Safety
    /// As for `run`, and there are K keys from `key` on.
    #[inline(always)]
    unsafe fn scores<S: Simd, const Q: usize, const K: usize>(&self, s: S, key: usize) {
        let stride = 3 * self.width;
        let mut sums = [[s.splat(0.0); Q]; K];
        // SAFETY: row + first + vector stays inside q or k of a row that is there.
        unsafe {
            let q = self.qkv.add(self.query * stride + self.part.first);
            let k = self.qkv.add(key * stride + self.width + self.part.first);
            for vector in 0..self.part.vectors {
                let q: [S::F; Q] = std::array::from_fn(|i| s.load(q.add(i * stride + vector * S::LANES)));
                for (j, sums) in sums.iter_mut().enumerate() {
                    let k = s.load(k.add(j * stride + vector * S::LANES));
                    for (sum, q) in sums.iter_mut().zip(q) {
                        *sum = s.fma(q, k, *sum);
                    }
                }
            }
            add_across(s, sums.as_flattened_mut(), self.part.heads);
            for (j, sums) in sums.iter().enumerate() {
                for (i, sum) in sums.iter().enumerate() {
                    s.store(self.weights.add(((key + j) * Q + i) * S::LANES), *sum);
                }
            }
        }
    }

    /// Turns scores into exp(score − largest score) and returns the inverse sums of these.
    ///
    /// # Safety
    /// As for `run`.
    #[inline(always)]
    unsafe fn softmax<S: Simd, const Q: usize>(&self, s: S) -> [S::F; Q] {
        let mut largest = [s.splat(f32::MIN); Q];
        let mut total = [s.splat(0.0); Q];
        // SAFETY: there are tokens × Q vectors of weights.
        unsafe {
            for key in 0..self.tokens {
                for (i, largest) in largest.iter_mut().enumerate() {
                    // A NaN may be lost here; its own weight is NaN all the same, and with it the sum.
                    *largest = s.max(*largest, s.load(self.weights.add((key * Q + i) * S::LANES)));
                }
            }
            for key in 0..self.tokens {
                for (i, (largest, total)) in largest.iter().zip(&mut total).enumerate() {
                    let at = self.weights.add((key * Q + i) * S::LANES);
                    let weight = exp(s, s.sub(s.load(at), *largest));
                    s.store(at, weight);
                    *total = s.add(*total, weight);
                }
            }
        }
        total.map(|total| s.div(s.splat(1.0), total))
    }

    /// Writes the values' sums under the weights, times `scale`, for V vectors of the part from `vector` on.
    ///
    /// # Safety
    /// As for `run`, and the part has V vectors from `vector` on.
    #[inline(always)]
    unsafe fn sums<S: Simd, const Q: usize, const V: usize>(&self, s: S, vector: usize, scale: [S::F; Q]) {
        let first = self.part.first + vector * S::LANES;
        let mut sums = [[s.splat(0.0); V]; Q];
        // SAFETY: row + first + vector stays inside v, or inside the output, of a row that is there.
        unsafe {
            for key in 0..self.tokens {
                let row = self.qkv.add((3 * key + 2) * self.width + first);
                let v: [S::F; V] = std::array::from_fn(|j| s.load(row.add(j * S::LANES)));
                for (i, sums) in sums.iter_mut().enumerate() {
                    let weight = s.load(self.weights.add((key * Q + i) * S::LANES));
                    for (sum, v) in sums.iter_mut().zip(v) {
                        *sum = s.fma(weight, v, *sum);
                    }
                }
            }
            for (i, (sums, scale)) in sums.iter().zip(scale).enumerate() {
                let row = self.output.add((self.query + i) * self.width + first);
                for (j, sum) in sums.iter().enumerate() {
                    s.store(row.add(j * S::LANES), s.mul(*sum, scale));
                }
            }
        }
    }
}

/// Cuts `count` into (first, length) of at most [`TILE`] each, as even as can be: a short last tile would wait for its
/// few sums.
#[inline(always)]
fn tiles(count: usize) -> impl Iterator<Item = (usize, usize)> {
    let tiles = count.div_ceil(TILE);
    (0..tiles).map(move |tile| {
        let first = tile * count / tiles;
        (first, (tile + 1) * count / tiles - first)
    })
}

/// Gives each lane the sum over all lanes whose index is the same modulo `heads`, a power of two.
#[inline(always)]
fn add_across<S: Simd>(s: S, vectors: &mut [S::F], heads: usize) {
    if S::LANES > 8 && heads <= 8 {
        vectors.iter_mut().for_each(|v| *v = s.add(*v, s.swap::<8>(*v)));
    }
    if S::LANES > 4 && heads <= 4 {
        vectors.iter_mut().for_each(|v| *v = s.add(*v, s.swap::<4>(*v)));
    }
    if heads <= 2 {
        vectors.iter_mut().for_each(|v| *v = s.add(*v, s.swap::<2>(*v)));
    }
    if heads <= 1 {
        vectors.iter_mut().for_each(|v| *v = s.add(*v, s.swap::<1>(*v)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naive;
    use crate::testing::{Random, assert_all_within, every_isa};

    fn shapes() -> impl Iterator<Item = AttentionShape> {
        [(1, 1, 1), (2, 3, 5), (5, 2, 8), (16, 3, 4), (17, 12, 16), (33, 2, 17), (65, 1, 24)]
            .into_iter()
            .map(|(tokens, heads, head_dim)| AttentionShape { tokens, heads, head_dim })
    }

    /// From rows of (heads, head_dim) to such rows.
    fn run(isa: Isa, shape: AttentionShape, qkv: &[f32]) -> Vec<f32> {
        let order = shape.order(isa);
        assert_eq!(order.len(), shape.width(isa));
        let rows = qkv.chunks(shape.heads * shape.head_dim);
        let ordered: Vec<f32> =
            rows.flat_map(|row| order.iter().map(|value| value.map_or(0.0, |value| row[value]))).collect();
        // Stale scratch of NaN shows any value read before it is written.
        let mut scratch = vec![f32::NAN; attention_scratch_len(shape)];
        let mut output = vec![f32::NAN; ordered.len() / 3];
        attention(isa, shape, &ordered, &mut scratch, &mut output);
        let mut back = vec![f32::NAN; qkv.len() / 3];
        for (row, back) in output.chunks(order.len()).zip(back.chunks_mut(shape.heads * shape.head_dim)) {
            for (slot, value) in order.iter().enumerate() {
                match value {
                    Some(value) => back[*value] = row[slot],
                    None => assert!(row[slot] == 0.0 || row[slot].is_nan(), "{isa} {shape:?}: {}", row[slot]),
                }
            }
        }
        back
    }

    #[test]
    fn heads_that_fill_vectors_leave_no_gaps() {
        for isa in every_isa() {
            for (heads, head_dim) in [(12, 16), (4, 16), (16, 1), (6, 32)] {
                let shape = AttentionShape { tokens: 1, heads, head_dim };
                let mut order: Vec<usize> = shape.order(isa).into_iter().flatten().collect();
                assert_eq!(order.len(), shape.width(isa), "{isa} {shape:?}");
                order.sort_unstable();
                assert!(order.into_iter().eq(0..heads * head_dim), "{isa} {shape:?}");
            }
        }
    }

    #[test]
    fn agrees_with_the_naive_attention() {
        for isa in every_isa() {
            for shape in shapes() {
                let len = 3 * 3 * shape.tokens * shape.heads * shape.head_dim;
                let qkv = Random::new(len as u64).floats(len);
                let expected = naive::attention(&qkv, shape);
                assert_all_within(&run(isa, shape, &qkv), &expected, 3e-6, &format!("{isa} {shape:?}"));
            }
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        for isa in every_isa() {
            let shape = AttentionShape { tokens: 17, heads: 2, head_dim: 16 };
            let len = 3 * 17 * 32;
            let qkv: Vec<f32> = Random::new(9).floats(len).iter().map(|x| x * 100.0).collect();
            let expected = naive::attention(&qkv, shape);
            assert_all_within(&run(isa, shape, &qkv), &expected, 1e-2, &format!("{isa}"));
        }
    }

    #[test]
    fn a_nan_key_spoils_its_image_and_no_other() {
        let shape = AttentionShape { tokens: 5, heads: 1, head_dim: 8 };
        for isa in every_isa() {
            for spoilt in 0..5 {
                let mut qkv = Random::new(3).floats(2 * 5 * 24);
                qkv[spoilt * 24 + 8] = f32::NAN;
                let output = run(isa, shape, &qkv);
                assert!(output[..40].iter().all(|x| x.is_nan()), "{isa} {spoilt}");
                assert!(output[40..].iter().all(|x| x.is_finite()), "{isa} {spoilt}");
            }
        }
    }
}
