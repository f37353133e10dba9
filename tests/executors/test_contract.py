"""What every executor keeps: one suite, run for each of them, on one S3 server in which faults are injected.

What is asserted here is what a person may rely on wherever a run runs. What is an executor's own is in its own file.
"""

import concurrent.futures
import json
import subprocess
import time

import pytest

from conftest import COSMICAI, IMAGES, PARTITIONS, cosmicai, environment, payload, same_as_local
from stack import BUCKET

#: Times that a client asks for an object before its task counts as failed once.
ASKS = {"local": 6, "slurm": 6, "step-functions": 4}


class Place:
    """An executor, as a person uses it."""

    def __init__(self, name, options, endpoint, environment=None):
        self.name, self.options, self.endpoint, self.environment = name, options, endpoint, environment or {}

    def run(self, folder, body, *options, check=True):
        path = folder / f"{abs(hash(json.dumps(body)))}.json"
        path.write_text(json.dumps(body))
        return cosmicai(
            "run", path, "--store", "s3", "--executor", self.name, "--format", "json", *self.options, *options,
            endpoint=self.endpoint, check=check, more=self.environment)


@pytest.fixture(params=["local", "slurm", "step-functions"])
def place(request, stack):
    match request.param:
        case "local":
            return Place("local", [], stack.faults.url)
        case "slurm":
            cluster = request.getfixturevalue("cluster")
            return Place("slurm", ["--time", "10"], stack.faults.url, cluster.environment)
        case _:
            return Place("step-functions", ["--state-machine", stack.machine], stack.url)


@pytest.fixture
def path(place, request):
    """A result_path of this test and executor alone."""
    return f"contract/{place.name}/{request.node.originalname}"


def test_results_are_those_of_a_local_run_from_a_folder(stack, local, place, path, tmp_path):
    printed = json.loads(place.run(tmp_path, payload(f"{path}/")).stdout)
    same_as_local(stack, local, path)
    report = stack.json(f"{path}/report.json")
    assert report == printed["report"] and report["executor"] == place.name
    assert [task["rank"] for task in report["tasks"]] == list(range(PARTITIONS))
    assert (report["failed"], report["left"], report["tasks_planned"]) == ([], [], PARTITIONS)
    assert report["samples"] == printed["summary"]["samples"] == PARTITIONS * IMAGES
    assert report["seconds"] > 0 and report["started"] < report["finished"]
    assert report["results_url"] == f"s3://{BUCKET}/{path}/"


def test_fewer_tasks_than_files_and_more(stack, local, place, path, tmp_path):
    place.run(tmp_path, payload(f"{path}/few", world_size=5, predictions="none"))
    place.run(tmp_path, payload(f"{path}/many", world_size=14, file_limit=3))
    assert len(stack.json(f"{path}/few/combined_data.json")) == 5
    assert stack.json(f"{path}/few/summary.json")["samples"] == PARTITIONS * IMAGES
    assert not [key for key in stack.keys(f"{path}/few") if "predictions" in key]
    many = stack.json(f"{path}/many/report.json")
    assert [len(task["files"]) for task in many["tasks"]] == [1] * 3 + [0] * 11
    assert len(stack.json(f"{path}/many/combined_data.json")) == 3


def test_a_store_that_is_busy_for_a_while_is_asked_again(stack, local, place, path, tmp_path):
    rule = stack.faults.add(rf"GET /{BUCKET}/10MB/3.pt", 2 * ASKS[place.name], status=503)
    place.run(tmp_path, payload(path))
    assert rule.hits == 2 * ASKS[place.name]
    same_as_local(stack, local, path)
    attempts = {task["files"][0]["key"]: task["attempts"] for task in stack.json(f"{path}/report.json")["tasks"]}
    assert attempts.pop("10MB/3.pt") == 3 and set(attempts.values()) == {1}


def test_a_bad_partition_fails_alone_and_resuming_does_nothing_else(stack, local, place, path, tmp_path):
    prefix = f"10MB/bad-{place.name}"
    stack.s3.put_object(Bucket=BUCKET, Key=f"{prefix}/12.pt", Body=b"not a partition")
    for number in (1, 2, 3):
        stack.put(f"{prefix}/{number}.pt", local / BUCKET / f"10MB/{number}.pt")
    failed = place.run(tmp_path, payload(path, data_prefix=prefix), check=False)
    assert failed.returncode == 1, failed.stderr
    for said in (f"{prefix}/12.pt", "1 of 4 tasks are missing", "1 tasks failed: 1", "--resume", f"--executor {place.name}"):
        assert said in failed.stderr or (said, place.name) == ("--executor local", "local"), failed.stderr
    report = stack.json(f"{path}/report.json")
    assert report == json.loads(failed.stdout)["report"]
    assert [task["rank"] for task in report["tasks"]] == [0, 2, 3] and report["left"] == []
    [bad] = report["failed"]
    assert (bad["rank"], bad["files"], bad["attempts"]) == (1, [f"{prefix}/12.pt"], 1)
    assert f"{prefix}/12.pt" in bad["error"]
    assert not [key for key in stack.keys(path) if key.endswith(("combined_data.json", "summary.json"))]

    stack.put(f"{prefix}/12.pt", local / BUCKET / "10MB/12.pt")
    before = {rank: stack.get(f"{path}/tasks/{rank}.json") for rank in (0, 2, 3)}
    place.run(tmp_path, payload(path, data_prefix=prefix), "--resume")
    assert {rank: stack.get(f"{path}/tasks/{rank}.json") for rank in (0, 2, 3)} == before
    assert len(stack.json(f"{path}/combined_data.json")) == 4
    assert stack.json(f"{path}/report.json")["failed"] == []


def test_a_taken_folder_is_refused_and_overwritten_on_demand(stack, place, path, tmp_path):
    place.run(tmp_path, payload(path, file_limit=1))
    before = stack.get(f"{path}/plan.json")
    refused = place.run(tmp_path, payload(path, file_limit=1), check=False)
    assert refused.returncode == 1 and "already holds run" in refused.stderr and "--resume" in refused.stderr, refused.stderr
    assert stack.get(f"{path}/plan.json") == before
    place.run(tmp_path, payload(path, file_limit=1), "--overwrite")
    assert stack.get(f"{path}/plan.json") != before


def test_another_payload_is_not_resumed(stack, place, path, tmp_path):
    place.run(tmp_path, payload(path, file_limit=1))
    refused = place.run(tmp_path, payload(path, file_limit=2), "--resume", check=False)
    assert refused.returncode == 1 and "cannot be resumed with this payload" in refused.stderr, refused.stderr
    assert stack.json(f"{path}/report.json")["tasks_planned"] == 1


def test_an_empty_prefix_fails_and_writes_nothing(stack, place, path, tmp_path):
    refused = place.run(tmp_path, payload(path, data_prefix="10MB/none"), check=False)
    assert refused.returncode == 1 and "no partition" in refused.stderr, refused.stderr
    assert stack.keys(path) == []


def test_of_two_at_once_in_one_folder_one_wins(stack, local, place, path, tmp_path):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(place.run, tmp_path, payload(path), check=False) for _ in range(2)]
        ends = sorted(run.result().returncode for run in runs)
    assert ends == [0, 1]
    same_as_local(stack, local, path)


def test_ctrl_c_loses_nothing(stack, local, place, path, tmp_path):
    """Here or elsewhere: 130, how to go on, nothing half-written, and the run can be brought to its end."""
    stack.faults.add(rf"GET /{BUCKET}/10MB/7.pt", 1_000, delay_s=4)
    body = tmp_path / "payload.json"
    body.write_text(json.dumps(payload(path)))
    process = subprocess.Popen(
        [COSMICAI, "run", body, "--store", "s3", "--executor", place.name, *place.options],
        env=environment(place.endpoint, place.environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/tmp")
    end = time.monotonic() + 60
    while not any("/tasks/" in key for key in stack.keys(path)) and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(2)
    _, talk = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in talk, talk
    stack.faults.clear()
    if place.name == "step-functions":
        # A state machine that is at work cannot be followed again by --resume.
        cosmicai("stop", talk.split("cosmicai stop ")[1].split()[0], endpoint=stack.url)
        time.sleep(6)
    place.run(tmp_path, payload(path), "--resume")
    same_as_local(stack, local, path)
