//! [`Model`]: the weights of a checkpoint, folded and packed, and the prediction of redshifts.

use kernels::{Arithmetic, Isa};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::config::Config;
use crate::head::{self, Head, HeadScratch};
use crate::inception::{Inception, InceptionScratch};
use crate::join::{Join, Sequential};
use crate::layers::Layers;
use crate::packing::Packing;
use crate::part::{Observer, Part};
use crate::precision::Precision;
use crate::structure;
use crate::vit::{self, Vit, VitScratch};

/// AstroMAE model that is ready to predict. Threads can share it; each thread needs its own [`Scratch`].
#[derive(Debug)]
pub struct Model {
    isa: Isa,
    precision: Precision,
    config: Config,
    vit: Option<Vit>,
    inception: Option<Inception>,
    head: Head,
}

/// Working memory of one thread for predictions. Allocate it once with [`Model::scratch`]; predictions then allocate
/// nothing.
///
/// A scratch fits only the model that made it, and models of the same sizes, precision and instruction set. It keeps no
/// state from one prediction to the next.
///
/// ```
/// use astromae::init::{Sizes, seeded};
/// use astromae::{Isa, Model, Precision};
///
/// let model = Model::from_bytes(&seeded(&Sizes::small(), 1), None, Precision::F32, Isa::detect())?;
/// let mut scratch = model.scratch();
/// let mut redshift = [0.0];
/// for flux in [0.5, 1.0] {
///     let image = vec![flux; model.bands() * model.image_size().pow(2)];
///     model.predict(&image, &vec![19.0; model.bands()], &mut scratch, &mut redshift);
/// }
/// # Ok::<(), astromae::checkpoint::CheckpointError>(())
/// ```
#[derive(Debug)]
pub struct Scratch {
    vit: Option<VitScratch>,
    inception: Option<InceptionScratch>,
    head: HeadScratch,
    vit_features: Vec<f32>,
    inception_features: Vec<f32>,
}

impl Model {
    /// Makes a model from the bytes of a checkpoint file and, if there is one, the text of its `config.json`.
    ///
    /// This is [`Checkpoint::read_with_config`] followed by [`Model::from_checkpoint`].
    ///
    /// # Errors
    /// The errors of these two functions.
    pub fn from_bytes(
        bytes: &[u8],
        config_json: Option<&str>,
        precision: Precision,
        isa: Isa,
    ) -> Result<Model, CheckpointError> {
        Model::from_checkpoint(&Checkpoint::read_with_config(bytes, config_json)?, precision, isa)
    }

    /// Makes a model from a checkpoint: checks all tensors, folds norms into weights in `f64`, and packs the weights
    /// for `precision` and `isa`.
    ///
    /// Sizes such as the number of blocks and the size of images come from the shapes of the tensors. Attributes that
    /// the checkpoint lacks, such as the number of attention heads, are assumed as in the published model and listed in
    /// [`Config::assumed`].
    ///
    /// # Errors
    /// - [`CheckpointError::Module`]: a pickled module has a layer that computes something else than AstroMAE.
    /// - [`CheckpointError::NotFinite`]: a weight is NaN or infinite.
    /// - [`CheckpointError::MissingTensor`] and [`CheckpointError::Shape`]: a tensor is missing or has another shape.
    /// - [`CheckpointError::Unsupported`]: the checkpoint is not an AstroMAE model, it has additional tensors, or `isa`
    ///   has no instruction for `precision`.
    /// - [`CheckpointError::Malformed`] and [`CheckpointError::Unreadable`]: a tensor is damaged or cannot be read.
    ///   Only checkpoints of [`Checkpoint::open`] give these errors here, because they read tensors on demand.
    ///
    /// ```
    /// use astromae::checkpoint::Checkpoint;
    /// use astromae::init::{Sizes, seeded};
    /// use astromae::{Isa, Model, Precision};
    ///
    /// // The bytes of a checkpoint file; here, a small model with random weights.
    /// let bytes = seeded(&Sizes::small(), 1);
    /// let checkpoint = Checkpoint::read(&bytes)?;
    /// let model = Model::from_checkpoint(&checkpoint, Precision::F32, Isa::detect())?;
    /// assert_eq!((model.bands(), model.image_size()), (5, 32));
    /// # Ok::<(), astromae::checkpoint::CheckpointError>(())
    /// ```
    pub fn from_checkpoint(
        checkpoint: &Checkpoint<'_>,
        precision: Precision,
        isa: Isa,
    ) -> Result<Model, CheckpointError> {
        Model::from_checkpoint_joined(checkpoint, precision, isa, &Sequential)
    }

    /// Makes a model like [`Model::from_checkpoint`], but passes the work to `join` in two parts of similar size, which
    /// it may run at the same time.
    ///
    /// # Errors
    /// The errors of [`Model::from_checkpoint`].
    pub fn from_checkpoint_joined(
        checkpoint: &Checkpoint<'_>,
        precision: Precision,
        isa: Isa,
        join: &impl Join,
    ) -> Result<Model, CheckpointError> {
        if precision == Precision::Int8 && isa.instruction(Arithmetic::Int8).is_none() {
            return Err(CheckpointError::Unsupported(format!(
                "precision `int8`: this CPU ({isa}) cannot multiply 8-bit integers; use precision `bf16` or `f32`"
            )));
        }
        let packing = Packing { isa, precision };
        if let Some(modules) = checkpoint.modules() {
            structure::check_root(modules)?;
        }
        let layers = Layers::new(checkpoint);
        let mut config = Config::read(&layers)?;
        config.notes = checkpoint.notes().to_vec();
        if let Some(modules) = checkpoint.modules() {
            config.unused = structure::check(checkpoint, modules, &config)?;
        }
        let networks = |layers| {
            let vit = config.transformer.map(|sizes| Vit::read(&layers, &config, sizes, packing)).transpose()?;
            let inception = config.has_inception.then(|| Inception::read(&layers, &config, packing)).transpose()?;
            Ok::<_, CheckpointError>((layers, vit.unzip(), inception.unzip()))
        };
        let (networks, packed) = join.join(move || networks(layers), || Layers::pack_ahead(checkpoint, packing));
        let (mut layers, (vit, vit_norm), (inception, linear)) = networks?;
        layers.set_packed(packed);
        let features = inception.as_ref().zip(linear.as_deref());
        let head = Head::read(&layers, &config, vit_norm.as_ref(), features, packing)?;
        (config.stated, config.assumed) = layers.finish()?;
        if checkpoint.modules().is_none() {
            config.assumed_layers = Some(structure::assumed_layers(&config));
        }
        Ok(Model { isa, precision, config, vit, inception, head })
    }

    /// Sizes of the model.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Height and width of the images, in pixels.
    pub fn image_size(&self) -> usize {
        self.config.image_size
    }

    /// Number of bands of an image, and of magnitudes of a galaxy.
    pub fn bands(&self) -> usize {
        self.config.bands
    }

    /// Number of parameters in the checkpoint.
    pub fn parameters(&self) -> usize {
        self.config.parameters
    }

    /// Instruction set that the model is packed for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Arithmetic of the matrix products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Number of floating-point operations for one image in `part`. A multiply-add counts as two operations.
    ///
    /// It counts the matrix products, convolutions and attention that the checkpoint defines. It does not count
    /// activations, norms and pools.
    pub fn operations(&self, part: Part) -> f64 {
        let multiply_adds = match part {
            Part::Inception => self.inception.as_ref().map_or(0, Inception::multiply_adds),
            Part::Magnitude | Part::Head => self.head.multiply_adds(part),
            _ => self.vit.as_ref().map_or(0, |vit| vit.multiply_adds(part)),
        };
        2.0 * multiply_adds as f64
    }

    /// Allocates the working memory of one thread.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            vit: self.vit.as_ref().map(Vit::scratch),
            inception: self.inception.as_ref().map(Inception::scratch),
            head: self.head.scratch(),
            vit_features: vec![0.0; head::BATCH * self.vit.as_ref().map_or(0, Vit::features_len)],
            inception_features: vec![0.0; head::BATCH * self.inception.as_ref().map_or(0, Inception::features_len)],
        }
    }

    /// Predicts the redshifts of n galaxies on the current thread.
    ///
    /// - `images` is (n, bands, size, size): fluxes in nanomaggies, bands in the order u g r i z.
    /// - `magnitudes` is (n, bands), in the same order. A model without [`Config::has_magnitudes`] does not use them.
    /// - `redshift` is (n) and receives the predictions.
    ///
    /// n may be any number, 0 included. A redshift depends only on its own image and magnitudes: it has the same bits
    /// whatever n is and whatever other galaxies are predicted with it. If a pixel or magnitude is NaN or infinite, the
    /// redshift of that galaxy is NaN or infinite.
    ///
    /// # Panics
    /// If the lengths of the slices do not match these shapes.
    ///
    /// ```
    /// # use astromae::init::{Sizes, seeded};
    /// # use astromae::{Isa, Model, Precision};
    /// # let model = Model::from_bytes(&seeded(&Sizes::small(), 1), None, Precision::F32, Isa::detect())?;
    /// let pixels = model.bands() * model.image_size().pow(2);
    /// // Two galaxies; the second one has a broken pixel.
    /// let mut images = vec![0.1; 2 * pixels];
    /// images[pixels] = f32::NAN;
    /// let magnitudes = vec![20.0; 2 * model.bands()];
    ///
    /// let mut redshift = [0.0; 2];
    /// model.predict(&images, &magnitudes, &mut model.scratch(), &mut redshift);
    /// assert!(redshift[0].is_finite() && !redshift[1].is_finite());
    /// # Ok::<(), astromae::checkpoint::CheckpointError>(())
    /// ```
    pub fn predict(&self, images: &[f32], magnitudes: &[f32], scratch: &mut Scratch, redshift: &mut [f32]) {
        self.predict_observed(images, magnitudes, scratch, redshift, &mut ());
    }

    /// Predicts like [`Model::predict`], and notifies `observer` when each part of the model begins.
    ///
    /// # Panics
    /// If the lengths of the slices do not match the shapes of [`Model::predict`].
    pub fn predict_observed(
        &self,
        images: &[f32],
        magnitudes: &[f32],
        scratch: &mut Scratch,
        redshift: &mut [f32],
        observer: &mut impl Observer,
    ) {
        let Config { bands, image_size, .. } = self.config;
        let pixels = bands * image_size * image_size;
        assert_eq!(images.len(), redshift.len() * pixels, "images are not (n, bands, size, size)");
        assert_eq!(magnitudes.len(), redshift.len() * bands, "magnitudes are not (n, bands)");
        let batches = images.chunks(head::BATCH * pixels).zip(magnitudes.chunks(head::BATCH * bands));
        for ((images, magnitudes), redshift) in batches.zip(redshift.chunks_mut(head::BATCH)) {
            let mut vit_features = &mut [][..];
            if let (Some(vit), Some(memory)) = (&self.vit, &mut scratch.vit) {
                let dim = vit.features_len();
                vit_features = &mut scratch.vit_features[..redshift.len() * dim];
                let groups = images.chunks(vit::GROUP * pixels).zip(vit_features.chunks_mut(vit::GROUP * dim));
                for (images, features) in groups {
                    vit.features(images, memory, features, observer);
                }
            }
            let mut inception_features = &mut [][..];
            if let (Some(inception), Some(memory)) = (&self.inception, &mut scratch.inception) {
                observer.begin(Part::Inception);
                let dim = inception.features_len();
                inception_features = &mut scratch.inception_features[..redshift.len() * dim];
                for (image, features) in images.chunks(pixels).zip(inception_features.chunks_mut(dim)) {
                    inception.features(image, memory, features);
                }
            }
            self.head.redshift(vit_features, inception_features, magnitudes, &mut scratch.head, redshift, observer);
        }
    }
}
