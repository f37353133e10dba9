"""Makes a catalogue with PyTorch as a typical user script does: from a partition on disk to a CSV file of redshifts.

Arguments: a folder with model.safetensors, a partition, the output file, the number of threads, and the fastest setting
and batch of `pytorch.py`. `torch.load` reads the whole partition into memory.
"""

import concurrent.futures
import csv
import json
import pathlib
import sys

import pytorch
import torch


def main():
    folder, partition, out = map(pathlib.Path, sys.argv[1:4])
    threads, setting, batch = int(sys.argv[4]), json.loads(sys.argv[5]), int(sys.argv[6])
    peer = pytorch.PyTorch(setting["form"], folder, threads)
    predictors, _ = peer.load(setting, batch)
    images, magnitudes, redshift = torch.load(partition, weights_only=False).tensors

    def predict(images, magnitudes):
        return predictors[0](images.to(memory_format=pytorch.LAYOUTS[setting["layout"]]), magnitudes.float())

    with concurrent.futures.ThreadPoolExecutor(len(predictors)) as pool:
        predicted = torch.cat(list(pool.map(predict, images.split(batch), magnitudes.split(batch))))
    with open(out, "w", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(["row", "z_phot", "z_spec"])
        rows.writerows(zip(range(len(predicted)), predicted.tolist(), redshift.flatten().tolist()))


if __name__ == "__main__":
    main()
