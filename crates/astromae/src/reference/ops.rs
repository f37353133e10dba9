//! Layers that several parts of the model use, written from their definitions.

use crate::checkpoint::CheckpointError;
use crate::layers::Layers;

/// `torch.nn.Linear`
pub(super) struct Linear {
    inputs: usize,
    weight: Vec<f64>,
    bias: Vec<f64>,
}

impl Linear {
    pub(super) fn read(layers: &Layers<'_, '_>, name: &str) -> Result<Linear, CheckpointError> {
        let shape = layers.shape(&format!("{name}.weight"))?;
        let weight = layers.values(&format!("{name}.weight"), shape)?;
        let bias = layers.values(&format!("{name}.bias"), &shape[..1])?;
        Ok(Linear { inputs: shape[1], weight, bias })
    }

    pub(super) fn from_parts(inputs: usize, weight: Vec<f64>, bias: Vec<f64>) -> Linear {
        Linear { inputs, weight, bias }
    }

    pub(super) fn forward(&self, x: &[f64]) -> Vec<f64> {
        let rows = self.weight.chunks_exact(self.inputs).zip(&self.bias);
        rows.map(|(row, bias)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias).collect()
    }
}

/// `torch.nn.Conv2d` with groups, stride 1, and padding that keeps the size of the map.
pub(super) struct Conv {
    pub(super) outputs: usize,
    inputs_per_group: usize,
    window: usize,
    weight: Vec<f64>,
    bias: Vec<f64>,
}

impl Conv {
    pub(super) fn read(layers: &Layers<'_, '_>, name: &str) -> Result<Conv, CheckpointError> {
        let shape = layers.shape(&format!("{name}.weight"))?;
        let weight = layers.values(&format!("{name}.weight"), shape)?;
        let bias = layers.values(&format!("{name}.bias"), &shape[..1])?;
        Ok(Conv { outputs: shape[0], inputs_per_group: shape[1], window: shape[2], weight, bias })
    }

    /// Computes (outputs, height, width) from `x` (inputs, height, width).
    pub(super) fn forward(&self, x: &[f64], (height, width): (usize, usize)) -> Vec<f64> {
        let groups = x.len() / (height * width) / self.inputs_per_group;
        let reach = (self.window / 2) as isize;
        let mut output = Vec::with_capacity(self.outputs * height * width);
        for out in 0..self.outputs {
            let first = out / (self.outputs / groups) * self.inputs_per_group;
            for line in 0..height as isize {
                for column in 0..width as isize {
                    let mut sum = self.bias[out];
                    for input in 0..self.inputs_per_group {
                        for dy in 0..self.window as isize {
                            for dx in 0..self.window as isize {
                                let (y, x_) = (line + dy - reach, column + dx - reach);
                                if (0..height as isize).contains(&y) && (0..width as isize).contains(&x_) {
                                    let w = ((out * self.inputs_per_group + input) * self.window + dy as usize)
                                        * self.window
                                        + dx as usize;
                                    let pixel = ((first + input) * height + y as usize) * width + x_ as usize;
                                    sum += self.weight[w] * x[pixel];
                                }
                            }
                        }
                    }
                    output.push(sum);
                }
            }
        }
        output
    }
}

/// `torch.nn.BatchNorm2d` in evaluation mode.
pub(super) struct BatchNorm(crate::fold::BatchNorm);

impl BatchNorm {
    pub(super) fn read(layers: &Layers<'_, '_>, name: &str, channels: usize) -> Result<BatchNorm, CheckpointError> {
        Ok(BatchNorm(layers.batch_norm(name, channels)?))
    }

    pub(super) fn forward(&self, x: &mut [f64]) {
        let norm = &self.0;
        let pixels = x.len() / norm.mean.len();
        for (channel, map) in x.chunks_exact_mut(pixels).enumerate() {
            for value in map {
                *value = (*value - norm.mean[channel]) / (norm.variance[channel] + norm.eps).sqrt()
                    * norm.gain[channel]
                    + norm.bias[channel];
            }
        }
    }
}

/// `torch.nn.LayerNorm` of rows.
pub(super) struct LayerNorm {
    gain: Vec<f64>,
    bias: Vec<f64>,
    eps: f64,
}

impl LayerNorm {
    pub(super) fn read(layers: &Layers<'_, '_>, name: &str, width: usize) -> Result<LayerNorm, CheckpointError> {
        let (gain, bias, eps) = layers.layer_norm(name, width)?;
        Ok(LayerNorm { gain, bias, eps })
    }

    pub(super) fn forward(&self, x: &[f64]) -> Vec<f64> {
        let width = self.gain.len();
        let mut output = Vec::with_capacity(x.len());
        for row in x.chunks_exact(width) {
            let mean = row.iter().sum::<f64>() / width as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
            let normal = row.iter().map(|x| (x - mean) / (variance + self.eps).sqrt());
            output.extend(normal.zip(self.gain.iter().zip(&self.bias)).map(|(x, (g, b))| x * g + b));
        }
        output
    }
}

pub(super) fn relu(x: &mut [f64]) {
    // `f64::max` would replace NaN by 0.
    x.iter_mut().filter(|x| **x < 0.0).for_each(|x| *x = 0.0);
}

pub(super) fn silu(x: &mut [f64]) {
    x.iter_mut().for_each(|x| *x /= 1.0 + (-*x).exp());
}

/// x·Φ(x), with Φ(x) = ½·(1 + erf(x/√2)).
pub(super) fn gelu(x: &mut [f64]) {
    x.iter_mut().for_each(|x| *x *= 0.5 * (1.0 + erf(*x / std::f64::consts::SQRT_2)));
}

/// Computes erf by its Maclaurin series for |x| < 2.5, and by the continued fraction of erfc beyond. Largest error:
/// 1e-13.
fn erf(x: f64) -> f64 {
    let u = x.abs();
    let value = if u < 2.5 {
        let (mut term, mut sum) = (u, u);
        for n in 1..80 {
            term *= -u * u / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let fraction = (1..60).rev().fold(u, |below, n| u + f64::from(n) / 2.0 / below);
        1.0 - (-u * u).exp() * 0.5 * std::f64::consts::FRAC_2_SQRT_PI / fraction
    };
    value.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_and_the_activations_have_their_known_values() {
        for (x, value) in [(0.0, 0.0), (-1.0, -0.842_700_792_949_714_9), (3.0, 0.999_977_909_503_001_4)] {
            assert!((erf(x) - value).abs() < 1e-13, "erf({x}) = {}", erf(x));
        }
        let mut x = [1.0, -1.0, f64::NAN];
        gelu(&mut x);
        assert!((x[0] - 0.841_344_746_068_542_9).abs() < 1e-13 && (x[1] + 0.158_655_253_931_457_1).abs() < 1e-13);
        assert!(x[2].is_nan());
        let mut x = [1.0, -1.0];
        silu(&mut x);
        assert!((x[0] - 0.731_058_578_630_004_9).abs() < 1e-15 && (x[1] + 0.268_941_421_369_995_1).abs() < 1e-15);
        let mut x = [1.0, -1.0, f64::NAN];
        relu(&mut x);
        assert!(x[0] == 1.0 && x[1] == 0.0 && x[2].is_nan());
    }
}
