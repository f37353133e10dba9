# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "scipy", "matplotlib", "pillow"]
# ///
"""Compares the simulated sky with the real sky: see README.md beside this script.

Builds `cosmicai`. Input: a catalogue of real magnitudes and redshifts, and real cutouts. Output: figures in
the folder `--out` (default: the folder of this script), and numbers as JSON on standard output.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from scipy.stats import ks_2samp  # noqa: E402

import fit  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import provenance  # noqa: E402

PROGRAM = provenance.TARGET / "release/cosmicai"
BANDS = "ugriz"
PIXEL = 0.396


def simulate(*arguments):
    """Returns images, magnitudes and redshifts of a simulated partition."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "sky.pt"
        command = [PROGRAM, "simulate", "--out", out, "--format", "json"]
        subprocess.run([*command, *map(str, arguments)], check=True, capture_output=True)
        with zipfile.ZipFile(out) as archive:
            redshift = np.frombuffer(archive.read("archive/data/2"), "<f4")
            magnitudes = np.frombuffer(archive.read("archive/data/1"), "<f8").reshape(-1, 5)
            images = np.frombuffer(archive.read("archive/data/0"), "<f4")
    side = int(round((len(images) / len(redshift) / 5) ** 0.5))
    return images.reshape(-1, 5, side, side), magnitudes, redshift


def quantities(magnitudes, redshift):
    colours = magnitudes[:, :4] - magnitudes[:, 1:]
    names = [f"{a}−{b}" for a, b in zip(BANDS, BANDS[1:])]
    return {**{name: colours[:, i] for i, name in enumerate(names)}, "r": magnitudes[:, 2], "redshift": redshift}


def compare_catalogues(real, simulated, out):
    real, simulated = quantities(*real), quantities(*simulated)
    figure, axes = plt.subplots(2, 3, figsize=(12, 7))
    distances = {}
    for axis, name in zip(axes.flat, real):
        distance = ks_2samp(real[name], simulated[name])
        distances[name] = {"ks_distance": round(float(distance.statistic), 4), "p": float(f"{distance.pvalue:.2g}")}
        bins = np.linspace(*np.percentile(np.concatenate([real[name], simulated[name]]), [0.3, 99.7]), 50)
        axis.hist(real[name], bins, density=True, color="0.75", label="SDSS")
        axis.hist(simulated[name], bins, density=True, histtype="step", color="#0072b2", lw=1.5, label="simulated")
        axis.set_xlabel(name)
        axis.set_title(f"KS distance {distance.statistic:.3f}", fontsize=10)
    axes[0, 0].legend()
    figure.tight_layout()
    figure.savefig(out / "distributions.png", dpi=90)
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), sharex=True)
    edges = np.percentile(real["redshift"], np.linspace(0, 100, 16))
    middles = (edges[1:] + edges[:-1]) / 2
    for axis, name in zip(axes.flat, list(real)[:4]):
        for table, colour, label in ((real, "0.4", "SDSS"), (simulated, "#0072b2", "simulated")):
            bins = np.digitize(table["redshift"], edges[1:-1])
            track = np.array([np.percentile(table[name][bins == b], [10, 50, 90]) for b in range(15)])
            axis.plot(middles, track[:, 1], color=colour, label=f"{label}: median, 10th to 90th percentile")
            axis.fill_between(middles, track[:, 0], track[:, 2], color=colour, alpha=0.25, lw=0)
            axis.set_ylabel(name)
    for name in list(real)[:4]:
        medians = []
        for table in (real, simulated):
            bins = np.digitize(table["redshift"], edges[1:-1])
            medians.append([np.median(table[name][bins == b]) for b in range(15)])
        distances[name]["largest_median_difference"] = round(float(np.abs(np.subtract(*medians)).max()), 3)
    for axis in axes[1]:
        axis.set_xlabel("redshift")
    axes[0, 0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(out / "tracks.png", dpi=90)
    return distances


def shape(image):
    """Shape of a galaxy in one band: half-light radius in arcseconds, concentration r90/r50, surface brightness inside
    r50, and sky noise.
    """
    side = image.shape[-1]
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    radius = np.hypot(x, y)
    sky = image[radius > side / 2 - 2]
    level = np.median(sky)
    noise = 1.4826 * np.median(np.abs(sky - level))
    inside = np.arange(1, 26)
    growth = np.array([(image - level)[radius <= r].sum() for r in inside])
    total = growth.max()
    r50, r90 = (float(np.interp(share * total, np.maximum.accumulate(growth), inside)) for share in (0.5, 0.9))
    brightness = 22.5 - 2.5 * np.log10(max(0.5 * total, 1e-6) / (np.pi * (r50 * PIXEL) ** 2))
    return np.array([r50 * PIXEL, r90 / r50, brightness, noise])


def compare_images(real_images, magnitudes, redshift, out):
    names = ["half_light_radius_arcsec", "concentration_r90_r50", "surface_brightness_r50", "sky_noise_nanomaggies"]
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as catalogue:
        rows = np.column_stack([magnitudes, redshift])
        catalogue.write("u,g,r,i,z,redshift\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n")
        catalogue.flush()
        skies = [
            simulate("--catalogue", catalogue.name, "--image-size", 64, "--seed", seed)[0] for seed in range(500, 520)
        ]
    result = {}
    for band in (1, 2, 3):
        real = np.array([shape(image[band]) for image in real_images])
        simulated = np.array([[shape(image[band]) for image in sky] for sky in skies])
        result[BANDS[band]] = {
            name: {
                "real_median": round(float(np.median(real[:, i])), 4),
                "simulated_median": round(float(np.median(simulated[:, :, i])), 4),
                "real_within_simulated_90_percent": int(
                    sum(lo <= v <= hi for v, (lo, hi) in zip(real[:, i], np.percentile(simulated[:, :, i], [5, 95], 0).T))
                ),
            }
            for i, name in enumerate(names)
        }
    for band in (0, 4):
        noise = lambda images: float(np.median([shape(image[band])[3] for image in images]))  # noqa: E731
        result[BANDS[band]] = {
            "sky_noise_nanomaggies": {
                "real_median": round(noise(real_images), 4),
                "simulated_median": round(noise(np.concatenate(skies[:4])), 4),
            }
        }
    figure, axes = plt.subplots(6, len(redshift), figsize=(1.2 * len(redshift), 7.4))
    for k in range(len(redshift)):
        for line, (images, band) in enumerate([(i, b) for b in (1, 2, 3) for i in (real_images, skies[0])]):
            noise = [0.045, 0.0175, 0.029, 0.046, 0.185][band]
            axes[line, k].imshow(np.arcsinh(images[k, band] / noise / 2), cmap="gray", vmin=-1, vmax=4, origin="lower")
            axes[line, k].set_axis_off()
        axes[0, k].set_title(f"z = {redshift[k]:.3f}\nr = {magnitudes[k, 2]:.1f}", fontsize=8)
    figure.suptitle("g, r, i: real above, simulated below")
    figure.tight_layout()
    figure.savefig(out / "cutouts.png", dpi=70)
    with Image.open(out / "cutouts.png") as image:
        greys = image.convert("L").quantize(32)
    greys.save(out / "cutouts.png", optimize=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--catalogue", type=pathlib.Path, required=True)
    parser.add_argument("--cutouts", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent)
    options = parser.parse_args()
    provenance.build()
    table = fit.read(options.catalogue)
    chosen = (table[:, 5] >= 0.01) & (table[:, 2] < 17.85)
    _, magnitudes, redshift = simulate("--count", 20000, "--seed", 999)
    cutouts = np.load(options.cutouts)
    result = {
        "catalogue": compare_catalogues((table[chosen, :5], table[chosen, 5]), (magnitudes, redshift), options.out),
        "images": compare_images(cutouts["images"], cutouts["magnitudes"], cutouts["redshift"], options.out),
    }
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
