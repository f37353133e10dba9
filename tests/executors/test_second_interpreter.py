"""Runs on moto, a second and stricter interpreter of state machines, which calls MiniStack's S3 and Lambda."""

import os
import subprocess
import urllib.request

import pytest

from conftest import payload, assert_same_as_local
from stack import BUCKET, CREDENTIALS, NAME, free_port, wait_for


@pytest.fixture
def moto(stack, tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, **CREDENTIALS, "MOTO_PORT": str(stack.port)}
    with open(tmp_path / "moto.log", "w") as log:
        process = subprocess.Popen(
            ["moto_server", "-H", "127.0.0.1", "-p", str(port)], env=environment, stdout=log, stderr=log)
    try:
        wait_for(f"{url}/moto-api/data.json", process)
        config = urllib.request.Request(
            f"{url}/moto-api/config", b'{"stepfunctions": {"execute_state_machine": true}}',
            {"Content-Type": "application/json"}, method="POST")
        urllib.request.urlopen(config).close()
        yield stack.client("stepfunctions", url)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def machine(stack, moto):
    definition = stack.states.describe_state_machine(stateMachineArn=stack.machine)["definition"]
    role = "arn:aws:iam::000000000000:role/r"
    return moto.create_state_machine(name="cosmicai", definition=definition, roleArn=role)["stateMachineArn"]


def test_payload_of_the_cai_study_on_moto(stack, local, moto, machine):
    execution = stack.end(stack.start(payload("results/moto"), moto, machine), 300, moto)
    assert execution["status"] == "SUCCEEDED", (execution.get("error"), execution.get("cause"))
    assert_same_as_local(stack, local, "results/moto")


def test_throttled_invocations_are_retried(stack, local, moto, machine):
    """Uses moto, because MiniStack's interpreter reports a throttled invocation as `Lambda.Unknown`, unlike AWS."""
    stack.functions.put_function_concurrency(FunctionName=f"{NAME}-infer", ReservedConcurrentExecutions=1)
    slow = stack.faults.add(rf"GET /{BUCKET}/10MB/", 1_000, delay_s=0.2)
    try:
        execution = stack.end(stack.start(payload("results/throttled", max_concurrency=3), moto, machine), 300, moto)
    finally:
        stack.functions.delete_function_concurrency(FunctionName=f"{NAME}-infer")
    assert execution["status"] == "SUCCEEDED", (execution.get("error"), execution.get("cause"))
    assert slow.hits >= 12
    assert_same_as_local(stack, local, "results/throttled")
    attempts = [task["attempts"] for task in stack.json("results/throttled/report.json")["tasks"]]
    assert max(attempts) > 1, "no invocation was throttled"
