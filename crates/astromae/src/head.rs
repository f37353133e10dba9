//! The linear layers after the networks: `head` and `vit_block`, the end of `vis_inception`, `magnitude_block`, and the
//! layers that combine them to the redshift.
//!
//! AstroMAE combines all three in `concat_block`. The Inception network without a transformer has `head_incept_mag` for
//! its features and the magnitudes, or `Inception_head_block` for its features alone. A transformer alone may end with
//! `head`.
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

/// Layers after the networks. A list without layers belongs to a network that the model does not have.
#[derive(Debug)]
pub(crate) struct Head {
    /// `head` and `vit_block`. These are two maps, because `head` is merged into the first layer of `vit_block`.
    vit: Vec<Weights>,
    inception: Vec<Weights>,
    magnitude: Vec<Weights>,
    /// Activation of the joined outputs of the networks.
    joined: Activation,
    /// Layers that turn the joined outputs into the redshift. Without any, the only output is the redshift.
    last: Vec<Weights>,
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
        vit_norm: Option<&OutputNorm>,
        inception: Option<(&Inception, &str)>,
        packing: Packing,
    ) -> Result<Head, CheckpointError> {
        let mut head = Head {
            vit: Vec::new(),
            inception: Vec::new(),
            magnitude: Vec::new(),
            joined: Activation::Identity,
            last: Vec::new(),
        };
        // Name of the layer whose output is the redshift.
        let mut output = "head".to_owned();
        if let (Some(norm), Some(sizes)) = (vit_norm, config.transformer) {
            let first = layers.linear("head", sizes.dim)?;
            if layers.has_any("vit_block.") || config.has_inception {
                let block = layers.linear("vit_block.0", first.n)?;
                let last = layers.packed_linear("vit_block.2", block.n, packing)?;
                head.vit = vec![norm.fold_into(first.before(&block)).pack_linear(packing), last];
                "vit_block.2".clone_into(&mut output);
            } else {
                head.vit = vec![norm.fold_into(first).pack_linear(packing)];
            }
        }
        if let Some((network, linear)) = inception {
            let first = layers.linear(linear, network.features_len())?;
            let (stem, index) = linear.rsplit_once('.').unwrap_or((linear, ""));
            let index: usize = index.parse().unwrap_or(0);
            let last = layers.packed_linear(&format!("{stem}.{}", index + 2), first.n, packing)?;
            head.inception = vec![network.fold_into(&first).pack_linear(packing), last];
        }
        if config.has_magnitudes {
            head.magnitude = magnitude_block(layers, config, packing)?;
        }

        let networks = [&head.vit, &head.inception, &head.magnitude];
        let mut width: usize = networks.into_iter().filter_map(|layers| layers.last().map(Weights::n)).sum();
        let has_joined = config.transformer.is_some() && (config.has_inception || layers.has_any("concat_block."));
        let last: &[&str] = match (has_joined, config.transformer, config.has_magnitudes) {
            (true, ..) => &["concat_block.0", "concat_block.2"],
            (false, Some(_), _) => &[],
            (false, None, true) => &["head_incept_mag.0", "head_incept_mag.2"],
            (false, None, false) => {
                head.joined = Activation::Relu;
                &["Inception_head_block.1"]
            }
        };
        for name in last {
            let layer = layers.packed_linear(name, width, packing)?;
            width = layer.n();
            head.last.push(layer);
            (*name).clone_into(&mut output);
        }
        if width != 1 {
            return Err(CheckpointError::Unsupported(format!(
                "`{output}` has {width} outputs; one output, the redshift, is expected"
            )));
        }
        Ok(head)
    }

    /// All layers.
    fn layers(&self) -> impl Iterator<Item = &Weights> {
        self.vit.iter().chain(&self.inception).chain(&self.magnitude).chain(&self.last)
    }

    /// Number of outputs of the networks for one image.
    fn joined_width(&self) -> usize {
        self.last.first().map_or(1, Weights::k)
    }

    pub(crate) fn scratch(&self) -> HeadScratch {
        let widest = self.layers().map(Weights::n).max().unwrap_or(0);
        let staging = self.layers().map(|weights| weights.staging_of_rows(BATCH));
        HeadScratch {
            hidden: [vec![0.0; BATCH * widest], vec![0.0; BATCH * widest]],
            joined: vec![0.0; BATCH * self.joined_width()],
            staging: Staging::new(staging.fold(StagingSize::default(), StagingSize::max)),
        }
    }

    /// Number of multiply-adds for one image in the layers of the magnitudes, or in all other layers.
    pub(crate) fn multiply_adds(&self, part: Part) -> usize {
        let sum = |layers: &[Weights]| layers.iter().map(Weights::multiply_adds).sum::<usize>();
        match part {
            Part::Magnitude => sum(&self.magnitude),
            _ => sum(&self.vit) + sum(&self.inception) + sum(&self.last),
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
        let stride = self.joined_width();
        let mut first = 0;
        let networks = [(vit, &self.vit), (inception, &self.inception), (magnitudes, &self.magnitude)];
        for (index, (input, layers)) in networks.into_iter().enumerate() {
            let Some(last) = layers.last() else { continue };
            if index == 2 {
                observer.begin(Part::Magnitude);
            }
            let slot = Layout::plain(rows, stride).shifted(first);
            chain(layers, rows, input, staging, (slot, &mut joined[..]), self.joined, (&mut *a, &mut *b));
            first += last.n();
            observer.begin(Part::Head);
        }
        if self.last.is_empty() {
            redshift.copy_from_slice(&joined[..rows]);
        } else {
            let output = (Layout::plain(rows, 1), redshift);
            chain(&self.last, rows, joined, staging, output, Activation::Identity, (a, b));
        }
    }
}

/// Reads the linear layers of the magnitudes.
fn magnitude_block(
    layers: &Layers<'_, '_>,
    config: &Config,
    packing: Packing,
) -> Result<Vec<Weights>, CheckpointError> {
    let mut maps = Vec::new();
    let mut width = config.bands;
    for layer in (0..MAGNITUDE_LAYERS_MAX).step_by(2) {
        let name = format!("{}magnitude_block.{layer}", config.inception_path());
        if layer > 0 && !layers.has(&format!("{name}.weight")) {
            break;
        }
        let map = layers.packed_linear(&name, width, packing)?;
        width = map.n();
        maps.push(map);
    }
    Ok(maps)
}

/// Computes linear layers with a ReLU between them, and `activation` after the last one, from `input` (rows, …) into
/// `output`. `hidden` is working memory.
fn chain(
    layers: &[Weights],
    rows: usize,
    input: &[f32],
    staging: &mut Staging,
    (layout, output): (Layout, &mut [f32]),
    activation: Activation,
    hidden: (&mut Vec<f32>, &mut Vec<f32>),
) {
    let Some((last, before)) = layers.split_last() else { return };
    let mut input = input;
    let (mut from, mut to) = hidden;
    for layer in before {
        linear(layer, rows, input, staging, Layout::plain(rows, layer.n()), to, Activation::Relu);
        std::mem::swap(&mut from, &mut to);
        input = &*from;
    }
    linear(last, rows, input, staging, layout, output, activation);
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
