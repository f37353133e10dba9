"""SLURM cluster of one node on this machine, started by scripts/slurm."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from stack import ROOT

SCRIPT = ROOT / "scripts/slurm"


class Cluster:
    def __init__(self, *lines, cgroup=None):
        # Not in pytest's folder, because munge's user cannot read it.
        self.folder = Path(tempfile.mkdtemp(prefix="cosmicai-slurm-"))
        if cgroup:
            (self.folder / "cgroup.conf").write_text(cgroup)
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        try:
            subprocess.run([SCRIPT, "up", self.folder, *lines], check=True, timeout=60)
        except BaseException:
            self.down()
            raise

    def down(self):
        try:
            subprocess.run([SCRIPT, "down", self.folder], check=True, timeout=60)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command):
        """Runs a command of SLURM and returns its output."""
        return subprocess.run(
            command, env={**os.environ, **self.environment}, check=True, capture_output=True, text=True, timeout=60).stdout

    def state(self, job):
        for word in self.run("scontrol", "--oneliner", "show", "job", job).split():
            if word.startswith("JobState="):
                return word.removeprefix("JobState=")
        return None

    def wait_for(self, job, *states, seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.state(job) in states:
                return
            time.sleep(0.2)
        raise AssertionError(f"job {job} is {self.state(job)} after {seconds} s, expected {states}")
