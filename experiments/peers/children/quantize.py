"""Quantises the ONNX file to int8 with NNCF (post-training quantisation, preset for transformers).

Input: a folder with model.onnx, calibration-images.npy and calibration-magnitudes.npy. Output: int8.xml and int8.bin.
"""

import json
import pathlib
import sys

import nncf
import numpy
import openvino


def main():
    folder = pathlib.Path(sys.argv[1])
    images, magnitudes = (numpy.load(folder / f"calibration-{name}.npy") for name in ("images", "magnitudes"))
    galaxies = [{"images": image[None], "magnitudes": row[None]} for image, row in zip(images, magnitudes)]
    quantized = nncf.quantize(
        openvino.Core().read_model(folder / "model.onnx"),
        nncf.Dataset(galaxies),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(galaxies),
    )
    openvino.save_model(quantized, folder / "int8.xml", compress_to_fp16=False)
    print(json.dumps({"nncf": nncf.__version__, "calibration_galaxies": len(galaxies)}))


if __name__ == "__main__":
    main()
