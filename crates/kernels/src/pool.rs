//! Pooling of images whose channels are innermost (height, width, channels).

use crate::isa::Isa;
use crate::simd::{Kernel, Simd, dispatch};

/// Means of 2×2 windows at stride 2 of one image (channels, height, width), channels outermost as partitions hold
/// them, into (height/2, width/2, channels). A last odd line or column is left out, as in PyTorch.
///
/// # Panics
/// Where the slices do not have these sizes.
pub fn avg_pool_planar((channels, height, width): (usize, usize, usize), input: &[f32], output: &mut [f32]) {
    let (lines, columns) = (height / 2, width / 2);
    assert_eq!(input.len(), channels * height * width, "input does not fit");
    assert_eq!(output.len(), lines * columns * channels, "output does not fit");
    for (channel, plane) in input.chunks_exact(height * width).enumerate() {
        for line in 0..lines {
            let (upper, lower) = plane[2 * line * width..][..2 * width].split_at(width);
            let pixels = output[line * columns * channels + channel..].iter_mut().step_by(channels);
            for ((a, b), pixel) in upper.chunks_exact(2).zip(lower.chunks_exact(2)).zip(pixels) {
                *pixel = 0.25 * ((a[0] + a[1]) + (b[0] + b[1]));
            }
        }
    }
}

/// Means of 2×2 windows at stride 2 of one image (height, width, channels), into (height/2, width/2, channels).
///
/// # Panics
/// Where the slices do not have these sizes.
pub fn avg_pool(isa: Isa, (height, width, channels): (usize, usize, usize), input: &[f32], output: &mut [f32]) {
    assert_eq!(input.len(), height * width * channels, "input does not fit");
    assert_eq!(output.len(), (height / 2) * (width / 2) * channels, "output does not fit");
    dispatch(isa, AvgPool { size: (height, width, channels), input, output });
}

struct AvgPool<'a> {
    size: (usize, usize, usize),
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Kernel for AvgPool<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let (_, width, channels) = self.size;
        for (index, y) in self.output.chunks_exact_mut(channels).enumerate() {
            let (line, column) = (index / (width / 2), index % (width / 2));
            let at = (2 * line * width + 2 * column) * channels;
            let (a, b) = self.input[at..][..2 * channels].split_at(channels);
            let (c, d) = self.input[at + width * channels..][..2 * channels].split_at(channels);
            for ((((y, a), b), c), d) in y.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *y = 0.25 * ((a + b) + (c + d));
            }
        }
    }
}

/// Maxima of 3×3 windows at stride 1 of one image (height, width, channels), windows cut at the border; same size out.
/// A NaN in the window gives NaN.
///
/// # Panics
/// Where the slices do not have this size.
pub fn max_pool(isa: Isa, (height, width, channels): (usize, usize, usize), input: &[f32], output: &mut [f32]) {
    assert_eq!(input.len(), height * width * channels, "input does not fit");
    assert_eq!(output.len(), input.len(), "output does not fit");
    dispatch(isa, MaxPool { size: (height, width, channels), input, output });
}

struct MaxPool<'a> {
    size: (usize, usize, usize),
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Kernel for MaxPool<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let (height, width, channels) = self.size;
        for (index, y) in self.output.chunks_exact_mut(channels).enumerate() {
            let (line, column) = (index / width, index % width);
            y.copy_from_slice(&self.input[index * channels..][..channels]);
            for neighbour_line in line.saturating_sub(1)..(line + 2).min(height) {
                for neighbour_column in column.saturating_sub(1)..(column + 2).min(width) {
                    let x = &self.input[(neighbour_line * width + neighbour_column) * channels..][..channels];
                    for (y, x) in y.iter_mut().zip(x) {
                        // `f32::max` would drop a NaN.
                        *y = if *x > *y || x.is_nan() { *x } else { *y };
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naive;
    use crate::testing::{Random, assert_all_within, every_isa};

    const SIZES: [(usize, usize, usize); 6] = [(2, 2, 1), (4, 6, 3), (5, 7, 8), (16, 16, 32), (1, 1, 5), (3, 2, 17)];

    #[test]
    fn pools_agree_with_the_naive_ones() {
        for isa in every_isa() {
            for size in SIZES {
                let (height, width, channels) = size;
                let input = Random::new(height as u64).floats(height * width * channels);
                let mut averages = vec![f32::NAN; (height / 2) * (width / 2) * channels];
                avg_pool(isa, size, &input, &mut averages);
                assert_all_within(&averages, &naive::avg_pool(&input, size), 1e-6, &format!("{isa} {size:?}"));
                let mut maxima = vec![f32::NAN; input.len()];
                max_pool(isa, size, &input, &mut maxima);
                assert_all_within(&maxima, &naive::max_pool(&input, size), 0.0, &format!("{isa} {size:?}"));
            }
        }
    }

    #[test]
    fn a_planar_image_is_pooled_and_turned() {
        for (height, width, channels) in SIZES {
            let turned = Random::new(4).floats(height * width * channels);
            let mut planar = vec![0.0; turned.len()];
            for (index, value) in turned.iter().enumerate() {
                planar[index % channels * height * width + index / channels] = *value;
            }
            let mut output = vec![f32::NAN; (height / 2) * (width / 2) * channels];
            avg_pool_planar((channels, height, width), &planar, &mut output);
            assert_all_within(&output, &naive::avg_pool(&turned, (height, width, channels)), 1e-6, "planar");
        }
    }

    #[test]
    fn a_nan_pixel_reaches_every_window_over_it() {
        for isa in every_isa() {
            let mut input = vec![1.0; 5 * 5 * 9];
            input[(2 * 5 + 2) * 9 + 4] = f32::NAN;
            let mut output = vec![0.0; input.len()];
            max_pool(isa, (5, 5, 9), &input, &mut output);
            let spoilt = output.iter().filter(|x| x.is_nan()).count();
            assert_eq!(spoilt, 9, "{isa}");
        }
    }
}
