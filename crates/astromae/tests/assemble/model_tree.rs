//! AstroMAE or a variant of it as a pickled module, whose classes and attributes a test can change.

use std::collections::BTreeMap;

use safetensors::SafeTensors;

use super::*;

/// Module of the tree.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) package: &'static str,
    pub(crate) class: &'static str,
    /// Attributes, as pickle operations.
    pub(crate) attributes: BTreeMap<&'static str, Vec<u8>>,
}

/// Modules by path, and tensors by name.
#[derive(Clone)]
pub(crate) struct Tree {
    pub(crate) modules: BTreeMap<String, Spec>,
    /// Shape and offset in the storage.
    pub(crate) tensors: BTreeMap<String, (Vec<i64>, i64)>,
    /// Names of parameters that are `None`.
    pub(crate) absent: Vec<String>,
    /// Elements of all tensors, `f32`.
    pub(crate) values: Vec<u8>,
}

pub(crate) const TRUE: &[u8] = b"\x88";
pub(crate) const FALSE: &[u8] = b"\x89";
pub(crate) const NONE: &[u8] = b"N";

pub(crate) fn activation(class: &'static str) -> Spec {
    Spec { package: "torch.nn.modules.activation", class, attributes: BTreeMap::new() }
}

pub(crate) fn spec(package: &'static str, class: &'static str) -> Spec {
    Spec { package, class, attributes: BTreeMap::new() }
}

impl Spec {
    pub(crate) fn with(mut self, name: &'static str, value: Vec<u8>) -> Self {
        self.attributes.insert(name, value);
        self
    }
}

impl Tree {
    /// Module of the model in `safetensors`, with the classes and attributes of the code of its authors.
    pub(crate) fn new(safetensors: &[u8], heads: i64) -> Tree {
        let file = SafeTensors::deserialize(safetensors).unwrap();
        let (mut values, mut tensors, mut modules) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for (name, tensor) in file.iter() {
            let shape: Vec<i64> = tensor.shape().iter().map(|&length| length as i64).collect();
            tensors.insert(name.to_owned(), (shape, (values.len() / 4) as i64));
            values.extend_from_slice(tensor.data());
            for (at, _) in name.match_indices('.') {
                modules.insert(name[..at].to_owned(), spec("torch.nn.modules.container", "Sequential"));
            }
        }
        let shape = |name: &str| tensors.get(name).map(|(shape, _): &(Vec<i64>, i64)| shape.clone());
        let dim = shape("cls_token").map_or(0, |shape| shape[2]);
        let has_inception_model = modules.contains_key("inception_model");
        let has_magnitudes = tensors.keys().any(|name| name.contains("magnitude_block."));
        let flag = |value: bool| if value { TRUE.to_vec() } else { FALSE.to_vec() };
        let input_mix_model = |is_alone: bool| {
            spec("blocks.photoz", "Input_Mix_Model")
                .with("Inception_only", flag(is_alone && !has_magnitudes))
                .with("magnitude", flag(has_magnitudes))
                .with("uk_paper", flag(is_alone && has_magnitudes))
        };
        let names: Vec<String> = modules.keys().cloned().collect();
        for path in names {
            let last = path.rsplit('.').next().unwrap();
            let weight = shape(&format!("{path}.weight")).unwrap_or_default();
            let is = |name: &str| shape(&format!("{path}.{name}")).is_some();
            let module = match (last, weight.as_slice()) {
                ("attn", _) => {
                    let scale = ((dim / heads) as f64).powf(-0.5);
                    spec("NormalCell", "Attention").with("num_heads", int(heads)).with("scale", float(scale))
                }
                ("mlp", _) => spec("NormalCell", "Mlp").with("hidden_features", int(0)),
                ("inception_model", _) => input_mix_model(false),
                ("patch_embed", _) => {
                    let patch = shape("patch_embed.proj.weight").unwrap()[2];
                    spec("timm.models.layers.patch_embed", "PatchEmbed")
                        .with("patch_size", ints(&[patch, patch]))
                        .with("flatten", TRUE.to_vec())
                }
                _ if is("norm1.weight") => spec("NormalCell", "NormalCell").with("class_token", TRUE.to_vec()),
                _ if is("branch1.conv.weight") => {
                    let is_custom = if path.ends_with(".8") { TRUE } else { FALSE };
                    spec("blocks.photoz", "InceptionBlock").with("is_custom", is_custom.to_vec())
                }
                _ if is("conv.weight") => spec("blocks.photoz", "ConvBlock"),
                _ if is("running_var") => spec("torch.nn.modules.batchnorm", "BatchNorm2d")
                    .with("eps", float(1e-5))
                    .with("affine", TRUE.to_vec())
                    .with("track_running_stats", TRUE.to_vec()),
                (_, &[width]) => spec("torch.nn.modules.normalization", "LayerNorm")
                    .with("eps", float(1e-6))
                    .with("normalized_shape", ints(&[width]))
                    .with("elementwise_affine", TRUE.to_vec()),
                (_, &[outputs, inputs]) => spec("torch.nn.modules.linear", "Linear")
                    .with("in_features", int(inputs))
                    .with("out_features", int(outputs)),
                (_, &[outputs, inputs, window, _]) => {
                    let groups = if path.contains("PCM.0") { dim / inputs } else { 1 };
                    let groups = if path.contains("PCM.3") { weight_groups(&tensors, &path) } else { groups };
                    let is_patch = path == "patch_embed.proj";
                    let (stride, padding) = if is_patch { (window, 0) } else { (1, window / 2) };
                    spec("torch.nn.modules.conv", "Conv2d")
                        .with("in_channels", int(inputs * groups))
                        .with("out_channels", int(outputs))
                        .with("kernel_size", ints(&[window, window]))
                        .with("stride", ints(&[stride, stride]))
                        .with("padding", ints(&[padding, padding]))
                        .with("dilation", ints(&[1, 1]))
                        .with("transposed", FALSE.to_vec())
                        .with("output_padding", ints(&[0, 0]))
                        .with("groups", int(groups))
                        .with("padding_mode", string("zeros"))
                }
                _ => continue,
            };
            modules.insert(path, module);
        }
        let root = match (dim, has_inception_model) {
            (0, _) => input_mix_model(true),
            (_, true) => spec("blocks.model_vit_inception", "ViT_Astro").with("embed_dim", int(dim)),
            (_, false) => spec("models_vit", "VisionTransformer").with("global_pool", TRUE.to_vec()),
        };
        modules.insert(String::new(), root);
        let blocks = modules.keys().filter(|path| path.starts_with("blocks.") && path.matches('.').count() == 1);
        for block in blocks.cloned().collect::<Vec<_>>() {
            let gelu = activation("GELU").with("approximate", string("none"));
            modules.insert(format!("{block}.mlp.act"), gelu);
            modules.insert(format!("{block}.drop_path"), spec("torch.nn.modules.linear", "Identity"));
            if modules.contains_key(&format!("{block}.PCM")) {
                modules.insert(format!("{block}.PCM.2"), activation("SiLU").with("inplace", TRUE.to_vec()));
            }
        }
        let path = if has_inception_model { "inception_model." } else { "" };
        let relu = ["concat_block.1", "vit_block.1", "head_incept_mag.1", "Inception_head_block.0"].map(str::to_owned);
        let magnitude = (1..9).step_by(2).map(|layer| format!("{path}magnitude_block.{layer}"));
        for relu in relu.into_iter().chain(magnitude).chain([format!("{path}vis_inception.11")]) {
            let parent = relu.rsplit_once('.').unwrap().0;
            if modules.contains_key(parent) {
                modules.insert(relu, activation("ReLU").with("inplace", FALSE.to_vec()));
            }
        }
        if modules.contains_key(&format!("{path}vis_inception")) {
            for stage in [1, 4, 7] {
                modules.insert(format!("{path}vis_inception.{stage}"), average_pool());
            }
            for stage in [2, 3, 5, 6, 8] {
                modules.insert(format!("{path}vis_inception.{stage}.branch4.0"), max_pool());
            }
            let flatten =
                spec("torch.nn.modules.flatten", "Flatten").with("start_dim", int(1)).with("end_dim", int(-1));
            modules.insert(format!("{path}vis_inception.9"), flatten);
            modules.insert(format!("{path}avgpool2"), average_pool());
        }
        Tree { modules, tensors, absent: Vec::new(), values }
    }

    pub(crate) fn module(&mut self, path: &str) -> &mut Spec {
        self.modules.get_mut(path).unwrap_or_else(|| panic!("no module `{path}`"))
    }

    /// Operations that push the module `path`.
    fn push(&self, path: &str) -> Vec<u8> {
        let Spec { package, class, attributes } = &self.modules[path];
        let child_of = |other: &str| -> Option<String> {
            let rest = if path.is_empty() { other } else { other.strip_prefix(path)?.strip_prefix('.')? };
            (!rest.is_empty() && !rest.contains('.')).then(|| rest.to_owned())
        };
        let mut children: Vec<String> = self.modules.keys().filter_map(|other| child_of(other)).collect();
        children.sort_by_key(|child| (child.parse::<usize>().unwrap_or(usize::MAX), child.clone()));
        let full = |child: &str| if path.is_empty() { child.to_owned() } else { format!("{path}.{child}") };
        let children: Vec<(&str, Vec<u8>)> =
            children.iter().map(|child| (child.as_str(), self.push(&full(child)))).collect();
        let named: Vec<(String, Vec<u8>)> = self
            .tensors
            .iter()
            .filter_map(|(name, (shape, offset))| Some((child_of(name)?, parameter(self.tensor(shape, *offset)))))
            .chain(self.absent.iter().filter_map(|name| Some((child_of(name)?, NONE.to_vec()))))
            .collect();
        let named: Vec<(&str, Vec<u8>)> = named.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let attributes: Vec<(&str, Vec<u8>)> = attributes.iter().map(|(name, value)| (*name, value.clone())).collect();
        module(global(package, class), &named, &children, &attributes)
    }

    /// Operations that push a tensor.
    pub(crate) fn tensor(&self, shape: &[i64], offset: i64) -> Vec<u8> {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        tensor(storage("FloatStorage", "0", (self.values.len() / 4) as i64), offset, shape, &strides)
    }

    /// State dict of the model, with `prefix` before each name.
    pub(crate) fn state_dict(&self, prefix: &str) -> Vec<u8> {
        let named: Vec<(String, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, (shape, offset))| (format!("{prefix}{name}"), self.tensor(shape, *offset)))
            .collect();
        ordered_dict(&named.iter().map(|(name, value)| (name.as_str(), value.clone())).collect::<Vec<_>>())
    }

    /// File of `torch.save(model)`.
    pub(crate) fn file(&self) -> Vec<u8> {
        self.file_of(&self.push(""))
    }

    /// File of any value that contains tensors of the model.
    pub(crate) fn file_of(&self, value: &[u8]) -> Vec<u8> {
        archive(value, &[("0", &self.values)])
    }

    /// Operations that push the whole module.
    pub(crate) fn value(&self) -> Vec<u8> {
        self.push("")
    }
}

fn weight_groups(tensors: &BTreeMap<String, (Vec<i64>, i64)>, path: &str) -> i64 {
    let hidden = tensors[&format!("{}0.weight", path.trim_end_matches('3'))].0[0];
    hidden / tensors[&format!("{path}.weight")].0[1]
}

pub(crate) fn average_pool() -> Spec {
    spec("torch.nn.modules.pooling", "AvgPool2d")
        .with("kernel_size", int(2))
        .with("stride", int(2))
        .with("padding", int(0))
        .with("ceil_mode", FALSE.to_vec())
        .with("count_include_pad", TRUE.to_vec())
        .with("divisor_override", NONE.to_vec())
}

pub(crate) fn max_pool() -> Spec {
    spec("torch.nn.modules.pooling", "MaxPool2d")
        .with("kernel_size", int(3))
        .with("stride", int(1))
        .with("padding", int(1))
        .with("dilation", int(1))
        .with("return_indices", FALSE.to_vec())
        .with("ceil_mode", FALSE.to_vec())
}
