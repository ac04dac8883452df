import os
import signal
import subprocess
import sys
import threading
import time

from facemill.workflow.lifetime import WORKFLOW, clear_stale_locks, end_with_workflow

JOB = """import time
from facemill.workflow.lifetime import end_with_workflow
end_with_workflow()
print("ready", flush=True)
time.sleep(60)
"""


def start_job(workflow: int) -> subprocess.Popen:
    environment = os.environ | {WORKFLOW: str(workflow)}
    job = subprocess.Popen([sys.executable, "-c", JOB], env=environment, stdout=subprocess.PIPE, text=True)
    assert job.stdout.readline() == "ready\n"
    return job


def test_a_job_ends_when_its_workflow_is_killed():
    workflow = subprocess.Popen(["sleep", "60"])
    job = start_job(workflow.pid)
    time.sleep(0.2)
    assert job.poll() is None
    workflow.kill()
    workflow.wait()
    assert job.wait(10) == -signal.SIGTERM


def test_a_job_whose_workflow_was_killed_before_it_began_ends_at_once():
    gone = subprocess.Popen(["true"])
    gone.wait()
    job = subprocess.run([sys.executable, "-c", JOB], env=os.environ | {WORKFLOW: str(gone.pid)}, capture_output=True)
    assert (job.returncode, job.stdout) == (-signal.SIGTERM, b"")


def test_a_command_outside_a_workflow_is_left_alone(monkeypatch):
    monkeypatch.delenv(WORKFLOW, raising=False)
    threads = threading.active_count()
    end_with_workflow()
    assert threading.active_count() == threads


def test_locks_of_a_run_that_is_gone_are_removed_and_those_of_a_living_one_kept(tmp_path):
    folder = tmp_path / ".snakemake"
    lock = folder / "locks/0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    other = "from facemill.workflow.lifetime import *; from pathlib import Path; "
    other += f"a = clear_stale_locks(Path({str(folder)!r}))"
    code = other + "; print('ready', flush=True); import time; time.sleep(60)"
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "ready\n"
    assert not lock.exists()

    lock.touch()
    second = clear_stale_locks(folder)
    assert lock.exists()
    run.kill()
    run.wait()
    second.close()
    clear_stale_locks(folder).close()
    assert not lock.exists()
