"""Contestants of the comparison: cosmicai (`Engine`) and its peers (`Peer`), with a common interface.

    settings                settings to try, dicts, with `batches` if not every batch size can be tried
    versions                names and versions of the software
    load(setting, batch)    prepares a measurement
    measure(seconds)        → images per second
    answers()               → redshift of every galaxy of sky.pt
    first_redshift_seconds(setting)     → seconds from the start of a new process to the redshift of one galaxy
    close()                 → peak memory of the process in binary MB

`facts` is a dict that a contestant reports about itself and its last measurement; the record contains it.
"""

import csv
import json

import processes


class Engine:
    """`cosmicai bench` in a new process for each measurement. It also checks its results and measures the CPU peak."""

    settings, versions = [{}], {}

    def __init__(self, program, folder, precision, threads):
        self.program, self.folder, self.precision, self.threads = program, folder, precision, threads
        self.facts, self.memory_peak_mb, self.batch = {}, 0.0, None

    def load(self, setting, batch):
        self.batch = batch

    def measure(self, seconds):
        options = ["--precision", self.precision, "--threads", self.threads, "--batch", self.batch]
        options += ["--seconds", seconds, "--format", "json"]
        finished = processes.run([self.program, "bench", "--model", self.folder / "model.safetensors", *options])
        (measurement,) = json.loads(finished.output)["measurements"]
        self.memory_peak_mb = max(self.memory_peak_mb, measurement["memory_peak_mb"])
        self.facts = measurement
        return measurement["images_per_s"]

    def predict_command(self, partition):
        command = [self.program, "predict", "--model", self.folder / "model.safetensors", partition]
        return [*command, "--precision", self.precision, "--threads", self.threads]

    def predict(self, partition, catalogue):
        """Runs `cosmicai predict` from start to exit, with a CSV file as output."""
        return processes.run([*self.predict_command(partition), "--out", catalogue])

    def first_redshift_seconds(self, setting):
        return processes.first_output_seconds(self.predict_command(self.folder / "one.pt"))

    def answers(self):
        catalogue = self.folder / f"ours-{self.precision}.csv"
        self.predict(self.folder / "sky.pt", catalogue)
        return redshifts(catalogue)

    def close(self):
        return self.memory_peak_mb


class Peer:
    """A peer in a child process, which runs in the Python environment of its family."""

    def __init__(self, python, script, variant, folder, threads, environment):
        self.python, self.script, self.variant, self.folder, self.threads = python, script, variant, folder, threads
        self.environment, self.child, self.facts = environment, None, {}
        self.child = self._start()
        self.settings, self.versions = self.child.hello["settings"], self.child.hello["versions"]

    def _start(self):
        log = self.folder / f"{self.script.removesuffix('.py')}-{self.variant}.log"
        arguments = [self.variant, self.folder, "--threads", self.threads]
        return processes.Child(self.python, self.script, arguments, log, self.environment)

    def load(self, setting, batch):
        self.child = self.child or self._start()
        self.facts = self.child.ask(do="load", setting=setting, batch=batch)["facts"]

    def measure(self, seconds):
        return self.child.ask(do="measure", seconds=seconds)["images_per_s"]

    def answers(self):
        return self.child.ask(do="answers")["redshift"]

    def first_redshift_seconds(self, setting):
        """Seconds to the redshift of one galaxy, with one instance that uses all threads."""
        single = next(choice for choice in [setting, *self.settings] if choice["instances"] == 1)
        command = [self.python, processes.CHILDREN / self.script, self.variant, self.folder, "--threads", self.threads]
        return processes.first_output_seconds([*command, "--first", json.dumps(single)], self.environment)

    def close(self):
        child, self.child = self.child, None
        return child.close() if child else 0.0


def redshifts(catalogue):
    with open(catalogue, newline="") as lines:
        return [float(row["z_phot"]) for row in csv.DictReader(lines)]
