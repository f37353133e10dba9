//! Tests with damaged and hostile partitions: each gives one clear error in bounded time and memory.

use astromae::torch::zip;
use proptest::prelude::*;

use super::*;

fn entries(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::Writer::new(Vec::new());
    for (name, data) in entries {
        writer.start(&format!("archive/{name}"), data.len() as u64).unwrap();
        writer.write(data).unwrap();
    }
    writer.finish().unwrap()
}

fn int(value: i64) -> Vec<u8> {
    [b"\x8a\x08", &value.to_le_bytes()[..]].concat()
}

fn string(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

fn ints(values: &[i64]) -> Vec<u8> {
    tuple(&values.iter().map(|&value| int(value)).collect::<Vec<_>>())
}

/// Encodes a tensor in a storage of type `class` with `elements` elements.
fn tensor(class: &str, key: &str, elements: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let class = format!("ctorch\n{class}\n").into_bytes();
    let storage = tuple(&[string("storage"), class, string(key), string("cpu"), int(elements)]);
    let arguments = [
        [&storage[..], b"Q"].concat(),
        int(offset),
        ints(shape),
        ints(strides),
        b"\x89".to_vec(),
        b"ccollections\nOrderedDict\n)R".to_vec(),
    ];
    [b"ctorch._utils\n_rebuild_tensor_v2\n", &tuple(&arguments)[..], b"R"].concat()
}

fn dataset(tensors: &[Vec<u8>]) -> Vec<u8> {
    let state = [b"}", &string("tensors")[..], &tuple(tensors), b"s"].concat();
    [b"\x80\x02ctorch.utils.data.dataset\nTensorDataset\n)\x81", &state[..], b"b."].concat()
}

/// Makes a partition that expands one image of 32×32 zeros to `samples` samples.
pub(super) fn expanded(samples: i64) -> Vec<u8> {
    let images = tensor("FloatStorage", "0", 5_120, 0, &[samples, 5, 32, 32], &[0, 1_024, 32, 1]);
    let magnitudes = tensor("FloatStorage", "1", 5, 0, &[samples, 5], &[0, 1]);
    entries(&[("data.pkl", &dataset(&[images, magnitudes])), ("data/0", &[0; 4 * 5_120]), ("data/1", &[0; 20])])
}

async fn message(bytes: Vec<u8>) -> String {
    match open(bytes, FetchLimits::DEFAULT).await.expect_err("a hostile file must be rejected") {
        PartitionError::Malformed { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

/// Makes a file of 2 images of 4×3 pixels with these tensors.
fn with_tensors(images: Vec<u8>, magnitudes: Vec<u8>) -> Vec<u8> {
    let pickle = dataset(&[images, magnitudes]);
    entries(&[("data.pkl", &pickle), ("data/0", &[0; 4 * 120]), ("data/1", &[0; 8 * 10])])
}

fn images() -> Vec<u8> {
    tensor("FloatStorage", "0", 120, 0, &[2, 5, 4, 3], &[60, 12, 3, 1])
}

fn magnitudes() -> Vec<u8> {
    tensor("DoubleStorage", "1", 10, 0, &[2, 5], &[5, 1])
}

#[tokio::test]
async fn reads_the_undamaged_file() {
    let partition = open(with_tensors(images(), magnitudes()), TINY).await.unwrap();
    assert_eq!(partition.read(0..2).await.unwrap().images, vec![0.0; 120]);
}

#[tokio::test]
async fn rejects_files_truncated_at_any_length() {
    let bytes = golden("plain.pt");
    for length in 0..bytes.len() {
        let error = open(bytes[..length].to_vec(), FetchLimits::DEFAULT).await.expect_err("truncated");
        assert!(matches!(error, PartitionError::Malformed { .. }), "{length}: {error:?}");
    }
}

#[tokio::test]
async fn rejects_compressed_big_endian_and_other_files() {
    let mut compressed = golden("plain.pt");
    let header = compressed.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    compressed[header + 10] = 8;
    assert!(message(compressed).await.contains("data.pkl` is compressed"));

    let pickle = dataset(&[images(), magnitudes()]);
    let big = entries(&[("data.pkl", &pickle), ("byteorder", b"big")]);
    assert!(message(big).await.contains("big-endian"));
    assert!(message(b"hello".to_vec()).await.contains("not a zip archive"));
    assert!(message(Vec::new()).await.contains("empty file"));
}

#[tokio::test]
async fn names_a_model_among_partitions() {
    let module = b"\x80\x02ctorch.nn.modules.conv\nConv2d\n.".to_vec();
    let weights = [b"\x80\x02}", &string("head.weight")[..], b"Ns."].concat();
    let wrapped = [b"\x80\x02}", &string("model_state_dict")[..], b"Ns."].concat();
    let large = [&weights[..weights.len() - 1], &vec![b'N'; 100_000], b"."].concat();
    for pickle in [module, weights, wrapped, large] {
        let what = message(entries(&[("data.pkl", &pickle)])).await;
        assert_eq!(what, "a model, not a partition; pass it to `--model`, and keep models in another folder");
    }
}

#[tokio::test]
async fn says_how_to_make_a_partition_of_other_tensors() {
    let last = tensor("FloatStorage", "0", 120, 0, &[2, 4, 3, 5], &[60, 15, 5, 1]);
    assert!(message(with_tensors(last, magnitudes())).await.contains("; apply `.permute(0, 3, 1, 2)`"));
    let double = tensor("DoubleStorage", "0", 60, 0, &[1, 5, 4, 3], &[60, 12, 3, 1]);
    assert!(message(with_tensors(double, magnitudes())).await.contains("; apply `.float()`"));
    let pickle = [b"\x80\x02", &tuple(&[images(), magnitudes()])[..], b"."].concat();
    let what = message(entries(&[("data.pkl", &pickle), ("data/0", &[0; 480]), ("data/1", &[0; 80])])).await;
    assert!(what.contains("TensorDataset(images, magnitudes, redshift)` with `torch.save`"), "{what}");
}

#[tokio::test]
async fn rejects_other_globals_by_their_full_name() {
    for (module, name) in [("os", "system"), ("builtins", "eval")] {
        let pickle = [b"\x80\x02c", module.as_bytes(), b"\n", name.as_bytes(), b"\n."].concat();
        let what = message(entries(&[("data.pkl", &pickle)])).await;
        assert!(what.contains(&format!("`{module}.{name}`")), "{what}");
    }
}

#[tokio::test]
async fn rejects_wrong_layouts_with_a_reason() {
    let floats = |shape: &[i64], strides: &[i64]| tensor("FloatStorage", "0", 120, 0, shape, strides);
    for (images, magnitudes, word) in [
        (tensor("FloatStorage", "0", 120, 1, &[2, 5, 4, 3], &[60, 12, 3, 1]), magnitudes(), "leaves its storage"),
        (tensor("FloatStorage", "0", 121, 0, &[2, 5, 4, 3], &[60, 12, 3, 1]), magnitudes(), "480 bytes"),
        (tensor("FloatStorage", "7", 120, 0, &[2, 5, 4, 3], &[60, 12, 3, 1]), magnitudes(), "`data/7`"),
        (floats(&[2, 5, 4, 3], &[60, 12, -3, 1]), magnitudes(), "strides"),
        (floats(&[2, 5, 4, 3], &[60, 12, 3]), magnitudes(), "3 strides"),
        (floats(&[i64::MAX, 5, 4, 3], &[0, 12, 3, 1]), magnitudes(), "leaves its storage"),
        (floats(&[1 << 40, 5, 4, 3], &[0, 12, 3, 1]), magnitudes(), "magnitudes"),
        (floats(&[2, 5, 0, 3], &[60, 12, 3, 1]), magnitudes(), "1 to 1024"),
        (floats(&[2, 5, 4, 2_000], &[0, 0, 0, 0]), magnitudes(), "1 to 1024"),
        (floats(&[5, 4, 3], &[12, 3, 1]), magnitudes(), "(5, 4, 3)"),
        (images(), tensor("DoubleStorage", "1", 10, 0, &[10], &[1]), "(10,)"),
        (images(), tensor("LongStorage", "1", 10, 0, &[2, 5], &[5, 1]), "int64"),
        (images(), int(3), "an int"),
    ] {
        let what = message(with_tensors(images, magnitudes)).await;
        assert!(what.contains(word), "{word}: {what}");
    }
}

#[tokio::test]
async fn rejects_small_files_that_expand_to_too_many_samples() {
    assert!(message(expanded(1 << 40)).await.contains("samples expand to"));
    open(expanded(70_000), FetchLimits::DEFAULT).await.unwrap();
}

#[tokio::test]
async fn rejects_scattered_rows_of_a_huge_storage() {
    let limits = FetchLimits { held_bytes: 100, ..TINY };
    let error = open(golden("samples_innermost.pt"), limits).await.unwrap_err();
    assert!(error.to_string().contains(".contiguous()"), "{error}");
}

#[tokio::test]
async fn rejects_long_pickles() {
    let what = message(entries(&[("data.pkl", &vec![b'N'; 100_000])])).await;
    assert!(what.contains("its pickle has 100000 bytes"), "{what}");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Bits of all values of a file, or `None` if the file is rejected.
fn values(bytes: Vec<u8>, limits: FetchLimits) -> Option<Vec<u64>> {
    block_on(async {
        let partition = open(bytes, limits).await.ok()?;
        let rows = partition.read(0..partition.len()).await.ok()?;
        let mut found: Vec<u64> = rows.images.iter().map(|pixel| u64::from(pixel.to_bits())).collect();
        found.extend(bits(&rows.magnitudes));
        found.extend(rows.redshift.as_deref().map(bits).unwrap_or_default());
        Some(found)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Checksums detect damage to any value. Damage elsewhere is detected or harmless.
    #[test]
    fn flipped_bits_never_change_a_value(
        flips in prop::collection::vec((0_usize..100_000, 0_u8..8), 1..4),
        tiny: bool,
    ) {
        let undamaged = golden("plain.pt");
        let limits = if tiny { TINY } else { FetchLimits::DEFAULT };
        let mut damaged = undamaged.clone();
        for (at, bit) in flips {
            let at = at % damaged.len();
            damaged[at] ^= 1 << bit;
        }
        if let Some(found) = values(damaged, limits) {
            prop_assert_eq!(Some(found), values(undamaged, limits));
        }
    }

    #[test]
    fn reads_or_rejects_any_layout(
        offset in -2_i64..10,
        shape in prop::collection::vec(-1_i64..7, 3..6),
        strides in prop::collection::vec(-1_i64..70, 3..6),
        tiny: bool,
    ) {
        let images = tensor("FloatStorage", "0", 120, offset, &shape, &strides);
        let limits = if tiny { TINY } else { FetchLimits::DEFAULT };
        let _ = values(with_tensors(images, magnitudes()), limits);
    }
}
