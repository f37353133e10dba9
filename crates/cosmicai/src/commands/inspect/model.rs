//! Contents of a model: form, sizes and tensors.

use anyhow::{Context, Result};
use astromae::{Config, Isa, Model, Precision, Transformer};
use pipeline::model_file::ModelFile;
use pipeline::storage::Stores;
use serde::Serialize;

use crate::printer::{bytes, grouped, table};

#[derive(Serialize)]
pub(super) struct Report {
    kind: &'static str,
    url: String,
    form: String,
    sha256: String,
    bytes: u64,
    parameters: usize,
    memory_mb: f64,
    isa: String,
    isa_available: Vec<String>,
    precision: String,
    sizes: Sizes,
    #[serde(skip)]
    transformer: Option<Transformer>,
    /// Networks that the model has.
    networks: Vec<&'static str>,
    /// Decisions about the content of the file, such as which of two models in it was taken.
    notes: Vec<String>,
    /// Attributes that the file states, with their values and places.
    stated: Vec<String>,
    /// Attributes that the file does not state, with the values that were assumed.
    assumed: Vec<String>,
    /// Description of the layers that were assumed, because the file has no classes.
    assumed_layers: Option<&'static str>,
    /// Attributes of the modules that are not used.
    unused: Vec<String>,
    tensors: Vec<Tensor>,
}

/// Sizes; those of the transformer are `None` if the model has no transformer.
#[derive(Serialize)]
struct Sizes {
    bands: usize,
    image_size: usize,
    patch_size: Option<usize>,
    dim: Option<usize>,
    depth: Option<usize>,
    heads: Option<usize>,
}

#[derive(Serialize)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    dtype: String,
    bytes: usize,
}

pub(super) async fn look(stores: &Stores, url: &str, precision: Precision, isa: Isa) -> Result<Report> {
    let file = ModelFile::of_url(stores, url).await?;
    let identity = file.identity().await?;
    let checkpoint = file.checkpoint()?;
    let model = Model::from_checkpoint(&checkpoint, precision, isa).with_context(|| format!("model `{url}`"))?;
    let tensors = checkpoint.tensors().map(|(name, tensor)| Tensor {
        name: name.to_owned(),
        shape: tensor.shape().to_vec(),
        dtype: tensor.dtype().name().to_owned(),
        bytes: tensor.bytes(),
    });
    let config = model.config().clone();
    let Config { bands, image_size, transformer, .. } = config;
    let networks = [
        (transformer.is_some(), "transformer"),
        (config.has_inception, "Inception network"),
        (config.has_magnitudes, "magnitudes"),
    ];
    Ok(Report {
        kind: "model",
        url: url.to_owned(),
        form: checkpoint.form().to_string(),
        sha256: identity.sha256,
        bytes: identity.bytes,
        parameters: model.parameters(),
        memory_mb: model.parameters() as f64 * 4.0 / f64::from(1 << 20),
        isa: isa.to_string(),
        isa_available: Isa::available().map(|isa| isa.to_string()).collect(),
        precision: model.precision().to_string(),
        sizes: Sizes {
            bands,
            image_size,
            patch_size: transformer.map(|sizes| sizes.patch_size),
            dim: transformer.map(|sizes| sizes.dim),
            depth: transformer.map(|sizes| sizes.depth),
            heads: transformer.map(|sizes| sizes.heads),
        },
        transformer,
        networks: networks.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect(),
        notes: config.notes,
        stated: config.stated.iter().map(ToString::to_string).collect(),
        assumed: config.assumed,
        assumed_layers: config.assumed_layers,
        unused: config.unused,
        tensors: tensors.collect(),
    })
}

pub(super) fn human(report: &Report) -> String {
    let Sizes { bands, image_size, .. } = report.sizes;
    let mut text = table(
        ["tensor", "shape", "type", "bytes"],
        report.tensors.iter().map(|tensor| {
            let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
            [tensor.name.clone(), shape.join("×"), tensor.dtype.clone(), grouped(tensor.bytes as u64)]
        }),
    );
    text += &format!("model      {} ({}, {})\n", report.url, report.form, bytes(report.bytes));
    text += &format!("sha256     {}\n", report.sha256);
    text += &format!("parameters {} in {} tensors\n", grouped(report.parameters as u64), report.tensors.len());
    text += &format!("networks   {}\n", report.networks.join(", "));
    text += &format!("images     {bands}×{image_size}×{image_size}\n");
    if let Some(Transformer { patch_size, dim, depth, heads, .. }) = report.transformer {
        text +=
            &format!("blocks     {depth}, {dim} values a token, {heads} heads, patches {patch_size}×{patch_size}\n");
    }
    for note in &report.notes {
        text += &format!("note       {note}\n");
    }
    for stated in &report.stated {
        text += &format!("stated     {stated}\n");
    }
    for assumed in &report.assumed {
        text += &format!("assumed    {assumed} (the file does not state it)\n");
    }
    if let Some(layers) = report.assumed_layers {
        text += &format!("assumed    {layers}\n");
    }
    for unused in &report.unused {
        text += &format!("not used   {unused}\n");
    }
    text +=
        &format!("runs on    {}, {} (available: {})\n", report.isa, report.precision, report.isa_available.join(", "));
    let tensors = "has every tensor that the model needs, of the right shape and finite, and no other";
    text + &match report.assumed_layers {
        None => format!("valid      {tensors}; its layers and constants are those of AstroMAE\n"),
        Some(_) => format!("complete   {tensors}; its layers cannot be checked, because the file has no classes\n"),
    }
}
