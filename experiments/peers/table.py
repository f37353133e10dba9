"""Prints a record as tables: `python experiments/peers/table.py record/….json`."""

import json
import sys


def columns(rows):
    """Formats rows as text; the first two columns are left-aligned, the others right-aligned."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]

    def line(row):
        cells = [cell.ljust(width) for cell, width in zip(row[:2], widths)]
        cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:])]
        return "  ".join(cells).rstrip()

    return "\n".join(map(line, rows))


def with_range(spread, digits):
    return f"{spread['median']:.{digits}f} ({spread['min']:.{digits}f}-{spread['max']:.{digits}f})"


def comparisons(record):
    rows = [("ours", "peer", "ratio", "ours images/s", "peer images/s")]
    for row in record["comparisons"]:
        rates = (with_range(row[f"{who}_images_per_s"], 0) for who in ("ours", "peer"))
        rows.append((row["ours"], row["peer"], with_range(row["ratio"], 2), *rates))
    return columns(rows)


def contestants(record):
    rows = [("contestant", "setting", "batch", "start s", "memory MB", "relative error", "absolute error")]
    for name, row in record["contestants"].items():
        words = [str(value) for key, value in row["setting"].items() if key != "batches" and value != "none"]
        if "inference_precision" in row.get("facts", {}):
            words.append("ran in " + row["facts"]["inference_precision"])
        errors = (f"{row['differences_from_float64'][kind]:.1e}" for kind in ("relative_max", "absolute_max"))
        start = with_range(row["start_up_seconds"], 2) if "start_up_seconds" in row else ""
        rows.append((name, " ".join(words), str(row["batch"]), start, f"{row.get('memory_peak_mb', 0):.0f}", *errors))
    return columns(rows)


def end_to_end(record):
    run = record["end_to_end"]
    rows = [("", "", "seconds", "memory MB")]
    for who in ("ours", "pytorch"):
        rows.append((who, "", with_range(run[f"{who}_seconds"], 2), with_range(run[f"{who}_memory_peak_mb"], 0)))
    size = f"{run['galaxies']:,} galaxies, {run['partition_bytes'] / 2**20:.0f} MB, from disk to a catalogue"
    return f"{size}: {with_range(run['ratio'], 2)} times faster\n{columns(rows)}"


def text(record):
    parts = [comparisons(record), contestants(record)]
    if record.get("end_to_end"):
        parts.append(end_to_end(record))
    parts.append("\n".join(f"left out: {name}: {reason}" for name, reason in record["left_out"].items()))
    return "\n\n".join(filter(None, parts))


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        print(text(json.load(file)))
