//! Checks the classes and constants of a pickled module: each module must compute what this crate computes.
//!
//! The tensors of a model with GELU in place of ReLU, or with another padding, have the same names and shapes. Only a
//! pickled module states the difference. The functions here describe the tree of AstroMAE, module by module; a module
//! that the description does not contain is rejected, unless it does nothing in a prediction (`Identity`, `Dropout`).
//!
//! Classes of PyTorch and timm are recognised by their full names. Classes of the model itself are recognised by the
//! names that its authors gave them (`NormalCell`, `InceptionBlock`, …), in any Python module.

mod layer;

use std::collections::BTreeSet;

use layer::{Activation, is_harmless, is_timm};

use crate::checkpoint::{Checkpoint, CheckpointError, Constant, Module, Modules};
use crate::config::{Config, Transformer};

/// Class of the whole model.
const MODEL: &str = "ViT_Astro";
/// Class of the Inception network with the network of the magnitudes. It may be the whole model.
const INCEPTION_MODEL: &str = "Input_Mix_Model";
/// Class of a vision transformer alone, of timm or derived from it.
const VISION_TRANSFORMER: &str = "VisionTransformer";
/// Upper bound of the search for stages of `vis_inception`.
const STAGES_MAX: usize = 64;
/// Largest number of attributes that are listed as unused.
const MAX_UNUSED: usize = 16;

/// Layers that a checkpoint without classes does not describe, as they are assumed.
pub(crate) fn assumed_layers(config: &Config) -> &'static str {
    match (config.transformer, config.has_inception) {
        (Some(_), true) => {
            "layers without tensors as in AstroMAE: ReLU, GELU (exact) in `mlp`, SiLU in `PCM`, average pools 2×2, max \
             pools 3×3, and zero padding"
        }
        (Some(_), false) => {
            "layers without tensors as in AstroMAE: GELU (exact) in `mlp`, SiLU in `PCM`, ReLU, and the mean of the \
             patches before `fc_norm`"
        }
        (None, _) => "layers without tensors as in AstroMAE: ReLU, average pools 2×2, max pools 3×3, and zero padding",
    }
}

/// Checks the class of the whole model. This check comes first, because another model lacks most tensors.
pub(crate) fn check_root(modules: &Modules) -> Result<(), CheckpointError> {
    match modules.get("") {
        Some(root) if [MODEL, INCEPTION_MODEL].contains(&&*root.class) && !is_library(&root.package) => Ok(()),
        Some(root) if root.class == VISION_TRANSFORMER && (is_timm(&root.package) || !is_library(&root.package)) => {
            Ok(())
        }
        Some(root) => Err(CheckpointError::Unsupported(format!(
            "the model is a `{}`, whose code is not known; a `{MODEL}` is expected; if it holds an AstroMAE, save the \
             state dict of that part: `torch.save(model.….state_dict(), …)`",
            root.full_class()
        ))),
        None => Err(differs("", "missing", MODEL)),
    }
}

/// Checks the modules of `checkpoint`. Returns the attributes that are not known and not used.
pub(crate) fn check(
    checkpoint: &Checkpoint<'_>,
    modules: &Modules,
    config: &Config,
) -> Result<Vec<String>, CheckpointError> {
    let mut tree = Tree { checkpoint, modules, config, known: BTreeSet::new(), unused: Vec::new() };
    tree.model()?;
    tree.reject_unknown()?;
    tree.unused.truncate(MAX_UNUSED);
    Ok(tree.unused)
}

/// Flags that change what a transformer computes, under the names that programs give to them, with the value that
/// AstroMAE has.
const FLAGS: &[(&str, bool)] = &[
    ("global_pool", true),
    ("norm_first", true),
    ("normalize_before", true),
    ("pre_norm", true),
    ("class_token", true),
    ("gamma", false),
    ("init_values", false),
    ("layer_scale", false),
    ("post_norm", false),
    ("qk_norm", false),
    ("rel_pos", false),
    ("rel_pos_bias", false),
    ("use_abs_pos_emb", true),
];

/// Truth of a flag, as Python has it. The only text that means the pool of AstroMAE is `avg`.
fn is_set(flag: &Constant) -> bool {
    match flag {
        Constant::None => false,
        Constant::Text(text) => text == "avg",
        other => other.number() != Some(0.0),
    }
}

struct Tree<'a, 'b> {
    checkpoint: &'b Checkpoint<'a>,
    modules: &'b Modules,
    config: &'b Config,
    /// Paths of the modules that the description contains.
    known: BTreeSet<String>,
    unused: Vec<String>,
}

impl<'b> Tree<'_, 'b> {
    fn model(&mut self) -> Result<(), CheckpointError> {
        let Some(sizes) = self.config.transformer else { return self.inception_model("") };
        let dim = Some(sizes.dim as f64);
        if self.config.has_inception || self.module("", "")?.class == MODEL {
            self.composite("", &[MODEL], &[])?;
            self.attributes("", &[("embed_dim", dim)])?;
        } else {
            self.composite("", &[VISION_TRANSFORMER], &[VISION_TRANSFORMER])?;
            let known = [
                ("embed_dim", dim),
                ("num_features", dim),
                ("head_hidden_size", dim),
                ("num_classes", None),
                ("num_tokens", Some(1.0)),
                ("num_prefix_tokens", Some(1.0)),
                ("num_reg_tokens", Some(0.0)),
                ("has_class_token", Some(1.0)),
                ("no_embed_class", Some(0.0)),
                ("pool_include_prefix", Some(0.0)),
                ("dynamic_img_size", None),
                ("grad_checkpointing", None),
                // None: the model has no registers and no pool with weights.
                ("reg_token", Some(0.0)),
                ("attn_pool", Some(0.0)),
            ];
            self.attributes("", &known)?;
        }
        self.patch_embed(sizes)?;
        self.list("blocks", sizes.depth)?;
        for block in 0..sizes.depth {
            self.block(&format!("blocks.{block}"), sizes.dim)?;
        }
        self.layer_norm("fc_norm", sizes.dim)?;
        self.linear("head")?;
        if self.config.has_inception {
            self.inception_model("inception_model")?;
        }
        for block in ["vit_block", "concat_block"] {
            if self.has(&format!("{block}.0.weight")) {
                self.perceptron(block, 2)?;
            }
        }
        Ok(())
    }

    fn patch_embed(&mut self, sizes: Transformer) -> Result<(), CheckpointError> {
        let Transformer { patch_size, grid, .. } = sizes;
        let image_size = self.config.image_size;
        self.composite("patch_embed", &["PatchEmbed"], &["PatchEmbed"])?;
        self.attributes(
            "patch_embed",
            &[
                ("img_size", Some(image_size as f64)),
                ("patch_size", Some(patch_size as f64)),
                ("grid_size", Some(grid as f64)),
                ("num_patches", Some((grid * grid) as f64)),
                ("flatten", Some(1.0)),
                ("output_fmt", None),
                ("strict_img_size", None),
                ("dynamic_img_pad", None),
                ("in_chans", None),
                ("embed_dim", None),
            ],
        )?;
        self.convolution("patch_embed.proj", patch_size, |_| 0)
    }

    fn block(&mut self, path: &str, dim: usize) -> Result<(), CheckpointError> {
        let module = self.composite(path, &["NormalCell", "Block"], &["Block"])?;
        self.attributes(path, &[])?;
        self.layer_norm(&format!("{path}.norm1"), dim)?;
        self.attention(&format!("{path}.attn"), dim)?;
        self.layer_norm(&format!("{path}.norm2"), dim)?;
        let mlp = format!("{path}.mlp");
        self.composite(&mlp, &["Mlp"], &["Mlp"])?;
        self.attributes(&mlp, &[("in_features", None), ("hidden_features", None), ("out_features", None)])?;
        self.linear(&format!("{mlp}.fc1"))?;
        self.activation(&format!("{mlp}.act"), Activation::Gelu)?;
        self.linear(&format!("{mlp}.fc2"))?;
        if module.class != "NormalCell" || !module.children.iter().any(|child| child == "PCM") {
            return Ok(());
        }
        let pcm = format!("{path}.PCM");
        self.sequential(&pcm, 4)?;
        self.convolution(&format!("{pcm}.0"), 1, |window| window / 2)?;
        self.batch_norm(&format!("{pcm}.1"))?;
        self.activation(&format!("{pcm}.2"), Activation::Silu)?;
        self.convolution(&format!("{pcm}.3"), 1, |window| window / 2)
    }

    fn attention(&mut self, path: &str, dim: usize) -> Result<(), CheckpointError> {
        let module = self.composite(path, &["Attention"], &["Attention"])?;
        let heads = module.constants.get("num_heads").and_then(Constant::number).unwrap_or(1.0);
        let head_dim = dim as f64 / heads;
        self.attributes(
            path,
            &[
                ("num_heads", None),
                ("scale", None),
                ("head_dim", Some(head_dim)),
                ("attn_dim", Some(dim as f64)),
                ("fused_attn", None),
            ],
        )?;
        // The fused attention of timm does not read `scale`.
        let is_fused = module.constants.get("fused_attn") == Some(&Constant::Bool(true));
        if let (true, Some(scale)) = (is_fused, module.constants.get("scale").and_then(Constant::number)) {
            let expected = head_dim.powf(-0.5);
            if (scale - expected).abs() > 1e-12 * expected {
                return Err(differs(&format!("{path}.scale"), scale, &expected.to_string()));
            }
        }
        let qkv = format!("{path}.qkv");
        self.leaf(&qkv, layer::LINEAR, "a Linear")?;
        self.attributes(&qkv, &[("in_features", None), ("out_features", None)])?;
        self.linear(&format!("{path}.proj"))
    }

    /// The Inception network and the network of the magnitudes. As the whole model, with the path "", it also has the
    /// layers that give the redshift.
    fn inception_model(&mut self, path: &str) -> Result<(), CheckpointError> {
        let (is_alone, has_magnitudes) = (path.is_empty(), self.config.has_magnitudes);
        let name = |child: &str| if is_alone { child.to_owned() } else { format!("{path}.{child}") };
        self.composite(path, &[INCEPTION_MODEL], &[])?;
        // Without magnitudes, `uk_paper` only selects how the caller passes the images. With `Inception_only`,
        // `magnitude` has no effect.
        let flag = |value: bool| Some(f64::from(u8::from(value)));
        let is_inception_only = is_alone && !has_magnitudes;
        self.attributes(
            path,
            &[
                ("Inception_only", flag(is_inception_only)),
                ("magnitude", if is_inception_only { None } else { flag(has_magnitudes) }),
                ("uk_paper", if has_magnitudes { flag(is_alone) } else { None }),
                ("embed_dim", None),
                ("device", None),
                ("config", None),
            ],
        )?;
        // `avgpool` is also stage 1 of `vis_inception`, and `avgpool2` is never used.
        for unused in ["avgpool", "avgpool2"] {
            self.known.insert(name(unused));
        }
        if self.modules.contains_key(&name("conv2d_init")) {
            self.convolution(&name("conv2d_init"), 1, |_| 0)?;
        }
        if has_magnitudes {
            let block = name("magnitude_block");
            let layers = (0..STAGES_MAX).take_while(|layer| self.has(&format!("{block}.{}.weight", 2 * layer))).count();
            self.perceptron(&block, layers)?;
        }
        if is_inception_only {
            let block = name("Inception_head_block");
            self.sequential(&block, 2)?;
            self.activation(&format!("{block}.0"), Activation::Relu)?;
            self.linear(&format!("{block}.1"))?;
        } else if is_alone {
            self.perceptron(&name("head_incept_mag"), 2)?;
        }

        let stages = &name("vis_inception");
        self.convolution(&format!("{stages}.0"), 1, |_| 0)?;
        let linear = (1..STAGES_MAX).find(|stage| self.has(&format!("{stages}.{stage}.weight"))).unwrap_or(STAGES_MAX);
        self.sequential(stages, linear + 3)?;
        for stage in 1..linear - 1 {
            let stage = format!("{stages}.{stage}");
            if self.has(&format!("{stage}.branch1.conv.weight")) {
                self.inception_block(&stage)?;
            } else {
                self.average_pool(&stage)?;
            }
        }
        self.flatten(&format!("{stages}.{}", linear - 1))?;
        self.linear(&format!("{stages}.{linear}"))?;
        self.activation(&format!("{stages}.{}", linear + 1), Activation::Relu)?;
        self.linear(&format!("{stages}.{}", linear + 2))
    }

    fn inception_block(&mut self, path: &str) -> Result<(), CheckpointError> {
        self.composite(path, &["InceptionBlock"], &[])?;
        // The reader of the weights checks `is_custom`.
        self.attributes(path, &[("is_custom", None)])?;
        self.conv_block(&format!("{path}.branch1"))?;
        for branch in ["branch2", "branch3"] {
            self.sequential(&format!("{path}.{branch}"), 2)?;
            self.conv_block(&format!("{path}.{branch}.0"))?;
            self.conv_block(&format!("{path}.{branch}.1"))?;
        }
        self.sequential(&format!("{path}.branch4"), 2)?;
        self.max_pool(&format!("{path}.branch4.0"))?;
        self.conv_block(&format!("{path}.branch4.1"))
    }

    fn conv_block(&mut self, path: &str) -> Result<(), CheckpointError> {
        let module = self.composite(path, &["ConvBlock"], &[])?;
        self.attributes(path, &[])?;
        self.convolution(&format!("{path}.conv"), 1, |window| window / 2)?;
        self.batch_norm(&format!("{path}.bn"))?;
        // Code that has the activation as a child computes the same as code that calls a function.
        for child in module.children.iter().filter(|child| !["conv", "bn"].contains(&child.as_str())) {
            let child = format!("{path}.{child}");
            if !is_harmless(self.module(&child, "a ReLU")?) {
                self.activation(&child, Activation::Relu)?;
            }
        }
        Ok(())
    }

    /// `layers` linear layers with ReLU between them.
    fn perceptron(&mut self, path: &str, layers: usize) -> Result<(), CheckpointError> {
        self.sequential(path, (2 * layers).saturating_sub(1))?;
        for layer in 0..layers {
            if layer > 0 {
                self.activation(&format!("{path}.{}", 2 * layer - 1), Activation::Relu)?;
            }
            self.linear(&format!("{path}.{}", 2 * layer))?;
        }
        Ok(())
    }

    /// `Sequential` of `length` modules.
    fn sequential(&mut self, path: &str, length: usize) -> Result<(), CheckpointError> {
        self.leaf(path, &[("torch.nn.modules.container", "Sequential")], "a Sequential")?;
        self.in_order(path, length)
    }

    /// `ModuleList` or `Sequential` of `length` modules.
    fn list(&mut self, path: &str, length: usize) -> Result<(), CheckpointError> {
        let classes = [("torch.nn.modules.container", "ModuleList"), ("torch.nn.modules.container", "Sequential")];
        self.leaf(path, &classes, "a ModuleList or a Sequential")?;
        self.in_order(path, length)
    }

    /// The children are named 0 to `length` − 1 and run in this order. Those behind them do nothing.
    fn in_order(&mut self, path: &str, length: usize) -> Result<(), CheckpointError> {
        let children = &self.module(path, "")?.children;
        let is_in_order = children.iter().enumerate().all(|(index, child)| *child == index.to_string());
        let is_end = |child: &String| self.modules.get(&format!("{path}.{child}")).is_some_and(is_harmless);
        if is_in_order && children.get(length..).is_some_and(|rest| rest.iter().all(is_end)) {
            return self.attributes(path, &[]);
        }
        let expected = format!("a chain of {length} modules, named 0 to {}", length.saturating_sub(1));
        Err(differs(path, format!("a chain of {} modules ({})", children.len(), children.join(", ")), &expected))
    }

    fn has(&self, tensor: &str) -> bool {
        self.checkpoint.tensor(tensor).is_some()
    }

    fn module(&self, path: &str, expected: &str) -> Result<&'b Module, CheckpointError> {
        self.modules.get(path).ok_or_else(|| differs(path, "missing", expected))
    }

    /// Module of the model's own code, or of timm if its class is in `timm`.
    fn composite(&mut self, path: &str, own: &[&str], timm: &[&str]) -> Result<&'b Module, CheckpointError> {
        let expected = || format!("a {}", own.join(" or a "));
        let module = self.module(path, &expected())?;
        let class = module.class.as_str();
        let is_expected = if is_timm(&module.package) {
            timm.contains(&class)
        } else {
            own.contains(&class) && !is_library(&module.package)
        };
        if !is_expected {
            return Err(differs(path, class_of(module), &expected()));
        }
        self.known.insert(path.to_owned());
        unchanged(path, module)?;
        Ok(module)
    }

    /// Module of one of the given classes.
    fn leaf(&mut self, path: &str, classes: &[(&str, &str)], expected: &str) -> Result<&'b Module, CheckpointError> {
        let module = self.module(path, expected)?;
        let is_timm = is_timm(&module.package);
        let is_class = |&(package, class): &(&str, &str)| {
            class == module.class && (package == module.package || package == layer::TIMM && is_timm)
        };
        if !classes.iter().any(is_class) {
            return Err(differs(path, class_of(module), expected));
        }
        self.known.insert(path.to_owned());
        unchanged(path, module)?;
        Ok(module)
    }

    /// Checks the attributes of a module. `expected` lists those that are known, with the number that they must have if
    /// they exist, or `None` if they have no effect or are checked elsewhere. Pairs must have the number twice.
    fn attributes(&mut self, path: &str, expected: &[(&str, Option<f64>)]) -> Result<(), CheckpointError> {
        for (key, constant) in &self.module(path, "")?.constants {
            let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match (expected.iter().find(|(known, _)| known == key), constant) {
                (Some((_, None)), _) | (Some(_), Constant::None) => {}
                (Some((_, Some(number))), _) => {
                    let equal = constant.numbers(1).is_some_and(|found| found.iter().all(|found| found == number));
                    if !equal {
                        return Err(differs(&name, constant, &like(constant, *number)));
                    }
                }
                (None, Constant::Tensor | Constant::Reference(_)) => {
                    return Err(differs(&name, constant, "no tensor or function among the attributes"));
                }
                (None, _) => match FLAGS.iter().find(|(flag, _)| flag == key) {
                    Some((_, expected)) if is_set(constant) != *expected => {
                        return Err(differs(&name, constant, if *expected { "True" } else { "False" }));
                    }
                    Some(_) => {}
                    None => self.unused.push(format!("{name}: {constant}")),
                },
            }
        }
        Ok(())
    }

    /// Fails if there is a module that the description does not contain and that may change a prediction.
    fn reject_unknown(&self) -> Result<(), CheckpointError> {
        for (path, module) in self.modules.iter().filter(|(path, _)| !self.known.contains(*path)) {
            if !is_harmless(module) {
                return Err(differs(path, class_of(module), "no such module"));
            }
            unchanged(path, module)?;
        }
        Ok(())
    }
}

/// Returns true for the Python modules of libraries, which do not contain the code of the model.
fn is_library(package: &str) -> bool {
    matches!(package.split('.').next(), Some("torch" | "torchvision" | "torchaudio" | "timm" | "numpy"))
}

/// Writes an expected number as `found` is written: as `True` or `False`, or in digits.
fn like(found: &Constant, number: f64) -> String {
    match found {
        Constant::Bool(_) => Constant::Bool(number != 0.0).to_string(),
        _ => number.to_string(),
    }
}

fn class_of(module: &Module) -> String {
    format!("a `{}`", module.full_class())
}

/// Fails if the module has a hook or a method of its own, which this crate cannot compute.
fn unchanged(path: &str, module: &Module) -> Result<(), CheckpointError> {
    match &module.changed_by {
        None => Ok(()),
        Some(change) => Err(differs(path, format!("a `{}` with a {change}", module.full_class()), "none")),
    }
}

fn differs(path: &str, found: impl ToString, expected: &str) -> CheckpointError {
    let path = if path.is_empty() { "the model".to_owned() } else { path.to_owned() };
    CheckpointError::Module { path, found: found.to_string(), expected: expected.to_owned() }
}
