//! A full-size model as PyTorch pickles it, from the reference data (ignored tests). `checkpoint_pytorch.rs` and
//! `golden.rs` make the same checks on small models, in every clone.

#[path = "../../../tests/reference_data.rs"]
mod reference_data;

use astromae::checkpoint::{Checkpoint, Dtype, Form};

/// Number of parameters of AstroMAE.
const PARAMETERS: usize = 15_902_889;

fn pickled_module() -> Vec<u8> {
    std::fs::read(reference_data::reference_data("golden/astromae-module.pt")).unwrap()
}

#[test]
#[ignore = "needs the reference data: set COSMICAI_SHARED"]
fn reads_the_pickled_module() {
    let bytes = pickled_module();
    let checkpoint = Checkpoint::read(&bytes).unwrap();
    assert_eq!(checkpoint.form(), Form::PickledModule);

    let shape = |name: &str| checkpoint.tensor(name).map(|tensor| tensor.shape().to_vec());
    assert_eq!(shape("patch_embed.proj.weight"), Some(vec![192, 5, 8, 8]));
    assert_eq!(shape("pos_embed"), Some(vec![1, 17, 192]));
    assert_eq!(shape("blocks.11.attn.qkv.weight"), Some(vec![576, 192]));
    assert_eq!(shape("blocks.0.attn.qkv.bias"), None);
    assert_eq!(shape("inception_model.conv2d_init.weight"), Some(vec![32, 5, 1, 1]));
    assert_eq!(shape("inception_model.vis_inception.0.weight"), Some(vec![32, 5, 1, 1]));
    assert_eq!(shape("concat_block.0.weight"), Some(vec![1024, 3216]));

    // `vis_inception.0` is a second copy of `conv2d_init`; running statistics are buffers.
    let parameters: usize = checkpoint
        .tensors()
        .filter(|(name, tensor)| {
            tensor.dtype() == Dtype::F32
                && !name.contains("running_")
                && !name.starts_with("inception_model.vis_inception.0.")
        })
        .map(|(_, tensor)| tensor.elements())
        .sum();
    assert_eq!(parameters, PARAMETERS);

    assert_eq!(checkpoint.attribute("blocks.0.attn.num_heads"), Some(12.0));
    assert_eq!(checkpoint.attribute("blocks.0.attn.scale"), Some(0.25));
    assert_eq!(checkpoint.attribute("blocks.0.norm1.eps"), Some(1e-6));
    assert_eq!(checkpoint.attribute("blocks.0.PCM.1.eps"), Some(1e-5));
    assert_eq!(checkpoint.attribute("blocks.0.PCM.0.groups"), Some(48.0));
    assert_eq!(checkpoint.attribute("patch_embed.patch_size"), Some(8.0));
}

#[test]
#[ignore = "needs the reference data: set COSMICAI_SHARED"]
fn conversion_to_safetensors_preserves_everything() {
    let bytes = pickled_module();
    let module = Checkpoint::read(&bytes).unwrap();
    let written = module.to_safetensors().unwrap();
    assert!(written == module.to_safetensors().unwrap(), "equal checkpoints give equal bytes");

    let read = Checkpoint::read(&written).unwrap();
    assert_eq!(read.form(), Form::Safetensors);
    assert_eq!(read.attributes(), module.attributes());
    assert_eq!(read.tensors().count(), module.tensors().count());
    for ((name, ours), (expected_name, expected)) in read.tensors().zip(module.tensors()) {
        assert_eq!((name, ours.shape(), ours.dtype()), (expected_name, expected.shape(), expected.dtype()));
        let values = |checkpoint: &Checkpoint<'_>, tensor| checkpoint.view(tensor, &mut Vec::new()).unwrap().to_f32();
        let same = values(&read, ours).iter().zip(values(&module, expected)).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "{name}");
    }
}
