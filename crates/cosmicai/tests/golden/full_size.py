# /// script
# requires-python = ">=3.9"
# dependencies = ["torch==2.2.2", "numpy<2", "safetensors>=0.4"]
# ///
"""Write full_size.json in the folder of this script: redshifts that PyTorch computes in float64 at the published size.

    cosmicai model-init --seed 1 --out model.safetensors
    python crates/cosmicai/tests/golden/full_size.py model.safetensors

`full_size.rs` makes the same weights and galaxies and compares the redshifts. Both compute the galaxies from integers
with + - * / in float64, which IEEE 754 rounds equally on every machine. SHA-256 sums show that the weights, pixels and
magnitudes are equal.
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "astromae/tests/golden"))
import astromae  # noqa: E402

GALAXIES, BANDS, SIZE = 17, 5, 32


def uniform(index):
    """Return a pseudorandom number from 0 to 1 for each index, with the finalizer of MurmurHash3."""
    x = np.asarray(index, dtype=np.uint32)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return (x ^ (x >> np.uint32(16))) / 4294967296.0


def galaxies():
    """Return pixels (n, bands, size, size) in float32 and magnitudes (n, bands) in float64."""
    first = GALAXIES * BANDS * SIZE * SIZE  # Indices below `first` are for the noise of the pixels.
    shape = np.arange(GALAXIES)[:, None, None, None]
    band = np.arange(BANDS)[:, None, None]
    line, column = np.arange(SIZE)[:, None], np.arange(SIZE)
    x = column - 15.5 + 4.0 * (uniform(first + 5 * shape) - 0.5)
    y = line - 15.5 + 4.0 * (uniform(first + 5 * shape + 1) - 0.5)
    squared_radius = x * x + (0.3 + uniform(first + 5 * shape + 2)) * (y * y)
    spread = 1.0 + squared_radius / (1.0 + 40.0 * uniform(first + 5 * shape + 3))
    light = uniform(first + 5 * shape + 4)
    peak = (0.2 + 60.0 * (light * light)) * (1.0 + band) / 5.0
    pixel = ((shape * BANDS + band) * SIZE + line) * SIZE + column
    images = peak / (spread * spread) + 0.2 * (uniform(pixel) - 0.5)
    bands = np.arange(GALAXIES * BANDS).reshape(GALAXIES, BANDS)
    magnitudes = 14.0 + 6.0 * uniform(first + 5 * GALAXIES + bands)
    return images.astype(np.float32), magnitudes


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def main():
    weights = pathlib.Path(sys.argv[1])
    images, magnitudes = galaxies()
    model = astromae.load(weights).double()
    # The network takes magnitudes in float32.
    inputs = torch.from_numpy(images).double(), torch.from_numpy(magnitudes.astype(np.float32)).double()
    golden = {
        "command": "python crates/cosmicai/tests/golden/full_size.py model.safetensors",
        "weights": "cosmicai model-init --seed 1 --out model.safetensors",
        "torch": torch.__version__,
        "weights_sha256": sha256(weights.read_bytes()),
        "pixels_sha256": sha256(images.astype("<f4").tobytes()),
        "magnitudes_sha256": sha256(magnitudes.astype("<f8").tobytes()),
        "redshifts": model(*inputs).tolist(),
    }
    (HERE / "full_size.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
