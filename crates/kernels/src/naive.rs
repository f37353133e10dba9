//! Naive versions of all operations in `f64`, written from their definitions. Tests compare the optimised ones with
//! them.

use crate::activation::Activation;
use crate::attention::AttentionShape;

pub(crate) fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / 2f64.sqrt())),
        Activation::Silu => x / (1.0 + (-x).exp()),
    }
}

/// Computes erf by its Maclaurin series for |x| < 2.5, and by the continued fraction of erfc beyond.
pub(crate) fn erf(x: f64) -> f64 {
    let u = x.abs();
    let value = if u < 2.5 {
        let (mut term, mut sum) = (u, u);
        for n in 1..80 {
            term *= -u * u / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        2.0 / std::f64::consts::PI.sqrt() * sum
    } else {
        let fraction = (1..60).rev().fold(u, |below, n| u + f64::from(n) / 2.0 / below);
        1.0 - (-u * u).exp() / std::f64::consts::PI.sqrt() / fraction
    };
    value.copysign(x)
}

/// (rows, n) = (rows, k) · (n, k)ᵀ + (n)
pub(crate) fn linear(input: &[f32], weight: &[f32], bias: &[f32], n: usize, k: usize) -> Vec<f64> {
    let mut output = Vec::new();
    for row in input.chunks(k) {
        for column in 0..n {
            let products = row.iter().zip(&weight[column * k..][..k]);
            let sum: f64 = products.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
            output.push(sum + f64::from(bias[column]));
        }
    }
    output
}

/// Rows of integers, with one scale per row.
pub(crate) struct Quantised {
    integers: Vec<f32>,
    scales: Vec<f32>,
    k: usize,
}

impl Quantised {
    /// Quantises rows of `k` values. The largest magnitude of each row becomes `largest`.
    pub(crate) fn rows(values: &[f32], k: usize, largest: f32) -> Quantised {
        let (mut integers, mut scales) = (Vec::new(), Vec::new());
        for row in values.chunks(k) {
            let most = row.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            let inverse = if most > 1e-30 { largest / most } else { 0.0 };
            integers.extend(row.iter().map(|x| (x * inverse).round_ties_even()));
            scales.push(most / largest);
        }
        assert!(integers.iter().all(|q: &f32| q.abs() <= largest));
        Quantised { integers, scales, k }
    }

    /// Values of the integers: integer × scale.
    pub(crate) fn values(&self) -> Vec<f32> {
        self.integers.iter().enumerate().map(|(at, q)| q * self.scales[at / self.k]).collect()
    }
}

/// Convolution without padding of `input` (images, height, width, channels) with `weight` (n, size, size, channels).
pub(crate) fn convolution(
    input: &[f32],
    (images, height, width, channels): (usize, usize, usize, usize),
    weight: &[f32],
    bias: &[f32],
    size: usize,
) -> Vec<f64> {
    let mut output = Vec::new();
    for image in 0..images {
        for y in 0..=height - size {
            for x in 0..=width - size {
                for (n, bias) in bias.iter().enumerate() {
                    let mut sum = f64::from(*bias);
                    for (dy, dx, c) in triples(size, size, channels) {
                        let pixel = input[((image * height + y + dy) * width + x + dx) * channels + c];
                        let w = weight[((n * size + dy) * size + dx) * channels + c];
                        sum += f64::from(pixel) * f64::from(w);
                    }
                    output.push(sum);
                }
            }
        }
    }
    output
}

pub(crate) fn layer_norm(input: &[f32], width: usize, eps: f64) -> Vec<f64> {
    let mut output = Vec::new();
    for row in input.chunks(width) {
        let row: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
        let mean = row.iter().sum::<f64>() / width as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        output.extend(row.iter().map(|x| (x - mean) / (variance + eps).sqrt()));
    }
    output
}

pub(crate) fn attention(qkv: &[f32], shape: AttentionShape) -> Vec<f64> {
    let AttentionShape { tokens, heads, head_dim } = shape;
    let images = qkv.len() / (tokens * 3 * heads * head_dim);
    let at = |image: usize, token: usize, part: usize, head: usize, d: usize| {
        f64::from(qkv[(((image * tokens + token) * 3 + part) * heads + head) * head_dim + d])
    };
    let mut output = Vec::new();
    for (image, token, head) in triples(images, tokens, heads) {
        let scores: Vec<f64> = (0..tokens)
            .map(|other| (0..head_dim).map(|d| at(image, token, 0, head, d) * at(image, other, 1, head, d)).sum())
            .collect();
        let largest = scores.iter().fold(f64::MIN, |a, b| a.max(*b));
        let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
        for d in 0..head_dim {
            let weighted = scores
                .iter()
                .enumerate()
                .map(|(other, score)| (score - largest).exp() / total * at(image, other, 2, head, d));
            output.push(weighted.sum());
        }
    }
    output
}

#[derive(Clone, Copy)]
pub(crate) struct TokenMap {
    pub(crate) images: usize,
    pub(crate) lines: usize,
    pub(crate) columns: usize,
    pub(crate) groups: usize,
}

/// Grouped convolution and SiLU. `input` is (images, 1 + tokens, inputs, groups) with a class token first, `weight` is
/// (groups, outputs, inputs, window, window), and the result is (images, tokens, outputs, groups).
pub(crate) fn grouped_conv(
    input: &[f32],
    map: TokenMap,
    weight: &[f32],
    bias: &[f32],
    (inputs, outputs, window): (usize, usize, usize),
) -> Vec<f64> {
    let TokenMap { images, lines, columns, groups } = map;
    let tokens = lines * columns;
    let mut output = Vec::new();
    for (image, y, x) in triples(images, lines, columns) {
        for out in 0..outputs {
            for group in 0..groups {
                let mut sum = f64::from(bias[group * outputs + out]);
                for (i, dy, dx) in triples(inputs, window, window) {
                    let (ny, nx) = (y + dy, x + dx);
                    let reach = window / 2;
                    if ny < reach || nx < reach || ny - reach >= lines || nx - reach >= columns {
                        continue;
                    }
                    let token = 1 + (ny - reach) * columns + nx - reach;
                    let value = input[((image * (1 + tokens) + token) * inputs + i) * groups + group];
                    let w = weight[(((group * outputs + out) * inputs + i) * window + dy) * window + dx];
                    sum += f64::from(value) * f64::from(w);
                }
                output.push(activate(Activation::Silu, sum));
            }
        }
    }
    output
}

pub(crate) fn avg_pool(input: &[f32], (height, width, channels): (usize, usize, usize)) -> Vec<f64> {
    let at = |y: usize, x: usize, c: usize| f64::from(input[(y * width + x) * channels + c]);
    triples(height / 2, width / 2, channels)
        .map(|(y, x, c)| {
            let (y, x) = (2 * y, 2 * x);
            (at(y, x, c) + at(y, x + 1, c) + at(y + 1, x, c) + at(y + 1, x + 1, c)) / 4.0
        })
        .collect()
}

pub(crate) fn max_pool(input: &[f32], (height, width, channels): (usize, usize, usize)) -> Vec<f64> {
    triples(height, width, channels)
        .map(|(y, x, c)| {
            let near = |a: usize, b: usize| a.abs_diff(b) <= 1;
            triples(height, width, 1)
                .filter(|(ny, nx, _)| near(y, *ny) && near(x, *nx))
                .map(|(ny, nx, _)| f64::from(input[(ny * width + nx) * channels + c]))
                .fold(f64::MIN, f64::max)
        })
        .collect()
}

/// Lists every (i, j, k) below (a, b, c); k runs fastest. It uses one range, because valgrind's memcheck reports reads
/// of uninitialised memory in the compiled code of nested ranges.
fn triples(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a * b * c).map(move |at| (at / (b * c), at / c % b, at % c))
}

#[test]
fn erf_has_its_known_values() {
    for (x, value) in [
        (0.0, 0.0),
        (0.5, 0.520_499_877_813_046_5),
        (-1.0, -0.842_700_792_949_714_9),
        (2.0, 0.995_322_265_018_952_7),
        (3.0, 0.999_977_909_503_001_4),
    ] {
        assert!((erf(x) - value).abs() < 1e-14, "erf({x}) = {}", erf(x));
    }
}
