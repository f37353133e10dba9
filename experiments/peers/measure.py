"""Measurement of contestants: a scan for the best setting, a check of the redshifts, and paired comparisons."""

import json
import math
import statistics

from processes import Unavailable

PROBES = (32, 256)  # Batch sizes at which all settings are compared; the best setting is then tried at all sizes.
FINALISTS = 3  # Number of best candidates that are measured again, because one short measurement is noisy.
PASS_SECONDS_MAX = 10  # A batch that would take longer is skipped.


def spread(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def best(contestant, batches, seconds):
    """Returns the contestant's best setting and batch, and all rates of the scan."""
    scan, failures = [], []

    def rate(setting, batch):
        fastest = max((row["images_per_s"] for row in scan if row["setting"] == setting), default=float("inf"))
        if batch / fastest > PASS_SECONDS_MAX:
            return
        try:
            contestant.load(setting, batch)
            scan.append({"setting": setting, "batch": batch, "images_per_s": contestant.measure(seconds)})
        except Unavailable as failure:
            failures.append(str(failure))

    def allowed(setting):
        return [batch for batch in batches if batch in setting.get("batches", batches)]

    for setting in contestant.settings:
        for batch in [batch for batch in allowed(setting) if batch in PROBES] or allowed(setting)[:1]:
            rate(setting, batch)
    if not scan:
        raise Unavailable(failures[0] if failures else "no batch size of the scan is allowed for its settings")
    winner = max(scan, key=lambda row: row["images_per_s"])["setting"]
    tried = [row["batch"] for row in scan if row["setting"] == winner]
    for batch in allowed(winner):
        if batch not in tried:
            rate(winner, batch)
    for row in sorted(scan, key=lambda row: -row["images_per_s"])[:FINALISTS]:
        rate(row["setting"], row["batch"])

    rates = {}
    for row in scan:
        rates.setdefault(json.dumps([row["setting"], row["batch"]]), []).append(row["images_per_s"])
    finalists = {key: statistics.mean(values) for key, values in rates.items() if len(values) > 1}
    setting, batch = json.loads(max(finalists or rates, key=lambda key: statistics.mean(rates[key])))
    return {"setting": setting, "batch": batch, "scan": scan}


def differences(answers, exact):
    """Returns the maximum and median differences of redshifts from the float64 results, relative and absolute."""
    if len(answers) != len(exact):
        raise Unavailable(f"{len(answers)} redshifts for {len(exact)} galaxies")
    if not all(map(math.isfinite, answers)):
        raise Unavailable("some redshifts are not finite")
    absolute = [abs(answer - truth) for answer, truth in zip(answers, exact)]
    relative = [difference / abs(truth) for difference, truth in zip(absolute, exact)]
    return {
        "relative_max": max(relative),
        "relative_median": statistics.median(relative),
        "absolute_max": max(absolute),
        "absolute_median": statistics.median(absolute),
    }


def in_pairs(ours, peer, count, seconds, report):
    """Measures both contestants alternately, with alternating order; calls `report` with a line about each pair."""
    pairs = []
    for index in range(count):
        first, second = (ours, peer) if index % 2 == 0 else (peer, ours)
        rates = {first: first.measure(seconds), second: second.measure(seconds)}
        pairs.append({"ours": rates[ours], "peer": rates[peer], "ours_facts": ours.facts})
        report(f"{rates[ours]:7.1f} {rates[peer]:7.1f} images/s: {rates[ours] / rates[peer]:.2f} x")
    return {
        "ratio": spread([pair["ours"] / pair["peer"] for pair in pairs]),
        "ours_images_per_s": spread([pair["ours"] for pair in pairs]),
        "peer_images_per_s": spread([pair["peer"] for pair in pairs]),
        "pairs": pairs,
    }
