//! Affine maps in `f64`, and the exact ways to merge their neighbours into them before they are packed.

use kernels::{Arithmetic, Weights};

use crate::packing::Packing;

/// `y = weight·x + bias`, weight (n, k) row-major: a linear layer, or a convolution with its window in k.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affine {
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) weight: Vec<f64>,
    pub(crate) bias: Vec<f64>,
}

/// `y = (x − mean)/√(variance + eps)·gain + bias` per channel, as BatchNorm computes it when predicting.
#[derive(Clone, Debug)]
pub(crate) struct BatchNorm {
    pub(crate) gain: Vec<f64>,
    pub(crate) bias: Vec<f64>,
    pub(crate) mean: Vec<f64>,
    pub(crate) variance: Vec<f64>,
    pub(crate) eps: f64,
}

impl Affine {
    pub(crate) fn new(n: usize, k: usize, weight: Vec<f64>, bias: Vec<f64>) -> Affine {
        assert_eq!(weight.len(), n * k, "weight is not (n, k)");
        assert_eq!(bias.len(), n, "bias is not (n)");
        Affine { n, k, weight, bias }
    }

    /// This map after a per-input gain and bias: `self(x·gain + bias)`, as behind a layer norm.
    pub(crate) fn after_gain(mut self, gain: &[f64], bias: &[f64]) -> Affine {
        for (row, sum) in self.weight.chunks_exact_mut(self.k).zip(&mut self.bias) {
            *sum += row.iter().zip(bias).map(|(w, b)| w * b).sum::<f64>();
            row.iter_mut().zip(gain).for_each(|(w, g)| *w *= g);
        }
        self
    }

    /// This map before a batch norm.
    pub(crate) fn before_batch_norm(mut self, norm: &BatchNorm) -> Affine {
        for (out, row) in self.weight.chunks_exact_mut(self.k).enumerate() {
            let scale = norm.gain[out] / (norm.variance[out] + norm.eps).sqrt();
            row.iter_mut().for_each(|w| *w *= scale);
            self.bias[out] = (self.bias[out] - norm.mean[out]) * scale + norm.bias[out];
        }
        self
    }

    /// This map before `next`: one map for both.
    pub(crate) fn before(&self, next: &Affine) -> Affine {
        assert_eq!(next.k, self.n, "maps do not fit");
        let mut weight = vec![0.0; next.n * self.k];
        let mut bias = next.bias.clone();
        for ((next_row, row), sum) in
            next.weight.chunks_exact(next.k).zip(weight.chunks_exact_mut(self.k)).zip(&mut bias)
        {
            // Four terms a pass: a pass is bound by loading and storing the sums. Each sum is of the same terms in the
            // same order.
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

    /// Multiplies the outputs of `rows` by `factor`.
    pub(crate) fn scale_outputs(&mut self, rows: std::ops::Range<usize>, factor: f64) {
        self.weight[rows.start * self.k..rows.end * self.k].iter_mut().for_each(|w| *w *= factor);
        self.bias[rows].iter_mut().for_each(|b| *b *= factor);
    }

    /// The map of inputs in a new order: new input `i` is old input `order[i]`.
    pub(crate) fn reorder_inputs(&self, order: &[usize]) -> Affine {
        assert_eq!(order.len(), self.k, "order is not of the inputs");
        let weight = self.weight.chunks_exact(self.k).flat_map(|row| order.iter().map(|old| row[*old])).collect();
        Affine::new(self.n, self.k, weight, self.bias.clone())
    }

    /// The map to outputs in a new order: new output `i` is old output `order[i]`.
    pub(crate) fn reorder_outputs(&self, order: &[usize]) -> Affine {
        assert_eq!(order.len(), self.n, "order is not of the outputs");
        let weight = order.iter().flat_map(|old| self.weight[old * self.k..][..self.k].iter().copied()).collect();
        Affine::new(self.n, self.k, weight, order.iter().map(|old| self.bias[*old]).collect())
    }

    /// As [`Affine::reorder_inputs`], with inputs that count for nothing where the order says so.
    pub(crate) fn place_inputs(&self, order: &[Option<usize>]) -> Affine {
        let value = |row: &[f64], old: &Option<usize>| old.map_or(0.0, |old| row[old]);
        let weight = self.weight.chunks_exact(self.k).flat_map(|row| order.iter().map(|old| value(row, old))).collect();
        Affine::new(self.n, order.len(), weight, self.bias.clone())
    }

    /// As [`Affine::reorder_outputs`], with outputs that are always 0 where the order says so.
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

    /// Rounds to `f32` and packs a linear layer.
    pub(crate) fn pack_rows(&self, packing: Packing) -> Weights {
        self.pack(packing, packing.of_rows(self.n, self.k), self.k)
    }

    /// Rounds to `f32` and packs a convolution over runs of `run` inputs.
    pub(crate) fn pack_windows(&self, packing: Packing, run: usize) -> Weights {
        self.pack(packing, packing.of_windows(self.n, self.k, run), run)
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
    fn gain_and_bias_before_a_map_fold_into_it() {
        let (gain, bias) = ([2.0, 0.5, -1.0], [0.25, 1.0, -3.0]);
        let normalised: Vec<f64> = (0..3).map(|i| X[i] * gain[i] + bias[i]).collect();
        assert_eq!(apply(&example().after_gain(&gain, &bias), &X), apply(&example(), &normalised));
    }

    #[test]
    fn a_batch_norm_behind_a_map_folds_into_it() {
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
    fn two_maps_become_one() {
        let next = Affine::new(1, 2, vec![4.0, -2.0], vec![0.75]);
        assert_eq!(apply(&example().before(&next), &X), apply(&next, &apply(&example(), &X)));
    }

    #[test]
    fn orders_move_inputs_and_outputs() {
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
    fn outputs_are_scaled_with_their_bias() {
        let mut map = example();
        map.scale_outputs(1..2, 4.0);
        let y = apply(&example(), &X);
        assert_eq!(apply(&map, &X), [y[0], 4.0 * y[1]]);
    }
}
