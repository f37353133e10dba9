//! An inverted bottleneck of grouped 1×1 convolutions, added to its input: the wide map between them stays in registers.
//!
//! Channels are ordered (channel within group, group), as in `grouped_conv`: neighbouring lanes are neighbouring groups.

use crate::activation::Activation;
use crate::aligned::AlignedVec;
use crate::isa::Isa;
use crate::layout::Layout;
use crate::simd::{Kernel, Simd, dispatch, lanes};

/// Channels of a group, in and out: those of a token wait in registers while its hidden channels come and go.
const CHANNELS: usize = 4;

/// A 1×1 convolution in groups, SiLU, and a 1×1 convolution back to as many channels.
#[derive(Debug)]
pub struct InvertedBottleneck {
    isa: Isa,
    groups: usize,
    hidden: usize,
    /// For each vector of groups, in the order of use: to each hidden channel the bias and a weight from each input,
    /// then its weight to each output; at the end the outputs' biases. Groups beyond the last are zero.
    packed: AlignedVec<f32>,
}

impl InvertedBottleneck {
    /// Channels per group, in and out.
    pub const CHANNELS: usize = CHANNELS;

    /// From a checkpoint's weights and biases of the two convolutions: `expand` (groups × hidden, 4) and
    /// (groups × hidden), `reduce` (groups × 4, hidden) and (groups × 4); `hidden` is counted per group.
    ///
    /// # Panics
    /// Where the lengths do not fit.
    pub fn new(
        isa: Isa,
        (groups, hidden): (usize, usize),
        expand: (&[f32], &[f32]),
        reduce: (&[f32], &[f32]),
    ) -> InvertedBottleneck {
        assert_eq!(expand.0.len(), groups * hidden * CHANNELS, "the first weight does not fit");
        assert_eq!(expand.1.len(), groups * hidden, "the first bias does not fit");
        assert_eq!(reduce.0.len(), groups * CHANNELS * hidden, "the second weight does not fit");
        assert_eq!(reduce.1.len(), groups * CHANNELS, "the second bias does not fit");
        let lanes = lanes(isa);
        let len = packed_vectors(hidden) * lanes;
        let mut packed = AlignedVec::zeroed(groups.div_ceil(lanes) * len);
        for group in 0..groups {
            let values = (0..hidden).flat_map(|unit| {
                let unit_of_all = group * hidden + unit;
                let into = &expand.0[unit_of_all * CHANNELS..][..CHANNELS];
                let out = (0..CHANNELS).map(move |channel| reduce.0[(group * CHANNELS + channel) * hidden + unit]);
                std::iter::once(expand.1[unit_of_all]).chain(into.iter().copied()).chain(out)
            });
            let values = values.chain(reduce.1[group * CHANNELS..][..CHANNELS].iter().copied());
            let slots = packed[group / lanes * len + group % lanes..].iter_mut().step_by(lanes);
            slots.zip(values).for_each(|(slot, value)| *slot = value);
        }
        InvertedBottleneck { isa, groups, hidden, packed }
    }

    /// Multiply-adds of one token.
    pub fn multiply_adds(&self) -> usize {
        2 * self.groups * CHANNELS * self.hidden
    }
}

/// Vectors of weights and biases for one vector of groups.
fn packed_vectors(hidden: usize) -> usize {
    hidden * (1 + 2 * CHANNELS) + CHANNELS
}

/// `x[token] += reduce(silu(expand(x[token])))` for each row of `tokens`, which holds (4, groups).
///
/// # Panics
/// Where the layout reaches outside `x`.
pub fn inverted_bottleneck(bottleneck: &InvertedBottleneck, x: &mut [f32], tokens: &Layout) {
    assert!(tokens.extent(CHANNELS * bottleneck.groups) <= x.len(), "rows reach outside the slice");
    dispatch(bottleneck.isa, AddTo { bottleneck, x, tokens });
}

struct AddTo<'a> {
    bottleneck: &'a InvertedBottleneck,
    x: &'a mut [f32],
    tokens: &'a Layout,
}

impl Kernel for AddTo<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let InvertedBottleneck { groups, hidden, ref packed, .. } = *self.bottleneck;
        let len = packed_vectors(hidden) * S::LANES;
        // Groups outside, tokens inside: one vector's weights stay in the innermost cache for all tokens.
        for (packed, first) in packed.chunks_exact(len).zip((0..groups).step_by(S::LANES)) {
            let lanes = S::LANES.min(groups - first);
            let mut starts = self.tokens.cursor();
            for _ in 0..self.tokens.rows() {
                // SAFETY: `inverted_bottleneck` asserted that each row's (4, groups) lie in x; first + lanes ≤ groups;
                // packed holds the vectors of these groups.
                unsafe {
                    let x = self.x.as_mut_ptr().add(starts.advance() + first);
                    if lanes == S::LANES {
                        add_to_token::<S, true>(s, hidden, packed.as_ptr(), x, groups, lanes);
                    } else {
                        add_to_token::<S, false>(s, hidden, packed.as_ptr(), x, groups, lanes);
                    }
                }
            }
        }
    }
}

/// One token, `lanes` groups of it; WHOLE says that these fill a vector.
///
/// # Safety
/// `lanes` values lie behind `x` and behind each further channel, `groups` on; all of a vector's weights lie behind
/// `packed`.
#[inline(always)]
unsafe fn add_to_token<S: Simd, const WHOLE: bool>(
    s: S,
    hidden: usize,
    mut packed: *const f32,
    x: *mut f32,
    groups: usize,
    lanes: usize,
) {
    // SAFETY: the caller's promise, for every offset below; `packed` advances over as many vectors as it holds.
    unsafe {
        let mut next = || {
            let vector = s.load(packed);
            packed = packed.wrapping_add(S::LANES);
            vector
        };
        let input: [S::F; CHANNELS] = std::array::from_fn(|channel| {
            let from = x.add(channel * groups);
            if WHOLE { s.load(from) } else { s.load_part(from, lanes) }
        });
        let mut output = [s.splat(0.0); CHANNELS];
        for _ in 0..hidden {
            let mut sum = next();
            for x in input {
                sum = s.fma(next(), x, sum);
            }
            let value = Activation::Silu.apply(s, sum);
            for sum in &mut output {
                *sum = s.fma(next(), value, *sum);
            }
        }
        for (channel, (input, sum)) in input.iter().zip(output).enumerate() {
            let value = s.add(*input, s.add(sum, next()));
            let to = x.add(channel * groups);
            if WHOLE {
                s.store(to, value);
            } else {
                s.store_part(to, value, lanes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naive;
    use crate::testing::{Random, assert_all_within, every_isa, refuses};

    fn tokens(images: usize, groups: usize) -> Layout {
        let stride = CHANNELS * groups;
        // Behind a class token, which must not change.
        Layout {
            offset: stride,
            images,
            image_stride: 7 * stride,
            lines: 2,
            line_stride: 3 * stride,
            columns: 3,
            column_stride: stride,
        }
    }

    #[test]
    fn agrees_with_two_naive_convolutions_and_a_sum() {
        for isa in every_isa() {
            for (groups, hidden) in [(1, 1), (3, 5), (8, 16), (17, 3), (48, 16)] {
                let images = 2;
                let mut random = Random::new(groups as u64);
                let expand = (random.floats(groups * hidden * CHANNELS), random.floats(groups * hidden));
                let reduce = (random.floats(groups * CHANNELS * hidden), random.floats(groups * CHANNELS));
                let before = random.floats(images * 7 * CHANNELS * groups);
                let sizes = (groups, hidden);
                let bottleneck = InvertedBottleneck::new(isa, sizes, (&expand.0, &expand.1), (&reduce.0, &reduce.1));
                let mut x = before.clone();
                let layout = tokens(images, groups);
                inverted_bottleneck(&bottleneck, &mut x, &layout);

                let map = naive::TokenMap { images, lines: 2, columns: 3, groups };
                let inner = naive::grouped_conv(&before, map, &expand.0, &expand.1, (CHANNELS, hidden, 1));
                let mut expected: Vec<f64> = before.iter().map(|x| f64::from(*x)).collect();
                for (token, inner) in inner.chunks(hidden * groups).enumerate() {
                    for (channel, group) in (0..CHANNELS).flat_map(|c| (0..groups).map(move |g| (c, g))) {
                        let output = group * CHANNELS + channel;
                        let weights = &reduce.0[output * hidden..][..hidden];
                        let products =
                            weights.iter().enumerate().map(|(i, w)| f64::from(*w) * inner[i * groups + group]);
                        let sum = products.sum::<f64>() + f64::from(reduce.1[output]);
                        expected[layout.start(token) + channel * groups + group] += sum;
                    }
                }
                assert_all_within(&x, &expected, 3e-6, &format!("{isa} {groups}×{hidden}"));
            }
        }
    }

    #[test]
    fn rows_outside_the_slice_are_refused() {
        let bottleneck = InvertedBottleneck::new(Isa::detect(), (2, 1), (&[0.0; 8], &[0.0; 2]), (&[0.0; 8], &[0.0; 8]));
        inverted_bottleneck(&bottleneck, &mut [0.0; 7 * 8], &tokens(1, 2));
        assert!(refuses(|| inverted_bottleneck(&bottleneck, &mut [0.0; 7 * 8 - 1], &tokens(1, 2))));
    }
}
