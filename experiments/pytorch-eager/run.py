# /// script
# requires-python = ">=3.9"
# dependencies = ["torch==2.2.2", "numpy<2", "safetensors>=0.4"]
# ///
"""Images per second of the engine and of PyTorch eager, pair by pair in one run: see README.md beside this script."""

import argparse
import csv
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "crates/astromae/tests/golden"))
import astromae  # noqa: E402


def build():
    """Paths of the program and of the engine's benchmark."""
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "cosmicai"], cwd=ROOT, check=True)
    command = ["cargo", "bench", "--quiet", "-p", "astromae", "--bench", "predict", "--no-run", "--message-format=json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    artifacts = [json.loads(line) for line in lines]
    bench = next(a["executable"] for a in artifacts if a.get("target", {}).get("name") == "predict" and a["executable"])
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release/cosmicai", bench


def pytorch_rate(model, images, magnitudes, seconds):
    with torch.inference_mode():
        model(images, magnitudes)
        start, done = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            model(images, magnitudes)
            done += len(images)
        return done / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    parser.add_argument("--out", type=pathlib.Path, help="record to write")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    program, bench = build()

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        weights, sky, catalogue = folder / "model.safetensors", folder / "sky.pt", folder / "sky.csv"
        run = lambda *command: subprocess.run([program, *command], check=True, capture_output=True)
        run("model-init", "--out", weights)
        run("simulate", "--count", str(arguments.batch), "--out", sky)
        run("predict", "--model", weights, sky, "--out", catalogue)
        ours = torch.tensor([float(row["z_phot"]) for row in csv.DictReader(catalogue.open())], dtype=torch.float64)

        images, magnitudes, _ = torch.load(sky).tensors
        model = astromae.ViT_Astro().eval()
        missing = model.load_state_dict(load_file(weights), strict=False).missing_keys
        assert all(name.endswith("num_batches_tracked") for name in missing), missing
        with torch.inference_mode():
            exact = model.double()(images.double(), magnitudes.double())
        error = float(((ours - exact) / exact).abs().max())
        assert error <= 1e-5, f"the answers differ by {error}"
        model, magnitudes = model.float(), magnitudes.float()

        pairs = []
        for _ in range(arguments.pairs):
            options = ["--threads", arguments.threads, "--batch", arguments.batch, "--seconds", arguments.seconds]
            command = [bench, weights, *map(str, options)]
            engine = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            eager = pytorch_rate(model, images, magnitudes, arguments.seconds)
            pairs.append({"engine": engine["images_per_s"], "pytorch": eager, "percent_of_peak": engine["percent_of_peak"]})
            print(f"{engine['images_per_s']:7.1f} {eager:7.1f} images/s: {engine['images_per_s'] / eager:.2f} x", flush=True)

    ratios = sorted(pair["engine"] / pair["pytorch"] for pair in pairs)
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    record = {
        "question": "engine against PyTorch eager, float32, images per second, pair by pair",
        "command": "python experiments/pytorch-eager/run.py " + " ".join(sys.argv[1:]),
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip(),
        "machine": {"cpu": cpu, "cores": os.cpu_count(), "system": platform.platform(), "isa": engine["isa"]},
        "pytorch": torch.__version__,
        "threads": arguments.threads,
        "batch": arguments.batch,
        "largest_relative_difference_from_float64": error,
        "ratio": {"min": ratios[0], "median": statistics.median(ratios), "max": ratios[-1]},
        "pairs": pairs,
    }
    print(f"ratio: min {ratios[0]:.2f}, median {statistics.median(ratios):.2f}, max {ratios[-1]:.2f}")
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
