"""Measures the ingest of an archive like `sdss.npz` that is larger than the memory it may use, beside `cp`.

    python3 experiments/sdss-npz/make.py --galaxies 30000 --out large.npz
    python3 experiments/sdss-npz/run.py large.npz --folder FOLDER --out record/DATE-MACHINE-sdss-npz.json

Alternates `cp` and `sync` of the file with the ingest. `prlimit --as` limits the memory. Checks that an ingest that is
killed and resumed gives the same files.
"""

import argparse
import hashlib
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time


def child(command, environment=None, kill_after=None):
    """Runs a command. Returns its seconds, peak memory in MB and seconds of processor time."""
    start = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL)
    if kill_after is not None:
        while not kill_after():
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    _, status, used = os.wait4(process.pid, 0)
    if kill_after is None and status != 0:
        raise SystemExit(f"{command}: status {status}")
    cpu = used.ru_utime + used.ru_stime
    return {"seconds": round(time.monotonic() - start, 2), "peak_mb": used.ru_maxrss // 1024, "cpu_s": round(cpu, 2)}


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=pathlib.Path)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="folder for copies, on the same disk")
    parser.add_argument("--command", required=True,
                        help="program that ingests $COSMICAI_LARGE_NPZ to $COSMICAI_OUT")
    parser.add_argument("--memory-mb", type=int, default=1024)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    whole, broken, copy = (options.folder / name for name in ("whole", "broken", "copy.npz"))
    limit = ["prlimit", f"--as={options.memory_mb << 20}", "--", *options.command.split()]

    def ingest(out, **more):
        return child(limit, {"COSMICAI_LARGE_NPZ": str(options.archive), "COSMICAI_OUT": str(out)}, **more)

    runs = {"copy": [], "ingest": []}
    for _ in range(options.pairs):
        copy.unlink(missing_ok=True)
        shutil.rmtree(whole, ignore_errors=True)
        runs["copy"].append(child(["sh", "-c", f"cp '{options.archive}' '{copy}' && sync '{copy}'"]))
        copy.unlink()
        runs["ingest"].append(ingest(whole))
        print(runs, file=sys.stderr)
    shutil.rmtree(broken, ignore_errors=True)
    half = len(list(whole.glob("*.pt"))) // 2
    ingest(broken, kill_after=lambda: len(list(broken.glob("*.pt"))) >= half)
    kept = len(list(broken.glob("*.pt")))
    before = {path.name: path.stat().st_mtime_ns for path in broken.glob("*.pt")}
    resumed = ingest(broken)
    print(f"killed after {kept} partitions, resumed: {resumed}", file=sys.stderr)
    untouched = all((broken / name).stat().st_mtime_ns == at for name, at in before.items())
    same = digests(whole) == {name: digest for name, digest in digests(broken).items() if not name.endswith(".part")}
    partitions = len(list(whole.glob("*.pt")))
    report = {
        "archive_bytes": options.archive.stat().st_size,
        "partitions": partitions,
        "memory_limit_mb": options.memory_mb,
        "limited_by": "prlimit --as",
        "load_before": os.getloadavg()[0],
        **runs,
        "resume": {"kept": kept, **resumed, "same_bytes": same, "kept_files_untouched": untouched},
    }
    text = json.dumps(report, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    for folder in (whole, broken):
        shutil.rmtree(folder, ignore_errors=True)
    if not (same and untouched):
        raise SystemExit("the resumed ingest gave other files")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
