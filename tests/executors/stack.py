"""MiniStack with the stack that `cosmicai deploy render` writes from deploy/lambda."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
import uuid
from pathlib import Path

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
NAME = "cosmicai"
BUCKET = "sky"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
FUNCTIONS = ("initialize", "infer", "summarize")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(url, process, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{url} did not answer within {seconds} s")


class Stack:
    """A MiniStack process with buckets, functions and the state machine."""

    def __init__(self, folder, log):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {
            **os.environ, **CREDENTIALS, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port),
            "AWS_ENDPOINT_URL": self.url, "LAMBDA_EXECUTOR": "local", "HOME": str(folder), "TMPDIR": str(folder),
            "STATE_DIR": str(folder / "state"), "S3_DATA_DIR": str(folder / "s3"),
        }
        # Its own process group contains the programs of the functions, which MiniStack starts.
        self.process = subprocess.Popen(
            ["ministack"], env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(f"{self.url}/_localstack/health", self.process)
        except BaseException:
            self.stop()
            raise
        self.s3, self.functions, self.states, self.logs = (
            self.client(service) for service in ("s3", "lambda", "stepfunctions", "logs"))

    def client(self, service, endpoint=None, **config):
        path_style = {"s3": {"addressing_style": "path"}} if service == "s3" else {}
        return boto3.client(
            service, endpoint_url=endpoint or self.url, region_name=REGION, aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 1}, inject_host_prefix=False, **path_style, **config))

    def deploy(self, rendered, endpoint):
        """Creates the stack of the template with CloudFormation. The functions use S3 at `endpoint`."""
        self.s3.create_bucket(Bucket=BUCKET)
        self.s3.create_bucket(Bucket="artifacts")
        for name in ("bootstrap.zip", "state_machine.asl.json"):
            self.s3.upload_file(str(rendered / name), "artifacts", name)
        # Replace local files as `aws cloudformation package` does.
        template = (rendered / "template.yaml").read_text()
        # MiniStack's CloudFormation does not support budgets.
        template = re.sub(r"\n  Budget:\n.*?\n(?=\nOutputs:)", "\n", template, flags=re.DOTALL)
        template = template.replace("Code: bootstrap.zip", "Code: {S3Bucket: artifacts, S3Key: bootstrap.zip}")
        template = template.replace(
            "DefinitionS3Location: state_machine.asl.json",
            "DefinitionS3Location: {Bucket: artifacts, Key: state_machine.asl.json}")
        parameters = {
            "Bucket": BUCKET, "DataBucket": BUCKET, "DataPrefix": "10MB", "MonthlyBudgetUsd": "10", "MemoryMb": "1769"}
        formation = self.client("cloudformation")
        formation.create_stack(
            StackName=NAME, TemplateBody=template, Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()])
        formation.get_waiter("stack_create_complete").wait(StackName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        outputs = formation.describe_stacks(StackName=NAME)["Stacks"][0]["Outputs"]
        self.machine = {output["OutputKey"]: output["OutputValue"] for output in outputs}["StateMachineArn"]
        for function in FUNCTIONS:
            self.functions.update_function_configuration(
                FunctionName=f"{NAME}-{function}",
                Environment={"Variables": {"AWS_ENDPOINT_URL": self.url, "AWS_ENDPOINT_URL_S3": endpoint}})

    def put(self, key, path):
        self.s3.upload_file(str(path), BUCKET, key)

    def get(self, key):
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def json(self, key):
        return json.loads(self.get(key))

    def keys(self, prefix):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def start(self, payload, states=None, machine=None):
        return (states or self.states).start_execution(
            stateMachineArn=machine or self.machine, name=uuid.uuid4().hex, input=json.dumps(payload))["executionArn"]

    def end(self, execution, seconds=120, states=None):
        """Waits for the end of an execution and returns its description."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = (states or self.states).describe_execution(executionArn=execution)
            if found["status"] != "RUNNING":
                return found
            time.sleep(0.1)
        raise AssertionError(f"{execution} is still running after {seconds} s")

    def stop(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
