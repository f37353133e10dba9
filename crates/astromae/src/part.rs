//! The parts of the model, for whoever wants to know what each costs.

use std::fmt;

/// A part of the way of an image through the model. What a product needs before it (layer norm, quantisation) and
/// after it (activation, residual) counts as part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Images to tokens, with class token and positions.
    PatchEmbed,
    /// Tokens to queries, keys and values.
    Qkv,
    /// Softmax attention and its projection.
    Attention,
    /// The parallel convolutional module beside the attention.
    Pcm,
    /// The two linear layers behind the attention, and GELU between.
    Mlp,
    /// The Inception network up to its flat features.
    Inception,
    /// The linear layers of the magnitudes.
    Magnitude,
    /// The linear layers behind the transformer and the Inception network, and those that join all three.
    Head,
}

impl Part {
    /// All parts, in the order of an image's way.
    pub const ALL: [Part; 8] = [
        Part::PatchEmbed,
        Part::Qkv,
        Part::Attention,
        Part::Pcm,
        Part::Mlp,
        Part::Inception,
        Part::Magnitude,
        Part::Head,
    ];

    /// Its name, as tables print it.
    pub fn name(self) -> &'static str {
        match self {
            Part::PatchEmbed => "patch embed",
            Part::Qkv => "qkv",
            Part::Attention => "attention",
            Part::Pcm => "PCM",
            Part::Mlp => "MLP",
            Part::Inception => "inception",
            Part::Magnitude => "magnitude",
            Part::Head => "head",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Hears which part begins; the one before it ends there. This crate knows no clock, so that is all it tells.
pub trait Observer {
    /// `part` begins.
    fn begin(&mut self, part: Part);
}

/// Nobody: costs nothing.
impl Observer for () {
    #[inline(always)]
    fn begin(&mut self, _: Part) {}
}
