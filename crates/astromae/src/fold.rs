//! Affine maps in `f64`, and the transformations that fold neighbouring layers into them before they are packed.
//!
//! Folding changes no result except for rounding: a norm's gain and bias, a batch norm, a second linear layer or a new
//! order of channels becomes part of the weights, once, when the model is loaded.

use kernels::{Arithmetic, Weights};

use crate::packing::Packing;

/// Affine map `y = weight·x + bias` with `weight` (n, k), row-major. It is a linear layer, or a convolution whose k
/// inputs are those of a window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affine {
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) weight: Vec<f64>,
    pub(crate) bias: Vec<f64>,
}

/// Batch norm in evaluation mode: `y = (x − mean)/√(variance + eps)·gain + bias` for each channel.
#[derive(Clone, Debug)]
pub(crate) struct BatchNorm {
    pub(crate) gain: Vec<f64>,
    pub(crate) bias: Vec<f64>,
    pub(crate) mean: Vec<f64>,
    pub(crate) variance: Vec<f64>,
    pub(crate) eps: f64,
}

/// Gain and bias of the layer norm at the output of a network, and the order of its channels. They are not applied
/// there but folded into the next linear layer.
pub(crate) struct OutputNorm {
    pub(crate) gain: Vec<f64>,
    pub(crate) bias: Vec<f64>,
    pub(crate) order: Vec<usize>,
}

impl OutputNorm {
    /// Returns `next` with this norm and order folded into it.
    pub(crate) fn fold_into(&self, next: Affine) -> Affine {
        next.after_gain(&self.gain, &self.bias).reorder_inputs(&self.order)
    }
}

impl Affine {
    pub(crate) fn new(n: usize, k: usize, weight: Vec<f64>, bias: Vec<f64>) -> Affine {
        assert_eq!(weight.len(), n * k, "weight is not (n, k)");
        assert_eq!(bias.len(), n, "bias is not (n)");
        Affine { n, k, weight, bias }
    }

    /// Folds in a gain and bias that are applied to the inputs, such as those of a layer norm: `self(x·gain + bias)`.
    pub(crate) fn after_gain(mut self, gain: &[f64], bias: &[f64]) -> Affine {
        for (row, sum) in self.weight.chunks_exact_mut(self.k).zip(&mut self.bias) {
            *sum += row.iter().zip(bias).map(|(w, b)| w * b).sum::<f64>();
            row.iter_mut().zip(gain).for_each(|(w, g)| *w *= g);
        }
        self
    }

    /// Folds in a batch norm that is applied to the outputs: `norm(self(x))`.
    pub(crate) fn before_batch_norm(mut self, norm: &BatchNorm) -> Affine {
        for (out, row) in self.weight.chunks_exact_mut(self.k).enumerate() {
            let scale = norm.gain[out] / (norm.variance[out] + norm.eps).sqrt();
            row.iter_mut().for_each(|w| *w *= scale);
            self.bias[out] = (self.bias[out] - norm.mean[out]) * scale + norm.bias[out];
        }
        self
    }

    /// Merges two maps into one: `next(self(x))`.
    pub(crate) fn before(&self, next: &Affine) -> Affine {
        assert_eq!(next.k, self.n, "the inputs of `next` are not the outputs of this map");
        let mut weight = vec![0.0; next.n * self.k];
        let mut bias = next.bias.clone();
        for ((next_row, row), sum) in
            next.weight.chunks_exact(next.k).zip(weight.chunks_exact_mut(self.k)).zip(&mut bias)
        {
            // Each pass adds four terms, because loading and storing the sums limits its speed. The terms and their
            // order are the same as with one term per pass.
            let (fours, ones) = next_row.as_chunks::<4>();
            let (four_rows, rows) = self.weight.split_at(4 * fours.len() * self.k);
            for ([a, b, c, d], own) in fours.iter().zip(four_rows.chunks_exact(4 * self.k)) {
                let (own, rest) = own.split_at(self.k);
                let (second, rest) = rest.split_at(self.k);
                let (third, fourth) = rest.split_at(self.k);
                for ((((w, v), second), third), fourth) in row.iter_mut().zip(own).zip(second).zip(third).zip(fourth) {
                    *w = *w + a * v + b * second + c * third + d * fourth;
                }
            }
            for (factor, own) in ones.iter().zip(rows.chunks_exact(self.k)) {
                row.iter_mut().zip(own).for_each(|(w, v)| *w += factor * v);
            }
            for (factor, own_bias) in next_row.iter().zip(&self.bias) {
                *sum += factor * own_bias;
            }
        }
        Affine::new(next.n, self.k, weight, bias)
    }

    /// Multiplies the outputs in the range `outputs` by `factor`.
    pub(crate) fn scale_outputs(&mut self, outputs: std::ops::Range<usize>, factor: f64) {
        self.weight[outputs.start * self.k..outputs.end * self.k].iter_mut().for_each(|w| *w *= factor);
        self.bias[outputs].iter_mut().for_each(|b| *b *= factor);
    }

    /// Changes the order of the inputs: new input `i` is old input `order[i]`.
    pub(crate) fn reorder_inputs(&self, order: &[usize]) -> Affine {
        assert_eq!(order.len(), self.k, "the order does not have one entry per input");
        let weight = self.weight.chunks_exact(self.k).flat_map(|row| order.iter().map(|old| row[*old])).collect();
        Affine::new(self.n, self.k, weight, self.bias.clone())
    }

    /// Changes the order of the outputs: new output `i` is old output `order[i]`.
    pub(crate) fn reorder_outputs(&self, order: &[usize]) -> Affine {
        assert_eq!(order.len(), self.n, "the order does not have one entry per output");
        let weight = order.iter().flat_map(|old| self.weight[old * self.k..][..self.k].iter().copied()).collect();
        Affine::new(self.n, self.k, weight, order.iter().map(|old| self.bias[*old]).collect())
    }

    /// Changes the order of the inputs and adds padding: new input `i` is old input `order[i]`, or has weight 0 if
    /// `order[i]` is `None`.
    pub(crate) fn place_inputs(&self, order: &[Option<usize>]) -> Affine {
        let value = |row: &[f64], old: &Option<usize>| old.map_or(0.0, |old| row[old]);
        let weight = self.weight.chunks_exact(self.k).flat_map(|row| order.iter().map(|old| value(row, old))).collect();
        Affine::new(self.n, order.len(), weight, self.bias.clone())
    }

    /// Changes the order of the outputs and adds padding: new output `i` is old output `order[i]`, or always 0 if
    /// `order[i]` is `None`.
    pub(crate) fn place_outputs(&self, order: &[Option<usize>]) -> Affine {
        let (mut weight, mut bias) = (vec![0.0; order.len() * self.k], vec![0.0; order.len()]);
        for ((row, sum), old) in weight.chunks_exact_mut(self.k).zip(&mut bias).zip(order) {
            if let Some(old) = *old {
                row.copy_from_slice(&self.weight[old * self.k..][..self.k]);
                *sum = self.bias[old];
            }
        }
        Affine::new(order.len(), self.k, weight, bias)
    }

    /// Rounds the map to `f32` and packs it as a linear layer.
    pub(crate) fn pack_linear(&self, packing: Packing) -> Weights {
        self.pack(packing, packing.of_linear(self.n, self.k), self.k)
    }

    /// Rounds the map to `f32` and packs it as a convolution whose taps have `run` inputs each.
    pub(crate) fn pack_convolution(&self, packing: Packing, run: usize) -> Weights {
        self.pack(packing, packing.of_convolution(self.n, self.k, run), run)
    }

    fn pack(&self, packing: Packing, arithmetic: Arithmetic, run: usize) -> Weights {
        let (weight, bias) = (to_f32(&self.weight), to_f32(&self.bias));
        Weights::pack(packing.isa, arithmetic, (self.n, self.k), run, &weight, &bias)
    }
}

/// Rounds each value to the nearest `f32`.
pub(crate) fn to_f32(values: &[f64]) -> Vec<f32> {
    values.iter().map(|x| *x as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(map: &Affine, x: &[f64]) -> Vec<f64> {
        let rows = map.weight.chunks_exact(map.k).zip(&map.bias);
        rows.map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b).collect()
    }

    fn example() -> Affine {
        Affine::new(2, 3, vec![1.0, -2.0, 0.5, 3.0, 0.25, -1.0], vec![0.5, -0.125])
    }

    const X: [f64; 3] = [0.5, -1.0, 2.0];

    #[test]
    fn after_gain_folds_gain_and_bias_of_the_inputs() {
        let (gain, bias) = ([2.0, 0.5, -1.0], [0.25, 1.0, -3.0]);
        let normalised: Vec<f64> = (0..3).map(|i| X[i] * gain[i] + bias[i]).collect();
        assert_eq!(apply(&example().after_gain(&gain, &bias), &X), apply(&example(), &normalised));
    }

    #[test]
    fn before_batch_norm_folds_the_norm_of_the_outputs() {
        let norm = BatchNorm {
            gain: vec![2.0, -1.0],
            bias: vec![0.5, 0.25],
            mean: vec![1.0, -1.0],
            variance: vec![3.75, 0.0],
            eps: 0.25,
        };
        let plain = apply(&example(), &X);
        let expected = [(plain[0] - 1.0) / 2.0 * 2.0 + 0.5, -(plain[1] + 1.0) / 0.5 + 0.25];
        assert_eq!(apply(&example().before_batch_norm(&norm), &X), expected);
    }

    #[test]
    fn before_merges_two_maps() {
        let next = Affine::new(1, 2, vec![4.0, -2.0], vec![0.75]);
        assert_eq!(apply(&example().before(&next), &X), apply(&next, &apply(&example(), &X)));
    }

    #[test]
    fn reorder_and_place_move_inputs_and_outputs() {
        let order = [2, 0, 1];
        let moved: Vec<f64> = order.iter().map(|old| X[*old]).collect();
        assert_eq!(apply(&example().reorder_inputs(&order), &moved), apply(&example(), &X));
        let y = apply(&example(), &X);
        assert_eq!(apply(&example().reorder_outputs(&[1, 0]), &X), [y[1], y[0]]);
        assert_eq!(apply(&example().place_outputs(&[Some(1), None, Some(0)]), &X), [y[1], 0.0, y[0]]);
        let placed = [X[2], 7.0, X[0], X[1]];
        assert_eq!(apply(&example().place_inputs(&[Some(2), None, Some(0), Some(1)]), &placed), y);
    }

    #[test]
    fn scale_outputs_scales_weight_and_bias() {
        let mut map = example();
        map.scale_outputs(1..2, 4.0);
        let y = apply(&example(), &X);
        assert_eq!(apply(&map, &X), [y[0], 4.0 * y[1]]);
    }
}
