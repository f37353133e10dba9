"""Child processes: commands that run to their end, with their time and peak memory, and peers that answer requests.

A peer is stopped (SIGSTOP) between two requests, so that busy-waiting threads cannot disturb other measurements.
"""

import atexit
import dataclasses
import json
import os
import pathlib
import select
import signal
import subprocess
import tempfile
import time

CHILDREN = pathlib.Path(__file__).resolve().parent / "children"
ANSWER_SECONDS_MAX = 1800  # Compiling a model takes longest; a peer that takes longer is considered hung.


class Unavailable(Exception):
    """Something cannot be measured on this machine. The record contains the message, which states the reason."""


@dataclasses.dataclass
class Finished:
    output: str
    seconds: float
    memory_peak_mb: float


def wait(process):
    """Waits for the process to end; returns its peak resident memory in binary MB, as the system reports it."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / 1024


def run(command, environment=None):
    """Runs a command from start to exit, with additional environment variables."""
    command = list(map(str, command))
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, **with_variables(environment)
            )
        except OSError as error:
            raise Unavailable(f"cannot start `{command[0]}`: {error}") from error
        memory_peak_mb = wait(process)
        seconds = time.perf_counter() - start
        raise_if_failed(process, command, errors)
        output.seek(0)
        return Finished(output.read().decode(), seconds, memory_peak_mb)


def first_output_seconds(command, environment=None):
    """Returns the seconds from the start of a command to its first line of output; waits for its end."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=errors, **with_variables(environment)
        )
        process.stdout.readline()
        seconds = time.perf_counter() - start
        process.stdout.read()
        wait(process)
        raise_if_failed(process, command, errors)
    return seconds


def raise_if_failed(process, command, errors):
    if process.returncode != 0:
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines() or ["no error message"]
        reason = next((line for line in lines if line.startswith("error")), lines[-1])
        raise Unavailable(f"`{' '.join(map(str, command[:2]))} …` failed with exit code {process.returncode}: {reason}")


def with_variables(environment):
    return {"env": {**os.environ, **{name: str(value) for name, value in (environment or {}).items()}}}


class Child:
    """A process that runs a script of `children/` in the Python environment of its family."""

    def __init__(self, python, script, arguments, log, environment):
        command = [str(python), str(CHILDREN / script), *map(str, arguments)]
        self.log, self.memory_peak_mb = log, 0.0
        with open(log, "a") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, **with_variables(environment)
            )
        atexit.register(self.close)  # A stopped process would outlive this one.
        self.hello = self._answer()

    def ask(self, **request):
        if self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGCONT)
            try:
                self.process.stdin.write((json.dumps(request) + "\n").encode())
                self.process.stdin.flush()
            except BrokenPipeError:
                pass  # The process has ended; `_answer` reports it.
        return self._answer()

    def _answer(self):
        if not select.select([self.process.stdout], [], [], ANSWER_SECONDS_MAX)[0]:
            self.process.kill()
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise Unavailable(f"the process ended with exit code {self.process.returncode}: see {self.log}")
        os.kill(self.process.pid, signal.SIGSTOP)
        reply = json.loads(line)
        if "error" in reply:
            raise Unavailable(f"{reply['error']} (see {self.log})")
        return reply

    def close(self):
        """Ends the process if it still runs; returns its peak memory in binary MB."""
        if self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.stdin.close()
            self.memory_peak_mb = wait(self.process)
        return self.memory_peak_mb
