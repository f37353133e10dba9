//! Pickled modules: each class and constant on the model's path is what the engine computes, or the file is rejected by
//! the name of the module.

mod assemble;

use assemble::model_tree::{FALSE, NONE, Spec, TRUE, Tree, activation, average_pool, max_pool, spec};
use assemble::*;
use astromae::checkpoint::{Checkpoint, CheckpointError, Form};
use astromae::init::{Sizes, Variant, seeded};
use astromae::{Isa, Model, Precision};

const SEED: u64 = 11;

fn tree() -> Tree {
    Tree::new(&seeded(&Sizes::small(), SEED), 3)
}

fn load(tree: &Tree) -> Result<Model, CheckpointError> {
    Model::from_bytes(&tree.file(), None, Precision::F32, Isa::detect())
}

fn redshift(model: &Model) -> Vec<u32> {
    let pixels = model.bands() * model.image_size().pow(2);
    let images: Vec<f32> = (0..2 * pixels).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
    let magnitudes: Vec<f32> = (0..2 * model.bands()).map(|i| 15.0 + (i * 37 % 70) as f32 / 10.0).collect();
    let mut redshift = vec![0.0; 2];
    model.predict(&images, &magnitudes, &mut model.scratch(), &mut redshift);
    redshift.into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_module_predicts_the_same_as_its_tensors() {
    let bytes = seeded(&Sizes::small(), SEED);
    let expected = redshift(&Model::from_bytes(&bytes, None, Precision::F32, Isa::detect()).unwrap());
    let model = load(&tree()).unwrap();
    assert_eq!(redshift(&model), expected);
    let config = model.config();
    assert_eq!((config.assumed_layers, config.assumed.len(), config.unused.len()), (None, 0, 0));
    for stated in ["attention heads: 3", "eps of layer norms: 0.000001", "eps of batch norms: 0.00001"] {
        let expected = format!("{stated}, from the attributes of the modules");
        let is_stated = config.stated.iter().any(|stated| stated.to_string() == expected);
        assert!(is_stated, "{expected}: {:?}", config.stated);
    }
    // The safetensors of the module keeps its constants.
    let converted = Checkpoint::read(&tree().file()).unwrap().to_safetensors().unwrap();
    let converted = Model::from_bytes(&converted, None, Precision::F32, Isa::detect()).unwrap();
    assert_eq!(redshift(&converted), expected);
    assert!(converted.config().assumed_layers.is_some_and(|layers| layers.contains("ReLU")));
}

/// Changes a module, and returns the path that the error must name and a word of what was found.
type Change = fn(&mut Tree) -> (&'static str, &'static str);

fn set(tree: &mut Tree, path: &str, name: &'static str, value: Vec<u8>) {
    tree.module(path).attributes.insert(name, value);
}

fn replace(tree: &mut Tree, path: &str, module: Spec) {
    tree.modules.insert(path.to_owned(), module);
}

#[test]
fn rejects_layers_that_compute_something_else() {
    let changes: &[Change] = &[
        |t| {
            replace(t, "concat_block.1", activation("GELU"));
            ("concat_block.1", "torch.nn.modules.activation.GELU")
        },
        |t| {
            replace(t, "concat_block.1", spec("torch.nn.modules.linear", "Identity"));
            ("concat_block.1", "Identity")
        },
        |t| {
            replace(t, "vit_block.1", activation("LeakyReLU").with("negative_slope", float(0.01)));
            ("vit_block.1", "LeakyReLU")
        },
        |t| {
            replace(t, "inception_model.magnitude_block.3", activation("Tanh"));
            ("inception_model.magnitude_block.3", "Tanh")
        },
        |t| {
            replace(t, "inception_model.vis_inception.11", activation("SiLU"));
            ("inception_model.vis_inception.11", "SiLU")
        },
        |t| {
            replace(t, "blocks.1.mlp.act", activation("ReLU"));
            ("blocks.1.mlp.act", "ReLU")
        },
        |t| {
            set(t, "blocks.1.mlp.act", "approximate", string("tanh"));
            ("blocks.1.mlp.act.approximate", "tanh")
        },
        |t| {
            replace(t, "blocks.0.mlp.act", spec("timm.layers.activations", "QuickGELU"));
            ("blocks.0.mlp.act", "QuickGELU")
        },
        |t| {
            replace(t, "blocks.0.PCM.2", activation("ReLU"));
            ("blocks.0.PCM.2", "ReLU")
        },
        |t| {
            t.modules.remove("concat_block.1");
            ("concat_block", "2 modules")
        },
        |t| {
            replace(t, "concat_block.3", activation("Softplus"));
            ("concat_block", "4 modules")
        },
        |t| {
            replace(t, "concat_block.1", spec("mylayers", "ReLU"));
            ("concat_block.1", "mylayers.ReLU")
        },
        |t| {
            replace(t, "inception_model.vis_inception.1", max_pool());
            ("inception_model.vis_inception.1", "MaxPool2d")
        },
        |t| {
            replace(t, "inception_model.vis_inception.4", spec("torch.nn.modules.pooling", "AdaptiveAvgPool2d"));
            ("inception_model.vis_inception.4", "AdaptiveAvgPool2d")
        },
        |t| {
            set(t, "inception_model.vis_inception.4", "kernel_size", int(3));
            ("inception_model.vis_inception.4.kernel_size", "3")
        },
        |t| {
            set(t, "inception_model.vis_inception.7", "stride", ints(&[2, 1]));
            ("inception_model.vis_inception.7.stride", "(2, 1)")
        },
        |t| {
            set(t, "inception_model.vis_inception.7", "padding", int(1));
            ("inception_model.vis_inception.7.padding", "1")
        },
        |t| {
            set(t, "inception_model.vis_inception.7", "ceil_mode", TRUE.to_vec());
            ("inception_model.vis_inception.7.ceil_mode", "True")
        },
        |t| {
            set(t, "inception_model.vis_inception.7", "divisor_override", int(3));
            ("inception_model.vis_inception.7.divisor_override", "3")
        },
        |t| {
            replace(t, "inception_model.vis_inception.2.branch4.0", average_pool());
            ("inception_model.vis_inception.2.branch4.0", "AvgPool2d")
        },
        |t| {
            set(t, "inception_model.vis_inception.2.branch4.0", "dilation", int(2));
            ("inception_model.vis_inception.2.branch4.0.dilation", "2")
        },
        |t| {
            set(t, "inception_model.vis_inception.3.branch4.0", "padding", int(0));
            ("inception_model.vis_inception.3.branch4.0.padding", "0")
        },
        |t| {
            set(t, "inception_model.vis_inception.9", "start_dim", int(2));
            ("inception_model.vis_inception.9.start_dim", "2")
        },
        |t| {
            set(t, "patch_embed.proj", "stride", ints(&[4, 4]));
            ("patch_embed.proj.stride", "(4, 4)")
        },
        |t| {
            set(t, "patch_embed.proj", "padding", ints(&[1, 1]));
            ("patch_embed.proj.padding", "(1, 1)")
        },
        |t| {
            set(t, "patch_embed", "flatten", FALSE.to_vec());
            ("patch_embed.flatten", "False")
        },
        |t| {
            set(t, "patch_embed", "img_size", ints(&[33, 33]));
            ("patch_embed.img_size", "33")
        },
        |t| {
            set(t, "inception_model.vis_inception.2.branch2.1.conv", "padding_mode", string("circular"));
            ("inception_model.vis_inception.2.branch2.1.conv.padding_mode", "circular")
        },
        |t| {
            set(t, "inception_model.vis_inception.2.branch3.1.conv", "padding", string("valid"));
            ("inception_model.vis_inception.2.branch3.1.conv.padding", "valid")
        },
        |t| {
            set(t, "inception_model.vis_inception.2.branch3.1.conv", "dilation", ints(&[2, 2]));
            ("inception_model.vis_inception.2.branch3.1.conv.dilation", "2")
        },
        |t| {
            set(t, "blocks.0.PCM.0", "groups", int(2));
            ("blocks.0.PCM.0.in_channels", "24")
        },
        |t| {
            set(t, "blocks.0.PCM.0", "transposed", TRUE.to_vec());
            ("blocks.0.PCM.0.transposed", "True")
        },
        |t| {
            t.module("blocks.0.PCM.0").class = "Conv1d";
            ("blocks.0.PCM.0", "Conv1d")
        },
        |t| {
            t.module("inception_model.vis_inception.5.branch1.bn").class = "InstanceNorm2d";
            ("inception_model.vis_inception.5.branch1.bn", "InstanceNorm2d")
        },
        |t| {
            set(t, "blocks.0.PCM.1", "track_running_stats", FALSE.to_vec());
            ("blocks.0.PCM.1.track_running_stats", "False")
        },
        |t| {
            t.module("blocks.0.norm1").class = "RMSNorm";
            ("blocks.0.norm1", "RMSNorm")
        },
        |t| {
            set(t, "fc_norm", "normalized_shape", ints(&[24, 24]));
            ("fc_norm.normalized_shape", "(24, 24)")
        },
        |t| {
            t.module("fc_norm").attributes.remove("eps");
            ("fc_norm.eps", "missing")
        },
        |t| {
            t.module("blocks.1.attn").attributes.remove("num_heads");
            ("blocks.1.attn.num_heads", "missing")
        },
        |t| {
            let norm = t.module("fc_norm").clone();
            replace(t, "blocks.0.attn.q_norm", norm);
            ("blocks.0.attn.q_norm", "LayerNorm")
        },
        |t| {
            set(t, "blocks.0.attn", "head_dim", int(4));
            ("blocks.0.attn.head_dim", "4")
        },
        |t| {
            set(t, "blocks.0.attn", "qk_norm", TRUE.to_vec());
            ("blocks.0.attn.qk_norm", "True")
        },
        |t| {
            set(t, "blocks.0.attn", "fused_attn", TRUE.to_vec());
            set(t, "blocks.0.attn", "scale", float(0.25));
            ("blocks.0.attn.scale", "0.25")
        },
        |t| {
            set(t, "blocks.1", "class_token", FALSE.to_vec());
            ("blocks.1.class_token", "False")
        },
        |t| {
            set(t, "blocks.1", "pre_norm", FALSE.to_vec());
            ("blocks.1.pre_norm", "False")
        },
        |t| {
            set(t, "blocks.1", "init_values", float(1e-5));
            ("blocks.1.init_values", "0.00001")
        },
        |t| {
            set(t, "", "global_pool", string("token"));
            ("global_pool", "token")
        },
        |t| {
            replace(t, "blocks.1", spec("timm.models.vision_transformer", "ResPostBlock"));
            ("blocks.1", "ResPostBlock")
        },
        |t| {
            replace(t, "blocks.1", spec("timm.models.beit", "Block"));
            ("blocks.1", "timm.models.beit.Block")
        },
        |t| {
            replace(t, "blocks.1", spec("torch.nn.modules.transformer", "Block"));
            ("blocks.1", "torch.nn.modules.transformer.Block")
        },
        |t| {
            t.module("blocks.1").class = "Block";
            ("blocks.1.PCM", "Sequential")
        },
        |t| {
            replace(t, "blocks.0.ls1", spec("timm.models.vision_transformer", "LayerScale"));
            ("blocks.0.ls1", "LayerScale")
        },
        |t| {
            set(t, "inception_model", "Inception_only", TRUE.to_vec());
            ("inception_model.Inception_only", "True")
        },
        |t| {
            set(t, "inception_model", "magnitude", FALSE.to_vec());
            ("inception_model.magnitude", "False")
        },
        |t| {
            set(t, "inception_model.vis_inception.8", "is_custom", FALSE.to_vec());
            ("inception_model.vis_inception.8.is_custom", "false")
        },
        |t| {
            set(t, "inception_model.vis_inception.2", "is_custom", TRUE.to_vec());
            ("inception_model.vis_inception.2.is_custom", "true")
        },
        |t| {
            t.module("").class = "ViT_Other";
            ("ViT_Astro", "blocks.model_vit_inception.ViT_Other")
        },
        |t| {
            set(t, "head", "_forward_hooks", ordered_dict(&[("0", global("my", "hook"))]));
            ("head", "forward hook")
        },
        |t| {
            set(t, "blocks.0.drop_path", "_forward_pre_hooks", ordered_dict(&[("0", global("my", "hook"))]));
            ("blocks.0.drop_path", "forward pre hook")
        },
        |t| {
            set(t, "fc_norm", "forward", global("my", "forward"));
            ("fc_norm", "method `forward`")
        },
        |t| {
            set(t, "blocks.0.attn", "activation", global("torch.nn.functional", "relu"));
            ("blocks.0.attn.activation", "torch.nn.functional.relu")
        },
        |t| {
            let weight = t.tensor(&[1], 0);
            set(t, "blocks.0.attn", "temperature", weight);
            ("blocks.0.attn.temperature", "a tensor")
        },
        |t| {
            replace(t, "head_norm", spec("torch.nn.modules.normalization", "LayerNorm"));
            ("head_norm", "LayerNorm")
        },
        |t| {
            replace(t, "inception_model.vis_inception.2.branch1.act", activation("GELU"));
            ("inception_model.vis_inception.2.branch1.act", "GELU")
        },
        |t| {
            t.tensors.remove("head.bias");
            t.absent.push("head.bias".to_owned());
            ("head.bias", "None")
        },
        |t| {
            t.tensors.remove("inception_model.vis_inception.3.branch1.conv.bias");
            t.absent.push("inception_model.vis_inception.3.branch1.conv.bias".to_owned());
            ("inception_model.vis_inception.3.branch1.conv.bias", "None")
        },
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut tree = tree();
        let (path, found) = change(&mut tree);
        let error = load(&tree).expect_err(&format!("change {index}: `{path}` with {found} was accepted"));
        let text = error.to_string();
        let names_path = text.contains(&format!("`{path}`"));
        assert!(names_path && text.contains(found), "change {index}: `{path}`, {found}: {text}");
    }
}

fn variant(variant: Variant) -> Tree {
    Tree::new(&seeded(&Sizes { variant, ..Sizes::small() }, SEED), 3)
}

#[test]
fn modules_of_variants_predict_the_same_as_their_tensors() {
    for name in Variant::ALL {
        let bytes = seeded(&Sizes { variant: name, ..Sizes::small() }, SEED);
        let expected = redshift(&Model::from_bytes(&bytes, None, Precision::F32, Isa::detect()).unwrap());
        let tree = variant(name);
        let model = load(&tree).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert_eq!(redshift(&model), expected, "{name:?}");
        assert_eq!((model.config().assumed_layers, model.config().unused.len()), (None, 0), "{name:?}");
        // Inside a training file, and as a state dict with a prefix.
        for value in [dict(&[("epoch", int(3)), ("net", tree.value())]), tree.state_dict("module.net.")] {
            let config = Some("{\"num_heads\": 3}");
            let model = Model::from_bytes(&tree.file_of(&value), config, Precision::F32, Isa::detect());
            assert_eq!(redshift(&model.unwrap_or_else(|error| panic!("{name:?}: {error}"))), expected, "{name:?}");
        }
    }
}

#[test]
fn rejects_variants_that_compute_something_else() {
    use Variant::*;
    let changes: &[(Variant, Change)] = &[
        (InceptionOnly, |t| {
            set(t, "", "Inception_only", FALSE.to_vec());
            ("Inception_only", "False")
        }),
        (InceptionOnly, |t| {
            replace(t, "Inception_head_block.0", activation("GELU"));
            ("Inception_head_block.0", "GELU")
        }),
        (InceptionOnly, |t| {
            replace(t, "vis_inception.4", max_pool());
            ("vis_inception.4", "MaxPool2d")
        }),
        (WithoutTransformer, |t| {
            set(t, "", "uk_paper", FALSE.to_vec());
            ("uk_paper", "False")
        }),
        (WithoutTransformer, |t| {
            set(t, "", "magnitude", FALSE.to_vec());
            ("magnitude", "False")
        }),
        (WithoutTransformer, |t| {
            replace(t, "head_incept_mag.1", activation("SiLU"));
            ("head_incept_mag.1", "SiLU")
        }),
        (WithoutTransformer, |t| {
            replace(t, "magnitude_block.3", activation("Tanh"));
            ("magnitude_block.3", "Tanh")
        }),
        (WithoutMagnitudes, |t| {
            set(t, "inception_model", "magnitude", TRUE.to_vec());
            ("inception_model.magnitude", "True")
        }),
        (WithoutMagnitudes, |t| {
            set(t, "inception_model", "Inception_only", TRUE.to_vec());
            ("inception_model.Inception_only", "True")
        }),
        (TransformerOnly, |t| {
            set(t, "", "global_pool", string("token"));
            ("global_pool", "token")
        }),
        (TransformerOnly, |t| {
            set(t, "", "global_pool", FALSE.to_vec());
            ("global_pool", "False")
        }),
        (TransformerOnly, |t| {
            set(t, "", "pool_include_prefix", TRUE.to_vec());
            ("pool_include_prefix", "True")
        }),
        (TransformerOnly, |t| {
            set(t, "", "num_prefix_tokens", int(2));
            ("num_prefix_tokens", "2")
        }),
        (TransformerOnly, |t| {
            replace(t, "head_drop", activation("Sigmoid"));
            ("head_drop", "Sigmoid")
        }),
        (TransformerOnly, |t| {
            t.module("").package = "timm.models.eva";
            ("the model", "timm.models.eva.VisionTransformer")
        }),
    ];
    for (index, (name, change)) in changes.iter().enumerate() {
        let mut tree = variant(*name);
        let (path, found) = change(&mut tree);
        let error = load(&tree).expect_err(&format!("change {index}: `{path}` with {found} was accepted"));
        let text = error.to_string();
        assert!(text.contains(path) && text.contains(found), "change {index}: `{path}`, {found}: {text}");
    }
}

#[test]
fn accepts_layers_that_compute_the_same() {
    let expected = redshift(&load(&tree()).unwrap());
    let changes: &[fn(&mut Tree)] = &[
        |t| replace(t, "blocks.0.attn.proj_drop", spec("torch.nn.modules.dropout", "Dropout").with("p", float(0.5))),
        |t| replace(t, "blocks.0.drop_path", spec("timm.layers.drop", "DropPath").with("drop_prob", float(0.1))),
        |t| replace(t, "blocks.0.drop_path", spec("NormalCell", "DropPath")),
        |t| replace(t, "blocks.0.mlp.act", spec("timm.layers.activations", "GELU")),
        |t| replace(t, "inception_model.vis_inception.2.branch1.relu", activation("ReLU")),
        |t| t.module("blocks.0.PCM.1").class = "SyncBatchNorm",
        |t| t.module("blocks.0.norm2").package = "timm.layers.norm",
        |t| t.module("blocks").class = "ModuleList",
        |t| set(t, "inception_model.vis_inception.2.branch2.1.conv", "padding", string("same")),
        |t| set(t, "blocks.0.PCM.0", "padding_mode", string("reflect")),
        |t| set(t, "blocks.0.mlp.act", "approximate", string("none")),
        |t| drop(t.module("inception_model.vis_inception.2.branch2.1.conv").attributes.remove("padding_mode")),
        |t| set(t, "inception_model.vis_inception.4", "stride", ints(&[2, 2])),
        |t| set(t, "blocks.0.attn", "fused_attn", TRUE.to_vec()),
        |t| set(t, "inception_model.vis_inception.4", "divisor_override", NONE.to_vec()),
        |t| t.module("").package = "code.blocks.model_vit_inception",
        |t| t.module("").package = "__main__",
        |t| replace(t, "concat_block.3", spec("torch.nn.modules.dropout", "Dropout")),
        |t| set(t, "", "global_pool", string("avg")),
        |t| set(t, "blocks.0", "gamma", FALSE.to_vec()),
        |t| set(t, "blocks.0", "init_values", NONE.to_vec()),
        |t| set(t, "blocks.0", "pre_norm", TRUE.to_vec()),
        |t| {
            for module in t.modules.values_mut().filter(|module| !module.package.starts_with("torch")) {
                module.package = "__main__";
            }
        },
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut tree = tree();
        change(&mut tree);
        let model = load(&tree).unwrap_or_else(|error| panic!("change {index}: {error}"));
        assert_eq!(redshift(&model), expected, "change {index}");
        assert_eq!(model.config().unused, Vec::<String>::new(), "change {index}");
    }
}

#[test]
fn constants_of_each_module_are_used() {
    let expected = redshift(&load(&tree()).unwrap());
    let changes: &[fn(&mut Tree)] = &[
        |t| set(t, "blocks.1.norm1", "eps", float(0.5)),
        |t| set(t, "fc_norm", "eps", float(0.5)),
        |t| set(t, "inception_model.vis_inception.5.branch1.bn", "eps", float(0.5)),
        |t| set(t, "blocks.0.PCM.1", "eps", float(0.5)),
        |t| set(t, "blocks.1.attn", "scale", float(0.1)),
        |t| set(t, "blocks.1.attn", "num_heads", int(4)),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut tree = tree();
        change(&mut tree);
        assert_ne!(redshift(&load(&tree).unwrap()), expected, "change {index}");
    }
}

#[test]
fn attributes_that_are_not_used_are_listed() {
    let mut tree = tree();
    set(&mut tree, "blocks.0.attn", "temperature", float(2.0));
    set(&mut tree, "", "task", string("redshift"));
    let unused = load(&tree).unwrap().config().unused.clone();
    assert_eq!(unused, ["task: \"redshift\"", "blocks.0.attn.temperature: 2"]);
}

#[test]
fn finds_the_module_inside_wrappers() {
    let tree = tree();
    let expected = redshift(&load(&tree).unwrap());
    let wrap = |package: &str, class: &str, child: &str, inner: Vec<u8>| {
        let config = object(global("torch.distributed.algorithms.join", "_JoinConfig"), dict(&[("enable", int(0))]));
        module(global(package, class), &[], &[(child, inner)], &[("_join_config", config), ("dim", int(0))])
    };
    let value = tree.value();
    for value in [
        wrap("torch.nn.parallel.data_parallel", "DataParallel", "module", value.clone()),
        wrap("torch.nn.parallel.distributed", "DistributedDataParallel", "module", value.clone()),
        wrap("torch._dynamo.eval_frame", "OptimizedModule", "_orig_mod", value.clone()),
        wrap(
            "torch.nn.parallel.distributed",
            "DistributedDataParallel",
            "module",
            wrap("torch._dynamo.eval_frame", "OptimizedModule", "_orig_mod", value.clone()),
        ),
        dict(&[("epoch", int(3)), ("model", wrap("timm.utils.model_ema", "ModelEmaV2", "module", value.clone()))]),
    ] {
        let bytes = tree.file_of(&value);
        assert_eq!(Checkpoint::read(&bytes).unwrap().form(), Form::PickledModule);
        let model = Model::from_bytes(&bytes, None, Precision::F32, Isa::detect()).unwrap();
        assert_eq!(redshift(&model), expected);
    }
    // A wrapper of unknown code may compute something with the result.
    let unknown = tree.file_of(&wrap("train", "LightningAstro", "model", value));
    let error = Model::from_bytes(&unknown, None, Precision::F32, Isa::detect()).unwrap_err().to_string();
    assert!(error.contains("the model is a `train.LightningAstro`"), "{error}");
}

#[test]
fn rejects_weights_that_are_not_finite() {
    for (name, value) in [
        ("head.weight", f32::NAN),
        ("concat_block.0.weight", f32::INFINITY),
        ("blocks.1.PCM.1.running_mean", f32::NEG_INFINITY),
        ("pos_embed", f32::NAN),
        ("concat_block.2.bias", f32::NAN),
    ] {
        let mut tree = tree();
        let at = 4 * tree.tensors[name].1 as usize;
        tree.values[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let error = load(&tree).unwrap_err();
        assert!(matches!(&error, CheckpointError::NotFinite { name: found, .. } if found == name), "{name}: {error}");
    }
}
