"""Contract of all executors: one test suite that runs for each executor, on an S3 server with injected faults.

These tests check the behaviour that users can rely on with every executor. Tests of one executor are in its own file.
"""

import concurrent.futures
import json
import signal

import pytest

from conftest import IMAGES, PARTITIONS, assert_same_as_local, cosmicai, payload, started, wait_until, write
from stack import BUCKET

#: Number of requests for an object, with retries, before an attempt at its task fails.
REQUESTS_PER_ATTEMPT = {"local": 6, "slurm": 6, "step-functions": 4}


class Executor:
    """An executor with the options and the environment that it needs."""

    def __init__(self, name, options, endpoint, environment=None):
        self.name, self.options, self.endpoint, self.environment = name, options, endpoint, environment or {}

    def run(self, folder, body, *options, check=True):
        return cosmicai(
            "run", write(folder, body), "--store", "s3", "--executor", self.name, "--format", "json", *self.options, *options,
            endpoint=self.endpoint, check=check, more=self.environment)


@pytest.fixture(params=["local", "slurm", "step-functions"])
def executor(request, stack):
    match request.param:
        case "local":
            return Executor("local", [], stack.faults.url)
        case "slurm":
            cluster = request.getfixturevalue("cluster")
            return Executor("slurm", ["--time", "10"], stack.faults.url, cluster.environment)
        case _:
            return Executor("step-functions", ["--state-machine", stack.machine], stack.url)


@pytest.fixture
def path(executor, request):
    """Returns a result_path that only this test and executor use."""
    return f"contract/{executor.name}/{request.node.originalname}"


def test_results_equal_those_of_a_local_run(stack, local, executor, path, tmp_path):
    printed = json.loads(executor.run(tmp_path, payload(f"{path}/")).stdout)
    assert_same_as_local(stack, local, path)
    report = stack.json(f"{path}/report.json")
    assert report == printed["report"] and report["executor"] == executor.name
    assert [task["rank"] for task in report["tasks"]] == list(range(PARTITIONS))
    assert (report["failed"], report["left"], report["tasks_planned"]) == ([], [], PARTITIONS)
    assert report["samples"] == printed["summary"]["samples"] == PARTITIONS * IMAGES
    assert report["seconds"] > 0 and report["started"] < report["finished"]
    assert report["results_url"] == f"s3://{BUCKET}/{path}/"
    for task in report["tasks"]:
        counted = task["requests"]
        # The partition is opened and read, the predictions and the record are written.
        assert counted["reads"] >= 2 and counted["writes"] == 2 and counted["others"] == 0, counted
        assert 0 < counted["min_seconds"] <= counted["max_seconds"] <= counted["seconds"], counted
        record = stack.json(f"{path}/{task['rank']}.json")
        assert record["s3_num_requests"] == counted["reads"] + 1
        assert record["s3_first_request_time"] == counted["first"]


def test_world_size_below_and_above_the_number_of_files(stack, executor, path, tmp_path):
    executor.run(tmp_path, payload(f"{path}/few", world_size=5, predictions="none"))
    executor.run(tmp_path, payload(f"{path}/many", world_size=14, file_limit=3))
    assert len(stack.json(f"{path}/few/combined_data.json")) == 5
    assert stack.json(f"{path}/few/summary.json")["samples"] == PARTITIONS * IMAGES
    assert not [key for key in stack.keys(f"{path}/few") if "predictions" in key]
    many = stack.json(f"{path}/many/report.json")
    assert [len(task["files"]) for task in many["tasks"]] == [1] * 3 + [0] * 11
    assert len(stack.json(f"{path}/many/combined_data.json")) == 3


def test_retries_while_storage_is_busy(stack, local, executor, path, tmp_path):
    rule = stack.faults.add(rf"GET /{BUCKET}/10MB/3.pt", 2 * REQUESTS_PER_ATTEMPT[executor.name], status=503)
    executor.run(tmp_path, payload(path))
    assert rule.hits == 2 * REQUESTS_PER_ATTEMPT[executor.name]
    assert_same_as_local(stack, local, path)
    attempts = {task["files"][0]["key"]: task["attempts"] for task in stack.json(f"{path}/report.json")["tasks"]}
    assert attempts.pop("10MB/3.pt") == 3 and set(attempts.values()) == {1}


def test_malformed_partition_fails_only_its_task_and_resume_runs_only_that_task(stack, local, executor, path, tmp_path):
    prefix = f"10MB/bad-{executor.name}"
    stack.s3.put_object(Bucket=BUCKET, Key=f"{prefix}/12.pt", Body=b"not a partition")
    for number in (1, 2, 3):
        stack.put(f"{prefix}/{number}.pt", local / BUCKET / f"10MB/{number}.pt")
    failed = executor.run(tmp_path, payload(path, data_prefix=prefix), check=False)
    assert failed.returncode == 1, failed.stderr
    for message in (f"{prefix}/12.pt", "1 of 4 tasks are missing", "1 task failed: 1", "--resume",
                    f"--executor {executor.name}"):
        assert message in failed.stderr or (message, executor.name) == ("--executor local", "local"), failed.stderr
    report = stack.json(f"{path}/report.json")
    assert report == json.loads(failed.stdout)["report"]
    assert [task["rank"] for task in report["tasks"]] == [0, 2, 3] and report["left"] == []
    [bad] = report["failed"]
    assert (bad["rank"], bad["files"], bad["attempts"]) == (1, [f"{prefix}/12.pt"], 1)
    assert f"{prefix}/12.pt" in bad["error"]
    assert not [key for key in stack.keys(path) if key.endswith(("combined_data.json", "summary.json"))]

    stack.put(f"{prefix}/12.pt", local / BUCKET / "10MB/12.pt")
    before = {rank: stack.get(f"{path}/tasks/{rank}.json") for rank in (0, 2, 3)}
    executor.run(tmp_path, payload(path, data_prefix=prefix), "--resume")
    assert {rank: stack.get(f"{path}/tasks/{rank}.json") for rank in (0, 2, 3)} == before
    assert len(stack.json(f"{path}/combined_data.json")) == 4
    assert stack.json(f"{path}/report.json")["failed"] == []


def test_used_result_path_is_rejected_unless_overwrite(stack, executor, path, tmp_path):
    executor.run(tmp_path, payload(path, file_limit=1))
    before = stack.get(f"{path}/plan.json")
    refused = executor.run(tmp_path, payload(path, file_limit=1), check=False)
    assert refused.returncode == 1 and "already holds run" in refused.stderr and "--resume" in refused.stderr, refused.stderr
    assert stack.get(f"{path}/plan.json") == before
    executor.run(tmp_path, payload(path, file_limit=1), "--overwrite")
    assert stack.get(f"{path}/plan.json") != before


def test_resume_rejects_another_payload(stack, executor, path, tmp_path):
    executor.run(tmp_path, payload(path, file_limit=1))
    refused = executor.run(tmp_path, payload(path, file_limit=2), "--resume", check=False)
    assert refused.returncode == 1 and "cannot be resumed with this payload" in refused.stderr, refused.stderr
    assert stack.json(f"{path}/report.json")["tasks_planned"] == 1


def test_empty_prefix_fails_and_writes_nothing(stack, executor, path, tmp_path):
    refused = executor.run(tmp_path, payload(path, data_prefix="10MB/none"), check=False)
    assert refused.returncode == 1 and "no partition" in refused.stderr, refused.stderr
    assert stack.keys(path) == []


def test_only_one_of_two_concurrent_runs_uses_a_folder(stack, local, executor, path, tmp_path):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(executor.run, tmp_path, payload(path), check=False) for _ in range(2)]
        ends = sorted(run.result().returncode for run in runs)
    assert ends == [0, 1]
    assert_same_as_local(stack, local, path)


def test_interrupted_run_can_be_resumed(stack, local, executor, path, tmp_path):
    """Ctrl-C exits with code 130, explains how to continue, and leaves no partial files; the run can be resumed."""
    stack.faults.add(rf"GET /{BUCKET}/10MB/7.pt", 1_000, delay_s=4)
    with started("run", write(tmp_path, payload(path)), "--store", "s3", "--executor", executor.name, *executor.options,
                 endpoint=executor.endpoint, more=executor.environment) as process:
        wait_until(lambda: any("/tasks/" in key for key in stack.keys(path)))
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in messages, messages
    stack.faults.clear()
    if executor.name == "step-functions":
        # --resume cannot follow an execution that is still running.
        execution = messages.split("cosmicai stop ")[1].split()[0]
        cosmicai("stop", execution, endpoint=stack.url)
        assert stack.end(execution)["status"] == "ABORTED"
        # MiniStack does not stop the invocations of an aborted execution.
        wait_until(lambda: stack.faults.is_quiet(1))
    executor.run(tmp_path, payload(path), "--resume")
    assert_same_as_local(stack, local, path)
