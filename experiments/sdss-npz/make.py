"""Writes an archive of the types of `sdss.npz` (Pasquet et al. 2019), with made-up values.

    python3 experiments/sdss-npz/make.py --galaxies 7 --height 4 --width 6 --out small.npz      # numpy 1.24 or later
    python3 experiments/sdss-npz/make.py --galaxies 30000 --out large.npz                       # 2.5 GB

`cube` has the shape (n, height, width, 5), float32; `labels` is an array of records of 64 columns. Pixel (y, x) of band
b of galaxy o is 1000 (o mod 1000) + 100 b + 10 y + x + 0.25. The file is written in pieces, as it may exceed memory.
"""

import argparse
import zipfile

import numpy as np

COLUMNS = [("specObjID", "<u8"), ("ra", "<f8"), ("dec", "<f8"), ("z", "<f4"), ("zErr", "<f4"), ("zphot", "<f4"),
           ("EBV", "<f4"), ("primtarget", "<i4"), ("class", "S6"), ("subClass", "<U4"), ("bestObjID", ">i8")]
COLUMNS += [(f"dered_petro_{band}", "<f4") for band in "ugriz"]
COLUMNS += [(f"petroMagErr_{band}", "<f4") for band in "ugriz"]
COLUMNS += [(f"extinction_{band}", "<f4") for band in "ugriz"]
COLUMNS += [(f"petroRad_{band}", "<f4") for band in "ugriz"]
COLUMNS += [("clean", "?"), ("offset", "<f4", (5,))]
COLUMNS += [(f"other_{number}", "<f4") for number in range(64 - len(COLUMNS))]
AT_ONCE = 256


def labels(count):
    table = np.zeros(count, dtype=COLUMNS)
    o = np.arange(count)
    # Identifiers of spectra of SDSS use 64 bits.
    table["specObjID"] = o.astype("u8") + np.uint64(2**63 + 1)
    table["ra"], table["dec"] = (o * 0.37) % 360, (o * 0.11) % 180 - 90
    table["z"] = 0.01 + (o % 300) / 1024
    table["zphot"] = -9
    table["class"], table["subClass"] = b"GALAXY", "é"
    for band, name in enumerate("ugriz"):
        table[f"dered_petro_{name}"] = 16 + o % 8 + 0.125 * band
        table[f"petroMagErr_{name}"] = 0.01
    return table


def cubes(start, stop, height, width):
    shape = (stop - start, height, width, 5)
    o, y, x, b = (np.arange(length, dtype="f4").reshape([-1 if at == axis else 1 for at in range(4)])
                  for axis, length in enumerate(shape))
    return np.broadcast_to((o + start) % 1000 * 1000 + 100 * b + 10 * y + x + 0.25, shape).astype("<f4")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--galaxies", type=int, required=True)
    parser.add_argument("--height", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--compressed", action="store_true", help="as numpy.savez_compressed")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    method = zipfile.ZIP_DEFLATED if options.compressed else zipfile.ZIP_STORED
    # numpy.savez writes each array like this, with zip64 records for arrays of any size.
    with zipfile.ZipFile(options.out, "w", method, allowZip64=True) as archive:
        with archive.open("cube.npy", "w", force_zip64=True) as file:
            shape = (options.galaxies, options.height, options.width, 5)
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
            for start in range(0, options.galaxies, AT_ONCE):
                stop = min(start + AT_ONCE, options.galaxies)
                file.write(cubes(start, stop, options.height, options.width).tobytes())
        with archive.open("labels.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array(file, labels(options.galaxies))


if __name__ == "__main__":
    main()
