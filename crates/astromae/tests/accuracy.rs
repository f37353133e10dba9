//! Compares the rounding error of the model in f32 with that of PyTorch in float32, on twenty models whose weights and
//! inputs have different scales.
//!
//! `accuracy/pytorch.csv` has the redshifts of PyTorch, in float64 and in float32.
//! `accuracy/measure_pytorch.py` made it.

use std::collections::BTreeMap;
use std::thread;

use astromae::checkpoint::Checkpoint;
use astromae::{Isa, Model, Precision};

#[path = "accuracy/models.rs"]
mod models;

/// Redshifts of one model by PyTorch.
#[derive(Default)]
struct PyTorch {
    float64: Vec<f64>,
    float32: Vec<f64>,
}

fn pytorch() -> BTreeMap<usize, PyTorch> {
    let mut by_model = BTreeMap::<usize, PyTorch>::new();
    let lines = include_str!("accuracy/pytorch.csv").lines().filter(|line| !line.starts_with('#')).skip(1);
    for line in lines {
        let fields: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        let &[model, galaxy, float64, float32] = &fields[..] else { panic!("not four fields: {line}") };
        let redshifts = by_model.entry(model as usize).or_default();
        assert_eq!(galaxy as usize, redshifts.float64.len(), "{line}");
        redshifts.float64.push(float64);
        redshifts.float32.push(float32);
    }
    by_model
}

/// Rounding errors of the redshifts of one model.
struct Errors {
    mean: f64,
    largest: f64,
}

impl Errors {
    fn new(redshifts: &[f64], exact: &[f64]) -> Errors {
        assert_eq!(redshifts.len(), exact.len());
        let errors = redshifts.iter().zip(exact).map(|(z, exact)| (z - exact).abs());
        // `f64::max` would hide a NaN.
        let worse = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
        Errors { mean: errors.clone().sum::<f64>() / exact.len() as f64, largest: errors.fold(0.0, worse) }
    }
}

fn isas() -> Vec<Isa> {
    match std::env::var("COSMICAI_ISA") {
        Ok(name) => vec![name.parse().expect("COSMICAI_ISA must name an instruction set of this CPU")],
        Err(_) => Isa::available().collect(),
    }
}

/// Compares one model on every instruction set with PyTorch. Returns, for PyTorch and for each instruction set, the
/// largest error in units of PyTorch's mean error.
fn compare(model: usize, pytorch: &PyTorch) -> Vec<(String, f64)> {
    let bytes = models::checkpoint(model);
    let checkpoint = Checkpoint::read(&bytes).unwrap();
    let (images, magnitudes) = models::galaxies(model);
    let theirs = Errors::new(&pytorch.float32, &pytorch.float64);
    let mut largest = vec![("PyTorch".to_owned(), theirs.largest / theirs.mean)];
    for isa in isas() {
        let packed = Model::from_checkpoint(&checkpoint, Precision::F32, isa).unwrap();
        let mut redshift = vec![f32::NAN; models::GALAXIES];
        packed.predict(&images, &magnitudes, &mut packed.scratch(), &mut redshift);
        let redshift: Vec<f64> = redshift.into_iter().map(f64::from).collect();
        let ours = Errors::new(&redshift, &pytorch.float64);
        let (mean, most) = (ours.mean / theirs.mean, ours.largest / theirs.largest);
        let what = format!("model {model} {isa}: error / PyTorch's error: mean {mean:.2}, largest {most:.2}");
        eprintln!("{what}");
        assert!(mean <= 1.0, "{what}");
        // One galaxy of 32 has the largest error: a draw, for PyTorch as well.
        assert!(most <= 1.5, "{what}");
        largest.push((isa.to_string(), ours.largest / theirs.mean));
    }
    largest
}

#[test]
fn f32_rounds_no_more_than_pytorch_on_twenty_models() {
    let pytorch: Vec<(usize, PyTorch)> = pytorch().into_iter().collect();
    assert_eq!(pytorch.len(), models::MODELS);
    let all: Vec<(String, f64)> = thread::scope(|scope| {
        let halves = pytorch.chunks(models::MODELS.div_ceil(2));
        let threads: Vec<_> = halves
            .map(|half| scope.spawn(|| half.iter().flat_map(|(model, z)| compare(*model, z)).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut largest = BTreeMap::<&str, f64>::new();
    for (who, error) in &all {
        let most = largest.entry(who).or_default();
        *most = most.max(*error);
    }
    for (who, error) in &largest {
        assert!(*error <= largest["PyTorch"], "the largest error of all models is {error} on {who}: {largest:?}");
    }
}
