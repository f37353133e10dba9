//! Damaged and malicious checkpoints: each gives one clear error, in bounded time and memory.

mod assemble;

use assemble::*;
use astromae::checkpoint::{Checkpoint, CheckpointError, Form};
use proptest::prelude::*;

/// `Linear(3, 2)` and `LayerNorm(2)` in a `DataParallel`. The second weight is a slice of the storage of the first.
fn small_module() -> Vec<u8> {
    let weight = parameter(tensor(storage("FloatStorage", "0", 6), 0, &[2, 3], &[3, 1]));
    let slice = tensor(storage("FloatStorage", "0", 6), 1, &[2], &[3]);
    let linear = module(global("torch.nn.modules.linear", "Linear"), &[("weight", weight)], &[], &[]);
    let norm = module(
        global("torch.nn.modules.normalization", "LayerNorm"),
        &[("weight", slice), ("bias", b"N".to_vec())],
        &[],
        &[("eps", float(1e-6)), ("normalized_shape", ints(&[2]))],
    );
    let model = module(global("blocks.model", "ViT_Astro"), &[], &[("fc", linear), ("norm", norm)], &[]);
    let parallel = global("torch.nn.parallel.data_parallel", "DataParallel");
    let parallel = module(parallel, &[], &[("module", model)], &[]);
    archive(&parallel, &[("0", &floats(&[1., 2., 3., 4., 5., 6.]))])
}

fn error(bytes: &[u8]) -> CheckpointError {
    Checkpoint::read(bytes).expect_err("a hostile file must be rejected")
}

fn contents(checkpoint: &Checkpoint<'_>) -> Vec<(String, Vec<f64>)> {
    let view = |tensor| checkpoint.view(tensor, &mut Vec::new()).unwrap().to_f64();
    checkpoint.tensors().map(|(name, tensor)| (name.to_owned(), view(tensor))).collect()
}

#[test]
fn reads_the_undamaged_file() {
    let bytes = small_module();
    let checkpoint = Checkpoint::read(&bytes).unwrap();
    assert_eq!(checkpoint.form(), Form::PickledModule);
    let expected =
        vec![("fc.weight".to_owned(), vec![1., 2., 3., 4., 5., 6.]), ("norm.weight".to_owned(), vec![2., 5.])];
    assert_eq!(contents(&checkpoint), expected);
    assert_eq!(checkpoint.attribute("norm.eps"), Some(1e-6));
    assert_eq!(checkpoint.attribute("norm.normalized_shape"), Some(2.0));
}

#[test]
fn reads_state_dicts_bare_and_wrapped() {
    let data = floats(&[1., 2.]);
    let weight = || tensor(storage("FloatStorage", "0", 2), 0, &[2], &[1]);
    let bare = ordered_dict(&[("module.norm.weight", weight())]);
    let compiled = ordered_dict(&[("_orig_mod.norm.weight", weight())]);
    let wrapped = dict(&[("epoch", int(3)), ("state_dict", bare.clone())]);
    let config = dict(&[("num_heads", int(12))]);
    let under_model = dict(&[("config", config), ("model", bare.clone())]);
    for value in [bare, compiled, wrapped, under_model] {
        let bytes = archive(&value, &[("0", &data)]);
        let checkpoint = Checkpoint::read_with_config(&bytes, Some(r#"{"num_heads": 12}"#)).unwrap();
        assert_eq!(checkpoint.form(), Form::StateDict);
        assert_eq!(contents(&checkpoint), [("norm.weight".to_owned(), vec![1., 2.])]);
        assert_eq!(checkpoint.attribute("blocks.3.attn.num_heads"), Some(12.0));
    }
}

#[test]
fn rejects_files_truncated_at_any_length() {
    let bytes = small_module();
    for length in 0..bytes.len() {
        assert!(matches!(error(&bytes[..length]), CheckpointError::Malformed(_)), "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn rejects_unknown_functions_by_their_full_name() {
    for (module, name) in [("os", "system"), ("posix", "system"), ("builtins", "eval"), ("nt", "system")] {
        let value = call(global(module, name), tuple(&[string("touch /tmp/executed")]));
        assert_eq!(error(&archive(&value, &[])), CheckpointError::Refused(format!("{module}.{name}")));
    }
    let stacked = [string("os"), string("system"), b"\x93".to_vec()].concat();
    let rejected = error(&archive(&stacked, &[]));
    assert_eq!(rejected, CheckpointError::Refused("os.system".to_owned()));
    assert!(rejected.to_string().contains("`os.system`"), "{rejected}");
    // A function that no value uses is rejected too.
    let hidden = [global("os", "system"), b"0".to_vec(), ordered_dict(&[])].concat();
    assert_eq!(error(&archive(&hidden, &[])), CheckpointError::Refused("os.system".to_owned()));
}

#[test]
fn rejects_tensors_outside_their_storage() {
    let data = floats(&[1., 2., 3., 4.]);
    let read = |offset, shape: &[i64], strides: &[i64], elements| {
        let weight = tensor(storage("FloatStorage", "0", elements), offset, shape, strides);
        let bytes = archive(&ordered_dict(&[("weight", weight)]), &[("0", &data)]);
        Checkpoint::read(&bytes).map(|_| ())
    };
    read(0, &[2, 2], &[2, 1], 4).unwrap();
    read(1, &[3], &[1], 4).unwrap();
    for (offset, shape, strides, elements) in [
        (1, &[4][..], &[1][..], 4),
        (0, &[3], &[2], 4),
        (0, &[2, 2], &[1], 4),
        (-1, &[1], &[1], 4),
        (0, &[-1], &[1], 4),
        (0, &[2], &[-1], 4),
        (0, &[i64::MAX, i64::MAX], &[0, 0], 4),
        (0, &[i64::MAX], &[i64::MAX], 4),
        (i64::MAX, &[1], &[1], 4),
        (0, &[4], &[1], 5),
        (0, &[4], &[1], i64::MAX),
        (0, &[1; 9], &[1; 9], 4),
    ] {
        let result = read(offset, shape, strides, elements);
        assert!(
            matches!(&result, Err(CheckpointError::Malformed(what)) if what.contains("`weight`")),
            "{offset} {shape:?} {strides:?} {elements}: {result:?}"
        );
    }
}

#[test]
fn rejects_small_files_with_huge_tensors() {
    let weight = tensor(storage("FloatStorage", "0", 1), 0, &[1 << 40], &[0]);
    let bytes = archive(&ordered_dict(&[("weight", weight)]), &[("0", &floats(&[1.]))]);
    assert!(error(&bytes).to_string().contains("the tensors have more than"), "{}", error(&bytes));
}

#[test]
fn rejects_lazily_negated_tensors() {
    let arguments = [
        storage("FloatStorage", "0", 1),
        int(0),
        ints(&[1]),
        ints(&[1]),
        b"\x89".to_vec(),
        ordered_dict(&[]),
        dict(&[("neg", b"\x88".to_vec())]),
    ];
    let weight = call(global("torch._utils", "_rebuild_tensor_v2"), tuple(&arguments));
    let bytes = archive(&ordered_dict(&[("weight", weight)]), &[("0", &floats(&[1.]))]);
    assert!(matches!(error(&bytes), CheckpointError::Unsupported(_)));
}

#[test]
fn rejects_other_formats_by_name() {
    let value = ordered_dict(&[]);
    let big = zip(&[("data.pkl", pickle(&value)), ("byteorder", b"big".to_vec())]);
    let script = zip(&[("data.pkl", pickle(&value)), ("constants.pkl", pickle(b")"))]);
    let legacy = [&b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."[..], &[0; 64]].concat();
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, word) in [
        (big, "big-endian"),
        (script, "TorchScript"),
        (legacy, "before 1.6"),
        (tar, "tar format"),
        (pickle(b")"), "bare pickle"),
    ] {
        let error = error(&bytes);
        assert!(matches!(error, CheckpointError::Unsupported(_)), "{word}: {error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(error(b"").to_string().contains("empty"));
    assert!(error(b"hello, world").to_string().contains("hello"));
    assert!(error(&zip(&[("notes.txt", b"hi".to_vec())])).to_string().contains("data.pkl"));
}

#[test]
fn rejects_pickles_without_a_model_by_content() {
    for (value, word) in [
        (int(3), "an int"),
        (tuple(&[]), "a tuple of 0"),
        (object(global("torch.nn.modules.linear", "Linear"), dict(&[])), "Linear"),
    ] {
        let error = error(&archive(&value, &[]));
        assert!(matches!(&error, CheckpointError::Unsupported(what) if what.contains(word)), "{error}");
    }
    assert!(error(&archive(&ordered_dict(&[]), &[])).to_string().contains("no tensor"));
}

#[test]
fn rejects_exponentially_many_paths_of_shared_modules() {
    // Each of 40 modules contains the next one twice, which makes 2⁴⁰ paths.
    let class = || global("torch.nn.modules.container", "Sequential");
    let mut inner = [module(class(), &[], &[], &[]), b"q\x00".to_vec()].concat();
    for _ in 0..40 {
        let both = [("a", inner), ("b", b"h\x00".to_vec())];
        inner = [module(class(), &[], &both, &[]), b"q\x00".to_vec()].concat();
    }
    assert!(error(&archive(&inner, &[])).to_string().contains("modules"));
}

#[test]
fn rejects_deeply_nested_and_recursive_modules() {
    let class = || global("torch.nn.modules.container", "Sequential");
    let mut deep = module(class(), &[], &[], &[]);
    for _ in 0..1_000 {
        deep = module(class(), &[], &[("a", deep)], &[]);
    }
    assert!(error(&archive(&deep, &[])).to_string().contains("levels"));

    let itself =
        [&class()[..], b")\x81q\x00", &dict(&[("_modules", ordered_dict(&[("a", b"h\x00".to_vec())]))]), b"b"].concat();
    assert!(error(&archive(&itself, &[])).to_string().contains("levels"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Checksums detect damage to any tensor and to the pickle. Damage elsewhere is detected or has no effect.
    #[test]
    fn flipped_bits_never_change_a_value(flips in prop::collection::vec((0_usize..8_000, 0_u8..8), 1..4)) {
        let bytes = small_module();
        let undamaged = contents(&Checkpoint::read(&bytes).unwrap());
        let mut damaged = bytes;
        for (at, bit) in flips {
            let at = at % damaged.len();
            damaged[at] ^= 1 << bit;
        }
        if let Ok(checkpoint) = Checkpoint::read(&damaged) {
            prop_assert_eq!(contents(&checkpoint), undamaged);
        }
    }

    #[test]
    fn any_pickle_is_read_or_rejected(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Checkpoint::read(&zip(&[("data.pkl", body)]));
    }

    #[test]
    fn rejects_random_bytes(body in prop::collection::vec(any::<u8>(), 0..400), start in 0_usize..3) {
        let start: &[u8] = [&b""[..], b"PK\x03\x04", b"\x40\0\0\0\0\0\0\0{"][start];
        prop_assert!(Checkpoint::read(&[start, &body].concat()).is_err());
    }
}
