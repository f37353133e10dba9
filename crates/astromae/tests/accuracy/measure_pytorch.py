# /// script
# requires-python = ">=3.9"
# dependencies = ["torch", "numpy", "safetensors>=0.4"]
# ///
"""Makes pytorch.csv: redshifts of the twenty models of the test `accuracy`, in float64 and in float32 by PyTorch.

    python crates/astromae/tests/accuracy/measure_pytorch.py     # three minutes; needs cargo and 1.4 GB in /tmp
"""

import csv
import pathlib
import platform
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "golden"))
import astromae  # noqa: E402


def main():
    with tempfile.TemporaryDirectory() as folder, open(HERE / "pytorch.csv", "w") as table:
        folder = pathlib.Path(folder)
        command = ["cargo", "run", "--quiet", "--package", "astromae", "--example", "accuracy_models", folder]
        subprocess.run(command, check=True, cwd=HERE)
        cpu = torch.backends.cpu.get_cpu_capability()
        table.write(f"# PyTorch {torch.__version__} on {platform.machine()} with {cpu}, all galaxies in one batch\n")
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(("model", "galaxy", "float64", "float32"))
        for index in range(len(list(folder.glob("*.galaxies.safetensors")))):
            model = astromae.load(folder / f"{index}.safetensors")
            galaxies = load_file(folder / f"{index}.galaxies.safetensors")
            images, magnitudes = galaxies["images"], galaxies["magnitudes"]
            single = model(images, magnitudes)
            double = model.double()(images.double(), magnitudes.double())
            error = (single.double() - double).abs()
            print(f"model {index}: spread {double.std():.3g}, mean error {error.mean():.3g}, largest {error.max():.3g}")
            for galaxy, (exact, rounded) in enumerate(zip(double.tolist(), single.tolist())):
                rows.writerow((index, galaxy, f"{exact:.12g}", f"{rounded:.9g}"))


if __name__ == "__main__":
    main()
