//! The product itself: panels outside, rows inside, one tile of registers at a time.

use std::array;

use crate::activation::Activation;
use crate::gemm::pack::Weights;
use crate::layout::{Cursor, Layout};
use crate::simd::{Kernel, Simd, dispatch};

/// Where the k inputs of a row lie, relative to the row's start: one run of `len` at each offset.
#[derive(Clone, Copy, Debug)]
pub struct Taps<'a> {
    /// Start of each run, in the order of the weights.
    pub offsets: &'a [usize],
    /// Length of a run; offsets × len is k.
    pub len: usize,
}

impl Taps<'_> {
    /// One run of k: a plain matrix.
    pub fn one(k: usize) -> Taps<'static> {
        Taps { offsets: &[0], len: k }
    }
}

/// What [`gemm`] computes: `output[row] = activation(input[row] · weightsᵀ + bias)`, added to what was there when
/// `accumulate` is set (the activation comes before the addition).
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// Packed weights and bias.
    pub weights: &'a Weights,
    /// Where the rows of the input start.
    pub input: Layout,
    /// Where a row's inputs lie.
    pub taps: Taps<'a>,
    /// Where the rows of the output start; as many rows as the input has.
    pub output: Layout,
    /// Applied to each element of the product.
    pub activation: Activation,
    /// Whether the result is added to the output (a residual) or replaces it.
    pub accumulate: bool,
}

/// Computes `product` from `input` into `output`. Each element is one chain of fused multiply-adds over k, in the same
/// order whatever the number of rows: a row's result never depends on its neighbours.
///
/// # Panics
/// Where a layout reaches outside its slice or the sizes disagree.
pub fn gemm(product: &Product<'_>, input: &[f32], output: &mut [f32]) {
    let Product { weights, taps, .. } = product;
    assert_eq!(taps.offsets.len() * taps.len, weights.k(), "taps do not cover k");
    assert_eq!(product.input.rows(), product.output.rows(), "input and output rows differ");
    let furthest = taps.offsets.iter().max().map_or(0, |tap| tap + taps.len);
    assert!(product.input.extent(furthest) <= input.len(), "input rows reach outside the slice");
    assert!(product.output.extent(weights.n()) <= output.len(), "output rows reach outside the slice");
    dispatch(weights.isa(), Gemm { product, input, output });
}

struct Gemm<'a> {
    product: &'a Product<'a>,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Kernel for Gemm<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Product { weights, .. } = self.product;
        let panel_columns = S::TILE_VECTORS * S::LANES;
        let padded = weights.bias().len();
        for first in (0..padded).step_by(panel_columns) {
            let width = panel_columns.min(padded - first);
            let panel = Panel {
                product: self.product,
                weights: weights.panels()[first * weights.k()..][..width * weights.k()].as_ptr(),
                bias: weights.bias()[first..][..width].as_ptr(),
                first,
                columns: width.min(weights.n() - first),
                input: self.input.as_ptr(),
                output: self.output.as_mut_ptr(),
            };
            // SAFETY: `gemm` asserted that every row of both layouts lies in its slice for all taps and columns;
            // the panel and its bias hold `width` columns.
            unsafe {
                match width / S::LANES {
                    1 => panel.rows::<S, 1>(s),
                    2 if S::TILE_VECTORS >= 2 => panel.rows::<S, 2>(s),
                    3 if S::TILE_VECTORS >= 3 => panel.rows::<S, 3>(s),
                    4 if S::TILE_VECTORS >= 4 => panel.rows::<S, 4>(s),
                    vectors => unreachable!("a panel of {vectors} vectors"),
                }
            }
        }
    }
}

/// One panel of weights against all rows.
struct Panel<'a> {
    product: &'a Product<'a>,
    weights: *const f32,
    bias: *const f32,
    /// First column of the panel, and how many it has that are not padding.
    first: usize,
    columns: usize,
    input: *const f32,
    output: *mut f32,
}

impl Panel<'_> {
    /// # Safety
    /// The panel has NV vectors, and its layouts lie within the memory behind its pointers.
    #[inline(always)]
    unsafe fn rows<S: Simd, const NV: usize>(&self, s: S) {
        let mut left = self.product.input.rows();
        let at = &mut (self.product.input.cursor(), self.product.output.cursor());
        // SAFETY: handed on from the caller; the tiles take each row once.
        unsafe {
            while left >= S::TILE_ROWS {
                match S::TILE_ROWS {
                    4 => self.tile::<S, 4, NV>(s, at),
                    6 => self.tile::<S, 6, NV>(s, at),
                    8 => self.tile::<S, 8, NV>(s, at),
                    mr => unreachable!("a tile of {mr} rows"),
                }
                left -= S::TILE_ROWS;
            }
            match left {
                0 => {}
                1 => self.tile::<S, 1, NV>(s, at),
                2 => self.tile::<S, 2, NV>(s, at),
                3 => self.tile::<S, 3, NV>(s, at),
                4 if S::TILE_ROWS > 4 => self.tile::<S, 4, NV>(s, at),
                5 if S::TILE_ROWS > 5 => self.tile::<S, 5, NV>(s, at),
                6 if S::TILE_ROWS > 6 => self.tile::<S, 6, NV>(s, at),
                7 if S::TILE_ROWS > 7 => self.tile::<S, 7, NV>(s, at),
                left => unreachable!("{left} rows left"),
            }
        }
    }

    /// # Safety
    /// As for `rows`, and MR rows are left under the cursors of input and output.
    #[inline(always)]
    unsafe fn tile<S: Simd, const MR: usize, const NV: usize>(&self, s: S, at: &mut (Cursor, Cursor)) {
        let Product { taps, activation, accumulate, .. } = self.product;
        // SAFETY: `gemm` asserted that every start + tap + run, and every start + column, lies in its slice; loads of
        // weights advance through k rows of NV vectors, which is the panel's size.
        unsafe {
            let a: [*const f32; MR] = array::from_fn(|_| self.input.add(at.0.advance()));
            let bias: [S::F; NV] = array::from_fn(|v| s.load(self.bias.add(v * S::LANES)));
            let mut sums = [bias; MR];
            let mut b = self.weights;
            for &tap in taps.offsets {
                for p in tap..tap + taps.len {
                    let bv: [S::F; NV] = array::from_fn(|v| s.load(b.add(v * S::LANES)));
                    b = b.add(NV * S::LANES);
                    for r in 0..MR {
                        let av = s.splat(*a[r].add(p));
                        for v in 0..NV {
                            sums[r][v] = s.fma(av, bv[v], sums[r][v]);
                        }
                    }
                }
            }
            for sums in &sums {
                let c = self.output.add(at.1.advance() + self.first);
                for (v, &sum) in sums.iter().enumerate() {
                    let c = c.add(v * S::LANES);
                    let value = activation.apply(s, sum);
                    if (v + 1) * S::LANES <= self.columns {
                        let value = if *accumulate { s.add(s.load(c), value) } else { value };
                        s.store(c, value);
                    } else {
                        let part = self.columns - v * S::LANES;
                        let value = if *accumulate { s.add(s.load_part(c, part), value) } else { value };
                        s.store_part(c, value, part);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;
    use crate::naive;
    use crate::testing::{Random, assert_all_within, every_isa, refuses};

    #[test]
    fn plain_products_agree_with_the_naive_one_at_awkward_sizes() {
        for isa in every_isa() {
            for n in [1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 47, 48, 49, 65, 97] {
                for (m, k) in [(1, 1), (2, 5), (3, 17), (5, 64), (6, 2), (7, 33), (13, 9), (25, 40)] {
                    let mut random = Random::new(n as u64 * 1000 + m as u64);
                    let (weight, bias) = (random.floats(n * k), random.floats(n));
                    let (input, before) = (random.floats(m * k), random.floats(m * n));
                    let weights = Weights::pack(isa, n, k, &weight, &bias);
                    for (activation, accumulate) in [
                        (Activation::Identity, false),
                        (Activation::Gelu, false),
                        (Activation::Identity, true),
                        (Activation::Relu, true),
                    ] {
                        let mut output = before.clone();
                        let product = Product {
                            weights: &weights,
                            input: Layout::plain(m, k),
                            taps: Taps::one(k),
                            output: Layout::plain(m, n),
                            activation,
                            accumulate,
                        };
                        gemm(&product, &input, &mut output);
                        let mut expected = naive::linear(&input, &weight, &bias, n, k);
                        for (value, before) in expected.iter_mut().zip(&before) {
                            *value =
                                naive::activate(activation, *value) + if accumulate { f64::from(*before) } else { 0.0 };
                        }
                        let what = format!("{isa} {m}×{k}×{n} {activation:?} {accumulate}");
                        assert_all_within(&output, &expected, 2e-6 * (k as f64).sqrt(), &what);
                    }
                }
            }
        }
    }

    #[test]
    fn a_padded_convolution_is_a_product_with_taps() {
        let (images, height, width, channels, n) = (2, 5, 7, 3, 10);
        for isa in every_isa() {
            for size in [1, 3, 5] {
                let pad = size / 2;
                let (padded_width, padded_height) = (width + 2 * pad, height + 2 * pad);
                let mut random = Random::new(size as u64);
                let weight = random.floats(n * size * size * channels);
                let bias = random.floats(n);
                let mut input = vec![0.0; images * padded_height * padded_width * channels];
                for image in 0..images {
                    for y in 0..height {
                        let start = ((image * padded_height + y + pad) * padded_width + pad) * channels;
                        input[start..start + width * channels].copy_from_slice(&random.floats(width * channels));
                    }
                }
                let offsets: Vec<usize> =
                    (0..size * size).map(|tap| (tap / size * padded_width + tap % size) * channels).collect();
                let mut output = vec![f32::NAN; images * height * width * n];
                let weights = Weights::pack(isa, n, size * size * channels, &weight, &bias);
                let product = Product {
                    weights: &weights,
                    input: Layout {
                        offset: 0,
                        images,
                        image_stride: padded_height * padded_width * channels,
                        lines: height,
                        line_stride: padded_width * channels,
                        columns: width,
                        column_stride: channels,
                    },
                    taps: Taps { offsets: &offsets, len: channels },
                    output: Layout::plain(images * height * width, n),
                    activation: Activation::Relu,
                    accumulate: false,
                };
                gemm(&product, &input, &mut output);
                let expected =
                    naive::convolution(&input, (images, padded_height, padded_width, channels), &weight, &bias, size);
                let expected: Vec<f64> = expected.iter().map(|x| x.max(0.0)).collect();
                assert_all_within(&output, &expected, 2e-5, &format!("{isa} {size}×{size}"));
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_its_neighbours() {
        let (n, k) = (37, 50);
        for isa in every_isa() {
            let mut random = Random::new(5);
            let (weight, bias, input) = (random.floats(n * k), random.floats(n), random.floats(20 * k));
            let weights = Weights::pack(isa, n, k, &weight, &bias);
            let run = |rows: usize, input: &[f32]| {
                let mut output = vec![0.0; rows * n];
                let product = Product {
                    weights: &weights,
                    input: Layout::plain(rows, k),
                    taps: Taps::one(k),
                    output: Layout::plain(rows, n),
                    activation: Activation::Gelu,
                    accumulate: false,
                };
                gemm(&product, input, &mut output);
                output
            };
            let together = run(20, &input);
            for row in 0..20 {
                let alone = run(1, &input[row * k..]);
                assert_eq!(alone, together[row * n..][..n], "{isa} row {row}");
            }
        }
    }

    #[test]
    fn layouts_outside_their_slices_are_refused() {
        let weights = Weights::pack(Isa::detect(), 4, 3, &[0.0; 12], &[0.0; 4]);
        let product = Product {
            weights: &weights,
            input: Layout::plain(2, 3),
            taps: Taps::one(3),
            output: Layout::plain(2, 4),
            activation: Activation::Identity,
            accumulate: false,
        };
        gemm(&product, &[0.0; 6], &mut [0.0; 8]);
        assert!(refuses(|| gemm(&product, &[0.0; 5], &mut [0.0; 8])));
        assert!(refuses(|| gemm(&product, &[0.0; 6], &mut [0.0; 7])));
        let short = Product { taps: Taps::one(2), ..product };
        assert!(refuses(|| gemm(&short, &[0.0; 6], &mut [0.0; 8])));
    }
}
