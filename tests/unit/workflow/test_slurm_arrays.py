"""Tasks of a Slurm array become the commands of their own jobs."""

import base64
import json
import os
import subprocess
import sys
import zlib

import pytest

from facemill.workflow.slurm_arrays import OPTION

TASKS = {str(n): zlib.compress(f"echo 'task {n}'; exit {n}".encode()).hex() for n in (42, 43)}
CODE = "from facemill.workflow.slurm_arrays import exec_array_task; exec_array_task(); print('the first job')"


@pytest.mark.parametrize(
    ("task", "said", "code"), [("41", "the first job", 0), ("42", "task 42", 42), ("43", "task 43", 43)]
)
def test_each_task_but_the_first_runs_its_own_command(task, said, code):
    environment = os.environ | {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_MIN": "41"}
    encoded = base64.b64encode(json.dumps(TASKS).encode()).decode()
    done = subprocess.run(
        [sys.executable, "-c", CODE, "--jobs", "1", f"{OPTION}={encoded}"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.stdout.strip(), done.returncode) == (said, code), done.stderr


def test_a_job_that_is_no_array_is_left_alone():
    done = subprocess.run([sys.executable, "-c", CODE, "--jobs", "1"], capture_output=True, text=True)
    assert done.stdout == "the first job\n"
