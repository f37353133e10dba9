"""Tests of the Step Functions executor on MiniStack: billing, names of errors, redrives, limits."""

import json
import re
import signal

import pytest

from conftest import IMAGES, PARTITIONS, assert_same_as_local, cosmicai, payload, started, wait_until, write
from stack import BUCKET, NAME


def run(stack, folder, body, *options, check=True, **how):
    return cosmicai(
        "run", write(folder, body), "--executor", "step-functions", "--state-machine", stack.machine, "--format", "json", *options,
        endpoint=stack.url, check=check, **how)


def test_payload_of_the_cai_study_gives_the_results_of_a_local_run(stack, local, tmp_path):
    # After an update of its code, a function starts with new execution environments.
    stack.functions.update_function_code(
        FunctionName=f"{NAME}-infer", S3Bucket="artifacts", S3Key="bootstrap.zip", Publish=False)
    done = run(stack, tmp_path, payload("results/happy/"))
    printed = json.loads(done.stdout)
    assert_same_as_local(stack, local, "results/happy")
    assert printed["summary"]["finished"] == PARTITIONS
    report = stack.json("results/happy/report.json")
    assert report == printed["report"] and report["executor"] == "step-functions"
    assert [task["rank"] for task in report["tasks"]] == list(range(PARTITIONS))
    assert report["samples"] == PARTITIONS * IMAGES and report["failed"] == [] and report["left"] == []
    billed = report["billed"]
    # MiniStack writes no Init Duration.
    assert billed["invocations"] == PARTITIONS + 2 and billed["cold"] == 0
    assert billed["billed_ms"] >= billed["duration_ms"] > 0 and billed["gb_s"] > 0
    assert "12 of 12 tasks" in done.stderr and "arn:aws:states:" in done.stderr

    arn = re.search(r"arn:aws:states:\S+:execution:\S+", done.stderr)[0]
    assert json.loads(cosmicai("status", arn, "--format", "json", endpoint=stack.url).stdout)["finished"] == PARTITIONS
    name = arn.rsplit(":", 1)[1]
    assert report["run_id"] == name
    human = cosmicai("status", name, "--state-machine", stack.machine, endpoint=stack.url).stdout
    assert "SUCCEEDED" in human and "12 of 12" in human
    listed = json.loads(cosmicai("executions", stack.machine, "--format", "json", endpoint=stack.url).stdout)
    assert name in [execution["name"] for execution in listed]
    reports = cosmicai("logs", arn, "--filter", "REPORT", endpoint=stack.url).stdout.splitlines()
    assert len(reports) >= PARTITIONS + 2 and all("REPORT RequestId" in line for line in reports)
    phases = [json.loads(line[line.index("{"):]) for line in cosmicai("logs", arn, endpoint=stack.url).stdout.splitlines()
              if '"phase"' in line]
    assert {"init", "begin", "model", "list", "read", "decode", "infer", "write", "invocation"} <= {
        line["phase"] for line in phases}
    assert any(line["cold"] for line in phases if line["phase"] == "init")
    for line in phases:
        if line["phase"] == "invocation":
            assert line["memory_peak_mb"] < 200 and line["memory_mb"] >= 1024


def test_used_folder_is_rejected_with_folder_taken(stack, tmp_path):
    run(stack, tmp_path, payload("results/taken", file_limit=1))
    before = stack.get("results/taken/plan.json")
    refused = run(stack, tmp_path, payload("results/taken", file_limit=1), check=False)
    assert refused.returncode == 1
    assert "FolderTaken" in refused.stderr and "--resume" in refused.stderr, refused.stderr
    assert stack.get("results/taken/plan.json") == before
    run(stack, tmp_path, payload("results/taken", file_limit=1), "--overwrite")
    assert stack.get("results/taken/plan.json") != before


def test_empty_prefix_fails_with_nothing_to_predict_and_writes_nothing(stack, tmp_path):
    refused = run(stack, tmp_path, payload("results/empty", data_prefix="10MB/none"), check=False)
    assert refused.returncode == 1 and "NothingToPredict" in refused.stderr, refused.stderr
    assert "no partition" in refused.stderr
    assert stack.keys("results/empty") == []


def test_malformed_payload_fails_with_bad_payload(stack):
    execution = stack.end(stack.start({"bucket": BUCKET, "batchsize": 1}))
    assert (execution["status"], execution["error"]) == ("FAILED", "BadPayload")
    assert "did you mean `batch_size`" in execution["cause"]


def test_summarize_runs_if_all_tasks_fail(stack):
    """MiniStack ignores ToleratedFailurePercentagePath: any failure makes the Map fail, which the definition catches."""
    for number in range(1, 9):
        stack.s3.put_object(Bucket=BUCKET, Key=f"10MB/worse/{number}.pt", Body=b"not a partition")
    body = payload("results/worse", data_prefix="10MB/worse", tolerated_failure_percentage=10, max_concurrency=1)
    execution = stack.end(stack.start(body))
    assert (execution["status"], execution["error"]) == ("FAILED", "MissingRanks")
    assert "MalformedPartition" in execution["cause"] and "the Map: " in execution["cause"], execution["cause"]
    report = stack.json("results/worse/report.json")
    assert report["tasks"] == [] and report["failed"]
    assert len(report["failed"]) + len(report["left"]) == 8


def test_timed_out_invocation_reports_its_progress(stack):
    stack.functions.update_function_configuration(FunctionName=f"{NAME}-infer", Timeout=4)
    try:
        stack.faults.add(rf"GET /{BUCKET}/10MB/1.pt", 100, delay_s=10)
        execution = stack.end(stack.start(payload("results/slow", file_limit=2)))
    finally:
        stack.functions.update_function_configuration(FunctionName=f"{NAME}-infer", Timeout=900)
    assert (execution["status"], execution["error"]) == ("FAILED", "MissingRanks")
    [failed] = stack.json("results/slow/report.json")["failed"]
    assert (failed["rank"], failed["attempts"]) == (0, 2)
    assert "DeadlineReached" in failed["error"] and "after 0 images" in failed["error"]


def test_interrupt_leaves_the_execution_running(stack, local, tmp_path):
    # MiniStack ignores MaxConcurrencyPath and runs all tasks at once.
    slow = stack.faults.add(rf"GET /{BUCKET}/10MB/", 1_000, delay_s=8)
    path = write(tmp_path, payload("results/left", max_concurrency=1))
    with started("run", path, "--executor", "step-functions", "--state-machine", stack.machine,
                 endpoint=stack.url) as process:
        arn = re.search(r"arn:aws:states:\S+", process.stderr.readline())[0]
        wait_until(lambda: slow.hits)
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=30)
    assert process.returncode == 130, messages
    assert f"cosmicai status {arn}" in messages and f"cosmicai stop {arn}" in messages, messages
    running = json.loads(cosmicai("status", arn, "--format", "json", endpoint=stack.url).stdout)
    assert running["status"] == "RUNNING" and running["finished"] < PARTITIONS
    cosmicai("stop", arn, endpoint=stack.url)
    stopped = cosmicai("status", arn, endpoint=stack.url, check=False)
    assert stopped.returncode == 1 and "ABORTED" in stopped.stdout
    stack.faults.clear()
    run(stack, tmp_path, payload("results/left", max_concurrency=1), "--resume")
    assert_same_as_local(stack, local, "results/left")


def invoke(stack, function, request):
    answer = stack.functions.invoke(FunctionName=f"{NAME}-{function}", Payload=json.dumps(request).encode())
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def test_redrive_dispatches_missing_tasks_once(stack):
    """MiniStack does not support redrives, so the test invokes the functions as the state machine does on AWS."""
    context = {"Id": "arn:aws:states:us-east-1:1:execution:m:redriven", "Name": "redriven",
               "StartTime": "2026-01-01T00:00:00.000Z", "RedriveCount": 0}
    _, run_state = invoke(stack, "initialize", {
        "action": "initialize", "input": payload("results/redriven", file_limit=3), "execution": context})
    assert run_state["tasks_left"] == 3
    again = invoke(stack, "initialize", {
        "action": "initialize", "input": payload("results/redriven", file_limit=3), "execution": context})
    assert again == (None, run_state), "a repeated request must give the same answer"
    items = stack.json("results/redriven/items.json")
    for task in items[:2]:
        error, answer = invoke(stack, "infer", {"action": "infer", "run": run_state["run"], "task": task})
        assert (error, answer) == (None, {"rank": task["rank"]})
    summarize = {"action": "summarize", "run_state": run_state, "execution": context}
    error, answer = invoke(stack, "summarize", summarize)
    assert error and answer["errorType"] == "MissingRanks" and "1 of 3 tasks are missing: 2" in answer["errorMessage"]
    context["RedriveCount"] = 1
    error, redriven = invoke(stack, "summarize", summarize)
    assert error is None and (redriven["tasks_left"], redriven["redrives_served"]) == (1, 1)
    assert stack.json("results/redriven/items.json") == items[2:]
    error, answer = invoke(stack, "summarize", {**summarize, "run_state": redriven})
    assert error and answer["errorType"] == "MissingRanks", "a redrive must dispatch missing tasks only once"
    before = stack.get("results/redriven/tasks/0.json")
    for task in items:
        invoke(stack, "infer", {"action": "infer", "run": run_state["run"], "task": task})
    assert stack.get("results/redriven/tasks/0.json") == before, "a finished task was computed again"
    error, done = invoke(stack, "summarize", {**summarize, "run_state": redriven})
    assert error is None and done["tasks_left"] == 0
    assert len(stack.json("results/redriven/combined_data.json")) == 3


@pytest.mark.parametrize("request_, name", [
    ({"action": "dance"}, "BadPayload"), ({}, "BadPayload"), ([1], "BadPayload"), ({"action": "infer", "run": 1}, "BadPayload"),
])
def test_malformed_requests_are_rejected(stack, request_, name):
    error, answer = invoke(stack, "infer", request_)
    assert error and answer["errorType"] == name and "deploy both again" in answer["errorMessage"], answer


def test_twelve_hundred_partitions(stack, tmp_path):
    small = tmp_path / "small.pt"
    cosmicai("simulate", "--count", 1, "--seed", 1, "--out", small)
    body = small.read_bytes()
    for number in range(1_200):
        stack.s3.put_object(Bucket=BUCKET, Key=f"10MB/many/{number}.pt", Body=body)
    many = payload("results/many", data_prefix="10MB/many", file_limit=2_000, max_concurrency=4)
    execution = stack.end(stack.start(many), seconds=900)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert len(stack.json("results/many/combined_data.json")) == 1_200
    assert stack.json("results/many/summary.json")["samples"] == 1_200
    history = stack.states.get_execution_history(executionArn=execution["executionArn"], maxResults=1_000)["events"]
    largest = max(len(json.dumps(event, default=str)) for event in history)
    assert largest < 16_000, "the data between states grow with the number of tasks"


def test_full_size_model_needs_less_than_200_mb(stack, tmp_path):
    model = tmp_path / "full.safetensors"
    cosmicai("model-init", "--out", model)
    stack.put("Anomaly Detection/full/full.safetensors", model)
    done = run(stack, tmp_path, payload("results/full", model="Anomaly Detection/full/full.safetensors", file_limit=2))
    tasks = json.loads(done.stdout)["report"]["tasks"]
    assert tasks and max(task["memory_peak_mb"] for task in tasks) < 200, [task["memory_peak_mb"] for task in tasks]
    stack.s3.delete_object(Bucket=BUCKET, Key="Anomaly Detection/full/full.safetensors")


def test_local_options_and_local_paths_are_rejected(stack, tmp_path):
    for options, message in [
        (("--workers", "2"), "max_concurrency"), (("--threads", "2"), "memory"), (("--store", "."), "S3"),
        (("--model", "./m.pt"), "s3:// URL"),
    ]:
        refused = run(stack, tmp_path, payload("results/refused"), *options, check=False)
        assert refused.returncode == 1 and message in refused.stderr, refused.stderr
    assert stack.keys("results/refused") == []
    for arn in ("arn:aws:states:us-east-1:000000000000:stateMachine:none", "none"):
        path = write(tmp_path, payload("results/refused"))
        refused = cosmicai("run", path, "--executor", "step-functions", "--state-machine", arn, endpoint=stack.url, check=False)
        assert refused.returncode == 1 and "start an execution" in refused.stderr, refused.stderr


def test_run_stops_at_its_budget(stack, tmp_path):
    run(stack, tmp_path, payload("results/rates", file_limit=2))
    rates = ["--forecast-from", f"s3://{BUCKET}/results/rates"]
    refused = run(stack, tmp_path, payload("results/dear"), "--budget", "0.0000001", *rates, check=False)
    assert refused.returncode == 1 and "the run was not started" in refused.stderr, refused.stderr
    assert stack.keys("results/dear") == []

    kept = json.loads(run(stack, tmp_path, payload("results/kept"), "--budget", "1", *rates).stdout)["report"]
    forecast = kept["forecast"]
    assert forecast["budget_usd"] == 1 and forecast["usd_90"][0] <= forecast["usd"] <= forecast["usd_90"][1] < 1
    assert forecast["usd_actual"] > 0 and stack.json("results/kept/report.json")["forecast"] == forecast
    costs = json.loads(cosmicai("cost", f"s3://{BUCKET}/results/kept", "--format", "json", endpoint=stack.url).stdout)
    assert costs["bill"]["total_usd"] == pytest.approx(forecast["usd_actual"])
    assert {line["basis"] for line in costs["bill"]["lines"]} == {"billed", "measured", "assumed"}

    # Forecast a run time of almost 0 at a price of 1 USD per GB·s, so that the run exceeds its budget.
    prices = cosmicai("cost", "--print-prices").stdout
    dear = prices.replace("usd = 0.0000166667", "usd = 1.0")
    assert dear != prices
    (tmp_path / "prices.toml").write_text(dear)
    none = [f"{name}=0" for name in
            ["cold_start_s", "import_s", "model_mb", "initialize_s", "summarize_s_per_task", "straggler_fraction", "jitter",
             "between_runs"]]
    fast = json.loads(stack.get("results/rates/combined_data.json"))
    for record in fast:
        record["sample_persec"], record["throughput_bps"] = 1e12, 1e18
    (tmp_path / "fast.json").write_text(json.dumps(fast))
    # One partition that cannot be read at first keeps the run going until its bill is seen.
    stack.faults.add(rf"GET /{BUCKET}/10MB/3.pt", 10, status=503)
    ended = run(stack, tmp_path, payload("results/ended"), "--budget", "0.1", "--prices", tmp_path / "prices.toml",
                "--forecast-from", tmp_path / "fast.json", *(word for one in none for word in ("--assume", one)),
                "--assume", "fetch_mb_per_s=1000000000", check=False)
    assert ended.returncode == 1 and "is above --budget" in ended.stderr, ended.stderr
    name = re.search(r"arn:aws:states:\S+:execution:\S+", ended.stderr)[0]
    assert stack.end(name)["status"] == "ABORTED"
    run(stack, tmp_path, payload("results/ended"), "--resume")
    assert len(stack.json("results/ended/combined_data.json")) == PARTITIONS
