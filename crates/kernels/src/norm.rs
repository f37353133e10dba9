//! Layer normalisation without gain and bias (callers fold these into the next layer), and sums and means of rows.

use crate::isa::Isa;
use crate::layout::Layout;
use crate::simd::{Kernel, Simd, dispatch};

/// Computes `output[row] = (input[row] − mean)/√(variance + eps)`, with mean and variance of the `width` values of the
/// row. Both slices are (rows, width).
///
/// # Panics
/// If the slices differ in length or are not whole rows.
pub fn layer_norm(isa: Isa, width: usize, eps: f32, input: &[f32], output: &mut [f32]) {
    assert_eq!(input.len(), output.len(), "input and output differ in length");
    assert!(width > 0 && input.len().is_multiple_of(width), "not whole rows");
    dispatch(isa, LayerNorm { width, eps, input, output });
}

struct LayerNorm<'a> {
    width: usize,
    eps: f32,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Kernel for LayerNorm<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.width;
        let whole = width / S::LANES * S::LANES;
        for (x, y) in self.input.chunks_exact(width).zip(self.output.chunks_exact_mut(width)) {
            // SAFETY: every load and store below covers elements below `width` of x and y.
            unsafe {
                let sum = sum_of(s, whole, |i| s.load(x.as_ptr().add(i)), |sum, x| s.add(sum, x));
                let tail: f32 = x[whole..].iter().sum();
                let mean = (sum + tail) / width as f32;

                let centre = s.splat(mean);
                let deviation = |i| s.sub(s.load(x.as_ptr().add(i)), centre);
                let squares = sum_of(s, whole, deviation, |sum, d| s.fma(d, d, sum));
                let tail: f32 = x[whole..].iter().map(|x| (x - mean) * (x - mean)).sum();
                let variance = (squares + tail) / width as f32;

                let scale = 1.0 / (variance + self.eps).sqrt();
                let gain = s.splat(scale);
                for i in (0..whole).step_by(S::LANES) {
                    let d = s.sub(s.load(x.as_ptr().add(i)), centre);
                    s.store(y.as_mut_ptr().add(i), s.mul(d, gain));
                }
                for (x, y) in x[whole..].iter().zip(&mut y[whole..]) {
                    *y = (x - mean) * scale;
                }
            }
        }
    }
}

/// Adds up `term(i)` for each whole vector, then the lanes, always in the same order. It uses four independent sums,
/// because each addition to a single sum would wait for the previous one.
#[inline(always)]
fn sum_of<S: Simd>(s: S, whole: usize, term: impl Fn(usize) -> S::F, add: impl Fn(S::F, S::F) -> S::F) -> f32 {
    let mut sums = [s.splat(0.0); 4];
    let step = sums.len() * S::LANES;
    let fours = whole / step * step;
    for first in (0..fours).step_by(step) {
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum = add(*sum, term(first + index * S::LANES));
        }
    }
    for i in (fours..whole).step_by(S::LANES) {
        sums[0] = add(sums[0], term(i));
    }
    s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
}

/// Computes `output[row] += input[row]`. `input` is (rows, width), and `layout` states where the rows of the output
/// start.
///
/// # Panics
/// If the layout reaches outside `output`, or `input` has another number of rows.
pub fn add_rows(width: usize, input: &[f32], layout: &Layout, output: &mut [f32]) {
    assert_eq!(input.len(), layout.rows() * width, "input is not (rows, width)");
    for (row, x) in input.chunks_exact(width).enumerate() {
        for (y, x) in output[layout.start(row)..][..width].iter_mut().zip(x) {
            *y += x;
        }
    }
}

/// Computes the mean over the rows of each image: `output` (images, width) from rows of `width` values.
///
/// # Panics
/// If the layout reaches outside `input`, or `output` is not (images, width).
pub fn mean_rows(width: usize, input: &[f32], layout: &Layout, output: &mut [f32]) {
    assert_eq!(output.len(), layout.images * width, "output is not (images, width)");
    let rows = layout.lines * layout.columns;
    let scale = 1.0 / rows as f32;
    for (image, y) in output.chunks_exact_mut(width).enumerate() {
        y.fill(0.0);
        for row in image * rows..(image + 1) * rows {
            for (y, x) in y.iter_mut().zip(&input[layout.start(row)..][..width]) {
                *y += x;
            }
        }
        for y in y {
            *y *= scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naive;
    use crate::testing::{Random, assert_all_within, every_isa};

    #[test]
    fn layer_norm_matches_the_naive_one() {
        for isa in every_isa() {
            for width in [1, 2, 3, 7, 8, 9, 16, 17, 31, 33, 48, 192] {
                let mut random = Random::new(width as u64);
                // With this offset, a variance computed in one pass would be too inexact.
                let input: Vec<f32> = random.floats(5 * width).iter().map(|x| x + 50.0).collect();
                let mut output = vec![f32::NAN; input.len()];
                layer_norm(isa, width, 1e-6, &input, &mut output);
                let expected = naive::layer_norm(&input, width, 1e-6);
                assert_all_within(&output, &expected, 2e-4, &format!("{isa} {width}"));
            }
        }
    }

    #[test]
    fn nan_makes_only_its_row_nan() {
        for isa in every_isa() {
            let mut input = Random::new(1).floats(3 * 19);
            input[19 + 4] = f32::NAN;
            let mut output = vec![0.0; input.len()];
            layer_norm(isa, 19, 1e-6, &input, &mut output);
            assert!(output[19..38].iter().all(|x| x.is_nan()), "{isa}");
            assert!(output[..19].iter().chain(&output[38..]).all(|x| x.is_finite()), "{isa}");
        }
    }

    #[test]
    fn add_rows_and_mean_rows_use_the_layout() {
        // Two images, each with a class token and two tokens, three values wide.
        let layout =
            Layout { offset: 3, images: 2, image_stride: 9, lines: 1, line_stride: 0, columns: 2, column_stride: 3 };
        let mut tokens: Vec<f32> = (0..18).map(|x| x as f32).collect();
        let mut means = vec![0.0; 6];
        mean_rows(3, &tokens, &layout, &mut means);
        assert_eq!(means, [4.5, 5.5, 6.5, 13.5, 14.5, 15.5]);
        add_rows(3, &[100.0; 12], &layout, &mut tokens);
        assert_eq!(tokens[..4], [0.0, 1.0, 2.0, 103.0]);
        assert_eq!(tokens[8..13], [108.0, 9.0, 10.0, 11.0, 112.0]);
    }
}
