//! Inverted bottleneck of two grouped 1×1 convolutions, added to its input. Its hidden values stay in registers.
//!
//! Channels are in the order (channel within group, group), as in `grouped_conv`: neighbouring groups are in
//! neighbouring lanes.

use crate::activation::Activation;
use crate::aligned::AlignedVec;
use crate::isa::Isa;
use crate::layout::Layout;
use crate::simd::{Kernel, Simd, dispatch, lanes};

/// Input and output channels of a group. The channels of a token stay in registers while its hidden values are computed
/// one by one.
const CHANNELS: usize = 4;

/// Grouped 1×1 convolution to `hidden` channels per group, SiLU, and grouped 1×1 convolution back to 4 channels.
#[derive(Debug)]
pub struct InvertedBottleneck {
    isa: Isa,
    groups: usize,
    hidden: usize,
    /// Weights in the order of use. For each vector of groups: for each hidden channel its bias, a weight for each
    /// input and a weight for each output; then the biases of the outputs. Groups beyond the last one are zero.
    packed: AlignedVec<f32>,
}

impl InvertedBottleneck {
    /// Input and output channels per group.
    pub const CHANNELS: usize = CHANNELS;

    /// Packs the (weight, bias) of both convolutions, in the order of a checkpoint: `expand` is (groups × hidden, 4)
    /// and (groups × hidden), `reduce` is (groups × 4, hidden) and (groups × 4). `hidden` is channels per group.
    ///
    /// # Panics
    /// If the lengths do not match these shapes.
    pub fn new(
        isa: Isa,
        (groups, hidden): (usize, usize),
        expand: (&[f32], &[f32]),
        reduce: (&[f32], &[f32]),
    ) -> InvertedBottleneck {
        assert_eq!(expand.0.len(), groups * hidden * CHANNELS, "the weight of `expand` is not (groups × hidden, 4)");
        assert_eq!(expand.1.len(), groups * hidden, "the bias of `expand` is not (groups × hidden)");
        assert_eq!(reduce.0.len(), groups * CHANNELS * hidden, "the weight of `reduce` is not (groups × 4, hidden)");
        assert_eq!(reduce.1.len(), groups * CHANNELS, "the bias of `reduce` is not (groups × 4)");
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

    /// Number of multiply-adds for one token.
    pub fn multiply_adds(&self) -> usize {
        2 * self.groups * CHANNELS * self.hidden
    }
}

/// Number of packed vectors for one vector of groups.
fn packed_vectors(hidden: usize) -> usize {
    hidden * (1 + 2 * CHANNELS) + CHANNELS
}

/// Computes `x[token] += reduce(silu(expand(x[token])))` for each row of `tokens`. A row holds (4, groups).
///
/// # Panics
/// If the layout reaches outside `x`.
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
        // The outer loop is over groups, so that the weights of one vector stay in the first-level cache for all
        // tokens.
        for (packed, first) in packed.chunks_exact(len).zip((0..groups).step_by(S::LANES)) {
            let lanes = S::LANES.min(groups - first);
            let mut starts = self.tokens.cursor();
            for _ in 0..self.tokens.rows() {
                // SAFETY: `inverted_bottleneck` asserted that the (4, groups) of each row are inside x; first + lanes ≤
                // groups; packed holds the vectors of these groups.
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

/// Adds the bottleneck to one token, for `lanes` groups. WHOLE is true if these fill a vector.
///
/// # Safety
/// `x` points to `lanes` values of the first channel, and the other channels follow `groups` values apart. `packed`
/// points to all weights of these groups.
#[inline(always)]
unsafe fn add_to_token<S: Simd, const WHOLE: bool>(
    s: S,
    hidden: usize,
    mut packed: *const f32,
    x: *mut f32,
    groups: usize,
    lanes: usize,
) {
    // SAFETY: guaranteed by the caller for every offset below; `packed` advances over exactly the vectors that it
    // holds.
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
    use crate::testing::{Random, assert_all_within, every_isa, panics};

    fn tokens(images: usize, groups: usize) -> Layout {
        let stride = CHANNELS * groups;
        // A class token precedes the tokens and must not change.
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
    fn matches_two_naive_convolutions_and_a_sum() {
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
    fn panics_if_rows_are_outside_the_slice() {
        let bottleneck = InvertedBottleneck::new(Isa::detect(), (2, 1), (&[0.0; 8], &[0.0; 2]), (&[0.0; 8], &[0.0; 8]));
        inverted_bottleneck(&bottleneck, &mut [0.0; 7 * 8], &tokens(1, 2));
        assert!(panics(|| inverted_bottleneck(&bottleneck, &mut [0.0; 7 * 8 - 1], &tokens(1, 2))));
    }
}
