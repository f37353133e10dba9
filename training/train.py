# /// script
# requires-python = ">=3.9"
# dependencies = ["torch==2.2.2", "numpy==1.26.4", "safetensors==0.4.5"]
# ///
"""Trains the demo model, a small AstroMAE, on simulated galaxies: see README.md beside this script.

The script builds `cosmicai`, which simulates the galaxies. Output: a safetensors file that every cosmicai command
reads, and its metrics on galaxies that were not used for training, as JSON on standard output.
"""

import argparse
import copy
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "crates/astromae/tests/golden"))
import astromae  # noqa: E402

sys.path.insert(0, str(ROOT / "experiments"))
import provenance  # noqa: E402

# The published structure, with fewer and narrower layers.
SIZES = dict(
    image_size=32,
    patch_size=8,
    dim=64,
    depth=3,
    num_heads=4,
    hidden=128,
    pcm=(16, 1),
    inception=(16, (8, 8, 8, 8, 8)),
    features=128,
    joint=128,
)
# (sample, fraction of the galaxies, seed). Training uses seeds below 1,000; the demo and the tests use higher seeds.
SAMPLES = [("main", 0.75, 101), ("luminous-red", 0.13, 102), ("faint", 0.12, 103)]
VALIDATION = ("main", 5000, 901)
# Linear maps before and after the network. Saving folds them into its first and last layers. Flux is in units of twenty
# times the pixel flux of a typical galaxy in each band, so that the contribution of the blocks to a token outweighs the
# raw flux. Magnitudes are r and colours, centred. Redshift is relative to its mean.
FLUX_UNIT = 20 * torch.tensor([0.12, 0.4, 0.9, 1.3, 1.7])
# Maps the bands of an image, in these units, to brightness and colours. The colours u−g, g−r, r−i and i−z vary by a
# tenth of the flux between galaxies, and a network learns them slowly from the bands alone.
BANDS_TO_CONTRASTS = torch.tensor(
    [[0, 1 / 3, 1 / 3, 1 / 3, 0], [2, -2, 0, 0, 0], [0, 5, -5, 0, 0], [0, 0, 10, -10, 0], [0, 0, 0, 5, -5]]
)
MAGNITUDES_TO_COLOURS = torch.tensor(
    [[0, 0, 1, 0, 0], [1, -1, 0, 0, 0], [0, 1, -1, 0, 0], [0, 0, 1, -1, 0], [0, 0, 0, 1, -1]], dtype=torch.float64
)
COLOUR_MEAN = torch.tensor([17.0, 1.6, 0.85, 0.4, 0.28], dtype=torch.float64)
COLOUR_UNIT = torch.tensor([1.0, 0.35, 0.25, 0.08, 0.08], dtype=torch.float64)
REDSHIFT_MEAN, REDSHIFT_UNIT = 0.11, 0.06
BATCH_NORM_EPS = 1e-5


def simulate(sample, count, seed, folder):
    """Returns images (n, 5, 32, 32), magnitudes (n, 5) and redshifts (n) of a partition from `cosmicai simulate`."""
    path = pathlib.Path(folder) / f"{sample}-{seed}.pt"
    program = provenance.TARGET / "release/cosmicai"
    arguments = ["simulate", "--sample", sample, "--count", str(count), "--seed", str(seed), "--out", str(path)]
    subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL)
    # Unpickling is safe: cosmicai has just written the file.
    images, magnitudes, redshift = torch.load(path, weights_only=False).tensors
    path.unlink()
    return images, magnitudes.double(), redshift


def scaled(images, magnitudes):
    """Returns the scaled inputs of the network."""
    colours = (magnitudes @ MAGNITUDES_TO_COLOURS.T - COLOUR_MEAN) / COLOUR_UNIT
    contrasts = images.permute(0, 2, 3, 1) @ (BANDS_TO_CONTRASTS / FLUX_UNIT).T
    return contrasts.permute(0, 3, 1, 2), colours.float()


def augmented(images, magnitudes, is_recalibrated, generator):
    """Returns the galaxies rotated, mirrored and shifted, with small calibration errors if `is_recalibrated`."""
    turn, mirror = (int(torch.randint(n, (), generator=generator)) for n in (4, 2))
    images = torch.rot90(images, turn, (2, 3))
    if mirror:
        images = images.flip(3)
    if torch.rand((), generator=generator) < 0.25:
        shift = [int(torch.randint(-1, 2, (), generator=generator)) for _ in range(2)]
        images = torch.roll(images, shift, (2, 3))
    if is_recalibrated:
        images = images * (1 + 0.01 * torch.randn(len(images), 5, 1, 1, generator=generator))
        magnitudes = magnitudes + 0.005 * torch.randn(magnitudes.shape, generator=generator, dtype=torch.float64)
    return images, magnitudes


def new_model():
    model = astromae.ViT_Astro(**SIZES)
    for name, parameter in model.named_parameters():
        if name in ("cls_token", "pos_embed"):
            torch.nn.init.normal_(parameter, std=0.02)
    for module in model.modules():
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
        if isinstance(module, (astromae.Attention, astromae.Mlp)):
            for linear in (module.qkv, module.proj) if isinstance(module, astromae.Attention) else (module.fc2,):
                torch.nn.init.normal_(linear.weight, std=0.5 * linear.in_features**-0.5)
    for block in model.blocks:
        torch.nn.init.normal_(block.PCM[3].weight, std=0.02)
    torch.nn.init.normal_(model.concat_block[2].weight, std=0.01)
    with torch.no_grad():
        model.patch_embed.proj.weight.copy_(smooth_filters(model.patch_embed.proj.weight.shape))
        model.inception_model.conv2d_init.weight *= 20
    return model


def smooth_filters(shape):
    """Initial patch filters with low frequencies only: galaxies are smooth, and white filters would pick up noise."""
    size, frequencies = shape[-1], torch.arange(3.0)
    waves = torch.cos(math.pi * frequencies[:, None] * (torch.arange(size) + 0.5) / size)
    strength = torch.randn(*shape[:2], 3, 3) / (1 + frequencies[:, None] + frequencies)
    return 0.02 * torch.einsum("dbij,ix,jy->dbxy", strength, waves, waves)


class DenseConv(torch.nn.Conv2d):
    """A grouped 1×1 convolution as one matrix product with a block-diagonal matrix."""

    def forward(self, x):
        inputs, outputs = self.weight.shape[1], self.weight.shape[0] // self.groups
        weight = torch.block_diag(*self.weight.view(self.groups, outputs, inputs))
        return torch.nn.functional.linear(x.permute(0, 2, 3, 1), weight, self.bias).permute(0, 3, 1, 2)


class PooledConv(torch.nn.Conv2d):
    """A 1×1 convolution and the 2×2 mean pooling after it, in the cheaper order; both are linear."""

    def forward(self, x):
        return super().forward(torch.nn.functional.avg_pool2d(x, 2))


def trainable(model):
    """Returns an equivalent model with the same parameters that trains several times faster on a CPU.

    Batch norms are removed, and are the identity in the saved file: fluxes span four decades, and the few brightest
    galaxies would dominate the statistics of a batch.
    """
    for block in model.blocks:
        block.PCM[1] = torch.nn.Identity()
        block.PCM[0].__class__ = block.PCM[3].__class__ = DenseConv
    for module in model.modules():
        if isinstance(module, astromae.ConvBlock):
            module.bn = torch.nn.Identity()
    stages = model.inception_model.vis_inception
    stages[0].__class__ = PooledConv
    stages[1] = torch.nn.Identity()
    return model.to(memory_format=torch.channels_last)


def predict(model, images, magnitudes, batch=500):
    model.eval()
    with torch.inference_mode():
        parts = [
            model(*scaled(images[i : i + batch], magnitudes[i : i + batch])) for i in range(0, len(images), batch)
        ]
    return REDSHIFT_MEAN + REDSHIFT_UNIT * torch.cat(parts)


def metrics(z_phot, z_spec):
    z_phot, z_spec = z_phot.double().numpy(), z_spec.double().numpy()
    dz = (z_phot - z_spec) / (1 + z_spec)
    return {
        "rows": len(dz),
        "bias": float(dz.mean()),
        "nmad": float(1.48 * np.median(np.abs(dz - np.median(dz)))),
        "eta_0_15": float((np.abs(dz) > 0.15).mean()),
        "r2": float(1 - ((z_phot - z_spec) ** 2).mean() / z_spec.var()),
    }


def folded(model):
    """Returns a state dict with the linear maps folded in (in float64). Its inputs are nanomaggies and magnitudes."""
    state = {name: value.double().clone() for name, value in astromae.ViT_Astro(**SIZES).state_dict().items()}
    for name in [name for name in state if name.endswith("running_var")]:
        state[name.replace("running_var", "weight")] = (state[name] + BATCH_NORM_EPS).sqrt()
    state.update({name: value.double().clone() for name, value in model.state_dict().items()})
    for name in ("patch_embed.proj", "inception_model.conv2d_init", "inception_model.vis_inception.0"):
        weight = state[f"{name}.weight"]
        state[f"{name}.weight"] = torch.einsum("dcxy,cb->dbxy", weight, (BANDS_TO_CONTRASTS / FLUX_UNIT).double())
    first = state["inception_model.magnitude_block.0.weight"] / COLOUR_UNIT
    state["inception_model.magnitude_block.0.bias"] -= first @ COLOUR_MEAN
    state["inception_model.magnitude_block.0.weight"] = first @ MAGNITUDES_TO_COLOURS
    state["concat_block.2.weight"] *= REDSHIFT_UNIT
    state["concat_block.2.bias"] = REDSHIFT_MEAN + REDSHIFT_UNIT * state["concat_block.2.bias"]
    return {
        name: value.float().contiguous() for name, value in state.items() if not name.endswith("num_batches_tracked")
    }


def unfolded(state):
    """Inverts `folded`, without the constant entries, for training that starts from a file."""
    state = {name: value.double() for name, value in state.items()}
    contrasts_to_bands = torch.linalg.inv((BANDS_TO_CONTRASTS / FLUX_UNIT).double())
    for name in ("patch_embed.proj", "inception_model.conv2d_init", "inception_model.vis_inception.0"):
        state[f"{name}.weight"] = torch.einsum("dbxy,bc->dcxy", state[f"{name}.weight"], contrasts_to_bands)
    first = state["inception_model.magnitude_block.0.weight"] @ torch.linalg.inv(MAGNITUDES_TO_COLOURS)
    state["inception_model.magnitude_block.0.bias"] += first @ COLOUR_MEAN
    state["inception_model.magnitude_block.0.weight"] = first * COLOUR_UNIT
    state["concat_block.2.bias"] = (state["concat_block.2.bias"] - REDSHIFT_MEAN) / REDSHIFT_UNIT
    state["concat_block.2.weight"] /= REDSHIFT_UNIT
    return {name: value.float() for name, value in state.items()}


def save(model, path):
    config = {"num_heads": SIZES["num_heads"], "layer_norm_eps": 1e-6, "batch_norm_eps": BATCH_NORM_EPS}
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_file(folded(model), path, {"config.json": json.dumps(config)})


def check_saved(path, model, images, magnitudes):
    """Checks that the saved file in the reference model gives the predictions of the trained model."""
    reference = astromae.ViT_Astro(**SIZES)
    missing = reference.load_state_dict(load_file(path), strict=False).missing_keys
    assert all(name.endswith("num_batches_tracked") for name in missing), missing
    with torch.inference_mode():
        expected = reference.eval()(images, magnitudes.float())
    difference = (predict(model, images, magnitudes) - expected).abs().max().item()
    assert difference < 2e-5, f"the saved model differs by {difference}"


def train(model, data, steps, highest_rate, is_recalibrated, batch_size, generator, report):
    """Trains the model; returns the running average of its weights. Calls `report` with the average every 250 steps."""
    images, magnitudes, redshift = data
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=highest_rate, weight_decay=0.01)
    order = []
    for step in range(steps):
        rate = highest_rate * min(1, step / 300) * 0.5 * (1 + math.cos(math.pi * step / steps)) + 1e-6
        for group in optimizer.param_groups:
            group["lr"] = rate
        if len(order) < batch_size:
            order = torch.randperm(len(images), generator=generator)
        chosen, order = order[:batch_size], order[batch_size:]
        batch = augmented(images[chosen], magnitudes[chosen], is_recalibrated, generator)
        truth = redshift[chosen]
        model.train()
        error = (REDSHIFT_MEAN + REDSHIFT_UNIT * model(*scaled(*batch)) - truth) / (1 + truth)
        loss = torch.nn.functional.huber_loss(error / 0.02, torch.zeros_like(error), delta=1.5)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        keep = min(0.999, (step + 1) / (step + 10))
        with torch.no_grad():
            for ours, theirs in zip(average.state_dict().values(), model.state_dict().values()):
                if ours.is_floating_point():
                    ours.lerp_(theirs, 1 - keep)
        if (step + 1) % 250 == 0 or step + 1 == steps:
            report(average, step + 1, loss.item())
    return average


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=provenance.TARGET / "demo.safetensors", type=pathlib.Path)
    parser.add_argument("--start", type=pathlib.Path, help="file from this script to start from")
    parser.add_argument("--galaxies", default=160_000, type=int, help="number of simulated galaxies to train on")
    parser.add_argument("--steps", default=5_000, type=int, help="training steps with added calibration errors")
    parser.add_argument("--polish", default=2_500, type=int, help="further steps without them, at a lower rate")
    parser.add_argument("--batch", default=256, type=int)
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--threads", default=1, type=int, help="1 is fastest if other programs run as well")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)

    provenance.build()
    with tempfile.TemporaryDirectory() as folder:
        parts = [simulate(sample, int(share * options.galaxies), seed, folder) for sample, share, seed in SAMPLES]
        held_out = simulate(*VALIDATION, folder)
    images, magnitudes, redshift = (torch.cat(tensors) for tensors in zip(*parts))
    del parts

    model = trainable(new_model())
    if options.start:
        missing = model.load_state_dict(unfolded(load_file(options.start)), strict=False).missing_keys
        assert not missing, missing
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{parameters} parameters, {len(images)} galaxies", file=sys.stderr)
    started = time.monotonic()

    def report_progress(average, step, loss):
        scores = metrics(predict(average, held_out[0], held_out[1]), held_out[2])
        seconds = time.monotonic() - started
        print(f"step {step}, {seconds:.0f} s, loss {loss:.4f}: {json.dumps(scores)}", file=sys.stderr)
        save(average, options.out)

    data = (images, magnitudes, redshift)
    for steps, rate, is_recalibrated in ((options.steps, 2e-3, True), (options.polish, 1e-3, False)):
        model = train(model, data, steps, rate, is_recalibrated, options.batch, generator, report_progress)
    average = model
    check_saved(options.out, average, held_out[0][:256], held_out[1][:256])
    report = {
        "parameters": parameters,
        "galaxies": len(images),
        "steps": options.steps + options.polish,
        "seconds": time.monotonic() - started,
        "validation": metrics(predict(average, held_out[0], held_out[1]), held_out[2]),
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
