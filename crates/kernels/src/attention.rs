//! Softmax attention within each image, head by head, for the few tokens of a small transformer.

use crate::activation::exp;
use crate::isa::Isa;
use crate::simd::{Kernel, LANES_MAX, Simd, dispatch};

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

/// `output = softmax(q·kᵀ)·v` per image and head. `qkv` is (images, tokens, 3, heads, head_dim) with q already scaled;
/// `output` is (images, tokens, heads, head_dim); `scratch` has at least [`attention_scratch_len`] values.
///
/// # Panics
/// Where the lengths do not fit each other.
pub fn attention(isa: Isa, shape: AttentionShape, qkv: &[f32], scratch: &mut [f32], output: &mut [f32]) {
    let dim = shape.heads * shape.head_dim;
    assert!(dim > 0 && shape.tokens > 0, "an attention without values");
    assert!(output.len().is_multiple_of(shape.tokens * dim), "output is not whole images");
    assert_eq!(qkv.len(), 3 * output.len(), "qkv is not three times the output");
    assert!(scratch.len() >= attention_scratch_len(shape), "scratch is too small");
    dispatch(isa, Attention { shape, qkv, scratch, output });
}

/// Values of scratch that [`attention`] needs, whatever the instruction set.
pub fn attention_scratch_len(shape: AttentionShape) -> usize {
    (shape.head_dim + 1) * shape.tokens.next_multiple_of(LANES_MAX)
}

struct Attention<'a> {
    shape: AttentionShape,
    qkv: &'a [f32],
    scratch: &'a mut [f32],
    output: &'a mut [f32],
}

impl Kernel for Attention<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let AttentionShape { tokens, heads, head_dim } = self.shape;
        let dim = heads * head_dim;
        let padded = tokens.next_multiple_of(S::LANES);
        let (keys, weights) = self.scratch.split_at_mut(head_dim * padded);
        let weights = &mut weights[..padded];
        let images = self.qkv.chunks_exact(tokens * 3 * dim).zip(self.output.chunks_exact_mut(tokens * dim));
        for (qkv, output) in images {
            for head in 0..heads {
                let column = head * head_dim;
                transpose_keys(&qkv[dim + column..], 3 * dim, tokens, padded, keys);
                for token in 0..tokens {
                    let q = &qkv[token * 3 * dim + column..][..head_dim];
                    let total = softmax_weights(s, q, keys, tokens, weights);
                    let v = &qkv[2 * dim + column..];
                    let y = &mut output[token * dim + column..][..head_dim];
                    weighted_sum(s, &weights[..tokens], v, 3 * dim, 1.0 / total, y);
                }
            }
        }
    }
}

/// Lays the keys of one head out as (head_dim, padded): scores of one query are then whole vectors.
#[inline(always)]
fn transpose_keys(k: &[f32], stride: usize, tokens: usize, padded: usize, keys: &mut [f32]) {
    for (d, row) in keys.chunks_exact_mut(padded).enumerate() {
        for (token, slot) in row[..tokens].iter_mut().enumerate() {
            *slot = k[token * stride + d];
        }
        // Stale values of another head must not reach the scores, where they could be NaN.
        row[tokens..].fill(0.0);
    }
}

/// Writes exp(score − largest score) for each token and returns their sum.
#[inline(always)]
fn softmax_weights<S: Simd>(s: S, q: &[f32], keys: &[f32], tokens: usize, weights: &mut [f32]) -> f32 {
    let padded = weights.len();
    let mut largest = s.splat(f32::MIN);
    for first in (0..padded).step_by(S::LANES) {
        let mut score = s.splat(0.0);
        for (d, q) in q.iter().enumerate() {
            // SAFETY: keys is (head_dim, padded) and first + LANES ≤ padded.
            let k = unsafe { s.load(keys[d * padded + first..].as_ptr()) };
            score = s.fma(s.splat(*q), k, score);
        }
        // SAFETY: first + LANES ≤ padded, the length of weights.
        unsafe { s.store(weights[first..].as_mut_ptr(), score) };
    }
    weights[tokens..].fill(f32::MIN);
    for score in weights.chunks_exact(S::LANES) {
        // SAFETY: a chunk holds LANES values.
        largest = s.max(largest, unsafe { s.load(score.as_ptr()) });
    }
    let largest = s.lanes(largest)[..S::LANES].iter().fold(f32::MIN, |a, b| if a > *b { a } else { *b });
    let largest = s.splat(largest);
    let mut total = s.splat(0.0);
    for score in weights.chunks_exact_mut(S::LANES) {
        // SAFETY: a chunk holds LANES values. The padding's weight is e⁻⁸⁷, nothing beside the largest score's 1.
        unsafe {
            let weight = exp(s, s.sub(s.load(score.as_ptr()), largest));
            s.store(score.as_mut_ptr(), weight);
            total = s.add(total, weight);
        }
    }
    s.sum(total)
}

/// `y = scale · Σ weights[token] · v[token]`, the rows of v `stride` apart.
#[inline(always)]
fn weighted_sum<S: Simd>(s: S, weights: &[f32], v: &[f32], stride: usize, scale: f32, y: &mut [f32]) {
    let width = y.len();
    assert!((weights.len() - 1) * stride + width <= v.len(), "values reach outside the slice");
    for first in (0..width).step_by(S::LANES) {
        let lanes = S::LANES.min(width - first);
        let mut sum = s.splat(0.0);
        // SAFETY: the assertion above covers the last row's last value; y holds `width` values.
        unsafe {
            let mut row = v.as_ptr().add(first);
            for (token, weight) in weights.iter().enumerate() {
                if token > 0 {
                    row = row.add(stride);
                }
                let value = if lanes == S::LANES { s.load(row) } else { s.load_part(row, lanes) };
                sum = s.fma(s.splat(*weight), value, sum);
            }
            let value = s.mul(sum, s.splat(scale));
            if lanes == S::LANES {
                s.store(y.as_mut_ptr().add(first), value);
            } else {
                s.store_part(y.as_mut_ptr().add(first), value, lanes);
            }
        }
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

    fn run(isa: Isa, shape: AttentionShape, qkv: &[f32]) -> Vec<f32> {
        // Stale scratch of NaN shows any value read before it is written.
        let mut scratch = vec![f32::NAN; attention_scratch_len(shape)];
        let mut output = vec![f32::NAN; qkv.len() / 3];
        attention(isa, shape, qkv, &mut scratch, &mut output);
        output
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
