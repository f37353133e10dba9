"""Measurements of whole processes: from start to the first redshift, and from start to a catalogue of one partition."""

import json

import processes
from contestants import redshifts
from measure import differences, spread
from processes import Unavailable

REPEATS = 5
SLOW_SECONDS = 20  # A process that takes longer to start is started twice instead of five times.


def start_up(contestants, choices):
    """Returns the seconds from the start of a process to its first redshift, by contestant, and the reasons of those
    that could not be measured.

    All contestants run once per round. The first round fills the page cache and the caches of compiled models, and does
    not count.
    """
    seconds, failures = {name: [] for name in contestants}, {}
    for turn in range(REPEATS + 1):
        for name, contestant in contestants.items():
            if name in failures or (turn > 1 and seconds[name][0] > SLOW_SECONDS):
                continue
            try:
                taken = contestant.first_redshift_seconds(choices[name]["setting"])
            except Unavailable as reason:
                failures[name] = reason
                continue
            if turn > 0:
                seconds[name].append(taken)
    return {name: spread(taken) for name, taken in seconds.items() if name not in failures}, failures


def end_to_end(ours, eager, choice, folder, report):
    """Runs cosmicai and PyTorch eager alternately; records seconds and peak memory in binary MB of each process."""
    partition = folder / "partition.pt"
    catalogues = {who: folder / f"catalogue-{who}.csv" for who in ("ours", "pytorch")}
    script = [eager.python, processes.CHILDREN / "catalogue.py", folder, partition, catalogues["pytorch"]]
    script += [eager.threads, json.dumps(choice["setting"]), choice["batch"]]
    runs = {
        "ours": lambda: ours.predict(partition, catalogues["ours"]),
        "pytorch": lambda: processes.run(script, eager.environment),
    }
    pairs = []
    for index in range(REPEATS):
        order = ("ours", "pytorch") if index % 2 == 0 else ("pytorch", "ours")
        finished = {who: runs[who]() for who in order}
        pairs.append(
            {who: {"seconds": run.seconds, "memory_peak_mb": run.memory_peak_mb} for who, run in finished.items()}
        )
        report("; ".join(f"{who} {run.seconds:.2f} s, {run.memory_peak_mb:.0f} MB" for who, run in finished.items()))
    answers = {who: redshifts(catalogue) for who, catalogue in catalogues.items()}
    record = {
        "galaxies": len(answers["ours"]),
        "partition_bytes": partition.stat().st_size,
        "ratio": spread([pair["pytorch"]["seconds"] / pair["ours"]["seconds"] for pair in pairs]),
        "difference_of_catalogues": differences(answers["ours"], answers["pytorch"]),
        "pairs": pairs,
    }
    for who in runs:
        for quantity in ("seconds", "memory_peak_mb"):
            record[f"{who}_{quantity}"] = spread([pair[who][quantity] for pair in pairs])
    return record
