//! Classes and functions that the pickle of a model may refer to. None of them is ever called. A file that refers to
//! anything else is rejected, because it could not be read completely.

use crate::torch::{Dtype, is_tensor_global};

/// Returns true if the pickle of an AstroMAE model or of its state dict may refer to `module.name`.
pub(super) fn is_model_global(module: &str, name: &str) -> bool {
    is_tensor_global(module, name)
        || EXACT.contains(&(module, name))
        || (module == "torch" && is_dtype(name))
        || (is_timm(module) && TIMM.contains(&name))
        || (is_astromae_module(module) && ASTROMAE.contains(&name))
}

/// Layers and wrappers of PyTorch, each with the module that defines it.
const EXACT: &[(&str, &str)] = &[
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_parameter_with_state"),
    ("torch._tensor", "_rebuild_from_type_v2"),
    ("torch", "Tensor"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch.nn.parameter", "Parameter"),
    ("torch.nn.parameter", "Buffer"),
    ("builtins", "set"),
    ("__builtin__", "set"),
    ("torch.nn.parallel.data_parallel", "DataParallel"),
    ("torch.nn.parallel.distributed", "DistributedDataParallel"),
    ("torch.nn.modules.activation", "GELU"),
    ("torch.nn.modules.activation", "ReLU"),
    ("torch.nn.modules.activation", "SiLU"),
    ("torch.nn.modules.batchnorm", "BatchNorm2d"),
    ("torch.nn.modules.container", "ModuleList"),
    ("torch.nn.modules.container", "Sequential"),
    ("torch.nn.modules.conv", "Conv2d"),
    ("torch.nn.modules.dropout", "Dropout"),
    ("torch.nn.modules.flatten", "Flatten"),
    ("torch.nn.modules.linear", "Identity"),
    ("torch.nn.modules.linear", "Linear"),
    ("torch.nn.modules.normalization", "LayerNorm"),
    ("torch.nn.modules.pooling", "AdaptiveAvgPool2d"),
    ("torch.nn.modules.pooling", "AvgPool2d"),
    ("torch.nn.modules.pooling", "MaxPool2d"),
];

/// Classes of the library timm for vision transformers. Their modules differ between its releases
/// (`timm.models.layers.…`, `timm.layers.…`, `timm.models.vision_transformer`).
const TIMM: &[&str] = &[
    "Attention",
    "Block",
    "DropPath",
    "Identity",
    "LayerNorm",
    "LayerScale",
    "Mlp",
    "PatchEmbed",
    "VisionTransformer",
];

/// Classes of the original code of AstroMAE. Their modules are files in the folder of its authors (`NormalCell`,
/// `blocks.photoz`, `blocks.model_vit_inception`), or `__main__` for a notebook.
const ASTROMAE: &[&str] = &[
    "Attention",
    "Block",
    "ConvBlock",
    "DropPath",
    "InceptionBlock",
    "Input_Mix_Model",
    "MaskedAutoencoderViT",
    "Mlp",
    "NormalCell",
    "PatchEmbed",
    "ViT_Astro",
    "VisionTransformer",
];

/// First components of modules that cannot contain the code of AstroMAE: those of Python itself and of large libraries.
/// The lists above contain all accepted names of these modules.
const NOT_ASTROMAE: &[&str] = &[
    "__builtin__",
    "_io",
    "_pickle",
    "_thread",
    "ast",
    "asyncio",
    "atexit",
    "base64",
    "bdb",
    "builtins",
    "cffi",
    "cloudpickle",
    "code",
    "codecs",
    "collections",
    "commands",
    "concurrent",
    "copyreg",
    "ctypes",
    "dill",
    "distutils",
    "exec",
    "functools",
    "gc",
    "getattr",
    "glob",
    "http",
    "importlib",
    "inspect",
    "io",
    "itertools",
    "joblib",
    "linecache",
    "marshal",
    "multiprocessing",
    "nt",
    "numpy",
    "operator",
    "os",
    "pathlib",
    "pdb",
    "pickle",
    "pip",
    "pkgutil",
    "platform",
    "popen2",
    "posix",
    "posixpath",
    "profile",
    "pty",
    "pydoc",
    "requests",
    "runpy",
    "setuptools",
    "shelve",
    "shutil",
    "signal",
    "site",
    "socket",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "timeit",
    "timm",
    "torch",
    "torchvision",
    "trace",
    "types",
    "urllib",
    "venv",
    "webbrowser",
    "weakref",
    "xmlrpc",
    "zipimport",
];

fn is_timm(module: &str) -> bool {
    ["timm.layers", "timm.models"]
        .iter()
        .any(|root| module.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

fn is_astromae_module(module: &str) -> bool {
    let top = module.split('.').next().unwrap_or(module);
    !top.is_empty() && !NOT_ASTROMAE.contains(&top)
}

/// Returns true for names such as `float32` of the module `torch`. Pickles contain them if a layer has a dtype
/// attribute.
fn is_dtype(name: &str) -> bool {
    const ALL: [Dtype; 10] = [
        Dtype::F64,
        Dtype::F32,
        Dtype::F16,
        Dtype::Bf16,
        Dtype::I64,
        Dtype::I32,
        Dtype::I16,
        Dtype::I8,
        Dtype::U8,
        Dtype::Bool,
    ];
    ALL.iter().any(|dtype| dtype.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_that_models_use() {
        for (module, name) in [
            ("torch._utils", "_rebuild_tensor_v2"),
            ("torch", "FloatStorage"),
            ("torch", "float32"),
            ("NormalCell", "NormalCell"),
            ("blocks.model_vit_inception", "ViT_Astro"),
            ("__main__", "Mlp"),
            ("timm.models.layers.patch_embed", "PatchEmbed"),
            ("timm.layers", "DropPath"),
        ] {
            assert!(is_model_global(module, name), "{module}.{name}");
        }
    }

    #[test]
    fn rejects_all_other_names() {
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("builtins", "eval"),
            ("builtins", "getattr"),
            ("__builtin__", "exec"),
            ("os", "Attention"),
            ("torch.hub", "Block"),
            ("torch.nn.modules.conv", "_ConvNd"),
            ("torch", "load"),
            ("torch", "ComplexFloatStorage"),
            ("timm.models_evil", "system"),
            ("timmy", "create_model"),
            ("NormalCell", "os.system"),
            ("NormalCell", "eval"),
            ("", "Block"),
            (".os", "Block"),
        ] {
            assert!(!is_model_global(module, name), "{module}.{name}");
        }
    }
}
