//! Grouped convolutions of a token map, with neighbouring groups in neighbouring lanes.
//!
//! Channels are in the order (channel within group, group). A checkpoint has (group, channel within group). In this
//! order one multiply-add handles one weight and one input of each group. A model that keeps all its channels in this
//! order moves no value before a grouped convolution.

use crate::activation::Activation;
use crate::aligned::AlignedVec;
use crate::isa::Isa;
use crate::layout::Layout;
use crate::simd::{Kernel, Simd, dispatch};

/// Largest window.
const WINDOW_MAX: usize = 7;

/// Grouped convolution with a square window of odd size, stride 1, padding that keeps the size of the map, and an
/// activation.
#[derive(Debug)]
pub struct GroupedConv {
    isa: Isa,
    groups: usize,
    inputs: usize,
    outputs: usize,
    window: usize,
    /// (tap, output, input, group)
    weight: AlignedVec<f32>,
    /// (output, group)
    bias: AlignedVec<f32>,
    activation: Activation,
}

impl GroupedConv {
    /// Packs `weight` (groups × outputs, inputs, window, window) and `bias` (groups × outputs), in the order of a
    /// checkpoint. `inputs` and `outputs` are channels per group.
    ///
    /// # Panics
    /// If the lengths do not match these shapes, or the window is even or larger than 7.
    pub fn new(
        isa: Isa,
        (groups, inputs, outputs, window): (usize, usize, usize, usize),
        weight: &[f32],
        bias: &[f32],
        activation: Activation,
    ) -> GroupedConv {
        assert!(window % 2 == 1 && window <= WINDOW_MAX, "the window is even or larger than {WINDOW_MAX}");
        let taps = window * window;
        assert_eq!(weight.len(), groups * outputs * inputs * taps, "weight is not (outputs, inputs, window, window)");
        assert_eq!(bias.len(), groups * outputs, "bias is not (outputs)");
        let mut ordered = AlignedVec::zeroed(weight.len());
        for (index, value) in weight.iter().enumerate() {
            let (rest, tap) = (index / taps, index % taps);
            let (rest, input) = (rest / inputs, rest % inputs);
            let (group, output) = (rest / outputs, rest % outputs);
            ordered[((tap * outputs + output) * inputs + input) * groups + group] = *value;
        }
        let mut ordered_bias = AlignedVec::zeroed(bias.len());
        for (index, value) in bias.iter().enumerate() {
            ordered_bias[index % outputs * groups + index / outputs] = *value;
        }
        GroupedConv { isa, groups, inputs, outputs, window, weight: ordered, bias: ordered_bias, activation }
    }

    /// Number of output values per token.
    pub fn output_width(&self) -> usize {
        self.outputs * self.groups
    }

    /// Number of multiply-adds for one token that is not at the border of the map.
    pub fn multiply_adds(&self) -> usize {
        self.weight.len()
    }
}

/// Computes `output[token] = activation(conv(input)[token])`.
///
/// `from` and `to` state where the rows of input and output start; their lines and columns are the token map. Input
/// rows hold (inputs, groups), output rows hold (outputs, groups).
///
/// # Panics
/// If a layout reaches outside its slice, or the maps differ in size.
pub fn grouped_conv(conv: &GroupedConv, input: &[f32], from: &Layout, output: &mut [f32], to: &Layout) {
    assert_eq!((from.images, from.lines, from.columns), (to.images, to.lines, to.columns), "token maps differ");
    assert!(from.extent(conv.inputs * conv.groups) <= input.len(), "input rows reach outside the slice");
    assert!(to.extent(conv.output_width()) <= output.len(), "output rows reach outside the slice");
    dispatch(conv.isa, Convolve { conv, input, from, output, to });
}

struct Convolve<'a> {
    conv: &'a GroupedConv,
    input: &'a [f32],
    from: &'a Layout,
    output: &'a mut [f32],
    to: &'a Layout,
}

impl Kernel for Convolve<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let GroupedConv { groups, inputs, outputs, window, .. } = *self.conv;
        let (lines, columns) = (self.from.lines, self.from.columns);
        let reach = window / 2;
        for token in 0..self.to.rows() {
            let (image, line, column) = (token / columns / lines, token / columns % lines, token % columns);
            // Start of the inputs and start of the weights of each tap that is inside the map.
            let mut taps = [(0, 0); WINDOW_MAX * WINDOW_MAX];
            let mut count = 0;
            for y in line.saturating_sub(reach)..(line + reach + 1).min(lines) {
                for x in column.saturating_sub(reach)..(column + reach + 1).min(columns) {
                    let tap = (y + reach - line) * window + (x + reach - column);
                    let neighbour = (image * lines + y) * columns + x;
                    taps[count] = (self.from.start(neighbour), tap * outputs * inputs * groups);
                    count += 1;
                }
            }
            let y = &mut self.output[self.to.start(token)..][..outputs * groups];
            let whole = groups / S::LANES * S::LANES;
            for first in (0..groups).step_by(S::LANES) {
                // SAFETY: `grouped_conv` asserted that the (inputs, groups) of every token are inside the input. The
                // weight is (taps, outputs, inputs, groups), bias and y are (outputs, groups); first + lanes ≤ groups.
                unsafe {
                    if first < whole {
                        token_groups::<S, true>(s, self.conv, self.input, &taps[..count], first, S::LANES, y);
                    } else {
                        token_groups::<S, false>(s, self.conv, self.input, &taps[..count], first, groups - first, y);
                    }
                }
            }
        }
    }
}

/// Computes all outputs of one token for `lanes` groups from `first` on. WHOLE is true if these fill a vector.
///
/// # Safety
/// `first + lanes` ≤ groups. For each of `taps` (input start, weight start), all inputs and weights of these groups are
/// readable. `bias` and `y` hold (outputs, groups).
#[inline(always)]
unsafe fn token_groups<S: Simd, const WHOLE: bool>(
    s: S,
    conv: &GroupedConv,
    input: &[f32],
    taps: &[(usize, usize)],
    first: usize,
    lanes: usize,
    y: &mut [f32],
) {
    let (groups, inputs) = (conv.groups, conv.inputs);
    // SAFETY: guaranteed by the caller for every offset below.
    unsafe {
        for out in 0..conv.outputs {
            let at = out * groups + first;
            let mut sum = load_lanes::<S, WHOLE>(s, conv.bias.as_ptr().add(at), lanes);
            for &(x, w) in taps {
                let mut x = input.as_ptr().add(x + first);
                let mut w = conv.weight.as_ptr().add(w + out * inputs * groups + first);
                for left in (0..inputs).rev() {
                    sum = s.fma(load_lanes::<S, WHOLE>(s, w, lanes), load_lanes::<S, WHOLE>(s, x, lanes), sum);
                    if left > 0 {
                        x = x.add(groups);
                        w = w.add(groups);
                    }
                }
            }
            let value = conv.activation.apply(s, sum);
            if WHOLE {
                s.store(y.as_mut_ptr().add(at), value);
            } else {
                s.store_part(y.as_mut_ptr().add(at), value, lanes);
            }
        }
    }
}

/// Loads the first `lanes` lanes of a vector.
///
/// # Safety
/// `lanes` ≤ LANES values are readable at `from`. If WHOLE, LANES values are.
#[inline(always)]
unsafe fn load_lanes<S: Simd, const WHOLE: bool>(s: S, from: *const f32, lanes: usize) -> S::F {
    // SAFETY: guaranteed by the caller.
    unsafe { if WHOLE { s.load(from) } else { s.load_part(from, lanes) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naive;
    use crate::testing::{Random, assert_all_within, every_isa};

    #[test]
    fn matches_the_naive_grouped_convolution() {
        for isa in every_isa() {
            for (groups, inputs, outputs) in [(1, 1, 1), (3, 2, 5), (8, 4, 2), (17, 3, 3), (48, 4, 16), (48, 16, 4)] {
                for (window, lines, columns) in [(1, 4, 4), (3, 4, 4), (3, 1, 2), (5, 3, 2), (3, 2, 5)] {
                    let images = 2;
                    let mut random = Random::new(groups as u64 * 10 + window as u64);
                    let weight = random.floats(groups * outputs * inputs * window * window);
                    let bias = random.floats(groups * outputs);
                    // A class token precedes the map and must not be read as part of it.
                    let stride = inputs * groups;
                    let tokens = 1 + lines * columns;
                    let input = random.floats(images * tokens * stride);
                    let from = Layout {
                        offset: stride,
                        images,
                        image_stride: tokens * stride,
                        lines,
                        line_stride: columns * stride,
                        columns,
                        column_stride: stride,
                    };
                    let width = outputs * groups;
                    let to = Layout {
                        offset: 0,
                        image_stride: lines * columns * width,
                        line_stride: columns * width,
                        column_stride: width,
                        ..from
                    };
                    let conv =
                        GroupedConv::new(isa, (groups, inputs, outputs, window), &weight, &bias, Activation::Silu);
                    let mut output = vec![f32::NAN; images * lines * columns * width];
                    grouped_conv(&conv, &input, &from, &mut output, &to);
                    let map = naive::TokenMap { images, lines, columns, groups };
                    let expected = naive::grouped_conv(&input, map, &weight, &bias, (inputs, outputs, window));
                    let what = format!("{isa} {groups} {inputs}→{outputs} {window}×{window} on {lines}×{columns}");
                    assert_all_within(&output, &expected, 3e-5, &what);
                }
            }
        }
    }
}
