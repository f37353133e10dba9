"""Results of runs, compared."""

import json
import re

#: What a run leaves besides what is compared.
TIMES = re.compile(r"time|memory|throughput|persec|queued|started|finished|seconds|attempts|warm|created|isa|threads|run_id|e_tag|modified")


def without_times(value):
    """A record without what no two runs have in common."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if not TIMES.search(key)}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value


def assert_same(there, here, ranks):
    """That two runs of one payload came to the same; `there` and `here` give the bytes of an object by its name."""
    for rank in range(ranks):
        name = f"predictions/{rank}.parquet"
        assert there(name) == here(name), name
        record, expected = json.loads(there(f"{rank}.json")), json.loads(here(f"{rank}.json"))
        assert list(record) == list(expected)
        assert without_times(record) == {**without_times(expected), "result_path": record["result_path"]}
    combined = json.loads(there("combined_data.json"))
    assert combined == [json.loads(there(f"{rank}.json")) for rank in range(ranks)]
    summary, expected = json.loads(there("summary.json")), json.loads(here("summary.json"))
    assert without_times(summary) == without_times(expected)
    assert json.loads(there("payload.json"))["data_map"] == json.loads(here("payload.json"))["data_map"]
