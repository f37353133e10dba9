//! The linear layers after the networks: `head` and `vit_block`, the end of `vis_inception`, `magnitude_block`, and
//! `concat_block`, which combines them to the redshift.
//!
//! They process many images together, because their weights are larger than a cache.

use kernels::{Activation, Layout, Product, Staging, StagingSize, Taps, Weights, gemm};

use crate::checkpoint::CheckpointError;
use crate::config::Config;
use crate::fold::OutputNorm;
use crate::inception::Inception;
use crate::layers::Layers;
use crate::packing::Packing;
use crate::part::{Observer, Part};

/// Number of images that the head processes together, so that its weights are read once for all of them.
pub(crate) const BATCH: usize = 96;

/// Upper bound of the search for layers of `magnitude_block`.
const MAGNITUDE_LAYERS_MAX: usize = 32;

#[derive(Debug)]
pub(crate) struct Head {
    /// `head` and `vit_block`. These are two maps, because `head` is merged into the first layer of `vit_block`.
    vit: [Weights; 2],
    inception: [Weights; 2],
    magnitude: Vec<Weights>,
    concat: [Weights; 2],
}

/// Working memory of the head for one thread.
#[derive(Debug)]
pub(crate) struct HeadScratch {
    hidden: [Vec<f32>; 2],
    joined: Vec<f32>,
    staging: Staging,
}

impl Head {
    pub(crate) fn read(
        layers: &Layers<'_, '_>,
        config: &Config,
        vit_norm: &OutputNorm,
        (inception, inception_linear): (&Inception, &str),
        packing: Packing,
    ) -> Result<Head, CheckpointError> {
        let head = layers.linear("head", config.dim)?;
        let vit = layers.linear("vit_block.0", head.n)?;
        let vit_last = layers.packed_linear("vit_block.2", vit.n, packing)?;
        let vit = vit_norm.fold_into(head.before(&vit));

        let first = layers.linear(inception_linear, inception.features_len())?;
        let (stem, index) = inception_linear.rsplit_once('.').unwrap_or((inception_linear, ""));
        let index: usize = index.parse().unwrap_or(0);
        let last = layers.packed_linear(&format!("{stem}.{}", index + 2), first.n, packing)?;

        let mut magnitude = Vec::new();
        let mut width = config.bands;
        for layer in (0..MAGNITUDE_LAYERS_MAX).step_by(2) {
            let name = format!("inception_model.magnitude_block.{layer}");
            if layer > 0 && !layers.has(&format!("{name}.weight")) {
                break;
            }
            let map = layers.packed_linear(&name, width, packing)?;
            width = map.n();
            magnitude.push(map);
        }

        let concat = layers.packed_linear("concat_block.0", vit_last.n() + last.n() + width, packing)?;
        let concat_last = layers.packed_linear("concat_block.2", concat.n(), packing)?;
        if concat_last.n() != 1 {
            return Err(CheckpointError::Unsupported(format!(
                "`concat_block.2` has {} outputs; one output, the redshift, is expected",
                concat_last.n()
            )));
        }
        Ok(Head {
            vit: [vit.pack_linear(packing), vit_last],
            inception: [inception.fold_into(&first).pack_linear(packing), last],
            magnitude,
            concat: [concat, concat_last],
        })
    }

    pub(crate) fn scratch(&self) -> HeadScratch {
        let layers = || self.vit.iter().chain(&self.inception).chain(&self.magnitude).chain(&self.concat);
        let widest = layers().map(Weights::n).max().unwrap_or(0);
        let staging = layers().map(|weights| weights.staging_of_rows(BATCH));
        HeadScratch {
            hidden: [vec![0.0; BATCH * widest], vec![0.0; BATCH * widest]],
            joined: vec![0.0; BATCH * self.concat[0].k()],
            staging: Staging::new(staging.fold(StagingSize::default(), StagingSize::max)),
        }
    }

    /// Number of multiply-adds for one image in the layers of the magnitudes, or in all other layers.
    pub(crate) fn multiply_adds(&self, part: Part) -> usize {
        let sum = |layers: &[Weights]| layers.iter().map(Weights::multiply_adds).sum::<usize>();
        match part {
            Part::Magnitude => sum(&self.magnitude),
            _ => sum(&self.vit) + sum(&self.inception) + sum(&self.concat),
        }
    }

    /// Computes `redshift` (n), n ≤ [`BATCH`], from the features of both networks (n, …) and `magnitudes` (n, bands).
    pub(crate) fn redshift(
        &self,
        vit: &[f32],
        inception: &[f32],
        magnitudes: &[f32],
        scratch: &mut HeadScratch,
        redshift: &mut [f32],
        observer: &mut impl Observer,
    ) {
        observer.begin(Part::Head);
        let rows = redshift.len();
        let HeadScratch { hidden: [a, b], joined, staging } = scratch;
        let stride = self.concat[0].k();
        let mut first = 0;
        for (features, layers) in [(vit, &self.vit), (inception, &self.inception)] {
            linear(&layers[0], rows, features, staging, Layout::plain(rows, layers[0].n()), a, Activation::Relu);
            let slot = Layout::plain(rows, stride).shifted(first);
            linear(&layers[1], rows, a, staging, slot, joined, Activation::Identity);
            first += layers[1].n();
        }
        observer.begin(Part::Magnitude);
        if let Some((last, before)) = self.magnitude.split_last() {
            let mut input = magnitudes;
            let (mut from, mut to) = (a, b);
            for layer in before {
                linear(layer, rows, input, staging, Layout::plain(rows, layer.n()), to, Activation::Relu);
                std::mem::swap(&mut from, &mut to);
                input = &*from;
            }
            let slot = Layout::plain(rows, stride).shifted(first);
            linear(last, rows, input, staging, slot, joined, Activation::Identity);
        }
        observer.begin(Part::Head);
        let hidden = &mut scratch.hidden[0];
        linear(
            &self.concat[0],
            rows,
            joined,
            staging,
            Layout::plain(rows, self.concat[0].n()),
            hidden,
            Activation::Relu,
        );
        linear(&self.concat[1], rows, hidden, staging, Layout::plain(rows, 1), redshift, Activation::Identity);
    }
}

fn linear(
    weights: &Weights,
    rows: usize,
    x: &[f32],
    staging: &mut Staging,
    output: Layout,
    y: &mut [f32],
    activation: Activation,
) {
    let product = Product {
        weights,
        input: Layout::plain(rows, weights.k()),
        taps: Taps::one(weights.k()),
        output,
        activation,
        accumulate: false,
    };
    gemm(&product, x, staging, y);
}
