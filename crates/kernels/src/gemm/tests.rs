//! Compares products in every arithmetic on every instruction set with their definition in `f64`.

use super::*;
use crate::activation::Activation;
use crate::isa::Isa;
use crate::layout::Layout;
use crate::naive::{self, Quantised};
use crate::simd::bf16;
use crate::testing::{Random, assert_all_within, every_isa, panics};

const ARITHMETICS: [Arithmetic; 3] = [Arithmetic::F32, Arithmetic::Bf16, Arithmetic::Int8];

/// Every instruction set with each arithmetic in which it multiplies runs of `run` inputs.
fn isas_and_arithmetics(run: usize) -> impl Iterator<Item = (Isa, Arithmetic)> {
    let all = every_isa().into_iter().flat_map(|isa| ARITHMETICS.map(|arithmetic| (isa, arithmetic)));
    all.filter(move |(isa, arithmetic)| isa.multiplies(*arithmetic, run))
}

/// Inputs and weights after the rounding that the arithmetic does.
fn rounded_operands(
    (isa, arithmetic): (Isa, Arithmetic),
    k: usize,
    input: &[f32],
    weight: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let rounded = |values: &[f32]| values.iter().map(|x| bf16::to_f32(bf16::from_f32(*x))).collect();
    match arithmetic {
        Arithmetic::F32 => (input.to_vec(), weight.to_vec()),
        Arithmetic::Bf16 if isa.multiplies_bf16() || isa.name() == "scalar" => (rounded(input), rounded(weight)),
        Arithmetic::Bf16 => (input.to_vec(), rounded(weight)),
        Arithmetic::Int8 => {
            let largest = panel_shape(isa, arithmetic).largest_weight;
            (Quantised::rows(input, k, 127.0).values(), Quantised::rows(weight, k, largest).values())
        }
    }
}

fn plain(weights: &Weights, rows: usize) -> Product<'_> {
    Product {
        weights,
        input: Layout::plain(rows, weights.k()),
        taps: Taps::one(weights.k()),
        output: Layout::plain(rows, weights.n()),
        activation: Activation::Identity,
        accumulate: false,
    }
}

fn run(product: &Product<'_>, input: &[f32], output: &mut [f32]) {
    let mut staging = Staging::new(product.weights.staging(product.input.rows(), product.input_extent()));
    // NaN in the staging memory reveals a value that is read before it is written.
    staging.values.fill(f32::NAN);
    staging.scales.fill(f32::NAN);
    gemm(product, input, &mut staging, output);
}

fn assert_product_matches_naive(way: (Isa, Arithmetic), (m, k, n): (usize, usize, usize)) {
    let (isa, arithmetic) = way;
    let mut random = Random::new((n * 1000 + m * 7 + k) as u64);
    let (weight, bias) = (random.floats(n * k), random.floats(n));
    let (input, before) = (random.floats(m * k), random.floats(m * n));
    let weights = Weights::pack(isa, arithmetic, (n, k), k, &weight, &bias);
    let (rounded_input, rounded_weight) = rounded_operands(way, k, &input, &weight);
    let products = naive::linear(&rounded_input, &rounded_weight, &bias, n, k);
    for (activation, accumulate) in [
        (Activation::Identity, false),
        (Activation::Gelu, false),
        (Activation::Silu, false),
        (Activation::Relu, false),
        (Activation::Identity, true),
    ] {
        let mut output = before.clone();
        run(&Product { activation, accumulate, ..plain(&weights, m) }, &input, &mut output);
        let expected: Vec<f64> = products
            .iter()
            .zip(&before)
            .map(|(x, before)| naive::activate(activation, *x) + if accumulate { f64::from(*before) } else { 0.0 })
            .collect();
        let what = format!("{isa} {arithmetic:?} {m}×{k}×{n} {activation:?} {accumulate}");
        assert_all_within(&output, &expected, 2e-6 * (k as f64).sqrt(), &what);
    }
}

#[test]
fn products_match_the_naive_product_at_sizes_around_tiles_and_vectors() {
    for n in [1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 47, 48, 49, 65, 97] {
        for (m, k) in [(1, 1), (2, 5), (3, 17), (4, 4), (5, 64), (6, 2), (7, 33), (9, 20), (13, 9), (25, 40), (8, 102)]
        {
            isas_and_arithmetics(k).for_each(|way| assert_product_matches_naive(way, (m, k, n)));
        }
    }
}

#[test]
fn products_of_several_blocks_match_the_naive_product() {
    // k is longer than one block in every arithmetic; the rows are more than, equal to and fewer than BLOCK_ROWS.
    for (m, k, n) in [(131, 1601, 33), (128, 3216, 17), (5, 2412, 100), (300, 772, 16)] {
        isas_and_arithmetics(k).for_each(|way| assert_product_matches_naive(way, (m, k, n)));
    }
}

/// Root mean square of the errors of a product of random values, relative to that of the product without its bias.
fn relative_error(isa: Isa, (m, k, n): (usize, usize, usize), bias: f32) -> f64 {
    let mut random = Random::new(k as u64);
    let (weight, input, bias) = (random.floats(n * k), random.floats(m * k), vec![bias; n]);
    let weights = Weights::pack(isa, Arithmetic::F32, (n, k), k, &weight, &bias);
    let mut output = vec![f32::NAN; m * n];
    run(&plain(&weights, m), &input, &mut output);
    let exact = naive::linear(&input, &weight, &bias, n, k);
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
    let error = squares(&mut output.iter().zip(&exact).map(|(x, exact)| f64::from(*x) - exact));
    (error / squares(&mut exact.iter().map(|x| x - f64::from(bias[0])))).sqrt()
}

#[test]
fn f32_products_of_any_length_round_like_short_sums() {
    // One chain of k multiply-adds has an error of 0.29·√k units: 4 for k = 192, and 16 for k = 3216.
    let unit = f64::from(f32::EPSILON) / 2.0;
    for isa in every_isa() {
        for k in [192, 768, 1024, 1096, 3216, 3217] {
            let error = relative_error(isa, (24, k, 50), 0.0) / unit;
            assert!(error <= 3.5, "{isa} k = {k}: {error:.2} units");
        }
    }
}

#[test]
fn large_bias_is_rounded_once_and_not_in_every_step() {
    let unit = f64::from(f32::EPSILON) / 2.0;
    for isa in every_isa() {
        // A sum of 192 products is 4.6 on average. Rounding a number near 1000 has an error of 0.3 units of 1000 on
        // average; rounding it in each of 192 steps would have 4.
        let error = relative_error(isa, (24, 192, 50), 1000.0) * 4.6 / (1000.0 * unit);
        assert!(error <= 1.0, "{isa}: {error:.2} units");
    }
}

#[test]
fn product_with_taps_matches_the_naive_convolution() {
    let (images, height, width, n) = (2, 5, 7, 10);
    for (size, channels) in [(1, 3), (3, 3), (5, 3), (1, 4), (3, 4), (5, 8)] {
        for way in isas_and_arithmetics(channels).filter(|(_, arithmetic)| *arithmetic != Arithmetic::Int8) {
            let pad = size / 2;
            let (padded_width, padded_height) = (width + 2 * pad, height + 2 * pad);
            let mut random = Random::new(size as u64);
            let k = size * size * channels;
            let (weight, bias) = (random.floats(n * k), random.floats(n));
            let mut input = vec![0.0; images * padded_height * padded_width * channels];
            for (image, y) in (0..images).flat_map(|image| (0..height).map(move |y| (image, y))) {
                let start = ((image * padded_height + y + pad) * padded_width + pad) * channels;
                input[start..start + width * channels].copy_from_slice(&random.floats(width * channels));
            }
            let offsets: Vec<usize> =
                (0..size * size).map(|tap| (tap / size * padded_width + tap % size) * channels).collect();
            let mut output = vec![f32::NAN; images * height * width * n];
            let weights = Weights::pack(way.0, way.1, (n, k), channels, &weight, &bias);
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
            run(&product, &input, &mut output);
            let (input, weight) = rounded_operands(way, k, &input, &weight);
            let expected =
                naive::convolution(&input, (images, padded_height, padded_width, channels), &weight, &bias, size);
            let expected: Vec<f64> = expected.iter().map(|x| x.max(0.0)).collect();
            assert_all_within(&output, &expected, 2e-5, &format!("{way:?} {size}×{size}×{channels}"));
        }
    }
}

#[test]
fn row_does_not_depend_on_other_rows() {
    for (n, k) in [(37, 52), (20, 1600)] {
        for (isa, arithmetic) in isas_and_arithmetics(k) {
            let mut random = Random::new(5);
            let (weight, bias, input) = (random.floats(n * k), random.floats(n), random.floats(140 * k));
            let weights = Weights::pack(isa, arithmetic, (n, k), k, &weight, &bias);
            let product = |rows| Product { activation: Activation::Gelu, ..plain(&weights, rows) };
            let mut together = vec![0.0; 140 * n];
            run(&product(140), &input, &mut together);
            for row in 0..140 {
                let mut alone = vec![0.0; n];
                run(&product(1), &input[row * k..], &mut alone);
                assert_eq!(alone, together[row * n..][..n], "{isa} {arithmetic:?} row {row}");
            }
        }
    }
}

#[test]
fn non_finite_input_makes_only_its_row_non_finite() {
    let (m, k, n) = (11, 44, 19);
    for (isa, arithmetic) in isas_and_arithmetics(k) {
        let mut random = Random::new(8);
        let (weight, bias, mut input) = (random.floats(n * k), random.floats(n), random.floats(m * k));
        let weights = Weights::pack(isa, arithmetic, (n, k), k, &weight, &bias);
        for (value, at) in [(f32::NAN, 0), (f32::INFINITY, 17), (f32::NEG_INFINITY, k - 1)] {
            let before = std::mem::replace(&mut input[5 * k + at], value);
            let mut output = vec![0.0; m * n];
            run(&plain(&weights, m), &input, &mut output);
            for (row, values) in output.chunks(n).enumerate() {
                let finite = values.iter().filter(|x| x.is_finite()).count();
                assert_eq!(finite, if row == 5 { 0 } else { n }, "{isa} {arithmetic:?} {value} row {row}");
            }
            input[5 * k + at] = before;
        }
    }
}

#[test]
fn rows_of_zeros_and_of_tiny_numbers_give_the_bias() {
    let (k, n) = (40, 9);
    for (isa, arithmetic) in isas_and_arithmetics(k) {
        let mut random = Random::new(2);
        let (weight, bias) = (random.floats(n * k), random.floats(n));
        let weights = Weights::pack(isa, arithmetic, (n, k), k, &weight, &bias);
        for value in [0.0, 1e-42, -1e-38] {
            let mut output = vec![f32::NAN; n];
            run(&plain(&weights, 1), &vec![value; k], &mut output);
            let expected: Vec<f64> = bias.iter().map(|b| f64::from(*b)).collect();
            assert_all_within(&output, &expected, 1e-30, &format!("{isa} {arithmetic:?} {value:e}"));
        }
    }
}

#[test]
fn largest_magnitudes_do_not_overflow() {
    // Largest magnitudes of inputs and weights, with equal and alternating signs: 16-bit sums would overflow here.
    let (k, n) = (64, 8);
    for way in isas_and_arithmetics(k) {
        for signs in [[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]] {
            let row = |signs: [f32; 2]| (0..k).map(|i| signs[i % 2]).collect::<Vec<f32>>();
            let (input, weight) = (row(signs), row([1.0, 1.0]).repeat(n));
            let weights = Weights::pack(way.0, way.1, (n, k), k, &weight, &[0.0; 8]);
            let mut output = [f32::NAN; 8];
            run(&plain(&weights, 1), &input, &mut output);
            let expected = k as f64 / 2.0 * f64::from(signs[0] + signs[1]);
            assert_all_within(&output, &[expected; 8], 1e-6, &format!("{way:?} {signs:?}"));
        }
    }
}

#[test]
fn gemm_panics_if_a_layout_is_outside_its_slice() {
    let isa = Isa::detect();
    let weights = Weights::pack(isa, Arithmetic::F32, (4, 3), 3, &[0.0; 12], &[0.0; 4]);
    let product = plain(&weights, 2);
    run(&product, &[0.0; 6], &mut [0.0; 8]);
    assert!(panics(|| run(&product, &[0.0; 5], &mut [0.0; 8])));
    assert!(panics(|| run(&product, &[0.0; 6], &mut [0.0; 7])));
    let both = Product { activation: Activation::Relu, accumulate: true, ..product };
    assert!(panics(|| run(&both, &[0.0; 6], &mut [0.0; 8])));
    let short = Product { taps: Taps::one(2), ..product };
    assert!(panics(|| run(&short, &[0.0; 6], &mut [0.0; 8])));
}

#[test]
fn gemm_panics_if_staging_is_too_small() {
    for (isa, arithmetic) in isas_and_arithmetics(8).filter(|(_, arithmetic)| *arithmetic != Arithmetic::F32) {
        let weights = Weights::pack(isa, arithmetic, (4, 8), 8, &[0.5; 32], &[0.0; 4]);
        let needed = weights.staging_of_rows(20);
        if needed == StagingSize::default() {
            continue;
        }
        let less = StagingSize { values: needed.values - 1, ..needed };
        let call = |size| gemm(&plain(&weights, 20), &[0.0; 160], &mut Staging::new(size), &mut [0.0; 80]);
        call(needed);
        assert!(panics(|| call(less)), "{isa} {arithmetic:?}");
    }
}

#[test]
fn pack_panics_if_a_run_is_not_whole_steps() {
    for isa in every_isa() {
        for arithmetic in ARITHMETICS {
            if isa.instruction(arithmetic).is_some() && !isa.multiplies(arithmetic, 3) {
                assert!(panics(|| drop(Weights::pack(isa, arithmetic, (1, 3), 3, &[0.0; 3], &[0.0]))));
            }
        }
        assert!(isa.multiplies(Arithmetic::F32, 3));
    }
}
