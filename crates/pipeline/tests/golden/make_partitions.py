#!/usr/bin/env python3
"""Writes the golden partitions of this folder, and expected.json with the values that PyTorch reads back from them.

    python3 make_partitions.py            (PyTorch 2.2.2, NumPy 1.26; later versions should work)

The files are small on purpose: three or four images of a few pixels, one of 64x64. For every file, expected.json has
its values in row-major order, or the words that the error message must contain.
"""

import json
import pathlib
import zlib

import numpy
import torch
from torch.utils.data import Subset, TensorDataset

FOLDER = pathlib.Path(__file__).parent
SEED = 20250101
BANDS, HEIGHT, WIDTH = 5, 4, 3

generator = torch.Generator().manual_seed(SEED)
expected = {}


def randn(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=generator, dtype=dtype)


def images(count=3):
    return randn(count, BANDS, HEIGHT, WIDTH)


def magnitudes(count=3, dtype=torch.float64):
    return 18 + 2 * randn(count, BANDS, dtype=dtype)


def redshift(count=3, dtype=torch.float32):
    return 0.1 + 0.05 * randn(count, dtype=dtype)


def crc32(tensor):
    return zlib.crc32(tensor.contiguous().numpy().tobytes())


def numbers(tensor):
    """Returns the values in row-major order. Float32 is converted to float64 exactly. NaN and infinity become text."""
    values = tensor.double().flatten().tolist()
    return [value if numpy.isfinite(value) else str(value) for value in values]


def good(name, *tensors, **options):
    torch.save(TensorDataset(*tensors), FOLDER / f"{name}.pt", **options)
    read = torch.load(FOLDER / f"{name}.pt", weights_only=False).tensors
    for saved, loaded in zip(tensors, read):
        assert crc32(saved) == crc32(loaded), name
    expected[name] = {
        "shape": list(read[0].shape),
        "magnitude_dtype": str(read[1].dtype).removeprefix("torch."),
        "redshift_dtype": str(read[2].dtype).removeprefix("torch.") if len(read) > 2 else None,
        "images_crc32": crc32(read[0]),
        "images": numbers(read[0]) if read[0].numel() <= 1000 else None,
        "magnitudes": numbers(read[1]),
        "redshift": numbers(read[2]) if len(read) > 2 else None,
    }


def rejected(name, content, *words, **options):
    torch.save(content, FOLDER / f"{name}.pt", **options)
    expected[name] = {"error": list(words)}


good("plain", images(), magnitudes(), redshift())
good("protocol_4", images(), magnitudes(), redshift(), pickle_protocol=4)
good("magnitudes_float32", images(), magnitudes(dtype=torch.float32), redshift())
good("redshift_float64_column", images(), magnitudes(), redshift(dtype=torch.float64).reshape(3, 1))
good("redshift_missing", images(), magnitudes())
good("images_64", randn(1, BANDS, 64, 64), magnitudes(1), redshift(1))

special = images()
special[0, 1, 2, 1] = float("nan")
special[1, 0, 0, 0] = float("inf")
special[2, 4, 3, 2] = -0.0
sentinel = magnitudes()
sentinel[1, 3] = -9999
good("special_values", special, sentinel, redshift())

good("channels_last", images().to(memory_format=torch.channels_last), magnitudes(), redshift())
good("transposed", randn(3, BANDS, WIDTH, HEIGHT).transpose(2, 3), magnitudes(), redshift())
innermost = randn(BANDS, HEIGHT, WIDTH, 9).permute(3, 0, 1, 2)
good("samples_innermost", innermost, randn(BANDS, 9, dtype=torch.float64).T, redshift(9))
good("slice", images(7)[2:5], magnitudes(7)[2:5], redshift(7)[2:5])
good("every_second", images(7)[::2], magnitudes(7)[::2], redshift(7)[::2])
good("cropped", randn(3, BANDS, 8, 8)[:, :, 2:6, 2:5], magnitudes(), redshift())
good("expanded", images(1).expand(4, -1, -1, -1), magnitudes(1).expand(4, -1), redshift(1).expand(4))
flat = randn(3 * BANDS * HEIGHT * WIDTH + 3 * BANDS + 3)
pixels, rest = flat[: 3 * BANDS * HEIGHT * WIDTH], flat[3 * BANDS * HEIGHT * WIDTH :]
good("one_storage", pixels.view(3, BANDS, HEIGHT, WIDTH), rest[:15].view(3, BANDS), rest[15:])

rejected("no_images", TensorDataset(images(0), magnitudes(0), redshift(0)), "no images")
rejected("four_bands", TensorDataset(images()[:, :4], magnitudes(), redshift()), "bands", "(3, 4, 4, 3)")
rejected("images_flat", TensorDataset(images().reshape(3, -1), magnitudes(), redshift()), "images", "(3, 60)")
rejected("images_float64", TensorDataset(images().double(), magnitudes(), redshift()), "images", "float64")
rejected("images_bfloat16", TensorDataset(images().bfloat16(), magnitudes(), redshift()), "images", "bfloat16")
rejected("magnitudes_int64", TensorDataset(images(), magnitudes().long(), redshift()), "magnitudes", "int64")
rejected("magnitudes_four", TensorDataset(images(), magnitudes()[:, :4], redshift()), "magnitudes", "(3, 4)")
rejected("redshift_two", TensorDataset(images(), magnitudes(), randn(3, 2)), "redshift", "(3, 2)")
short = TensorDataset(images(), magnitudes(), redshift())
short.tensors = (images(), magnitudes(2), redshift())
rejected("magnitudes_short", short, "magnitudes", "(2, 5)")
rejected("images_only", TensorDataset(images()), "1 tensor")
rejected("four_tensors", TensorDataset(images(), magnitudes(), redshift(), redshift()), "4 tensors")
rejected("dict", {"images": images(), "magnitudes": magnitudes()}, "TensorDataset", "a dict of 2")
rejected("subset", Subset(TensorDataset(images(), magnitudes()), [0, 1]), "torch.utils.data.dataset.Subset")
rejected("format_before_1_6", TensorDataset(images(), magnitudes()), "before 1.6", _use_new_zipfile_serialization=False)

class Script:
    """Malicious pickle that runs a command when it is loaded."""

    def __reduce__(self):
        import os

        return os.system, ("echo executed",)


rejected("os_system", Script(), ".system")

with open(FOLDER / "expected.json", "w") as file:
    lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(expected.items()))
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
print(f"{len(expected)} partitions, PyTorch {torch.__version__}, NumPy {numpy.__version__}")
