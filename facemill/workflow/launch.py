"""Launcher of a training on several GPUs: `python -m facemill.workflow.launch GPUS SCRIPT ARGUMENTS`.

Locks the GPUs and replaces itself by `accelerate launch`, which starts a process for each; for one GPU, or without any,
by the script.
"""

import logging
import os
import sys

from facemill.errors import UserError
from facemill.workflow.gpu_slots import take_gpus


def main() -> None:
    """Locks as many GPUs as the first argument says, and runs the rest of the command line on them."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    count, *command = sys.argv[1:]
    try:
        gpus = take_gpus(int(count)) if count != "1" else []  # a script locks a single one itself
    except UserError as error:
        sys.exit(str(error))
    if len(gpus) > 1:
        launcher = ["accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--num_processes", count]
        launcher += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
        command = ["-m", *launcher, *command]  # precision is the script's choice (make_accelerator)
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    main()
