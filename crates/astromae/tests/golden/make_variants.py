# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.2", "timm==0.9.16", "numpy", "safetensors>=0.4"]
# ///
"""Makes golden files of models that lack some networks of AstroMAE, like `make_golden.py` makes those of the whole model:

- `no_magnitudes`: transformer and Inception network
- `transformer`: vision transformer of timm with a mean over the patches and one output
- `no_transformer`: Inception network and magnitudes (`uk_paper`)
- `inception`: Inception network (`Inception_only`)

The seeds are fixed. Run: `python make_variants.py`.
"""

import timm.models.vision_transformer
import torch
from safetensors.torch import save_file

import astromae
from make_golden import HERE, nn_data_parallel, place_classes_as_published, randomise

INCEPTION = dict(first=6, widths=(3, 3, 2, 2, 2), features=20, hidden=12)
TRANSFORMER = dict(image_size=16, patch_size=8, dim=24, depth=2, num_heads=3, hidden=48, pcm=(6, 1))


def transformer():
    """The blocks of timm have LayerNorm with eps 1e-6, GELU and a bias of q, k and v."""
    return timm.models.vision_transformer.VisionTransformer(
        img_size=24, patch_size=8, in_chans=5, num_classes=1, global_pool="avg", embed_dim=18, depth=2, num_heads=3,
        mlp_ratio=2,
    )


def run_transformer(model, images, observe):
    """Output of each layer of timm's model, computed by its own parts."""
    handles = [
        module.register_forward_hook(lambda _module, _input, output, name=name: observe(name, output))
        for name, module in [*((f"blocks.{i}", block) for i, block in enumerate(model.blocks)), ("vit", model.fc_norm)]
    ]
    handles.append(model.patch_drop.register_forward_hook(lambda _module, _input, output: observe("patch_embed", output)))
    redshift = model(images)
    for handle in handles:
        handle.remove()
    observe("vit_block", redshift)
    return redshift


def main():
    place_classes_as_published()
    inception = astromae.Input_Mix_Model
    whole = dict(inception=(6, INCEPTION["widths"]), features=20, joint=12)
    cases = {
        "no_magnitudes": (16, astromae.ViT_Astro(**TRANSFORMER, **whole, magnitude=False)),
        "transformer": (24, transformer()),
        "no_transformer": (24, inception(5, 24, **INCEPTION, uk_paper=True)),
        "inception": (16, inception(5, 16, **INCEPTION, Inception_only=True, magnitude=False)),
    }
    for seed, (name, (size, model)) in enumerate(cases.items(), start=100):
        model.eval()
        generator = torch.Generator().manual_seed(seed)
        randomise(model, generator)
        images = torch.randn(2, 5, size, size, generator=generator)
        magnitudes = 17 + 2 * torch.randn(2, 5, generator=generator)
        if name == "no_transformer":
            torch.save({"model": model.state_dict(), "epoch": 3}, HERE / f"{name}.pt")
        else:
            torch.save(nn_data_parallel(model) if name == "inception" else model, HERE / f"{name}.pt")

        outputs = {"images": images, "magnitudes": magnitudes}

        def observe(key, value):
            outputs[key] = value.detach().contiguous().clone()

        with torch.no_grad():
            model.double()
            if name == "transformer":
                redshift = run_transformer(model, images.double(), observe)
            else:
                redshift = model(images.double(), magnitudes.double(), observe)
        outputs["redshift"] = redshift.flatten()
        save_file(outputs, HERE / f"{name}.expected.safetensors", {"torch": torch.__version__, "seed": str(seed)})


if __name__ == "__main__":
    main()
