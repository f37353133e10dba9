"""Writes the inputs of the peers: images and magnitudes as arrays, float64 redshifts, TorchScript and ONNX.

Input: a folder with model.safetensors, sky.pt and calibration.pt. Output, in the same folder: images.npy,
magnitudes.npy (float32), calibration-images.npy, calibration-magnitudes.npy, exact.json, frozen.ts, model.onnx (opset 17, dynamic
batch).
"""

import inspect
import json
import pathlib
import sys

import definition
import numpy
import torch

OPSET = 17


class TwoInputs(torch.nn.Module):
    """The model without its argument `observe`, which exporters do not support."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images, magnitudes):
        return self.model(images, magnitudes)


def tensors(partition):
    """Reads images and magnitudes. Unpickling is safe: cosmicai wrote the file, and it has only a TensorDataset."""
    images, magnitudes = torch.load(partition, weights_only=False).tensors[:2]
    return images.float(), magnitudes


def main():
    folder = pathlib.Path(sys.argv[1])
    images, magnitudes = tensors(folder / "sky.pt")
    model = definition.load(folder / "model.safetensors")
    with torch.inference_mode():
        parts = zip(images.double().split(64), magnitudes.double().split(64))
        exact = torch.cat([model.double()(*part) for part in parts])
    (folder / "exact.json").write_text(json.dumps(exact.tolist()))
    model, magnitudes = TwoInputs(model.float()).eval(), magnitudes.float()
    numpy.save(folder / "images.npy", images.numpy())
    numpy.save(folder / "magnitudes.npy", magnitudes.numpy())
    for name, values in zip(("images", "magnitudes"), tensors(folder / "calibration.pt")):
        numpy.save(folder / f"calibration-{name}.npy", values.float().numpy())

    example = (images[:2], magnitudes[:2])
    with torch.no_grad():
        torch.jit.freeze(torch.jit.trace(model, example)).save(str(folder / "frozen.ts"))
        options = {
            "input_names": ["images", "magnitudes"],
            "output_names": ["redshift"],
            "opset_version": OPSET,
            "dynamic_axes": {name: {0: "batch"} for name in ("images", "magnitudes", "redshift")},
        }
        if "dynamo" in inspect.signature(torch.onnx.export).parameters:
            options["dynamo"] = False  # The exporter that old versions also have; runtimes fuse its graphs as well.
        torch.onnx.export(model, example, str(folder / "model.onnx"), **options)
    print(json.dumps({"torch": torch.__version__, "opset": OPSET}))


if __name__ == "__main__":
    main()
