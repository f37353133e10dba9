//! Average and maximum pooling. Images are (height, width, channels), except for [`avg_pool_planar`].

use crate::isa::Isa;
use crate::simd::{Kernel, Simd, dispatch};

/// Computes the means of 2×2 windows at stride 2 of one image (channels, height, width). `output` is
/// (height/2, width/2, channels). An odd last line or column is ignored, as in PyTorch.
///
/// # Panics
/// If the slices do not have these sizes.
pub fn avg_pool_planar((channels, height, width): (usize, usize, usize), input: &[f32], output: &mut [f32]) {
    let (lines, columns) = (height / 2, width / 2);
    assert_eq!(input.len(), channels * height * width, "input is not (channels, height, width)");
    assert_eq!(output.len(), lines * columns * channels, "output is not (height/2, width/2, channels)");
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

/// Computes the means of 2×2 windows at stride 2 of one image (height, width, channels). `output` is
/// (height/2, width/2, channels). An odd last line or column is ignored, as in PyTorch.
///
/// # Panics
/// If the slices do not have these sizes.
pub fn avg_pool(isa: Isa, (height, width, channels): (usize, usize, usize), input: &[f32], output: &mut [f32]) {
    assert_eq!(input.len(), height * width * channels, "input is not (height, width, channels)");
    assert_eq!(output.len(), (height / 2) * (width / 2) * channels, "output is not (height/2, width/2, channels)");
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

/// Computes the maxima of 3×3 windows at stride 1 of one image (height, width, channels). `output` has the same size.
/// At the border, a window contains only the pixels inside the image. If a value in a window is not finite, its maximum
/// is NaN.
///
/// # Panics
/// If the slices do not have this size.
pub fn max_pool(isa: Isa, (height, width, channels): (usize, usize, usize), input: &[f32], output: &mut [f32]) {
    assert_eq!(input.len(), height * width * channels, "input is not (height, width, channels)");
    assert_eq!(output.len(), input.len(), "output is not (height, width, channels)");
    dispatch(isa, MaxPool { size: (height, width, channels), input, output });
}

struct MaxPool<'a> {
    size: (usize, usize, usize),
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Kernel for MaxPool<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (height, width, channels) = self.size;
        for line in 0..height {
            // At the border, the line itself replaces the missing line, which changes no maximum.
            let lines = [line.saturating_sub(1), line, (line + 1).min(height - 1)].map(|line| line * width * channels);
            for first in (0..channels).step_by(S::LANES) {
                let lanes = S::LANES.min(channels - first);
                // SAFETY: `max_pool` asserted that input and output are (height, width, channels), and first + lanes ≤
                // channels.
                unsafe {
                    let lines = lines.map(|line| self.input.as_ptr().add(line + first));
                    let output = self.output.as_mut_ptr().add(line * width * channels + first);
                    if lanes == S::LANES {
                        line_maxima::<S, true>(s, lines, width, channels, lanes, output);
                    } else {
                        line_maxima::<S, false>(s, lines, width, channels, lanes, output);
                    }
                }
            }
        }
    }
}

/// Computes one line of maxima from three lines, for `lanes` channels. WHOLE is true if these fill a vector.
///
/// # Safety
/// Every pointer refers to `width` columns that are `channels` apart, with `lanes` values each.
#[inline(always)]
unsafe fn line_maxima<S: Simd, const WHOLE: bool>(
    s: S,
    lines: [*const f32; 3],
    width: usize,
    channels: usize,
    lanes: usize,
    output: *mut f32,
) {
    // Maximum of the three values of a column, and their sum times 0, which is NaN if one is not finite. The second is
    // needed because `max` may lose a NaN in its first argument.
    let column = |column: usize| {
        // SAFETY: guaranteed by the caller.
        let [a, b, c] = lines.map(|line| unsafe {
            let from = line.add(column * channels);
            if WHOLE { s.load(from) } else { s.load_part(from, lanes) }
        });
        let zero = s.splat(0.0);
        (s.max(s.max(a, b), c), s.fma(a, zero, s.fma(b, zero, s.mul(c, zero))))
    };
    let mut here = column(0);
    let mut before = here;
    for at in 0..width {
        let after = if at + 1 < width { column(at + 1) } else { here };
        let largest = s.max(s.max(before.0, here.0), after.0);
        let value = s.add(largest, s.add(s.add(before.1, here.1), after.1));
        // SAFETY: guaranteed by the caller.
        unsafe {
            let to = output.add(at * channels);
            if WHOLE {
                s.store(to, value);
            } else {
                s.store_part(to, value, lanes);
            }
        }
        (before, here) = (here, after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naive;
    use crate::testing::{Random, assert_all_within, every_isa};

    const SIZES: [(usize, usize, usize); 6] = [(2, 2, 1), (4, 6, 3), (5, 7, 8), (16, 16, 32), (1, 1, 5), (3, 2, 17)];

    #[test]
    fn pools_match_the_naive_ones() {
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
    fn avg_pool_planar_moves_channels_innermost() {
        for (height, width, channels) in SIZES {
            let interleaved = Random::new(4).floats(height * width * channels);
            let mut planar = vec![0.0; interleaved.len()];
            for (index, value) in interleaved.iter().enumerate() {
                planar[index % channels * height * width + index / channels] = *value;
            }
            let mut output = vec![f32::NAN; (height / 2) * (width / 2) * channels];
            avg_pool_planar((channels, height, width), &planar, &mut output);
            assert_all_within(&output, &naive::avg_pool(&interleaved, (height, width, channels)), 1e-6, "planar");
        }
    }

    #[test]
    fn non_finite_pixel_makes_every_window_with_it_nan() {
        for isa in every_isa() {
            for (at, windows) in [(12, 9), (0, 4), (4, 4), (23, 6)] {
                for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut input = vec![1.0; 5 * 5 * 9];
                    input[at * 9 + 4] = value;
                    let mut output = vec![0.0; input.len()];
                    max_pool(isa, (5, 5, 9), &input, &mut output);
                    let nans = output.iter().filter(|x| x.is_nan()).count();
                    assert_eq!(nans, windows, "{isa} {at} {value}");
                }
            }
        }
    }
}
