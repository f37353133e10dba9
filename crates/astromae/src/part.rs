//! [`Part`] and [`Observer`]: the parts of the model, to measure how long each takes.

use std::fmt;

/// Part of the model. The work before a matrix product (layer norm, quantisation) and after it (activation, residual)
/// belongs to the part of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Patch embedding: images to tokens, with class token and positions.
    PatchEmbed,
    /// Linear layer from tokens to queries, keys and values.
    Qkv,
    /// Softmax attention and its projection.
    Attention,
    /// Parallel convolutional module (PCM), which works in parallel to the attention.
    Pcm,
    /// The two linear layers after the attention, with GELU between them.
    Mlp,
    /// Inception network up to its flattened features.
    Inception,
    /// Linear layers of the magnitudes.
    Magnitude,
    /// Linear layers after the transformer and after the Inception network, and those that combine both with the
    /// magnitudes.
    Head,
}

impl Part {
    /// All parts, in the order in which they are computed.
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

    /// Name of the part in tables.
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

/// Observer of a prediction. It is called when a part begins, which is also when the previous part ends. This crate
/// does not read the clock; an observer may.
pub trait Observer {
    /// Called when `part` begins. A part may begin several times.
    fn begin(&mut self, part: Part);
}

/// Observes nothing, at no cost.
impl Observer for () {
    #[inline(always)]
    fn begin(&mut self, _: Part) {}
}
