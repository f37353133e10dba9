"""Builds the measured program, and states the provenance of a record: machine, commit and command."""

import os
import pathlib
import platform
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Cargo resolves a relative path in the folder in which it is called, which is ROOT.
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
INSTRUCTION_SETS = (
    "avx2 fma avx_vnni avx512f avx512bw avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_bf16 amx_int8 "
    "asimd asimddp bf16 i8mm sve"
).split()


def build():
    """Builds `cosmicai` in release and returns its path. All experiments build the same features."""
    subprocess.run(["cargo", "build", "--release", "--quiet", "--locked", "--workspace"], cwd=ROOT, check=True)
    return TARGET / "release/cosmicai"


def describe():
    facts = {}
    for line in open("/proc/cpuinfo"):
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    flags = facts.get("flags", facts.get("Features", "")).split()
    return {
        "cpu": facts.get("model name", platform.machine()),
        "family_and_model": f"{facts.get('cpu family')}, {facts.get('model')}",
        "cores": os.cpu_count(),
        "instruction_sets": [name for name in INSTRUCTION_SETS if name in flags],
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "system": platform.platform(),
    }


def commit():
    """Returns the measured commit, with `+` if the working tree has changes."""

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def command():
    """Returns the command line of the running script, with its options."""
    return shlex.join(["python", str(pathlib.Path(sys.argv[0]).resolve().relative_to(ROOT)), *sys.argv[1:]])
