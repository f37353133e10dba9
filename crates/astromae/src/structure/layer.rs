//! Layers of PyTorch: their classes, and the constants that the engine can compute.

use super::{Tree, differs};
use crate::checkpoint::{CheckpointError, Constant, Module};

/// Stands for the Python modules of timm that define layers, in a list of classes.
pub(super) const TIMM: &str = "timm";

pub(super) const LINEAR: &[(&str, &str)] = &[("torch.nn.modules.linear", "Linear")];

/// Activation, with the classes that compute it.
#[derive(Clone, Copy)]
pub(super) enum Activation {
    Relu,
    Silu,
    /// x·Φ(x) without approximation.
    Gelu,
}

/// Returns true for the Python modules of timm that define the layers of a vision transformer. Other models of timm
/// have classes with the same names that compute something else.
pub(super) fn is_timm(package: &str) -> bool {
    package == "timm.models.vision_transformer"
        || ["timm.layers", "timm.models.layers"]
            .iter()
            .any(|root| package.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// Returns true for a module that returns its input in a prediction, whatever its settings.
pub(super) fn is_harmless(module: &Module) -> bool {
    let class = module.class.as_str();
    match module.package.as_str() {
        "torch.nn.modules.linear" => class == "Identity",
        "torch.nn.modules.dropout" => {
            matches!(
                class,
                "Dropout" | "Dropout1d" | "Dropout2d" | "Dropout3d" | "AlphaDropout" | "FeatureAlphaDropout"
            )
        }
        "torchvision.ops.stochastic_depth" => class == "StochasticDepth",
        package if is_timm(package) => matches!(class, "DropPath" | "Identity" | "PatchDropout"),
        // The code of the authors has its own copy in some versions.
        package => class == "DropPath" && !package.starts_with("torch"),
    }
}

impl Tree<'_, '_> {
    pub(super) fn linear(&mut self, path: &str) -> Result<(), CheckpointError> {
        let module = self.leaf(path, LINEAR, "a Linear")?;
        with_parameters(path, module)?;
        self.attributes(path, &[("in_features", None), ("out_features", None)])
    }

    pub(super) fn layer_norm(&mut self, path: &str, dim: usize) -> Result<(), CheckpointError> {
        let classes = [("torch.nn.modules.normalization", "LayerNorm"), (TIMM, "LayerNorm")];
        let module = self.leaf(path, &classes, "a LayerNorm")?;
        with_parameters(path, module)?;
        let dim = dim as f64;
        self.attributes(path, &[("normalized_shape", Some(dim)), ("eps", None), ("elementwise_affine", Some(1.0))])?;
        match module.constants.get("normalized_shape") {
            Some(Constant::List(sides)) if sides.len() != 1 => Err(differs(
                &format!("{path}.normalized_shape"),
                &module.constants["normalized_shape"],
                &dim.to_string(),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn batch_norm(&mut self, path: &str) -> Result<(), CheckpointError> {
        let package = "torch.nn.modules.batchnorm";
        let module = self.leaf(path, &[(package, "BatchNorm2d"), (package, "SyncBatchNorm")], "a BatchNorm2d")?;
        let known = [
            ("num_features", None),
            ("eps", None),
            ("momentum", None),
            ("affine", Some(1.0)),
            ("track_running_stats", Some(1.0)),
            ("process_group", None),
        ];
        self.attributes(path, &known)?;
        with_parameters(path, module)
    }

    /// Convolution with a square window, and the padding that `padding` returns for the window.
    pub(super) fn convolution(
        &mut self,
        path: &str,
        stride: usize,
        padding: impl Fn(usize) -> usize,
    ) -> Result<(), CheckpointError> {
        let module = self.leaf(path, &[("torch.nn.modules.conv", "Conv2d")], "a Conv2d")?;
        with_parameters(path, module)?;
        let shape = self.checkpoint.tensor(&format!("{path}.weight")).map_or(&[][..], |weight| weight.shape());
        let &[outputs, inputs, window, _] = shape else {
            return Err(self.checkpoint.missing(&format!("{path}.weight")));
        };
        let padding = padding(window);
        let groups = module.constants.get("groups").and_then(Constant::number).unwrap_or(1.0);
        let is_named = |name: &str| module.constants.get("padding") == Some(&Constant::Text(name.to_owned()));
        // PyTorch computes the padding from these words.
        let is_padding_named =
            is_named("same") && stride == 1 && padding == window / 2 || is_named("valid") && padding == 0;
        let known = [
            ("in_channels", Some(inputs as f64 * groups)),
            ("out_channels", Some(outputs as f64)),
            ("kernel_size", Some(window as f64)),
            ("stride", Some(stride as f64)),
            ("padding", (!is_padding_named).then_some(padding as f64)),
            ("dilation", Some(1.0)),
            ("transposed", Some(0.0)),
            ("output_padding", Some(0.0)),
            ("groups", None),
            ("padding_mode", None),
        ];
        self.attributes(path, &known)?;
        match module.constants.get("padding_mode") {
            Some(mode) if padding > 0 && *mode != Constant::Text("zeros".to_owned()) => {
                Err(differs(&format!("{path}.padding_mode"), mode, "\"zeros\""))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn activation(&mut self, path: &str, activation: Activation) -> Result<(), CheckpointError> {
        let package = "torch.nn.modules.activation";
        let (classes, expected): (&[_], _) = match activation {
            Activation::Relu => (&[(package, "ReLU")], "a ReLU"),
            Activation::Silu => (&[(package, "SiLU"), (TIMM, "Swish")], "a SiLU"),
            Activation::Gelu => (&[(package, "GELU"), (TIMM, "GELU")], "a GELU"),
        };
        let module = self.leaf(path, classes, expected)?;
        self.attributes(path, &[("inplace", None), ("approximate", None)])?;
        match module.constants.get("approximate") {
            None => Ok(()),
            Some(Constant::Text(none)) if none == "none" => Ok(()),
            Some(other) => Err(differs(&format!("{path}.approximate"), other, "\"none\"")),
        }
    }

    pub(super) fn average_pool(&mut self, path: &str) -> Result<(), CheckpointError> {
        self.leaf(path, &[("torch.nn.modules.pooling", "AvgPool2d")], "an AvgPool2d")?;
        let known = [
            ("kernel_size", Some(2.0)),
            ("stride", Some(2.0)),
            ("padding", Some(0.0)),
            ("ceil_mode", Some(0.0)),
            ("count_include_pad", None),
            // `None`: the divisor is the number of pixels of the window.
            ("divisor_override", Some(4.0)),
        ];
        self.attributes(path, &known)
    }

    pub(super) fn max_pool(&mut self, path: &str) -> Result<(), CheckpointError> {
        self.leaf(path, &[("torch.nn.modules.pooling", "MaxPool2d")], "a MaxPool2d")?;
        let known = [
            ("kernel_size", Some(3.0)),
            ("stride", Some(1.0)),
            ("padding", Some(1.0)),
            ("dilation", Some(1.0)),
            ("return_indices", Some(0.0)),
            ("ceil_mode", Some(0.0)),
        ];
        self.attributes(path, &known)
    }

    pub(super) fn flatten(&mut self, path: &str) -> Result<(), CheckpointError> {
        self.leaf(path, &[("torch.nn.modules.flatten", "Flatten")], "a Flatten")?;
        self.attributes(path, &[("start_dim", Some(1.0)), ("end_dim", Some(-1.0))])
    }
}

/// Fails if a parameter of the layer is `None`, because no value is invented for it.
fn with_parameters(path: &str, module: &Module) -> Result<(), CheckpointError> {
    match module.absent.first() {
        None => Ok(()),
        Some(name) => Err(differs(&format!("{path}.{name}"), "None", "a tensor")),
    }
}
