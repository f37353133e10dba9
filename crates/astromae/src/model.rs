//! The model: a checkpoint's weights, folded and packed, and the way of images through them.

use std::fmt;
use std::str::FromStr;

use kernels::{Arithmetic, Isa};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::config::Config;
use crate::head::{self, Head, HeadScratch};
use crate::inception::{Inception, InceptionScratch};
use crate::join::{InTurn, Join};
use crate::layers::Layers;
use crate::packing::Packing;
use crate::part::{Observer, Part};
use crate::vit::{self, Vit, VitScratch};

/// The arithmetic of the matrix products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point throughout.
    F32,
    /// Weights, and where the CPU multiplies so the inputs of products, rounded to bfloat16; sums, activations, norms,
    /// softmax and the residual stream in `f32`.
    Bf16,
    /// Linear layers in 8-bit integers, weights scaled by output and inputs by row, as they come; convolutions as in
    /// `Bf16` where the CPU multiplies so; the rest in `f32`.
    Int8,
}

impl Precision {
    /// All of them, the most exact first.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

    /// What its largest products are computed in.
    pub fn arithmetic(self) -> Arithmetic {
        match self {
            Precision::F32 => Arithmetic::F32,
            Precision::Bf16 => Arithmetic::Bf16,
            Precision::Int8 => Arithmetic::Int8,
        }
    }

    /// Its name: `f32`, `bf16` or `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::Int8 => "int8",
        }
    }
}

/// A model ready to predict. Shared by threads; each thread has its own [`Scratch`].
#[derive(Debug)]
pub struct Model {
    isa: Isa,
    precision: Precision,
    config: Config,
    vit: Vit,
    inception: Inception,
    head: Head,
}

/// The working memory of one thread, allocated once: predicting allocates nothing.
#[derive(Debug)]
pub struct Scratch {
    vit: VitScratch,
    inception: InceptionScratch,
    head: HeadScratch,
    vit_features: Vec<f32>,
    inception_features: Vec<f32>,
}

impl Model {
    /// Reads a checkpoint in any of its forms, with the `config.json` beside it if there is one, folds it in `f64`,
    /// and packs it for `isa`.
    pub fn from_bytes(
        bytes: &[u8],
        config_json: Option<&str>,
        precision: Precision,
        isa: Isa,
    ) -> Result<Model, CheckpointError> {
        Model::from_checkpoint(&Checkpoint::read_with_config(bytes, config_json)?, precision, isa)
    }

    /// As [`Model::from_bytes`], from a checkpoint already read.
    pub fn from_checkpoint(
        checkpoint: &Checkpoint<'_>,
        precision: Precision,
        isa: Isa,
    ) -> Result<Model, CheckpointError> {
        Model::from_checkpoint_joined(checkpoint, precision, isa, &InTurn)
    }

    /// As [`Model::from_checkpoint`], in two halves of about the same work that `join` may run at the same time.
    pub fn from_checkpoint_joined(
        checkpoint: &Checkpoint<'_>,
        precision: Precision,
        isa: Isa,
        join: &impl Join,
    ) -> Result<Model, CheckpointError> {
        if precision == Precision::Int8 && isa.instruction(Arithmetic::Int8).is_none() {
            return Err(CheckpointError::Unsupported(format!(
                "precision int8: this CPU ({isa}) has no instruction for products of 8-bit integers; use bf16 or f32"
            )));
        }
        let packing = Packing { isa, precision };
        let layers = Layers::new(checkpoint);
        let mut config = Config::read(&layers)?;
        let networks = |layers| {
            let vit = Vit::read(&layers, &config, packing)?;
            let inception = Inception::read(&layers, &config, packing)?;
            Ok::<_, CheckpointError>((layers, vit, inception))
        };
        let (networks, packed) = join.join(move || networks(layers), || Layers::pack_ahead(checkpoint, packing));
        let (mut layers, (vit, behind_vit), (inception, linear)) = networks?;
        layers.adopt(packed);
        let head = Head::read(&layers, &config, &behind_vit, (&inception, &linear), packing)?;
        config.assumed = layers.finish()?;
        Ok(Model { isa, precision, config, vit, inception, head })
    }

    /// The model's sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Lines and columns of the images it takes.
    pub fn image_size(&self) -> usize {
        self.config.image_size
    }

    /// Bands of an image, and magnitudes of a galaxy.
    pub fn bands(&self) -> usize {
        self.config.bands
    }

    /// Parameters in the checkpoint.
    pub fn parameters(&self) -> usize {
        self.config.parameters
    }

    /// The instruction set it was packed for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The arithmetic of its matrix products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Floating-point operations of one image in `part`, a multiply-add counting as two: those of products, convolutions
    /// and attention, as the checkpoint defines them. Activations, norms and pools are not counted.
    pub fn operations(&self, part: Part) -> f64 {
        let multiply_adds = match part {
            Part::Inception => self.inception.multiply_adds(),
            Part::Magnitude | Part::Head => self.head.multiply_adds(part),
            _ => self.vit.multiply_adds(part),
        };
        2.0 * multiply_adds as f64
    }

    /// Working memory for one thread.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            vit: self.vit.scratch(),
            inception: self.inception.scratch(),
            head: self.head.scratch(),
            vit_features: vec![0.0; head::BATCH * self.config.dim],
            inception_features: vec![0.0; head::BATCH * self.inception.features_len()],
        }
    }

    /// Predicts `redshift` (n) from `images` (n, bands, size, size) and `magnitudes` (n, bands), on this thread.
    ///
    /// An image's redshift depends on nothing but that image and its magnitudes: the same bits whatever n is and
    /// whatever lies beside it. An input that is not finite gives a redshift that is not finite.
    ///
    /// # Panics
    /// Where the slices are not of these sizes.
    pub fn predict(&self, images: &[f32], magnitudes: &[f32], scratch: &mut Scratch, redshift: &mut [f32]) {
        self.predict_observed(images, magnitudes, scratch, redshift, &mut ());
    }

    /// As [`Model::predict`], telling `observer` which part of the model begins.
    pub fn predict_observed(
        &self,
        images: &[f32],
        magnitudes: &[f32],
        scratch: &mut Scratch,
        redshift: &mut [f32],
        observer: &mut impl Observer,
    ) {
        let Config { bands, image_size, dim, .. } = self.config;
        let pixels = bands * image_size * image_size;
        assert_eq!(images.len(), redshift.len() * pixels, "images are not (n, bands, size, size)");
        assert_eq!(magnitudes.len(), redshift.len() * bands, "magnitudes are not (n, bands)");
        let inception_dim = self.inception.features_len();
        let batches = images.chunks(head::BATCH * pixels).zip(magnitudes.chunks(head::BATCH * bands));
        for ((images, magnitudes), redshift) in batches.zip(redshift.chunks_mut(head::BATCH)) {
            let vit_features = &mut scratch.vit_features[..redshift.len() * dim];
            let groups = images.chunks(vit::GROUP * pixels).zip(vit_features.chunks_mut(vit::GROUP * dim));
            for (images, features) in groups {
                self.vit.features(images, &mut scratch.vit, features, observer);
            }
            observer.begin(Part::Inception);
            let inception_features = &mut scratch.inception_features[..redshift.len() * inception_dim];
            for (image, features) in images.chunks(pixels).zip(inception_features.chunks_mut(inception_dim)) {
                self.inception.features(image, &mut scratch.inception, features);
            }
            self.head.redshift(vit_features, inception_features, magnitudes, &mut scratch.head, redshift, observer);
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Precision, UnknownPrecision> {
        let found = Precision::ALL.into_iter().find(|precision| precision.name() == name);
        found.ok_or_else(|| UnknownPrecision(name.to_owned()))
    }
}

/// A name that is no precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("precision `{0}` is unknown; available: f32, bf16, int8")]
pub struct UnknownPrecision(String);
