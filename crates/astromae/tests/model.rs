//! Properties of the model: redshifts do not depend on other galaxies, inputs that are not finite are visible in the
//! result, predictions do not allocate, and checkpoints that do not match the model are rejected.

use astromae::checkpoint::{Checkpoint, CheckpointError};
use astromae::init::{Sizes, Variant, seeded};
use astromae::{Isa, Model, Observer, Part, Precision, reference};
use safetensors::SafeTensors;

fn isas() -> Vec<Isa> {
    match std::env::var("COSMICAI_ISA") {
        Ok(name) => vec![name.parse().expect("COSMICAI_ISA must name an instruction set of this CPU")],
        Err(_) => Isa::available().collect(),
    }
}

fn model(bytes: &[u8], isa: Isa) -> Result<Model, CheckpointError> {
    Model::from_bytes(bytes, None, Precision::F32, isa)
}

/// The model in every precision on every instruction set that supports it.
fn models(bytes: &[u8]) -> impl Iterator<Item = (String, Model)> {
    let ways = isas().into_iter().flat_map(|isa| Precision::ALL.map(|precision| (isa, precision)));
    let possible = ways.filter(|(isa, precision)| isa.instruction(precision.arithmetic()).is_some());
    possible
        .map(|(isa, precision)| (format!("{isa} {precision}"), Model::from_bytes(bytes, None, precision, isa).unwrap()))
}

/// `count` different images with their magnitudes.
fn galaxies(model: &Model, count: usize) -> (Vec<f32>, Vec<f32>) {
    let pixels = model.bands() * model.image_size().pow(2);
    let image = (0..count * pixels).map(|i| ((i * 7919 + i / pixels * 31) % 1000) as f32 / 500.0 - 1.0).collect();
    let magnitudes = (0..count * model.bands()).map(|i| 15.0 + (i * 37 % 70) as f32 / 10.0).collect();
    (image, magnitudes)
}

fn predict(model: &Model, images: &[f32], magnitudes: &[f32]) -> Vec<f32> {
    let mut redshift = vec![f32::NAN; magnitudes.len() / model.bands()];
    model.predict(images, magnitudes, &mut model.scratch(), &mut redshift);
    redshift
}

#[test]
fn redshift_does_not_depend_on_other_galaxies() {
    let bytes = seeded(&Sizes::small(), 3);
    for (isa, model) in models(&bytes) {
        let (images, magnitudes) = galaxies(&model, 211);
        let together = predict(&model, &images, &magnitudes);
        let pixels = images.len() / 211;
        for size in [1, 2, 5, 6, 7, 96, 97] {
            let apart: Vec<f32> = images
                .chunks(size * pixels)
                .zip(magnitudes.chunks(size * 5))
                .flat_map(|(images, magnitudes)| predict(&model, images, magnitudes))
                .collect();
            assert_eq!(apart, together, "{isa} in batches of {size}");
        }
    }
}

#[test]
fn non_finite_input_makes_only_its_redshift_non_finite() {
    let bytes = seeded(&Sizes::small(), 4);
    for (isa, model) in models(&bytes) {
        let (images, magnitudes) = galaxies(&model, 8);
        let clean = predict(&model, &images, &magnitudes);
        let pixels = images.len() / 8;
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for pixel in [0, 517, pixels - 1] {
                let mut broken = images.clone();
                broken[3 * pixels + pixel] = value;
                let redshift = predict(&model, &broken, &magnitudes);
                assert!(!redshift[3].is_finite(), "{isa} {value} at {pixel}: {}", redshift[3]);
                assert!((0..8).filter(|i| *i != 3).all(|i| redshift[i] == clean[i]), "{isa} {value}");
            }
            let mut broken = magnitudes.clone();
            broken[3 * 5 + 2] = value;
            let redshift = predict(&model, &images, &broken);
            assert!(!redshift[3].is_finite(), "{isa} magnitude {value}: {}", redshift[3]);
            assert!((0..8).filter(|i| *i != 3).all(|i| redshift[i] == clean[i]), "{isa} {value}");
        }
    }
}

#[test]
fn predict_does_not_allocate() {
    let bytes = seeded(&Sizes::small(), 5);
    for (isa, model) in models(&bytes) {
        let (images, magnitudes) = galaxies(&model, 100);
        let (mut scratch, mut redshift) = (model.scratch(), vec![0.0; 100]);
        let allocations = allocation_counter::measure(|| {
            model.predict(&images, &magnitudes, &mut scratch, &mut redshift);
        });
        assert_eq!(allocations.count_total, 0, "{isa}");
    }
}

#[test]
fn every_precision_gives_other_bits() {
    let bytes = seeded(&Sizes::full(), 5);
    let by_name: std::collections::BTreeMap<String, Vec<f32>> = models(&bytes)
        .map(|(name, model)| {
            let (images, magnitudes) = galaxies(&model, 3);
            (name, predict(&model, &images, &magnitudes))
        })
        .collect();
    let distinct: std::collections::BTreeSet<Vec<u32>> =
        by_name.values().map(|z| z.iter().map(|z| z.to_bits()).collect()).collect();
    assert_eq!(distinct.len(), by_name.len(), "two precisions or instruction sets give the same bits: {by_name:?}");
}

#[test]
fn other_sizes_and_variants_match_the_reference() {
    let small = Sizes::small();
    let variants = Variant::ALL.map(|variant| Sizes { image_size: 40, patch_size: 8, variant, ..small.clone() });
    let others = [
        Sizes { image_size: 64, ..small.clone() },
        Sizes { patch_size: 4, depth: 1, ..small.clone() },
        Sizes { patch_size: 16, dim: 33, heads: 3, pcm: Some((11, 5)), mlp: 22, ..small.clone() },
        Sizes { pcm: None, mlp: 7, features: 17, hidden: 9, inception: (1, [1, 2, 3, 1, 5]), ..small.clone() },
        Sizes { dim: 64, heads: 1, pcm: Some((64, 3)), mlp: 64, ..small },
    ];
    for (seed, sizes) in others.into_iter().chain(variants).enumerate() {
        let bytes = seeded(&sizes, seed as u64);
        let checkpoint = Checkpoint::read(&bytes).unwrap();
        for (isa, model) in models(&bytes) {
            let (images, magnitudes) = galaxies(&model, 2);
            let expected = reference::predict(&checkpoint, &images, &magnitudes, &mut |_, _| {}).unwrap();
            let tolerance = match model.precision() {
                Precision::F32 => 1e-5,
                // The rounding error of a factor is up to 2⁻⁹ for bf16, and half of 1/127 (of 1/64 with AVX2) for int8.
                // A programming error would give errors of about 1.
                Precision::Bf16 => 0.02,
                Precision::Int8 => 0.1,
            };
            for (z, expected) in predict(&model, &images, &magnitudes).iter().zip(expected) {
                let error = (f64::from(*z) - expected).abs() / expected.abs().max(1.0);
                assert!(error <= tolerance, "{isa} {sizes:?}: {z}, not {expected}");
            }
        }
    }
}

/// Copy of a checkpoint in which `change` may change the shape of a tensor, or remove it by returning false.
fn changed(bytes: &[u8], change: impl Fn(&str, &mut Vec<usize>) -> bool) -> Vec<u8> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let mut kept = Vec::new();
    for (name, tensor) in file.iter() {
        let mut shape = tensor.shape().to_vec();
        if change(name, &mut shape) {
            let len = shape.iter().product::<usize>() * 4;
            let data: Vec<u8> = tensor.data().iter().copied().cycle().take(len).collect();
            kept.push((name.to_owned(), shape, data));
        }
    }
    let views = kept.iter().map(|(name, shape, data)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap();
        (name.as_str(), view)
    });
    safetensors::serialize(views, metadata.metadata().clone()).unwrap()
}

#[test]
fn rejects_checkpoint_with_any_tensor_missing() {
    let bytes = seeded(&Sizes::small(), 6);
    let names: Vec<String> =
        SafeTensors::deserialize(&bytes).unwrap().iter().map(|(name, _)| name.to_owned()).collect();
    for missing in names {
        // Tensors that are not used: the copy of `vis_inception.0`, and a branch.
        let optional = missing.contains("conv2d_init") || missing.contains("vis_inception.8.branch3");
        let result = model(&changed(&bytes, |name, _| name != missing), Isa::detect());
        match result {
            Ok(_) => assert!(optional, "the checkpoint without {missing} was accepted"),
            Err(error) => assert!(!optional && !error.to_string().is_empty(), "{missing}: {error}"),
        }
    }
}

#[test]
fn variants_need_all_their_tensors_and_no_other() {
    for variant in Variant::ALL {
        let bytes = seeded(&Sizes { variant, ..Sizes::small() }, 6);
        let config = model(&bytes, Isa::detect()).unwrap().config().clone();
        let has = (config.transformer.is_some(), config.has_inception, config.has_magnitudes);
        let expected = match variant {
            Variant::Full => (true, true, true),
            Variant::WithoutMagnitudes => (true, true, false),
            Variant::TransformerOnly => (true, false, false),
            Variant::WithoutTransformer => (false, true, true),
            Variant::InceptionOnly => (false, true, false),
        };
        assert_eq!(has, expected, "{variant:?}");
        let names: Vec<String> =
            SafeTensors::deserialize(&bytes).unwrap().iter().map(|(name, _)| name.to_owned()).collect();
        for missing in &names {
            let optional = missing.contains("conv2d_init") || missing.contains("vis_inception.8.branch3");
            let result = model(&changed(&bytes, |name, _| name != missing), Isa::detect());
            // Without a transformer, the size of the images needs the shape of branch 3.
            let optional = optional && !(missing.contains("branch3.1.conv.weight") && config.transformer.is_none());
            assert_eq!(result.is_ok(), optional, "{variant:?} without {missing}: {:?}", result.err());
        }
        let network = |start: &str| !names.iter().any(|name| name.starts_with(start));
        for absent in ["inception_model.", "vit_block.", "concat_block.", "head_incept_mag.", "Inception_head_block."] {
            if network(absent) {
                let file = SafeTensors::deserialize(&bytes).unwrap();
                let extra = file.tensor(&names[0]).unwrap();
                let views = file.iter().map(|(name, view)| (name.to_owned(), view));
                let views = views.chain([(format!("{absent}7.weight"), extra)]);
                let more = safetensors::serialize(views, None).unwrap();
                assert!(model(&more, Isa::detect()).is_err(), "{variant:?} with a tensor of {absent}");
            }
        }
    }
}

#[test]
fn models_without_magnitudes_do_not_read_them() {
    for variant in Variant::ALL {
        let bytes = seeded(&Sizes { variant, ..Sizes::small() }, 9);
        for (isa, model) in models(&bytes) {
            let (images, mut magnitudes) = galaxies(&model, 2);
            let before = predict(&model, &images, &magnitudes);
            magnitudes.fill(f32::NAN);
            let after = predict(&model, &images, &magnitudes);
            if model.config().has_magnitudes {
                assert!(after.iter().all(|z| z.is_nan()), "{variant:?} {isa}");
                assert!(model.operations(Part::Magnitude) > 0.0);
            } else {
                assert_eq!(before, after, "{variant:?} {isa}");
                assert_eq!(model.operations(Part::Magnitude), 0.0);
            }
        }
    }
}

#[test]
fn rejects_checkpoint_with_any_shape_wrong() {
    let bytes = seeded(&Sizes::small(), 6);
    let names: Vec<String> =
        SafeTensors::deserialize(&bytes).unwrap().iter().map(|(name, _)| name.to_owned()).collect();
    for wrong in names {
        let unused = wrong.contains("vis_inception.8.branch3");
        for axis in 0..4 {
            let wrong_bytes = changed(&bytes, |name, shape| {
                if name == wrong && axis < shape.len() {
                    shape[axis] += 1;
                }
                true
            });
            let differs = wrong_bytes != bytes && !unused;
            let result = model(&wrong_bytes, Isa::detect());
            assert_eq!(result.is_err(), differs, "{wrong} axis {axis}: {:?}", result.err());
        }
    }
}

#[test]
fn rejects_checkpoint_with_unknown_tensor() {
    let bytes = seeded(&Sizes::small(), 6);
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let extra = file.tensor("head.bias").unwrap();
    let views = file.iter().map(|(name, view)| (name.to_owned(), view)).chain([("blocks.0.gamma_1".to_owned(), extra)]);
    let bytes = safetensors::serialize(views, metadata.metadata().clone()).unwrap();
    let error = model(&bytes, Isa::detect()).unwrap_err().to_string();
    assert!(error.contains("blocks.0.gamma_1"), "{error}");
}

/// Observer that counts how often each part begins.
#[derive(Default)]
struct Begun(std::collections::BTreeMap<Part, usize>);

impl Observer for Begun {
    fn begin(&mut self, part: Part) {
        *self.0.entry(part).or_default() += 1;
    }
}

#[test]
fn every_part_begins_and_counts_its_operations() {
    let model = model(&seeded(&Sizes::full(), 7), Isa::detect()).unwrap();
    let (images, magnitudes) = galaxies(&model, 1);
    let (mut begun, mut observed) = (Begun::default(), [f32::NAN]);
    model.predict_observed(&images, &magnitudes, &mut model.scratch(), &mut observed, &mut begun);
    assert_eq!(predict(&model, &images, &magnitudes), observed);
    for part in Part::ALL {
        assert!(begun.0.contains_key(&part), "{part} never begins");
    }
    assert_eq!(begun.0[&Part::Mlp], 12);
    // Counted by hand from the published sizes: 17 tokens, 16 of them patches; dim 192, MLP 768, 48 groups of 4
    // channels.
    let blocks = [
        (Part::PatchEmbed, 16 * 192 * 320),
        (Part::Qkv, 12 * 17 * 192 * 576),
        (Part::Attention, 12 * 17 * (2 * 17 * 192 + 192 * 192)),
        (Part::Pcm, 12 * 16 * 2 * 768 * 4),
        (Part::Mlp, 12 * 17 * 2 * 192 * 768),
        (Part::Magnitude, 1024 * 5 + 4 * 1024 * 1024),
        (Part::Head, 2 * (192 * 1096 + 1096 * 1096) + 3216 * 1024 + 1024),
    ];
    for (part, multiply_adds) in blocks {
        assert_eq!(model.operations(part), 2.0 * f64::from(multiply_adds), "{part}");
    }
    let all: f64 = Part::ALL.iter().map(|part| model.operations(*part)).sum();
    assert!((0.21e9..0.23e9).contains(&all), "{all}");
}
