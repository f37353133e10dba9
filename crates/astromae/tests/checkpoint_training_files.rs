//! The model inside the file of a training: under one of many keys, with prefixes, and with other objects beside it.
//! Nothing beside it is executed, and a function with effects is rejected wherever it hides.

mod assemble;

use assemble::model_tree::{NONE, TRUE, Tree};
use assemble::*;
use astromae::checkpoint::{Checkpoint, CheckpointError};
use astromae::init::{Sizes, seeded};
use astromae::{Isa, Model, Precision};
use proptest::prelude::*;

fn tree() -> Tree {
    Tree::new(&seeded(&Sizes::small(), 12), 3)
}

/// Configuration that the model needs, as a state dict does not have it.
const CONFIG: &str = r#"{"num_heads": 3}"#;

fn load(tree: &Tree, value: &[u8]) -> Result<Model, CheckpointError> {
    load_with(tree, value, Some(CONFIG))
}

fn load_with(tree: &Tree, value: &[u8], config: Option<&str>) -> Result<Model, CheckpointError> {
    Model::from_bytes(&tree.file_of(value), config, Precision::F32, Isa::detect())
}

fn redshift(model: &Model) -> Vec<u32> {
    let pixels = model.bands() * model.image_size().pow(2);
    let images: Vec<f32> = (0..pixels).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
    let mut redshift = vec![0.0; 1];
    model.predict(&images, &vec![18.0; model.bands()], &mut model.scratch(), &mut redshift);
    redshift.into_iter().map(f32::to_bits).collect()
}

/// Objects of a class that is made from arguments, with a state.
fn reduced(package: &str, class: &str, arguments: &[Vec<u8>], state: Vec<u8>) -> Vec<u8> {
    [call(global(package, class), tuple(arguments)), state, b"b".to_vec()].concat()
}

/// Objects that real training files hold beside the weights.
fn beside() -> Vec<(&'static str, Vec<u8>)> {
    let dtype = |code: &str| {
        let state =
            tuple(&[int(3), string("<"), NONE.to_vec(), NONE.to_vec(), NONE.to_vec(), int(-1), int(-1), int(0)]);
        reduced("numpy", "dtype", &[string(code), int(0), int(1)], state)
    };
    let encoded = || call(global("_codecs", "encode"), tuple(&[string("\u{9a}\u{99}"), string("latin1")]));
    let array = call(global("numpy.core.multiarray", "_reconstruct"), {
        tuple(&[global("numpy", "ndarray"), ints(&[0]), string("b")])
    });
    let seen = [call(global("collections", "defaultdict"), tuple(&[global("builtins", "list")])), string("a"), int(1)];
    vec![
        ("best_ap", call(global("numpy.core.multiarray", "scalar"), tuple(&[dtype("f8"), encoded()]))),
        (
            "history",
            [array, tuple(&[int(1), ints(&[2]), dtype("f8"), TRUE.to_vec(), encoded()]), b"b".to_vec()].concat(),
        ),
        ("args", object(global("argparse", "Namespace"), dict(&[("lr", float(1e-3)), ("eps", float(1e-8))]))),
        ("date", call(global("datetime", "datetime"), tuple(&[string("\u{7}")]))),
        ("out", call(global("pathlib", "PosixPath"), tuple(&[string("/"), string("out")]))),
        ("seed", b"\x8a\x09\0\0\0\0\0\0\0\x80\0".to_vec()),
        ("huge", [&b"\x8b\x10\x27\0\0"[..], &[1; 10_000]].concat()),
        ("seen", [seen.concat(), b"s".to_vec()].concat()),
        ("scheduler", object(global("torch.optim.lr_scheduler", "CosineAnnealingLR"), dict(&[("T_max", int(10))]))),
        ("optimizer", dict(&[("state", dict(&[])), ("param_groups", b"]".to_vec())])),
        ("warm_up", global("utils.schedule", "warm_up")),
        ("partial", call(global("functools", "partial"), tuple(&[global("torch.optim.adamw", "AdamW")]))),
        ("unknown", object(global("my.code", "Thing"), dict(&[("inner", object(global("my", "T"), dict(&[])))]))),
        ("items", [object(global("my", "List"), dict(&[])), b"(K\x01K\x02e".to_vec()].concat()),
        ("bytes", b"C\x02\xff\xfe".to_vec()),
        ("scale", float(0.396)),
        ("epoch", int(3)),
        ("itself", b"]q\xf0(h\xf0e".to_vec()),
    ]
}

#[test]
fn objects_beside_the_model_are_skipped() {
    let tree = tree();
    let expected = redshift(&load(&tree, &tree.state_dict("")).unwrap());
    for (key, object) in beside() {
        for items in [
            [("model", tree.state_dict("")), (key, object.clone())],
            [(key, object.clone()), ("model", tree.state_dict(""))],
        ] {
            let model = load(&tree, &dict(&items)).unwrap_or_else(|error| panic!("{key}: {error}"));
            assert_eq!(redshift(&model), expected, "{key}");
        }
    }
    let mut everything = beside();
    everything.push(("model", tree.state_dict("module.")));
    assert_eq!(redshift(&load(&tree, &dict(&everything)).unwrap()), expected);
    // Beside the tensors in the state dict itself.
    let extra = [tree.state_dict(""), string("_metadata"), beside()[2].1.clone(), b"s".to_vec()].concat();
    assert_eq!(redshift(&load(&tree, &extra).unwrap()), expected);
}

#[test]
fn finds_the_state_dict_under_any_key() {
    let tree = tree();
    let weights = || tree.state_dict("");
    let expected = redshift(&load(&tree, &weights()).unwrap());
    for key in ["model", "state_dict", "model_state_dict", "net", "network", "weights", "ema", "my_weights"] {
        let model = load(&tree, &dict(&[("epoch", int(1)), (key, weights())])).unwrap();
        assert_eq!(redshift(&model), expected, "{key}");
        assert!(model.config().notes.contains(&format!("the model is under `{key}`")), "{:?}", model.config().notes);
    }
    let mean = tree.tensor(&[1], 0);
    for (value, path) in [
        (dict(&[("mean", mean.clone()), ("data", dict(&[("std", mean), ("weights", weights())]))]), "data.weights"),
        (dict(&[("checkpoint", dict(&[("model", weights())]))]), "checkpoint.model"),
        (tuple(&[weights(), dict(&[("state", dict(&[]))])]), "0"),
        (object(global("train", "State"), dict(&[("net", weights())])), "net"),
    ] {
        let model = load(&tree, &value).unwrap();
        assert_eq!(model.config().notes, [format!("the model is under `{path}`")]);
    }
}

#[test]
fn states_which_of_several_models_was_taken() {
    let mut tree = tree();
    let expected = redshift(&load(&tree, &tree.state_dict("")).unwrap());
    // The average has other weights: each tensor starts one element later.
    let mut average = tree.clone();
    for (_, offset) in average.tensors.values_mut() {
        *offset = (*offset - 1).max(0);
    }
    for first in ["model", "net", "state_dict"] {
        for other in ["ema", "model_ema", "state_dict_ema", "best_weights"] {
            let value = dict(&[(other, average.state_dict("")), (first, tree.state_dict(""))]);
            let model = load(&tree, &value).unwrap();
            assert_eq!(redshift(&model), expected);
            let note = format!("the model is the one under `{first}`, not the ones under `{other}`");
            assert_eq!(model.config().notes, [note]);
        }
    }
    // Tensors of another kind are no model.
    let value = dict(&[("model", dict(&[("mean", tree.tensor(&[1], 0))])), ("weights", tree.state_dict(""))]);
    assert_eq!(load(&tree, &value).unwrap().config().notes, ["the model is under `weights`"]);
    tree.tensors.clear();
}

#[test]
fn removes_prefixes_of_wrappers_and_programs() {
    let tree = tree();
    let expected = redshift(&load(&tree, &tree.state_dict("")).unwrap());
    for prefix in [
        "module.",
        "_orig_mod.",
        "model.",
        "net.",
        "_fsdp_wrapped_module.",
        "module._orig_mod.",
        "model._orig_mod.module.",
        "model.net.",
        "backbone.",
        "encoder.module.",
    ] {
        let model = load(&tree, &tree.state_dict(prefix)).unwrap_or_else(|error| panic!("{prefix}: {error}"));
        assert_eq!(redshift(&model), expected, "{prefix}");
        let model = load(&tree, &dict(&[("state_dict", tree.state_dict(prefix))])).unwrap();
        assert_eq!(redshift(&model), expected, "{prefix}");
    }
}

/// State dict with one more tensor.
fn with_tensor(tree: &Tree, prefix: &str, name: &str) -> Vec<u8> {
    [tree.state_dict(prefix), string(name), tree.tensor(&[1], 0), b"s".to_vec()].concat()
}

#[test]
fn tensors_outside_the_prefix_belong_to_the_training_or_are_rejected() {
    let tree = tree();
    for name in ["criterion.weight", "loss_fn.pos_weight", "n_averaged", "module.n_averaged"] {
        let model = load(&tree, &with_tensor(&tree, "model.", name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(model.config().notes.iter().any(|note| note.ends_with("not used: 1")), "{:?}", model.config().notes);
        load(&tree, &with_tensor(&tree, "module.", name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for name in ["scaler.weight", "head.weight", "gamma"] {
        let error = load(&tree, &with_tensor(&tree, "backbone.", name)).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")), "{error}");
    }
    // Without a prefix, every tensor is one of the model.
    let error = load(&tree, &with_tensor(&tree, "", "blocks.0.gamma_1")).unwrap_err().to_string();
    assert!(error.contains("`blocks.0.gamma_1`"), "{error}");

    let two = |a: &str, b: &str| {
        let mut value = tree.state_dict(a);
        for (name, (shape, offset)) in &tree.tensors {
            value.extend([string(&format!("{b}{name}")), tree.tensor(shape, *offset), b"s".to_vec()].concat());
        }
        value
    };
    assert!(load(&tree, &two("ema.", "model.")).is_ok());
    let error = load(&tree, &two("left.", "right.")).unwrap_err().to_string();
    assert!(error.contains("`left.`, `right.`"), "{error}");
}

#[test]
fn numbers_are_taken_only_from_named_places() {
    let tree = tree();
    let expected = redshift(&load(&tree, &tree.state_dict("")).unwrap());
    let numbers = || dict(&[("num_heads", int(3)), ("lr", float(0.1)), ("eps", float(0.9)), ("scale", float(0.9))]);
    for (key, value) in [
        ("hyper_parameters", numbers()),
        ("config", numbers()),
        ("args", numbers()),
        ("args", object(global("argparse", "Namespace"), numbers())),
        ("args", dict(&[("num_heads", string("3"))])),
        ("config", dict(&[("num_attention_heads", int(3))])),
    ] {
        let file =
            dict(&[("state_dict", tree.state_dict("")), (key, value), ("eps", float(0.9)), ("scale", float(0.9))]);
        let model = load_with(&tree, &file, None).unwrap();
        assert_eq!(redshift(&model), expected, "{key}");
        let stated = &model.config().stated;
        assert!(stated.iter().any(|number| number.origin == format!("`{key}`")), "{stated:?}");
    }
    // A number of heads at any other place is not read, and not ignored.
    for (key, value) in [
        ("num_heads", int(3)),
        ("extra", dict(&[("num_heads", int(3))])),
        ("config", dict(&[("model", dict(&[("num_heads", int(3))]))])),
        ("args", dict(&[("n_heads", int(3))])),
        ("train_state", object(global("my", "State"), dict(&[("heads", int(3))]))),
    ] {
        let file = dict(&[("state_dict", tree.state_dict("")), (key, value)]);
        let error = load_with(&tree, &file, None).unwrap_err().to_string();
        assert!(error.contains("heads` is 3") && error.contains("config.json"), "{error}");
        assert_eq!(redshift(&load(&tree, &file).unwrap()), expected, "{key}");
    }
    // Two places that differ.
    let file = dict(&[("state_dict", tree.state_dict("")), ("args", dict(&[("num_heads", int(4))]))]);
    let error = load(&tree, &file).unwrap_err().to_string();
    assert!(error.contains("`num_heads` in `args` is 4") && error.contains("is 3"), "{error}");
    // A value that is not a number.
    let file = dict(&[("model", tree.state_dict("")), ("args", dict(&[("num_heads", string("many"))]))]);
    assert!(load(&tree, &file).unwrap_err().to_string().contains("`num_heads` in `args` is a string"));
    // Factor of the queries.
    let file = dict(&[("model", tree.state_dict("")), ("config", dict(&[("qk_scale", float(0.9))]))]);
    assert_ne!(redshift(&load(&tree, &file).unwrap()), expected);
}

#[test]
fn missing_tensors_come_with_the_nearest_names() {
    let mut tree = tree();
    let head = tree.tensors.remove("head.weight").unwrap();
    tree.tensors.insert("heads.weight".to_owned(), head);
    let error = load(&tree, &tree.state_dict("")).unwrap_err();
    assert!(matches!(error, CheckpointError::MissingTensor { .. }), "{error}");
    assert!(error.to_string().contains("`head.weight` is missing; the nearest names in the file are `heads.weight`"));
    assert!(error.to_string().contains("torch.save(model.state_dict()"), "{error}");
}

#[test]
fn biases_of_queries_and_values_come_together() {
    for (missing, named) in [("q_bias", "q_bias"), ("v_bias", "v_bias")] {
        let mut tree = tree();
        tree.tensors.remove(&format!("blocks.1.attn.{missing}"));
        let error = load(&tree, &tree.state_dict("")).unwrap_err().to_string();
        assert!(error.contains(&format!("`blocks.1.attn.{named}` is missing")), "{error}");
    }
    let mut tree = tree();
    tree.tensors.remove("blocks.1.attn.q_bias");
    tree.tensors.remove("blocks.1.attn.v_bias");
    load(&tree, &tree.state_dict("")).unwrap();
}

#[test]
fn copies_of_one_parameter_must_be_equal() {
    let mut tree = tree();
    tree.tensors.get_mut("inception_model.conv2d_init.weight").unwrap().1 += 1;
    let error = load(&tree, &tree.state_dict("")).unwrap_err().to_string();
    assert!(error.contains("`inception_model.conv2d_init.weight`") && error.contains("differ"), "{error}");
}

#[test]
fn tensors_of_other_kinds_are_named_where_the_model_needs_them() {
    let mut tree = tree();
    tree.tensors.remove("head.weight");
    for (package, name) in [("torch._utils", "_rebuild_sparse_tensor"), ("numpy.core.multiarray", "_reconstruct")] {
        let sparse = call(global(package, name), tuple(&[]));
        let value = [tree.state_dict("module."), string("module.head.weight"), sparse, b"s".to_vec()].concat();
        let error = load(&tree, &value).unwrap_err().to_string();
        assert!(error.contains("`head.weight` is saved as a") && error.contains(name), "{error}");
    }
}

#[test]
fn partitions_and_other_objects_are_named() {
    let tree = tree();
    let partition = dict(&[("tensors", tuple(&[tree.tensor(&[1], 0)]))]);
    let partition = object(global("torch.utils.data.dataset", "TensorDataset"), partition);
    let error = load(&tree, &partition).unwrap_err().to_string();
    assert!(error.contains("partition"), "{error}");
    let error = load(&tree, &dict(&[("opt", object(global("my", "Opt"), dict(&[])))])).unwrap_err().to_string();
    assert!(error.contains("`opt`") && error.contains("`my.Opt`") && error.contains("state_dict()"), "{error}");
}

/// Calls with effects. None of them may be accepted, wherever it stands.
fn hostile_calls() -> Vec<(String, Vec<u8>)> {
    let names = [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("os", "popen"),
        ("subprocess", "Popen"),
        ("subprocess", "check_output"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("builtins", "compile"),
        ("builtins", "open"),
        ("__builtin__", "eval"),
        ("importlib", "import_module"),
        ("runpy", "run_path"),
        ("pickle", "loads"),
        ("marshal", "loads"),
        ("types", "CodeType"),
        ("types", "FunctionType"),
        ("operator", "attrgetter"),
        ("functools", "reduce"),
        ("code", "interact"),
        ("pty", "spawn"),
        ("shutil", "rmtree"),
        ("socket", "socket"),
        ("webbrowser", "open"),
        ("ctypes", "CDLL"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("torch.jit", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("numpy", "load"),
        ("numpy.testing._private.utils", "runstring"),
        ("pip._internal", "main"),
        ("cloudpickle.cloudpickle", "_make_function"),
        ("dill._dill", "_create_function"),
        ("six.moves.builtins", "exec"),
        ("my.code", "os.system"),
        ("my.code", "Thing.__init__.__globals__"),
    ];
    let mut calls = Vec::new();
    for (package, name) in names {
        let full = format!("{package}.{name}");
        let stacked = [string(package), string(name), b"\x93".to_vec()].concat();
        calls.push((full.clone(), call(global(package, name), tuple(&[string("touch /tmp/executed")]))));
        calls.push((full.clone(), object(global(package, name), dict(&[("cmd", string("id"))]))));
        calls.push((full.clone(), call(stacked.clone(), tuple(&[string("id")]))));
        calls.push((full, stacked));
    }
    calls
}

/// Hides a value inside another one.
type Hide = fn(Vec<u8>) -> Vec<u8>;

#[test]
fn calls_with_effects_are_rejected_wherever_they_hide() {
    let tree = tree();
    let weights = tree.state_dict("");
    let places: &[(&str, Hide)] = &[
        ("in a list of the optimizer", |call| {
            dict(&[("state", dict(&[("0", [b"]".to_vec(), call, b"a".to_vec()].concat())]))])
        }),
        ("in the arguments", |call| object(global("argparse", "Namespace"), dict(&[("lr", call)]))),
        ("deep in tuples", |call| [call, vec![0x85; 500]].concat()),
        ("as a key", |call| [b"}".to_vec(), call, int(1), b"s".to_vec()].concat()),
        ("in a set", |call| [b"\x8f(".to_vec(), call, b"\x90".to_vec()].concat()),
        ("as the state of an object", |call| object(global("my.code", "Thing"), call)),
        ("as the state of a module", |call| module(global("my.code", "Net"), &[], &[], &[("__setstate__", call)])),
        ("as an argument of an unknown function", |call_| call(global("my.code", "make"), tuple(&[call_]))),
        ("in keyword arguments", |call| [global("my", "T"), b")".to_vec(), call, b"\x92".to_vec()].concat()),
        ("in the id of a storage", |call| [tuple(&[string("storage"), call]), b"Q".to_vec()].concat()),
        ("through the memo", |call| [b"N".to_vec(), call, b"q\xee0h\xee\x86".to_vec()].concat()),
        ("in a value that is thrown away", |call| [call, b"0N".to_vec()].concat()),
        ("in items below a mark that are thrown away", |call| [b"(".to_vec(), call, b"1N".to_vec()].concat()),
        ("in hooks of a tensor", |call_| {
            let arguments = [storage("FloatStorage", "0", 1), int(0), ints(&[1]), ints(&[1]), b"\x89".to_vec(), call_];
            call(global("torch._utils", "_rebuild_tensor_v2"), tuple(&arguments))
        }),
    ];
    let mut tried = 0;
    for (name, call) in hostile_calls() {
        for (place, hide) in places {
            for value in [
                dict(&[("model", weights.clone()), ("extra", hide(call.clone()))]),
                dict(&[("extra", hide(call.clone())), ("model", weights.clone())]),
            ] {
                let error = Checkpoint::read(&tree.file_of(&value)).map(|_| ()).unwrap_err();
                assert_eq!(error, CheckpointError::Refused(name.clone()), "{name} {place}");
                tried += 1;
            }
        }
    }
    assert!(tried > 3_000, "{tried}");
}

#[test]
fn data_beside_the_model_needs_bounded_memory_and_time() {
    let tree = tree();
    let with = |extra: Vec<u8>| dict(&[("model", tree.state_dict("")), ("extra", extra)]);
    let mut laughs = b"]q\xf1".to_vec();
    for _ in 0..1_000 {
        laughs.extend([&b"0]("[..], &b"h\xf1".repeat(10), b"eq\xf1"].concat());
    }
    let mut dicts = [b"}q\xf2".to_vec()].concat();
    for _ in 0..40 {
        dicts.extend([b"0}(".to_vec(), string("a"), b"h\xf2".to_vec(), string("b"), b"h\xf2uq\xf2".to_vec()].concat());
    }
    let mut objects = [object(global("my", "T"), dict(&[])), b"q\xf3".to_vec()].concat();
    for _ in 0..40 {
        let state = dict(&[("a", b"h\xf3".to_vec()), ("b", b"h\xf3".to_vec())]);
        objects.extend([b"0".to_vec(), object(global("my", "T"), state), b"q\xf3".to_vec()].concat());
    }
    let memo: Vec<u8> =
        (0..50_000_u32).flat_map(|key| [&b"Nr"[..], &(key * 80_000).to_le_bytes(), b"0"].concat()).collect();
    for extra in [[b")".to_vec(), vec![0x85; 100_000]].concat(), laughs, dicts, objects, [memo, NONE.to_vec()].concat()]
    {
        load(&tree, &with(extra)).unwrap();
    }
    // LONG4 and BYTEARRAY8 that claim more than the file has.
    for claim in [&b"\x8b\xff\xff\xff\x7f\x01"[..], b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f\x01"] {
        let error = load(&tree, &with(claim.to_vec())).unwrap_err();
        assert!(matches!(&error, CheckpointError::Malformed(what) if what.contains("truncated")), "{error}");
    }
}

/// Operations of harmless and unknown objects.
const OPERATIONS: &[&[u8]] = &[
    b"N",
    b"K\x05",
    b"(",
    b"t",
    b")",
    b"\x85",
    b"\x86",
    b"]",
    b"a",
    b"e",
    b"}",
    b"s",
    b"u",
    b"\x8f",
    b"\x90",
    b"q\x01",
    b"h\x01",
    b"cmy.code\nThing\n",
    b"ccollections\nOrderedDict\n",
    b"R",
    b"\x81",
    b"\x92",
    b"b",
    b"Q",
    b"0",
    b"1",
    b"\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01",
    b"X\x05\x00\x00\x00model",
    b"X\x09\x00\x00\x00num_heads",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A file with any objects in it is read with the same weights, or rejected.
    #[test]
    fn any_objects_beside_the_model_change_nothing(
        operations in prop::collection::vec(prop::sample::select(OPERATIONS), 0..40),
    ) {
        let weight = || tensor(storage("FloatStorage", "0", 2), 0, &[2], &[1]);
        let weights = ordered_dict(&[("patch_embed.proj.weight", weight())]);
        let value = dict(&[("state_dict", weights), ("extra", operations.concat())]);
        let file = archive(&value, &[("0", &floats(&[1., 2.]))]);
        if let Ok(checkpoint) = Checkpoint::read(&file) {
            let tensor = checkpoint.tensor("patch_embed.proj.weight").unwrap();
            prop_assert_eq!(checkpoint.view(tensor, &mut Vec::new()).unwrap().to_f64(), vec![1., 2.]);
        }
    }
}
