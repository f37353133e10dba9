//! Measures GFLOP/s of matrix products at the shapes of AstroMAE, and the peak of the CPU: `cargo bench -p kernels`.
//!
//! Checks a result of each shape before timing it.

#![expect(clippy::print_stdout, reason = "a benchmark prints its measurements")]

use std::hint::black_box;
use std::time::Instant;

use kernels::{Activation, Arithmetic, Isa, Layout, Product, Staging, Taps, Weights, gemm, multiply_adds};

/// (rows, k, n): tokens of six images in qkv, projection and MLP; pixels in a 3×3 and a 5×5 convolution; the linear
/// layers of the head.
const SHAPES: [(usize, usize, usize); 8] = [
    (102, 192, 576),
    (102, 192, 192),
    (102, 192, 768),
    (102, 768, 192),
    (256, 144, 16),
    (256, 400, 16),
    (64, 1096, 1096),
    (64, 3216, 1024),
];

const ARITHMETICS: [Arithmetic; 3] = [Arithmetic::F32, Arithmetic::Bf16, Arithmetic::Int8];

fn main() {
    for (isa, arithmetic) in Isa::available().flat_map(|isa| ARITHMETICS.map(|arithmetic| (isa, arithmetic))) {
        let Some(instruction) = isa.instruction(arithmetic) else { continue };
        let peak = best(|| multiply_adds(isa, arithmetic, 200_000));
        println!("{isa}, {arithmetic:?} ({instruction}): peak of one thread {peak:.1} GFLOP/s");
        for (m, k, n) in SHAPES {
            let weight: Vec<f32> = (0..n * k).map(|i| (i % 7) as f32 - 3.0).collect();
            let input: Vec<f32> = (0..m * k).map(|i| (i % 5) as f32 - 2.0).collect();
            let weights = Weights::pack(isa, arithmetic, (n, k), k, &weight, &vec![0.0; n]);
            let product = Product {
                weights: &weights,
                input: Layout::plain(m, k),
                taps: Taps::one(k),
                output: Layout::plain(m, n),
                activation: Activation::Identity,
                accumulate: false,
            };
            let mut output = vec![0.0; m * n];
            let mut staging = Staging::new(weights.staging_of_rows(m));
            gemm(&product, &input, &mut staging, &mut output);
            let last: f32 = input[(m - 1) * k..].iter().zip(&weight[(n - 1) * k..]).map(|(a, b)| a * b).sum();
            let error = (output[m * n - 1] - last).abs() / last.abs().max(k as f32);
            assert!(error < 0.01, "{isa} {arithmetic:?} {m}×{k}×{n}: {} instead of {last}", output[m * n - 1]);
            let operations = (2 * m * k * n) as f64;
            let repeats = (2e8 / operations) as usize + 1;
            let rate = best(|| {
                for _ in 0..repeats {
                    gemm(&product, black_box(&input), &mut staging, black_box(&mut output));
                }
                operations * repeats as f64
            });
            println!("  {m:>4} × {k:>4} × {n:>4}: {rate:6.1} GFLOP/s, {:3.0} % of peak", 100.0 * rate / peak);
        }
    }
}

/// Best of seven runs, in GFLOP/s. The best is the right statistic here, because other processes only slow a run down.
fn best(mut run: impl FnMut() -> f64) -> f64 {
    (0..7)
        .map(|_| {
            let start = Instant::now();
            let operations = run();
            operations / start.elapsed().as_secs_f64() / 1e9
        })
        .fold(0.0, f64::max)
}
