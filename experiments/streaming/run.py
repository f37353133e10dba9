# /// script
# requires-python = ">=3.9"
# dependencies = []
# ///
"""Measures how long a prediction waits for data from disk and from slow storage: see README.md beside this script."""

import argparse
import datetime
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import slow_store

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import provenance  # noqa: E402



def predict(program, model, partition, out):
    """Predicts one partition and returns the program's report."""
    command = [program, "predict", "--format", "json", "--model", model, partition, "--out", out]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(program, folder, address, pairs):
    runs = {"disk": [], "slow": []}
    for pair in range(pairs):
        # Alternate the order within a pair.
        order = ["disk", "slow"] if pair % 2 == 0 else ["slow", "disk"]
        for source in order:
            partition = folder / "sky.pt" if source == "disk" else f"{address}/sky.pt"
            out = folder / f"{source}.csv"
            runs[source].append(predict(program, folder / "model.safetensors", partition, out))
        answers = [(folder / f"{source}.csv").read_text().splitlines()[1:] for source in runs]
        columns = [[line.split(",")[1:] for line in lines] for lines in answers]
        assert columns[0] == columns[1], "redshifts from disk and from storage differ"
    return runs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--galaxies", type=int, default=5_000, help="number of galaxies, 20,520 bytes each")
    parser.add_argument("--latency-ms", type=float, default=20)
    parser.add_argument("--mb-per-s", type=float, default=90)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path, help="record to write")
    arguments = parser.parse_args()
    program = provenance.build()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([program, "model-init", "--out", folder / "model.safetensors"], check=True)
        count = str(arguments.galaxies)
        subprocess.run([program, "simulate", "--count", count, "--out", folder / "sky.pt"], check=True)
        address = slow_store.serve(folder, arguments.latency_ms / 1e3, arguments.mb_per_s * 1e6)
        runs = measure(program, folder, address, arguments.pairs)
        partition_bytes = (folder / "sky.pt").stat().st_size
    print(f"{'source':6}{'wall s':>10}{'opening s':>12}{'waiting s':>12}{'of wall':>10}{'images/s':>10}{'peak MB':>10}")
    for source, reports in runs.items():
        median = lambda of: statistics.median(of(report) for report in reports)  # noqa: E731
        seconds, opening, waiting = (
            median(lambda r: r["seconds"]), median(lambda r: r["phases"]["list"]), median(lambda r: r["phases"]["read"]))
        rate, peak = median(lambda r: r["images_per_s"]), max(r["memory_peak_mb"] for r in reports)
        print(f"{source:6}{seconds:10.2f}{opening:12.3f}{waiting:12.3f}{waiting / seconds:10.1%}{rate:10.0f}{peak:10.0f}")
    if arguments.out:
        record = {
            "what": "time that a prediction waits for data from disk and from slow storage",
            "command": provenance.command(),
            "date": datetime.date.today().isoformat(),
            "commit": provenance.commit(),
            "machine": provenance.describe(),
            "latency_ms": arguments.latency_ms,
            "mb_per_s": arguments.mb_per_s,
            "partition_bytes": partition_bytes,
            "runs": {
                source: [{key: value for key, value in r.items() if key not in ("out", "failed")} for r in reports]
                for source, reports in runs.items()
            },
        }
        arguments.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
