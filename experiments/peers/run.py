"""Compares cosmicai with all peers, pair by pair in one run: see README.md beside this script.

Needs Python 3.11 or later and its standard library. The script creates separate Python environments for the peers.
"""

import argparse
import fcntl
import json
import os
import pathlib
import shutil
import sys

import environments
import measure
import processes
import table
import whole_runs
from contestants import Engine, Peer
from processes import Unavailable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import provenance  # noqa: E402

# Galaxies of each partition that is simulated: as many as the largest batch, as NNCF asks for, one to start with, and
# 100 MB as docs/formats/partitions.md counts them.
PARTITIONS = {"sky": 512, "calibration": 300, "one": 1, "partition": 5113}
RELATIVE_ERROR_MAX = {"ours": 1e-5, "peer": 1e-4}  # In float32; errors of other precisions are only recorded.

# Name of each peer, and its environment, its script in children/ and the variant of the script.
PEERS = {
    "PyTorch eager f32": ("pytorch", "pytorch.py", "eager"),
    "PyTorch TorchScript f32": ("pytorch", "pytorch.py", "torchscript"),
    "PyTorch compile f32": ("pytorch", "pytorch.py", "compile"),
    "ONNX Runtime f32": ("runtimes", "onnx_runtime.py", "f32"),
    "OpenVINO f32": ("runtimes", "openvino_runtime.py", "f32"),
    "PyTorch bf16": ("pytorch", "pytorch.py", "bf16"),
    "OpenVINO bf16": ("runtimes", "openvino_runtime.py", "bf16"),
    "OpenVINO int8": ("runtimes", "openvino_runtime.py", "int8"),
}
COMPARISONS = [("cosmicai " + name.split()[-1], name) for name in PEERS] + [
    ("cosmicai bf16", "cosmicai f32"),
    ("cosmicai int8", "cosmicai bf16"),
]


def main():
    options = arguments()
    with exclusive(options.environments):
        run = Run(options, options.program or provenance.build())
        run.make_environments()
        try:
            run.make_inputs()
        except Unavailable as reason:
            sys.exit(f"nothing to compare: {reason}")
        for names in COMPARISONS:
            if not options.only or any(word in " ".join(names) for word in options.only):
                run.compare(*names)
        if not options.skip_whole_runs:
            run.compare_whole_runs()
    print(table.text(run.record))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=3, help="duration of each measurement of a pair")
    parser.add_argument("--scan-seconds", type=float, default=1, help="duration of each measurement of the scan")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 64, 128, 256, 512])
    parser.add_argument("--only", nargs="+", metavar="WORD", help="run only comparisons with such a word in their names")
    parser.add_argument("--skip-whole-runs", action="store_true", help="skip the start-up and end-to-end measurements")
    parser.add_argument("--environments", type=pathlib.Path, default=provenance.TARGET / "peers")
    parser.add_argument("--pytorch-python", type=pathlib.Path, help="Python interpreter that has PyTorch and NumPy")
    parser.add_argument("--program", type=pathlib.Path, help="built cosmicai program (default: build it)")
    parser.add_argument("--out", type=pathlib.Path, help="record to write; updated after each step")
    options = parser.parse_args()
    options.environments = options.environments.absolute()
    if max(options.batches) > PARTITIONS["sky"]:
        parser.error(f"--batches: at most {PARTITIONS['sky']} galaxies per batch, not {max(options.batches)}")
    return options


def exclusive(folder):
    """Locks the folder: two runs at once would disturb each other's measurements and overwrite each other's inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another run uses {folder}: wait until it ends")
    return lock


def say(text):
    print(text, file=sys.stderr, flush=True)


class Run:
    """The record so far, and the contestants."""

    def __init__(self, options, program):
        self.options, self.program, self.folder = options, program, options.environments / "inputs"
        self.pythons, self.contestants, self.exact = {}, {}, []
        self.record = {
            "question": "images per second of cosmicai and its peers, measured in pairs",
            "command": provenance.command(),
            "commit": provenance.commit(),
            "machine": provenance.describe(),
            "threads": options.threads,
            "seconds": options.seconds,
            "versions": {},
            "contestants": {},
            "comparisons": [],
            "left_out": {},
        }

    def save(self):
        if self.options.out:
            self.options.out.write_text(json.dumps(self.record, indent=1) + "\n")

    def leave_out(self, name, reason):
        self.record["left_out"][name] = str(reason)
        say(f"left out: {name}: {reason}")
        self.save()

    def make_environments(self):
        for family in environments.FAMILIES:
            try:
                made = environments.prepare(self.options.environments, family, self.options.pytorch_python)
                self.pythons[family] = made
            except Unavailable as reason:
                self.leave_out(f"environment {family}", reason)
        if "pytorch" not in self.pythons:
            sys.exit("cannot compare: PyTorch, which makes the float64 results and the ONNX file, is not available")

    def make_inputs(self):
        """Makes the weights and galaxies that all contestants share, and the exported models."""
        say("making weights, galaxies and exported models")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        processes.run([self.program, "model-init", "--out", self.folder / "model.safetensors"])
        for seed, (name, count) in enumerate(PARTITIONS.items(), start=1):
            options = ["--count", count, "--seed", seed, "--out", self.folder / f"{name}.pt"]
            processes.run([self.program, "simulate", *options])
        self.convert("pytorch", "export.py")
        self.exact = json.loads((self.folder / "exact.json").read_text())

    def convert(self, family, script):
        finished = processes.run([self.pythons[family], processes.CHILDREN / script, self.folder])
        self.record["versions"].update(json.loads(finished.output.splitlines()[-1]))

    def contestant(self, name):
        if name not in PEERS:
            return Engine(self.program, self.folder, name.split()[-1], self.options.threads)
        family, script, variant = PEERS[name]
        if family not in self.pythons:
            raise Unavailable(f"environment {family} was not made")
        if variant == "int8":
            self.convert(family, "quantize.py")
        # Cache of compiled models, for the start-up measurements.
        caches = self.options.environments / "caches"
        variables = {"TORCHINDUCTOR_CACHE_DIR": caches / "inductor", "OPENVINO_CACHE_DIR": caches / "openvino"}
        return Peer(self.pythons[family], script, variant, self.folder, self.options.threads, variables)

    def prepare(self, name):
        """Finds the contestant's best setting and checks its redshifts. Called once per contestant."""
        say(f"{name}: searching for the best setting")
        contestant = self.contestant(name)
        try:
            choice = measure.best(contestant, self.options.batches, self.options.scan_seconds)
            contestant.load(choice["setting"], choice["batch"])
            differences = measure.differences(contestant.answers(), self.exact)
        finally:
            contestant.close()
        error = differences["relative_max"]
        if name.endswith("f32") and error > RELATIVE_ERROR_MAX["peer" if name in PEERS else "ours"]:
            raise Unavailable(f"redshifts differ from the float64 results by a relative error of {error:.1e}")
        self.contestants[name] = contestant
        self.record["contestants"][name] = {**choice, "differences_from_float64": differences}
        self.record["versions"].update(contestant.versions)
        say(f"{name}: batch {choice['batch']}, {choice['setting']}, relative error {error:.1e} from float64")

    def compare(self, *names):
        for name in names:
            try:
                if name not in self.contestants and name not in self.record["left_out"]:
                    self.prepare(name)
            except Unavailable as reason:
                self.leave_out(name, reason)
            if name in self.record["left_out"]:
                return
        ours, peer = (self.contestants[name] for name in names)
        rows = [self.record["contestants"][name] for name in names]
        say(f"{names[0]} vs. {names[1]}")
        try:
            for contestant, row in zip((ours, peer), rows):
                contestant.load(row["setting"], row["batch"])
            rates = measure.in_pairs(ours, peer, self.options.pairs, self.options.seconds, say)
            self.record["comparisons"].append({"ours": names[0], "peer": names[1], **rates})
        except Unavailable as reason:
            self.leave_out(" vs. ".join(names), reason)
        finally:
            for contestant, row in zip((ours, peer), rows):
                row["facts"], row["memory_peak_mb"] = contestant.facts, contestant.close()
        self.save()

    def compare_whole_runs(self):
        rows = self.record["contestants"]
        say("measuring the time from process start to the first redshift")
        seconds, failures = whole_runs.start_up(self.contestants, rows)
        for name, spread in seconds.items():
            rows[name]["start_up_seconds"] = spread
        for name, reason in failures.items():
            self.leave_out(f"start-up of {name}", reason)
        ours, eager = (self.contestants.get(name) for name in ("cosmicai f32", "PyTorch eager f32"))
        if ours and eager:
            say("measuring the time from a partition on disk to a catalogue")
            try:
                choice = rows["PyTorch eager f32"]
                self.record["end_to_end"] = whole_runs.end_to_end(ours, eager, choice, self.folder, say)
            except Unavailable as reason:
                self.leave_out("end to end", reason)
        self.save()


if __name__ == "__main__":
    main()
