#!/usr/bin/env python3
"""Makes the files in this folder: one small AstroMAE as trainings save it, and expected.json with the redshifts that
PyTorch computes in float64 for two images.

    python3 make_trainings.py           (made with PyTorch 2.15, timm 0.9.16, NumPy 2, safetensors 0.5)

The values of the weights do not matter. The objects around them do: optimizers, NumPy numbers, arguments, wrappers and
the classes of timm, as these libraries pickle them.
"""

import argparse
import datetime
import functools
import json
import os
import pathlib
import random
import sys

import numpy as np
import timm.layers
import torch
from safetensors.torch import save_model

FOLDER = pathlib.Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent / "golden"))

import astromae  # noqa: E402
import make_golden  # noqa: E402

SIZES = dict(
    image_size=16, patch_size=8, dim=8, depth=1, num_heads=4, hidden=16, pcm=(2, 1), inception=(4, (2, 2, 2, 2, 2)),
    features=6, joint=5,
)
HEADS = SIZES["num_heads"]


def make():
    generator = torch.Generator().manual_seed(7)
    model = astromae.ViT_Astro(**SIZES).eval()
    make_golden.randomise(model, generator)
    size = SIZES["image_size"]
    images = torch.randn(2, 5, size, size, generator=generator)
    magnitudes = 17 + 2 * torch.randn(2, 5, generator=generator)
    return model, images, magnitudes


def main():
    make_golden.place_classes_as_published()
    model, images, magnitudes = make()
    with torch.no_grad():
        expected = make()[0].double()(images.double(), magnitudes.double()).tolist()
    files = {}

    def save(name, content, error=None, **options):
        torch.save(content, FOLDER / name, **options)
        files[name] = {"error": error} if error else {"redshift": expected}

    optimizer = torch.optim.AdamW(model.head.parameters(), 1e-3)
    model(images, magnitudes).sum().backward()
    optimizer.step()
    model.load_state_dict(make()[0].state_dict())
    model.zero_grad()
    state = model.state_dict()
    everything = {
        "epoch": 3,
        "model": state,
        "optimizer": optimizer.state_dict(),
        "optimizer_object": optimizer,
        "scheduler": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10),
        "args": argparse.Namespace(lr=1e-3, eps=1e-8, num_heads=HEADS, out=pathlib.PurePosixPath("/out")),
        "best": np.float64(0.1),
        "history": np.arange(3.0),
        "random": {"python": random.getstate()[:1], "torch": torch.zeros(4, dtype=torch.uint8)},
        "seeds": [2**63, 2**70, -(2**64)],
        "date": datetime.datetime(2026, 1, 2, 3, 4, 5),
        "factory": functools.partial(torch.optim.AdamW, lr=0.1),
        "types": [torch.bfloat16, torch.device("cpu"), torch.Size([1]), {1, 2}, frozenset("ab"), 1j, b"\xff"],
        "scale": 0.396,
    }
    save("training.pt", everything)
    save("training_protocol_5.pt", everything, pickle_protocol=5)
    lightning = {f"model._orig_mod.{key}": value for key, value in state.items()}
    lightning["loss_fn.pos_weight"] = torch.ones(1)
    save("lightning.ckpt", {"state_dict": lightning, "hyper_parameters": {"num_heads": HEADS}, "loops": {}})

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29517")
    torch.distributed.init_process_group("gloo", rank=0, world_size=1)
    save("distributed.pt", torch.nn.parallel.DistributedDataParallel(model))

    ours = model.patch_embed.proj
    with_timm = make()[0]
    with_timm.patch_embed = timm.layers.PatchEmbed(16, 8, 5, SIZES["dim"])
    with_timm.patch_embed.proj = ours
    with_timm.blocks[0].mlp.act = timm.layers.activations.GELU()
    with_timm.blocks[0].drop_path = timm.layers.DropPath(0.1)
    save("timm_module.pt", with_timm)

    other = make()[0]
    other.concat_block[1] = torch.nn.GELU()
    save("gelu.pt", other, ["`concat_block.1`", "torch.nn.modules.activation.GELU", "ReLU"])
    save_model(model, FOLDER / "shared.safetensors", {"num_heads": str(HEADS)})
    files["shared.safetensors"] = {"redshift": expected}

    inputs = {"images": images.flatten().tolist(), "magnitudes": magnitudes.flatten().tolist()}
    (FOLDER / "expected.json").write_text(json.dumps({**inputs, "files": files}) + "\n")


if __name__ == "__main__":
    main()
