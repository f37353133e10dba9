"""Measures how bf16 and int8 change redshifts: see README.md beside this script. Needs only the standard library."""

import argparse
import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import provenance  # noqa: E402

SEEDS = (2025, 2026, 2027)
PRECISIONS = ("f32", "bf16", "int8")


def redshifts(path):
    with path.open() as file:
        return [float(row["z_phot"]) for row in csv.DictReader(file)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="number of galaxies per sky")
    parser.add_argument("--out", type=pathlib.Path, help="record to write")
    options = parser.parse_args()
    program, rows = provenance.build(), []

    def run(*command, isa=None):
        environment = os.environ | ({"COSMICAI_ISA": isa} if isa else {})
        done = subprocess.run([program, *map(str, command)], check=True, capture_output=True, env=environment)
        return json.loads(done.stdout) if "json" in command else None

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = folder / "demo.safetensors"
        run("model-init", "--demo", "--out", model)
        for seed in SEEDS:
            sky, exact = folder / "sky.pt", None
            run("simulate", "--count", options.count, "--seed", seed, "--out", sky)
            for isa in (None, "scalar"):
                for precision in PRECISIONS:
                    out = folder / "predictions.csv"
                    report = run(
                        *("predict", "--model", model, sky, "--precision", precision, "--out", out),
                        *("--format", "json"),
                        isa=isa,
                    )
                    scores = run("metrics", out, "--format", "json")["all"]["authors"]
                    z = redshifts(out)
                    if exact is None:
                        exact, z_exact = scores["nmad"], z
                    change = 100 * (scores["nmad"] / exact - 1)
                    moved = [abs(a - b) for a, b in zip(z, z_exact)]
                    row = {
                        "seed": seed,
                        "isa": report["isa"],
                        "precision": precision,
                        "nmad": scores["nmad"],
                        "nmad_change_percent": round(change, 3),
                        "r2": scores["r2"],
                        "z_moved_median": statistics.median(moved),
                        "z_moved_max": max(moved),
                    }
                    rows.append(row)
                    print("{seed} {isa:7} {precision:5} NMAD {nmad:.6f} ({nmad_change_percent:+.2f} %) R² {r2:.4f} "
                          "z change: median {z_moved_median:.1e}, max {z_moved_max:.1e}".format(**row), flush=True)
                    out.unlink()
            sky.unlink()
    record = {
        "question": "how bf16 and int8 change the demo model's redshifts of simulated galaxies outside its training set",
        "command": provenance.command(),
        "commit": provenance.commit(),
        "machine": provenance.describe(),
        "galaxies": options.count,
        "rows": rows,
    }
    if options.out:
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
