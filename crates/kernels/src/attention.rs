//! Softmax attention within each image, for the few tokens of a small transformer.
//!
//! Neighbouring lanes of a vector belong to neighbouring heads. Scores, softmax and weighted sums of several heads are
//! then whole vectors in memory order: nothing is transposed, and almost nothing is summed across lanes. If the heads
//! do not fill a vector (with 8 lanes, 12 heads are 8 and 4), the remaining lanes hold further values of the same
//! heads.
//!
//! [`AttentionShape::order`] returns the order of values that this needs. The caller reorders the weights that produce
//! q, k and v, and the weights that read the output, once.

use crate::activation::exp;
use crate::isa::Isa;
use crate::simd::{Kernel, LANES_MAX, Simd, dispatch, lanes};

/// Number of queries that are processed together, so that each loaded key is used for all of them.
const QUERIES: usize = 3;

/// Largest number of keys in a tile of scores, and of value vectors in a tile of weighted sums. With [`QUERIES`], a
/// tile has 12 sums, which fit 16 registers.
const TILE: usize = 4;

/// Sizes of an attention layer. Each image has `tokens` rows of q, k and v, each of `heads` × `head_dim` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Rows per image, the class token included.
    pub tokens: usize,
    /// Number of heads.
    pub heads: usize,
    /// Values per head.
    pub head_dim: usize,
}

impl AttentionShape {
    /// Order of the values in a row of q, k, v and of the output on `isa`. Position i holds the value
    /// `order[i] = head · head_dim + d`. If `order[i]` is `None`, q, k and v must hold 0 there, and the output holds 0.
    pub fn order(&self, isa: Isa) -> Vec<Option<usize>> {
        let lanes = lanes(isa);
        let mut order = Vec::new();
        for group in self.head_groups(lanes) {
            for slot in 0..group.vectors * lanes {
                let (d, head) = (slot / group.heads, group.first_head + slot % group.heads);
                order.push((d < self.head_dim).then_some(head * self.head_dim + d));
            }
        }
        order
    }

    /// Number of values in a row of q, k, v or output on `isa`: the length of [`AttentionShape::order`].
    pub fn width(&self, isa: Isa) -> usize {
        let lanes = lanes(isa);
        self.head_groups(lanes).map(|group| group.vectors * lanes).sum()
    }

    /// Splits the heads into groups whose sizes are powers of two and fit a vector.
    fn head_groups(&self, lanes: usize) -> impl Iterator<Item = HeadGroup> {
        let AttentionShape { heads, head_dim, .. } = *self;
        let (mut first_head, mut first) = (0, 0);
        std::iter::from_fn(move || {
            let left = heads - first_head;
            let heads = lanes.min(1 << left.checked_ilog2()?);
            let vectors = head_dim.div_ceil(lanes / heads);
            let group = HeadGroup { first_head, heads, first, vectors };
            first_head += heads;
            first += vectors * lanes;
            Some(group)
        })
    }
}

/// Heads that share vectors. Their values (d, head) fill `vectors` whole vectors of a row from index `first` on.
#[derive(Clone, Copy)]
struct HeadGroup {
    first_head: usize,
    heads: usize,
    first: usize,
    vectors: usize,
}

/// Computes `output = softmax(q·kᵀ)·v` for each image and head.
///
/// `qkv` is (images, tokens, 3, width), with q already scaled. `output` is (images, tokens, width). Rows of both are in
/// [`AttentionShape::order`]. `scratch` has at least [`attention_scratch_len`] values.
///
/// # Panics
/// If the lengths do not match these shapes, or a size in `shape` is zero.
pub fn attention(isa: Isa, shape: AttentionShape, qkv: &[f32], scratch: &mut [f32], output: &mut [f32]) {
    let width = shape.width(isa);
    assert!(width > 0 && shape.tokens > 0, "the attention has no values");
    assert!(output.len().is_multiple_of(shape.tokens * width), "output is not whole images");
    assert_eq!(qkv.len(), 3 * output.len(), "qkv is not three times the output");
    assert!(scratch.len() >= attention_scratch_len(shape), "scratch is too small");
    dispatch(isa, Attention { shape, width, qkv, scratch, output });
}

/// Number of scratch values that [`attention()`] needs on any instruction set.
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
            for group in self.shape.head_groups(S::LANES) {
                for query in (0..tokens).step_by(QUERIES) {
                    let weights = self.scratch.as_mut_ptr();
                    let block = QueryBlock {
                        tokens,
                        width,
                        group,
                        query,
                        qkv: qkv.as_ptr(),
                        weights,
                        output: output.as_mut_ptr(),
                    };
                    // SAFETY: a row holds all vectors of the group. q, k and v are `width` apart in rows of 3·width,
                    // and qkv and output have `tokens` rows. `attention` asserted that the scratch has a vector for
                    // each of these queries and each key.
                    unsafe {
                        match tokens - query {
                            1 => block.run::<S, 1>(s),
                            2 => block.run::<S, 2>(s),
                            _ => block.run::<S, QUERIES>(s),
                        }
                    }
                }
            }
        }
    }
}

/// A few queries of an image with all its keys, for one group of heads.
struct QueryBlock {
    tokens: usize,
    width: usize,
    group: HeadGroup,
    /// First query.
    query: usize,
    qkv: *const f32,
    /// (key, query, lane)
    weights: *mut f32,
    output: *mut f32,
}

impl QueryBlock {
    /// Computes the output rows of Q queries.
    ///
    /// # Safety
    /// `qkv` and `output` point to `tokens` rows, which include Q queries from `query` on. `weights` points to
    /// tokens × Q vectors.
    #[inline(always)]
    unsafe fn run<S: Simd, const Q: usize>(&self, s: S) {
        // SAFETY: guaranteed by the caller; the tiles cover every key and every vector of the group once.
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
            for (vector, vectors) in tiles(self.group.vectors) {
                match vectors {
                    1 => self.sums::<S, Q, 1>(s, vector, scale),
                    2 => self.sums::<S, Q, 2>(s, vector, scale),
                    3 => self.sums::<S, Q, 3>(s, vector, scale),
                    _ => self.sums::<S, Q, TILE>(s, vector, scale),
                }
            }
        }
    }

    /// Writes the scores of the queries with K keys from `key` on. Each lane holds the score of its head.
    ///
    /// # Safety
    /// The conditions of `run` hold, and there are K keys from `key` on.
    #[inline(always)]
    unsafe fn scores<S: Simd, const Q: usize, const K: usize>(&self, s: S, key: usize) {
        let stride = 3 * self.width;
        let mut sums = [[s.splat(0.0); Q]; K];
        // SAFETY: row + first + vector stays inside q or k of an existing row.
        unsafe {
            let q = self.qkv.add(self.query * stride + self.group.first);
            let k = self.qkv.add(key * stride + self.width + self.group.first);
            for vector in 0..self.group.vectors {
                let q: [S::F; Q] = std::array::from_fn(|i| s.load(q.add(i * stride + vector * S::LANES)));
                for (j, sums) in sums.iter_mut().enumerate() {
                    let k = s.load(k.add(j * stride + vector * S::LANES));
                    for (sum, q) in sums.iter_mut().zip(q) {
                        *sum = s.fma(q, k, *sum);
                    }
                }
            }
            sum_lanes_of_each_head(s, sums.as_flattened_mut(), self.group.heads);
            for (j, sums) in sums.iter().enumerate() {
                for (i, sum) in sums.iter().enumerate() {
                    s.store(self.weights.add(((key + j) * Q + i) * S::LANES), *sum);
                }
            }
        }
    }

    /// Replaces each score by exp(score − largest score) and returns the inverse of the sum over all keys.
    ///
    /// # Safety
    /// The conditions of `run` hold.
    #[inline(always)]
    unsafe fn softmax<S: Simd, const Q: usize>(&self, s: S) -> [S::F; Q] {
        let mut largest = [s.splat(f32::MIN); Q];
        let mut total = [s.splat(0.0); Q];
        // SAFETY: there are tokens × Q vectors of weights.
        unsafe {
            for key in 0..self.tokens {
                for (i, largest) in largest.iter_mut().enumerate() {
                    // `max` may lose a NaN, but the exponential of that score is NaN, and so is the sum.
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

    /// Writes the weighted sums of the values, times `scale`, for V vectors of the group from `vector` on.
    ///
    /// # Safety
    /// The conditions of `run` hold, and the group has V vectors from `vector` on.
    #[inline(always)]
    unsafe fn sums<S: Simd, const Q: usize, const V: usize>(&self, s: S, vector: usize, scale: [S::F; Q]) {
        let first = self.group.first + vector * S::LANES;
        let mut sums = [[s.splat(0.0); V]; Q];
        // SAFETY: row + first + vector stays inside v or the output of an existing row.
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

/// Splits `count` into tiles (first, length) of nearly equal length, at most [`TILE`]. A short last tile would have too
/// few independent sums to keep the CPU busy.
#[inline(always)]
fn tiles(count: usize) -> impl Iterator<Item = (usize, usize)> {
    let tiles = count.div_ceil(TILE);
    (0..tiles).map(move |tile| {
        let first = tile * count / tiles;
        (first, (tile + 1) * count / tiles - first)
    })
}

/// Sets each lane to the sum of all lanes that belong to the same head: those with the same index modulo `heads`, which
/// is a power of two.
#[inline(always)]
fn sum_lanes_of_each_head<S: Simd>(s: S, vectors: &mut [S::F], heads: usize) {
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

    /// Reorders rows of (heads, head_dim), computes the attention, and returns rows of (heads, head_dim).
    fn run(isa: Isa, shape: AttentionShape, qkv: &[f32]) -> Vec<f32> {
        let order = shape.order(isa);
        assert_eq!(order.len(), shape.width(isa));
        let rows = qkv.chunks(shape.heads * shape.head_dim);
        let ordered: Vec<f32> =
            rows.flat_map(|row| order.iter().map(|value| value.map_or(0.0, |value| row[value]))).collect();
        // NaN in the scratch memory reveals a value that is read before it is written.
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
    fn order_has_no_padding_if_heads_fill_vectors() {
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
    fn matches_the_naive_attention() {
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
    fn nan_key_makes_only_its_image_nan() {
        let shape = AttentionShape { tokens: 5, heads: 1, head_dim: 8 };
        for isa in every_isa() {
            for token in 0..5 {
                let mut qkv = Random::new(3).floats(2 * 5 * 24);
                qkv[token * 24 + 8] = f32::NAN;
                let output = run(isa, shape, &qkv);
                assert!(output[..40].iter().all(|x| x.is_nan()), "{isa} {token}");
                assert!(output[40..].iter().all(|x| x.is_finite()), "{isa} {token}");
            }
        }
    }
}
