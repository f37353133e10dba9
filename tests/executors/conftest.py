"""Shared fixtures: the program, partitions, a model, MiniStack with the deployed stack, a SLURM cluster."""

import contextlib
import json
import os
import signal
import subprocess
import time
import uuid

import pytest

from cluster import Cluster
from faults import Faults
from records import assert_same
from stack import BUCKET, CREDENTIALS, ROOT, Stack

TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
COSMICAI = ROOT / os.environ.get("COSMICAI", TARGET / "debug/cosmicai")
BOOTSTRAP = ROOT / os.environ.get("BOOTSTRAP", TARGET / "lambda/bootstrap/bootstrap")
#: Number of partitions, and of images in each.
PARTITIONS, IMAGES = 12, 20


def environment(endpoint=None, more=None):
    """Returns the environment of the program: the path, and fake credentials."""
    found = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **CREDENTIALS, **(more or {})}
    # The program takes the region from the ARN.
    del found["AWS_REGION"]
    if endpoint:
        found["AWS_ENDPOINT_URL"] = endpoint
    return found


def cosmicai(*arguments, endpoint=None, check=True, more=None, **options):
    done = subprocess.run(
        [COSMICAI, *map(str, arguments)], env=environment(endpoint, more), capture_output=True, text=True,
        timeout=300, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"cosmicai {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@contextlib.contextmanager
def started(*arguments, endpoint=None, more=None):
    """Starts the program in its own process group, which is killed if the program does not end within the block."""
    with subprocess.Popen(
            [COSMICAI, *map(str, arguments)], env=environment(endpoint, more), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def wait_until(condition, seconds=60):
    """Waits until `condition()` is true; fails if it does not become true in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"the condition does not hold after {seconds} s"
        time.sleep(0.1)


def write(folder, body):
    """Writes a payload to a new file."""
    path = folder / f"{uuid.uuid4().hex}.json"
    path.write_text(json.dumps(body))
    return path


@pytest.fixture(scope="session", autouse=True)
def working_directory(tmp_path_factory):
    """Jobs with results on S3 write their logs to the current directory."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("cwd"))
    yield
    os.chdir(before)


@pytest.fixture(scope="session")
def cluster():
    cluster = Cluster()
    yield cluster
    cluster.down()


@pytest.fixture(scope="session")
def rendered(tmp_path_factory):
    out = tmp_path_factory.mktemp("rendered")
    cosmicai("deploy", "render", "--out", out, "--bootstrap", BOOTSTRAP)
    return out


@pytest.fixture(scope="session")
def local(tmp_path_factory):
    """Makes the bucket as a folder, with partitions, a model and the results of a local run of the payload."""
    folder = tmp_path_factory.mktemp("local")
    bucket = folder / BUCKET
    (bucket / "10MB").mkdir(parents=True)
    (bucket / "Anomaly Detection").mkdir()
    cosmicai("model-init", "--demo", "--out", bucket / "Anomaly Detection/model.safetensors")
    for number in range(1, PARTITIONS + 1):
        cosmicai("simulate", "--count", IMAGES, "--seed", number, "--out", bucket / f"10MB/{number}.pt")
    (folder / "payload.json").write_text(json.dumps(payload("results/study")))
    cosmicai("run", folder / "payload.json", "--store", folder)
    return folder


@pytest.fixture(scope="session")
def stack(tmp_path_factory, rendered, local):
    folder = tmp_path_factory.mktemp("ministack")
    with open(folder / "log", "w") as log:
        stack = Stack(folder, log)
        try:
            stack.faults = Faults(stack.url)
            stack.deploy(rendered, stack.faults.url)
            stack.put("Anomaly Detection/model.safetensors", local / BUCKET / "Anomaly Detection/model.safetensors")
            for number in range(1, PARTITIONS + 1):
                stack.put(f"10MB/{number}.pt", local / BUCKET / f"10MB/{number}.pt")
            yield stack
        finally:
            stack.stop()


@pytest.fixture(autouse=True)
def no_faults(request):
    yield
    if "stack" in request.fixturenames:
        request.getfixturevalue("stack").faults.clear()


def payload(result_path, **changes):
    """Returns the payload of the CAI study (arXiv:2501.06249) with other names of bucket and folders."""
    return {
        "bucket": BUCKET, "file_limit": "12", "batch_size": 256, "object_type": "folder",
        "S3_object_name": "Anomaly Detection", "script": "/tmp/Anomaly Detection/Inference/inference.py",
        "result_path": result_path, "data_bucket": BUCKET, "data_prefix": "10MB", **changes,
    }


def assert_same_as_local(stack, local, path):
    """Asserts that the run in this folder of the bucket has the same results as the local run of the same payload."""
    here = local / BUCKET / "results/study"
    assert_same(lambda name: stack.get(f"{path}/{name}"), lambda name: (here / name).read_bytes(), PARTITIONS)
