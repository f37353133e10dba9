"""What is sent to Lambda: its size, its beginning, and what the rendered files say."""

import re
import subprocess
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from conftest import cosmicai

ZIP_BYTES_MAX = 5 << 20


def test_the_zip_is_small_and_the_program_starts_at_once(rendered, tmp_path):
    packed = rendered / "bootstrap.zip"
    assert packed.stat().st_size <= ZIP_BYTES_MAX, packed.stat().st_size
    with zipfile.ZipFile(packed) as opened:
        assert opened.namelist() == ["bootstrap"]
        opened.extractall(tmp_path)
    program = tmp_path / "bootstrap"
    program.chmod(0o755)
    starts = sorted(seconds_to_first_request(program) for _ in range(5))
    print(f"zip {packed.stat().st_size / 2**20:.2f} MiB, start to handler {starts[2] * 1e3:.1f} ms ({starts})")
    assert starts[2] <= 0.050, starts


def seconds_to_first_request(program):
    """From the start of a process to its first question to the Runtime API: its handler is ready then."""
    asked = threading.Event()

    class Runtime(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.set()
            time.sleep(1)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Runtime)
    threading.Thread(target=server.handle_request, daemon=True).start()
    environment = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}", "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769", "AWS_REGION": "us-east-1",
        "AWS_LAMBDA_LOG_GROUP_NAME": "g", "AWS_LAMBDA_LOG_STREAM_NAME": "s",
    }
    begun = time.perf_counter()
    process = subprocess.Popen([program], env=environment, stderr=subprocess.DEVNULL)
    try:
        assert asked.wait(10)
        return time.perf_counter() - begun
    finally:
        process.kill()
        process.wait()
        server.server_close()


def unargued(template):
    """The lines with a `*` in a statement of a policy that has no comment on `*` directly above it."""
    lines = template.splitlines()
    found, comment, is_statement, is_argued = [], [], False, False
    for line in lines:
        text = line.strip()
        if text.startswith("#"):
            comment.append(text)
            continue
        if re.match(r"- (Effect|Sid):", text):
            is_statement, is_argued = True, "`*`" in " ".join(comment)
        elif is_statement and not line.startswith(" " * 12):
            is_statement = False
        if "*" in text and not (is_statement and is_argued) and "AllowedPattern" not in text:
            found.append(text)
        comment = []
    return found


def test_every_wildcard_of_the_template_is_argued(rendered):
    """A `*` in an action or a resource stands in a statement below a comment that says why."""
    template = (rendered / "template.yaml").read_text()
    assert template.count("Effect: Allow") > 10
    assert unargued(template) == []
    assert "FullAccess" not in template and "ManagedPolicyArns" not in template
    # The judge sees one that is not.
    worse = template.replace(
        "                Action: lambda:InvokeFunction", '                Action: lambda:*')
    assert unargued(worse) == ["Action: lambda:*"]


@pytest.mark.parametrize("content, said", [
    (b"#!/bin/sh\n", "not a program"), (b"PK\x03\x04", "broken zip"), (b"", "not a program"),
    (b"\x7fELF\x02\x01" + b"\0" * 12 + b"\x3e\0" + b"GLIBC_2.99\0", "needs glibc 2.99"),
])
def test_what_lambda_would_not_start_is_refused(tmp_path, content, said):
    program = tmp_path / "bootstrap"
    program.write_bytes(content)
    refused = cosmicai("deploy", "render", "--out", tmp_path / "out", "--bootstrap", program, check=False)
    assert refused.returncode == 1 and said in refused.stderr, refused.stderr
    assert not (tmp_path / "out").exists()
    missing = cosmicai("deploy", "render", "--out", tmp_path / "out", "--bootstrap", tmp_path / "none", check=False)
    assert missing.returncode == 1 and "cargo lambda build" in missing.stderr, missing.stderr
