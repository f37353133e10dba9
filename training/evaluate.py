"""Evaluates the demo model on the predictions of cosmicai: see README.md beside this script.

Builds `cosmicai`. Input: optionally a catalogue of real magnitudes and redshifts and real cutouts (neither
is used for training). Output: metrics of each data set and all residuals of the real cutouts, as JSON.
"""

import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "experiments"))
import provenance  # noqa: E402

PROGRAM = provenance.TARGET / "release/cosmicai"
SEEDS = (2025, 2026, 2027)


def cosmicai(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], check=True, stdout=subprocess.PIPE)
    return done.stdout


def evaluate(model, partition):
    """Returns the metrics of the model's predictions for a partition, and the predictions."""
    predictions = partition.with_suffix(".csv")
    cosmicai("predict", "--model", model, partition, "--out", predictions)
    scores = json.loads(cosmicai("metrics", predictions, "--format", "json"))["all"]
    with open(predictions, newline="") as lines:
        return scores, list(csv.DictReader(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "crates/cosmicai/models/demo.safetensors")
    parser.add_argument("--catalogue", type=pathlib.Path, help="CSV: u,g,r,i,z,redshift")
    parser.add_argument("--cutouts", type=pathlib.Path, help=".npz file of cutouts")
    options = parser.parse_args()
    provenance.build()
    report = {}
    with tempfile.TemporaryDirectory() as folder:
        partition = pathlib.Path(folder) / "sky.pt"
        for seed in SEEDS:
            cosmicai("simulate", "--count", 5000, "--seed", seed, "--out", partition)
            report[f"simulated sky, 5,000 galaxies, seed {seed}"] = evaluate(options.model, partition)[0]
        if options.catalogue:
            cosmicai("simulate", "--catalogue", options.catalogue, "--seed", SEEDS[0], "--out", partition)
            report["real magnitudes, simulated images"] = evaluate(options.model, partition)[0]
        if options.cutouts:
            cosmicai("ingest", options.cutouts, "--out", partition)
            scores, rows = evaluate(options.model, partition)
            residuals = [
                {"z_spec": float(row["z_spec"]), "z_phot": float(row["z_phot"])} for row in rows if row["z_spec"]
            ]
            for row in residuals:
                row["dz"] = (row["z_phot"] - row["z_spec"]) / (1 + row["z_spec"])
            report["real cutouts"] = {**scores, "residuals": residuals}
    print(json.dumps(report, indent=1))
    for option in ("catalogue", "cutouts"):
        if not getattr(options, option):
            print(f"real data not evaluated: pass --{option} FILE", file=sys.stderr)


if __name__ == "__main__":
    main()
