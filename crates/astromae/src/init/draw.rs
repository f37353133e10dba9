//! Draws tensors and writes them as safetensors.

use std::collections::{BTreeMap, HashMap};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use safetensors::tensor::{Dtype, TensorView};

/// Random generator, and the tensors drawn so far.
pub(super) struct Draw {
    pub(super) rng: ChaCha8Rng,
    pub(super) tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Draw {
    pub(super) fn normal(&mut self, name: &str, shape: &[usize], deviation: f64) {
        let count = shape.iter().product();
        let values = (0..count)
            .map(|_| {
                let x: f64 = StandardNormal.sample(&mut self.rng);
                (x * deviation) as f32
            })
            .collect();
        self.tensors.insert(name.to_owned(), (shape.to_vec(), values));
    }

    fn uniform(&mut self, name: &str, count: usize, low: f32, high: f32) {
        let values = (0..count).map(|_| self.rng.random_range(low..high)).collect();
        self.tensors.insert(name.to_owned(), (vec![count], values));
    }

    /// Draws a weight (n, …) with variance 1/k, where k is the number of inputs, and a small bias.
    pub(super) fn linear(&mut self, name: &str, shape: &[usize]) {
        let inputs: usize = shape[1..].iter().product();
        self.normal(&format!("{name}.weight"), shape, (inputs as f64).powf(-0.5));
        self.normal(&format!("{name}.bias"), &shape[..1], 0.05);
    }

    pub(super) fn norm(&mut self, name: &str, width: usize) {
        self.uniform(&format!("{name}.weight"), width, 0.8, 1.2);
        self.normal(&format!("{name}.bias"), &[width], 0.05);
    }

    pub(super) fn batch_norm(&mut self, name: &str, width: usize) {
        self.norm(name, width);
        self.normal(&format!("{name}.running_mean"), &[width], 0.1);
        self.uniform(&format!("{name}.running_var"), width, 0.5, 1.5);
    }

    pub(super) fn into_safetensors(self, config: &str) -> Vec<u8> {
        let data: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .tensors
            .into_iter()
            .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect()))
            .collect();
        let views = data.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            (name.as_str(), view.expect("a tensor has as many values as its shape states"))
        });
        // Only one key, because the order of several keys would differ from run to run.
        let metadata = HashMap::from([("config.json".to_owned(), config.to_owned())]);
        safetensors::serialize(views, Some(metadata)).expect("names are unique and views are whole")
    }
}
