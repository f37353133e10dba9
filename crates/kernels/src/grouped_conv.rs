//! Grouped convolutions of a token map, all groups side by side in a vector.
//!
//! Channels are ordered (channel within group, group), not as in a checkpoint (group, channel within group): then each
//! multiply-add takes one weight and one input per group, and neighbouring lanes are neighbouring groups. The model
//! keeps its whole residual stream in this order, so that no value is moved to get there.

use crate::activation::Activation;
use crate::aligned::AlignedVec;
use crate::isa::Isa;
use crate::layout::Layout;
use crate::simd::{Kernel, Simd, dispatch};

/// The widest window.
const WINDOW_MAX: usize = 7;

/// A convolution in groups, square window (odd size, padded to keep the map's size), stride 1, with an activation.
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
    /// From a checkpoint's weight (groups × outputs, inputs, window, window) and bias (groups × outputs); `inputs` and
    /// `outputs` are counted per group.
    ///
    /// # Panics
    /// Where the lengths do not fit, or the window is even or wider than 7.
    pub fn new(
        isa: Isa,
        (groups, inputs, outputs, window): (usize, usize, usize, usize),
        weight: &[f32],
        bias: &[f32],
        activation: Activation,
    ) -> GroupedConv {
        assert!(window % 2 == 1 && window <= WINDOW_MAX, "the window is even or too wide");
        let taps = window * window;
        assert_eq!(weight.len(), groups * outputs * inputs * taps, "weight does not fit");
        assert_eq!(bias.len(), groups * outputs, "bias does not fit");
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

    /// Values per token of the output.
    pub fn output_width(&self) -> usize {
        self.outputs * self.groups
    }

    /// Multiply-adds of one token inside the map.
    pub fn multiply_adds(&self) -> usize {
        self.weight.len()
    }
}

/// `output[token] = activation(conv(input)[token])`. The layouts' lines and columns are the token map; input rows hold
/// (inputs, groups), output rows (outputs, groups).
///
/// # Panics
/// Where a layout reaches outside its slice or the maps differ.
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
            // Where the inputs and the weights of each tap inside the map start.
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
                // SAFETY: `grouped_conv` asserted that the (inputs, groups) of every token of the map lie in the input;
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

/// All outputs of one token for `lanes` groups from `first` on; WHOLE says that these fill a vector.
///
/// # Safety
/// For each of `taps` (input start, weight start), `first + lanes` ≤ groups values of every input and of every weight
/// are there, and as many of bias and `y`.
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
    // SAFETY: the caller's promise, for every offset below.
    unsafe {
        for out in 0..conv.outputs {
            let at = out * groups + first;
            let mut sum = part::<S, WHOLE>(s, conv.bias.as_ptr().add(at), lanes);
            for &(x, w) in taps {
                let mut x = input.as_ptr().add(x + first);
                let mut w = conv.weight.as_ptr().add(w + out * inputs * groups + first);
                for left in (0..inputs).rev() {
                    sum = s.fma(part::<S, WHOLE>(s, w, lanes), part::<S, WHOLE>(s, x, lanes), sum);
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

/// # Safety
/// `lanes` ≤ LANES values are readable at `from`; LANES where WHOLE.
#[inline(always)]
unsafe fn part<S: Simd, const WHOLE: bool>(s: S, from: *const f32, lanes: usize) -> S::F {
    // SAFETY: handed on from the caller.
    unsafe { if WHOLE { s.load(from) } else { s.load_part(from, lanes) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naive;
    use crate::testing::{Random, assert_all_within, every_isa};

    #[test]
    fn agrees_with_the_naive_grouped_convolution() {
        for isa in every_isa() {
            for (groups, inputs, outputs) in [(1, 1, 1), (3, 2, 5), (8, 4, 2), (17, 3, 3), (48, 4, 16), (48, 16, 4)] {
                for (window, lines, columns) in [(1, 4, 4), (3, 4, 4), (3, 1, 2), (5, 3, 2), (3, 2, 5)] {
                    let images = 2;
                    let mut random = Random::new(groups as u64 * 10 + window as u64);
                    let weight = random.floats(groups * outputs * inputs * window * window);
                    let bias = random.floats(groups * outputs);
                    // Tokens behind a class token, which must not be read as one of the map.
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
