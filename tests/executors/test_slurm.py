"""Tests of the SLURM executor on a real cluster: states of jobs, arrays, logs, and workers that users start."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from cluster import Cluster
from conftest import COSMICAI, PARTITIONS, cosmicai, environment, payload, started, wait_until, write
from records import assert_same
from stack import BUCKET

MEMORY_CGROUP = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def many(local):
    """Adds forty partitions in 40/, as links to existing partitions."""
    folder = local / BUCKET / "40"
    if not folder.exists():
        folder.mkdir()
        for number in range(40):
            (folder / f"{number}.pt").symlink_to(local / BUCKET / f"10MB/{number % PARTITIONS + 1}.pt")
    return local


def slurm(cluster, store, path, *options, check=True):
    return cosmicai(
        "run", path, "--store", store, "--executor", "slurm", *options, check=check, more=cluster.environment)


def run_on(cluster, command, folder, *options, check=True):
    return cosmicai(command, folder, *options, check=check, more=cluster.environment)


@contextlib.contextmanager
def started_array(cluster, store, path, *options, endpoint=None):
    """Starts a run in its own process group; yields the process and the id of its job array."""
    with started("run", path, "--store", store, "--executor", "slurm", *options, endpoint=endpoint,
                 more=cluster.environment) as process:
        line = process.stderr.readline()
        if not line.startswith("job "):
            process.kill()
            raise AssertionError(line + process.stderr.read())
        yield process, re.match(r"job (\d+)", line)[1]


def test_array_of_thirteen_jobs_runs_forty_tasks(cluster, many, tmp_path):
    body = payload("forty/slurm", data_prefix="40", file_limit=40)
    done = slurm(cluster, many, write(tmp_path, body), "--array-size", "13", "--array-limit", "3", "--cpus-per-task", "1",
                 "--time", "10", '--sbatch-extra=--comment="a test"', "--format", "json")
    cosmicai("run", write(tmp_path, payload("forty/local", data_prefix="40", file_limit=40)), "--store", many)
    there, here = many / BUCKET / "forty/slurm", many / BUCKET / "forty/local"
    assert_same(lambda name: (there / name).read_bytes(), lambda name: (here / name).read_bytes(), 40)

    report = json.loads(done.stdout)["report"]
    jobs = report["scheduled"]["jobs"]
    assert report["scheduled"]["scheduler"].startswith("slurm ") and report["scheduled"]["cluster"] == "tests"
    assert [job["state"] for job in jobs] == ["COMPLETED"] * 13
    assert [job["ranks"] for job in jobs] == [list(range(index, 40, 13)) for index in range(13)]
    assert all(job["time_limit_seconds"] == 600 and job["nodes"] and job["cpus"] == 1 for job in jobs)
    spans = [(min(t["started"] for t in ts), max(t["finished"] for t in ts)) for job in jobs
             for ts in [[t for t in report["tasks"] if t["rank"] in job["ranks"]]]]
    assert max(sum(a <= begin < b for a, b in spans) for begin, _ in spans) <= 3, "--array-limit"
    script = (there / "job/array.sbatch").read_text()
    assert "#SBATCH --array=0-12%3\n" in script and '#SBATCH --comment="a test"\n' in script, script
    logs = run_on(cluster, "logs", there).stdout
    assert logs.count("3 of 3 tasks") + logs.count("4 of 4 tasks") == 13
    of_17 = run_on(cluster, "logs", there, "--rank", "17").stdout.splitlines()
    assert of_17 and all(re.match(r"\d+_4: ", line) for line in of_17)
    status = run_on(cluster, "status", there).stdout
    assert "40 of 40" in status and "13 COMPLETED" in status and "finished" in status


def test_reports_states_of_failed_jobs_and_resume_runs_only_their_tasks(cluster, stack, local, tmp_path):
    """One job is cancelled, one exceeds its time limit of one minute, and one fails; the others finish."""
    path = "slurm/ends"
    prefix = "10MB/ends"
    for number in range(1, PARTITIONS + 1):
        stack.put(f"{prefix}/{number}.pt", local / BUCKET / f"10MB/{number}.pt")
    stack.s3.put_object(Bucket=BUCKET, Key=f"{prefix}/7.pt", Body=b"not a partition")
    for number in (3, 5):
        stack.faults.add(rf"GET /{BUCKET}/{prefix}/{number}.pt", 1_000, delay_s=3, status=503)
    body = write(tmp_path, payload(path, data_prefix=prefix, order="natural"))
    with started_array(cluster, "s3", body, "--time", "1", "--attempts", "100", endpoint=stack.faults.url) as (process, job):
        # The worker of rank 2 reads its partition.
        wait_until(lambda: stack.faults.rules[0].hits)
        cluster.run("scancel", f"{job}_2")
        _, messages = process.communicate(timeout=180)
    assert process.returncode == 1, messages
    report = stack.json(f"{path}/report.json")
    failed = {task["rank"]: task["error"] for task in report["failed"]}
    assert sorted(failed) == [2, 4, 6] and report["left"] == [], failed
    assert failed[2].startswith(f"CANCELLED: job {job}_2") and "ended by a signal after 0 images" in failed[2]
    assert failed[4].startswith(f"TIMEOUT: job {job}_4") and "--time 00:02:00" in failed[4], failed[4]
    assert f"{prefix}/7.pt" in failed[6]
    for message in (*failed.values(), "3 of 12 tasks are missing", "--executor slurm", "--time 1", "--resume"):
        assert message in messages, messages
    states = {job["ranks"][0]: job["state"] for job in report["scheduled"]["jobs"]}
    assert (states[2], states[4], states[6]) == ("CANCELLED", "TIMEOUT", "FAILED")
    status = cosmicai("status", f"{BUCKET}/{path}", "--store", "s3", endpoint=stack.url, check=False, more=cluster.environment)
    assert status.returncode == 1 and failed[4] in status.stdout, status.stdout

    stack.faults.clear()
    stack.put(f"{prefix}/7.pt", local / BUCKET / "10MB/7.pt")
    before = {rank: stack.get(f"{path}/tasks/{rank}.json") for rank in range(PARTITIONS) if rank not in failed}
    cosmicai("run", body, "--store", "s3", "--executor", "slurm", "--resume", "--time", "5", endpoint=stack.url,
             more=cluster.environment)
    assert {rank: stack.get(f"{path}/tasks/{rank}.json") for rank in before} == before
    assert "#SBATCH --array=2,4,6\n" in stack.get(f"{path}/job/array.sbatch").decode()
    report = stack.json(f"{path}/report.json")
    assert report["failed"] == [] and [job["ranks"] for job in report["scheduled"]["jobs"]] == [[2], [4], [6]]


def test_run_continues_after_hangup_and_status_follows_it(cluster, many, tmp_path):
    there = many / BUCKET / "lost"
    body = write(tmp_path, payload("lost", data_prefix="40", file_limit=40))
    with started_array(cluster, many, body, "--array-limit", "1", "--array-size", "4") as (process, job):
        os.killpg(process.pid, signal.SIGHUP)
        _, messages = process.communicate(timeout=20)
    assert process.returncode == 130, messages
    status = json.loads(run_on(cluster, "status", there, "--format", "json").stdout)
    assert status["is_live"] and status["tasks"] == 40 and status["job_ids"][0] == job
    refused = slurm(cluster, many, body, "--overwrite", check=False)
    assert refused.returncode == 1 and "still wait or run" in refused.stderr and "cosmicai stop" in refused.stderr
    wait_until(lambda: not json.loads(run_on(cluster, "status", there, "--format", "json").stdout)["is_live"], 120)
    assert json.loads(run_on(cluster, "status", there, "--format", "json").stdout)["finished"] == 40
    # No client followed the run: the summarize job wrote the summary.
    assert json.loads((there / "summary.json").read_text())["finished"] == 40
    report = json.loads((there / "report.json").read_text())
    assert report["executor"] == "slurm" and [job["state"] for job in report["scheduled"]["jobs"]] == ["COMPLETED"] * 4


def test_ctrl_c_stop_and_resume(cluster, many, tmp_path):
    there = many / BUCKET / "stopped"
    body = write(tmp_path, payload("stopped", data_prefix="40", file_limit=40))
    with started_array(cluster, many, body, "--array-limit", "1") as (process, job):
        cluster.wait_for(f"{job}_0", "RUNNING", "COMPLETED")
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=20)
    assert process.returncode == 130 and "cosmicai stop" in messages and "--resume" in messages, messages
    with started_array(cluster, many, body, "--resume") as (again, same):
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=20)
    assert same == job, "the run was submitted again instead of being followed"
    run_on(cluster, "stop", there)
    wait_until(lambda: not json.loads(run_on(cluster, "status", there, "--format", "json", check=False).stdout)["is_live"])
    stopped = run_on(cluster, "status", there, check=False)
    assert stopped.returncode == 1 and "ended, with tasks missing" in stopped.stdout and "CANCELLED" in stopped.stdout
    report = json.loads((there / "report.json").read_text())
    assert report["left"] and not (there / "summary.json").exists()
    before = {path.name: path.read_bytes() for path in (there / "tasks").iterdir()}
    slurm(cluster, many, body, "--resume")
    assert {name: (there / "tasks" / name).read_bytes() for name in before} == before
    assert json.loads((there / "summary.json").read_text())["finished"] == 40


def test_array_size_stays_below_the_limit_of_the_cluster(local, tmp_path):
    small = Cluster("MaxArraySize=5")
    try:
        slurm(small, local, write(tmp_path, payload("small")))
        there = local / BUCKET / "small"
        assert "#SBATCH --array=0-4\n" in (there / "job/array.sbatch").read_text()
        here = local / BUCKET / "results/study"
        assert_same(lambda name: (there / name).read_bytes(), lambda name: (here / name).read_bytes(), PARTITIONS)
    finally:
        small.down()


def test_out_of_memory_is_reported_and_resume_requests_more_memory(local, tmp_path):
    if not os.access(MEMORY_CGROUP, os.W_OK):
        pytest.skip("needs a writable memory controller of cgroup version 1")
    cgroup = "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nConstrainRAMSpace=yes\n"
    limited = Cluster("TaskPlugin=task/cgroup", "JobAcctGatherType=jobacct_gather/linux",
                      "SelectTypeParameters=CR_CPU_Memory", cgroup=cgroup)
    cosmicai("model-init", "--out", local / BUCKET / "full.safetensors")
    try:
        body = payload("memory", model="full.safetensors", file_limit=2)
        failed = slurm(limited, local, write(tmp_path, body), "--mem", "40M", check=False)
        assert failed.returncode == 1 and "OUT_OF_MEMORY: job" in failed.stderr and "--mem 80M" in failed.stderr, failed.stderr
        there = local / BUCKET / "memory"
        report = json.loads((there / "report.json").read_text())
        assert [job["state"] for job in report["scheduled"]["jobs"]] == ["OUT_OF_MEMORY"] * 2
        slurm(limited, local, write(tmp_path, body), "--mem", "40M", "--retry-memory-factor", "8", "--resume")
        report = json.loads((there / "report.json").read_text())
        jobs = report["scheduled"]["jobs"]
        assert [job["state"] for job in jobs] == ["OUT_OF_MEMORY"] * 2 + ["COMPLETED"] * 2
        assert [job["memory_mb"] for job in jobs] == [40, 40, 320, 320] and len(report["tasks"]) == 2
    finally:
        limited.down()
        (local / BUCKET / "full.safetensors").unlink()


def test_dry_run_prints_job_scripts_and_writes_nothing(cluster, local, tmp_path):
    done = slurm(cluster, local, write(tmp_path, payload("dry")), "--dry-run", "--mem", "1G")
    assert done.stdout.count("#!/bin/bash") == 2 and "--mem=1G" in done.stdout and "afterany:" in done.stdout
    assert not (local / BUCKET / "dry").exists()
    script = tmp_path / "array.sh"
    script.write_text(done.stdout.split("#!/bin/bash")[1])
    assert subprocess.run(["bash", "-n", script]).returncode == 0


@pytest.mark.parametrize("options, message", [
    (["--slurm-partition", "nowhere"], "invalid partition"),
    (["--sbatch-extra=--no-such-option"], "unrecognized option"),
    (["--slurm-partition", "a b"], "one word of letters and digits"),
    (["--sbatch-extra=--array=0-5"], "cosmicai sets"),
    (["--mem", "much"], "a size such as 4G"),
    (["--retry-memory-factor", "0.5", "--mem", "1G"], "a number above 1"),
    (["--workers", "2"], "--array-limit"),
    (["--threads", "2"], "--cpus-per-task"),
])
def test_rejected_submission_leaves_the_folder_unused(cluster, local, tmp_path, options, message):
    refused = slurm(cluster, local, write(tmp_path, payload("refused")), *options, check=False)
    assert refused.returncode == 1 and message in refused.stderr, refused.stderr
    assert not list((local / BUCKET / "refused").rglob("*.json")), refused.stderr


@pytest.mark.parametrize("answer", ['echo "   Welcome"; "$sbatch" "$@"', '"$sbatch" "$@" >/dev/null; echo Welcome'])
def test_job_is_found_behind_a_greeting(cluster, local, tmp_path, answer):
    """A site's wrapper of sbatch greets, or keeps the id of the job to itself."""
    wrapper = tmp_path / "bin/sbatch"
    wrapper.parent.mkdir()
    wrapper.write_text(f"#!/bin/bash\nsbatch={shutil.which('sbatch')}\n{answer}\n")
    wrapper.chmod(0o755)
    path = f"greeting/{tmp_path.name}"
    done = cosmicai("run", write(tmp_path, payload(path)), "--store", local, "--executor", "slurm", "--time", "10",
                    more={**cluster.environment, "PATH": f"{wrapper.parent}:{os.environ['PATH']}"})
    assert "12 of 12" in done.stdout, done.stdout
    here, there = local / BUCKET / "results/study", local / BUCKET / path
    assert_same(lambda name: (there / name).read_bytes(), lambda name: (here / name).read_bytes(), PARTITIONS)


def test_missing_slurm_commands_are_reported(local, tmp_path):
    refused = cosmicai("run", write(tmp_path, payload("none")), "--store", local, "--executor", "slurm", check=False,
                       more={"PATH": "/nowhere"})
    assert refused.returncode == 1 and "no `scontrol` on the path" in refused.stderr, refused.stderr
    refused = cosmicai("run", write(tmp_path, payload("none")), "--store", local, "--mem", "1G", check=False)
    assert refused.returncode == 1 and "--executor slurm" in refused.stderr


def test_workers_started_by_the_user(many, tmp_path):
    """Makes a plan, starts workers that share it, as with srun or GNU parallel, and summarizes."""
    body = write(tmp_path, payload("by-hand", data_prefix="40", file_limit=40))
    planned = json.loads(cosmicai("run", body, "--store", many, "--plan-only", "--format", "json").stdout)
    assert planned["tasks"] == 40
    # xargs replaces `{}` everywhere, so not a letter: a temporary folder may have any letter in its name.
    command = f"seq 0 2 | xargs -P 3 -I {{}} '{COSMICAI}' worker --plan '{planned['plan']}' --rank {{}} --of 3"
    workers = subprocess.run(["sh", "-c", command], env=environment(), timeout=120, capture_output=True, text=True)
    assert workers.returncode == 0, workers.stderr
    there, here = many / BUCKET / "by-hand", many / BUCKET / "forty/local"
    cosmicai("summarize", there, "--report")
    report = json.loads((there / "report.json").read_text())
    assert len(report["tasks"]) == 40 and report["executor"] == "workers"
    if not here.exists():
        cosmicai("run", write(tmp_path, payload("forty/local", data_prefix="40", file_limit=40)), "--store", many)
    assert_same(lambda name: (there / name).read_bytes(), lambda name: (here / name).read_bytes(), 40)
    again = cosmicai("worker", "--plan", there, "--rank", "3")
    assert "1 finished before" in again.stderr
    for options, message in [(["--rank", "40"], "with ranks 0 to 39"), (["--rank", "3", "--of", "3"], "the last of 3 workers is 2"),
                          (["--rank", "0", "--of", "2", "--among", "5-2"], "numbers and ranges")]:
        refused = cosmicai("worker", "--plan", there, *options, check=False)
        assert refused.returncode == 1 and message in refused.stderr, refused.stderr


def queue(cluster):
    return set(cluster.run("squeue", "--noheader", "--format=%F").split())


def test_running_run_is_protected_from_other_runs(cluster, many, tmp_path):
    """Uses a held array instead of a running one."""
    there = many / BUCKET / "held"
    body = write(tmp_path, payload("held", data_prefix="40", file_limit=40))
    with started_array(cluster, many, body, "--array-size", "2", "--sbatch-extra=--hold") as (process, _):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    for executor in ([], ["--executor", "slurm"], ["--plan-only"]):
        for option in ("--overwrite", *(["--resume"] if executor != ["--executor", "slurm"] else [])):
            refused = cosmicai("run", body, "--store", many, *executor, option, check=False, more=cluster.environment)
            assert refused.returncode == 1 and "still wait or run" in refused.stderr, (executor, option, refused.stderr)
    blind = cosmicai("run", body, "--store", many, "--overwrite", check=False)
    assert blind.returncode == 1 and "cannot check if jobs" in blind.stderr, blind.stderr
    without_slurm = cosmicai("status", there, more={"PATH": "/nowhere"})
    assert "cannot query the jobs" in without_slurm.stderr and "0 of 40" in without_slurm.stdout
    run_on(cluster, "stop", there)
    again = run_on(cluster, "stop", there).stderr
    assert "stopped" in again or "no job of this run is pending or running" in again
    slurm(cluster, many, body, "--resume", "--array-size", "2")
    assert json.loads((there / "summary.json").read_text())["finished"] == 40
    before = (there / "summary.json").read_bytes()
    finished = slurm(cluster, many, body, "--resume")
    assert "every task is finished" in finished.stderr and "40 of 40" in finished.stdout
    assert (there / "summary.json").read_bytes() == before
    # `stop` does not cancel a job of another user that has the same id.
    listed = json.loads((there / "job/submission.json").read_text())
    other = cluster.run("sbatch", "--parsable", "--hold", "--wrap=true").strip()
    listed["arrays"][0]["id"] = listed["summarize"] = other
    (there / "job/submission.json").write_text(json.dumps(listed))
    run_on(cluster, "stop", there)
    assert cluster.state(other) == "PENDING"
    cluster.run("scancel", other)


def test_only_one_of_two_concurrent_resumes_submits(cluster, many, tmp_path):
    body = write(tmp_path, payload("rivals", data_prefix="40", file_limit=40))
    cosmicai("run", body, "--store", many, "--plan-only")
    before = queue(cluster)
    command = ["run", body, "--store", many, "--executor", "slurm", "--resume", "--array-size", "2"]
    with (started(*command, more=cluster.environment) as first, started(*command, more=cluster.environment) as second):
        outputs = [rival.communicate(timeout=120)[1] for rival in (first, second)]
    codes = sorted([first.returncode, second.returncode])
    # The second one is rejected, follows the first, or finds all tasks finished.
    assert codes in ([0, 1], [0, 0]), outputs
    listed = json.loads((many / BUCKET / "rivals/job/submission.json").read_text())
    assert len(listed["arrays"]) == 1 and queue(cluster) <= before, outputs
    assert json.loads((many / BUCKET / "rivals/summary.json").read_text())["finished"] == 40


def test_interrupt_during_submission_records_all_jobs(cluster, many, tmp_path):
    slow = tmp_path / "bin"
    slow.mkdir()
    real = subprocess.run(["which", "sbatch"], capture_output=True, text=True, check=True).stdout.strip()
    (slow / "sbatch").write_text(f"#!/bin/sh\n{real} \"$@\"; code=$?; touch '{slow}/submitted'; sleep 2; exit $code\n")
    (slow / "sbatch").chmod(0o755)
    body = write(tmp_path, payload("slow", data_prefix="40", file_limit=40))
    there = many / BUCKET / "slow"
    with started("run", body, "--store", many, "--executor", "slurm", "--array-size", "2", "--sbatch-extra=--hold",
                 more={**cluster.environment, "PATH": f"{slow}:{os.environ['PATH']}"}) as process:
        wait_until((slow / "submitted").exists, 30)
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=30)
    assert process.returncode == 130 and "jobs that have not ended continue" in messages, messages
    listed = json.loads((there / "job/submission.json").read_text())
    assert len(listed["arrays"]) == 1 and listed["summarize"]
    run_on(cluster, "stop", there)


def test_run_id_is_never_executed_as_shell_code(cluster, many, tmp_path):
    """Other users may write a plan in a shared folder. Regression test: the script once had its run id unquoted."""
    body = write(tmp_path, payload("named", data_prefix="40", file_limit=40))
    cosmicai("run", body, "--store", many, "--plan-only")
    path = many / BUCKET / "named/plan.json"
    plan = json.loads(path.read_text())
    touched = tmp_path / "touched"
    path.write_text(json.dumps({**plan, "run_id": f"x\ntouch {touched}\n#"}))
    refused = slurm(cluster, many, body, "--resume", "--array-size", "2", check=False)
    assert refused.returncode == 1 and "run_id" in refused.stderr, refused.stderr
    path.write_text(json.dumps({**plan, "run_id": f"x; touch {touched}"}))
    done = slurm(cluster, many, body, "--resume", "--array-size", "2")
    assert "40 of 40" in done.stdout, done.stdout
    assert len(list((many / BUCKET / "named/tasks").iterdir())) == 40
    assert not touched.exists()


def test_held_summarize_job_does_not_delay_the_client(cluster, many, tmp_path):
    body = write(tmp_path, payload("delayed", data_prefix="40", file_limit=40))
    with started_array(cluster, many, body, "--array-size", "4", "--array-limit", "1") as (process, _):
        listed = many / BUCKET / "delayed/job/submission.json"
        summarize = json.loads(listed.read_text())["summarize"]
        cluster.run("scontrol", "hold", summarize)
        _, messages = process.communicate(timeout=60)
    assert process.returncode == 0, messages
    assert cluster.state(summarize) == "CANCELLED"
