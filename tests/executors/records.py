"""Comparison of the results of two runs."""

import json
import re

#: Keys of values that differ between runs.
TIMES = re.compile(
    r"time|memory|throughput|persec|queued|started|finished|seconds|attempts|warm|created|isa|threads|run_id|e_tag|modified"
    r"|requests")


def without_times(value):
    """Returns a record without the values that differ between runs."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if not TIMES.search(key)}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value


def is_of_s3(key):
    """True for the keys that only records of tasks on S3 have."""
    return key.startswith("s3_")


def assert_same(actual, expected, ranks):
    """Asserts that two runs have the same results; `actual` and `expected` read an object by its name."""
    for rank in range(ranks):
        name = f"predictions/{rank}.parquet"
        assert actual(name) == expected(name), name
        record, reference = json.loads(actual(f"{rank}.json")), json.loads(expected(f"{rank}.json"))
        assert [key for key in record if not is_of_s3(key)] == [key for key in reference if not is_of_s3(key)]
        assert without_times(record) == {**without_times(reference), "result_path": record["result_path"]}
    combined = json.loads(actual("combined_data.json"))
    assert combined == [json.loads(actual(f"{rank}.json")) for rank in range(ranks)]
    summary, reference = json.loads(actual("summary.json")), json.loads(expected("summary.json"))
    assert without_times(summary) == without_times(reference)
    assert json.loads(actual("payload.json"))["data_map"] == json.loads(expected("payload.json"))["data_map"]
