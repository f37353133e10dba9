# /// script
# requires-python = ">=3.9"
# dependencies = ["torch==2.2.2", "numpy<2", "safetensors>=0.4"]
# ///
"""Makes the golden files in this folder: small checkpoints of every form and kind of block, and the output of every layer
that PyTorch computes in float64. The seeds are fixed; the files were made with PyTorch 2.2.2. Run: `python make_golden.py`.
"""

import json
import pathlib
import sys
import types

import torch
from safetensors.torch import save_file

import astromae

HERE = pathlib.Path(__file__).parent
SMALL = dict(inception=(6, (3, 3, 2, 2, 2)), features=20, joint=12)
CASES = {
    # Two images for each case. The sizes differ, so that a size that is fixed in the code makes a test fail.
    "pcm": dict(image_size=16, patch_size=8, dim=24, depth=2, num_heads=3, hidden=48, pcm=(6, 1), **SMALL),
    "pcm3x3": dict(
        image_size=24, patch_size=6, dim=20, depth=3, num_heads=5, hidden=40, pcm=(4, 3), qkv_bias=None, **SMALL
    ),
    "plain": dict(
        image_size=16, patch_size=4, dim=18, depth=1, num_heads=2, hidden=50, pcm=None, qkv_bias="whole", **SMALL
    ),
}


def randomise(model, generator):
    """Draws weights and statistics for which every folded term changes the result."""
    for name, tensor in list(model.named_parameters()) + list(model.named_buffers()):
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var"):
            values = torch.rand(tensor.shape, generator=generator) + 0.5
        elif tensor.dim() > 1 and not name.endswith(("token", "embed")):
            values = torch.randn(tensor.shape, generator=generator) / tensor[0].numel() ** 0.5
        elif name.endswith("weight"):
            values = 1 + 0.2 * torch.randn(tensor.shape, generator=generator)
        else:
            values = 0.3 * torch.randn(tensor.shape, generator=generator)
        tensor.data.copy_(values)


def place_classes_as_published():
    """Moves the classes to the modules that pickles of published checkpoints refer to."""
    places = {
        "NormalCell": ["NormalCell", "Attention", "Mlp"],
        "blocks.photoz": ["ConvBlock", "InceptionBlock", "Input_Mix_Model"],
        "blocks.model_vit_inception": ["ViT_Astro"],
        "timm.models.layers.patch_embed": ["PatchEmbed"],
    }
    for module, names in places.items():
        # Pickling imports the module of a class, and with it every package above.
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            package = types.ModuleType(".".join(parts[:depth]))
            package.__path__ = []
            sys.modules.setdefault(package.__name__, package)
        for name in names:
            cls = getattr(astromae, name)
            cls.__module__ = module
            setattr(sys.modules[module], name, cls)


def main():
    place_classes_as_published()
    for seed, (name, sizes) in enumerate(CASES.items()):
        generator = torch.Generator().manual_seed(seed)
        model = astromae.ViT_Astro(**sizes).eval()
        randomise(model, generator)
        size = sizes["image_size"]
        images = torch.randn(2, 5, size, size, generator=generator)
        magnitudes = 17 + 2 * torch.randn(2, 5, generator=generator)

        state = {key: value.clone() for key, value in model.state_dict().items()}
        if name == "pcm":
            torch.save(nn_data_parallel(model), HERE / "pcm.pt")
        elif name == "pcm3x3":
            torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, HERE / "pcm3x3.pt")
            config = {"num_heads": sizes["num_heads"], "layer_norm_eps": 1e-6, "batch_norm_eps": 1e-5}
            (HERE / "pcm3x3.config.json").write_text(json.dumps(config) + "\n")
        else:
            save_file(state, HERE / "plain.safetensors", {"config.json": json.dumps({"num_heads": sizes["num_heads"]})})

        outputs = {"images": images, "magnitudes": magnitudes}
        with torch.no_grad():
            redshift = model.double()(
                images.double(), magnitudes.double(), lambda key, value: outputs.update({key: value.contiguous()})
            )
        outputs["redshift"] = redshift
        save_file(outputs, HERE / f"{name}.expected.safetensors", {"torch": torch.__version__, "seed": str(seed)})


def nn_data_parallel(model):
    parallel = torch.nn.DataParallel(model)
    parallel.device_ids = []
    return parallel


if __name__ == "__main__":
    main()
