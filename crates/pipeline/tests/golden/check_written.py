#!/usr/bin/env python3
"""Checks with PyTorch the partitions that pipeline writes, and records their checksums in written.json.

    python3 check_written.py              (needs cargo and PyTorch 1.13 or later; tested with 2.2.2, NumPy 1.26, Python 3.11)

Runs the test that writes the partitions. Reads each with torch.load and with Python's zipfile, compares every
value bit for bit with the formulas of that test, and stores the length and CRC-32 of the files that passed.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import zipfile
import zlib

import numpy
import torch
from torch.utils.data import TensorDataset

HERE = pathlib.Path(__file__).parent
TEST = "written_bytes_match_those_checked_by_pytorch"
LAYOUTS = {
    "plain": (3, 4, 3, torch.float64, torch.float32),
    "without_redshift": (2, 3, 4, torch.float32, None),
    "redshift_float64": (1, 1, 1, torch.float32, torch.float64),
    "large": (400, 32, 32, torch.float64, torch.float32),
}


def check(path, samples, height, width, magnitude_dtype, redshift_dtype):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
    dataset = torch.load(path, weights_only=False)
    assert type(dataset) is TensorDataset and len(dataset) == samples
    images, magnitudes, *redshift = dataset.tensors
    assert images.shape == (samples, 5, height, width) and images.dtype == torch.float32
    assert magnitudes.shape == (samples, 5) and magnitudes.dtype == magnitude_dtype
    assert all(tensor.is_contiguous() for tensor in dataset.tensors)

    index = numpy.arange(images.numel(), dtype=numpy.uint64)
    bits = (index * 2654435761 % 2**32).astype(numpy.uint32)
    assert (images.numpy().view(numpy.uint32).ravel() == bits).all()
    index = numpy.arange(magnitudes.numel())
    assert (magnitudes.numpy().ravel() == 15 + index % 1000 / 64).all()
    if redshift_dtype is None:
        assert redshift == []
    else:
        assert redshift[0].shape == (samples,) and redshift[0].dtype == redshift_dtype
        assert (redshift[0].numpy() == numpy.arange(samples) % 977 / 4096).all()
    # Memory mapping works too.
    torch.load(str(path), mmap=True, weights_only=False)
    assert dataset[0][0].shape == (5, height, width)


with tempfile.TemporaryDirectory() as folder:
    command = ["cargo", "test", "--quiet", "--package", "pipeline", "--lib", TEST]
    environment = os.environ | {"WRITTEN_PARTITIONS": folder}
    output = subprocess.run(command, cwd=HERE, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    # cargo succeeds if no test has this name.
    assert "running 1 test" in output, f"the test `{TEST}` did not run:\n{output}"
    verdict = {}
    for name, layout in LAYOUTS.items():
        path = pathlib.Path(folder) / f"{name}.pt"
        check(path, *layout)
        verdict[name] = {"bytes": path.stat().st_size, "crc32": zlib.crc32(path.read_bytes())}
(HERE / "written.json").write_text(json.dumps(verdict, indent=2) + "\n")
print(f"{len(verdict)} partitions pass PyTorch {torch.__version__}, NumPy {numpy.__version__}")
