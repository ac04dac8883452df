"""A training on several GPUs, one process for each: `python -m facemill.workflow.launch GPUS SCRIPT ARGUMENTS`.

Takes the GPUs and becomes `accelerate launch`. For one GPU, or where there is none, it becomes the script itself.
"""

import logging
import os
import sys

from facemill.errors import UserError
from facemill.workflow.gpu_slots import take_gpus


def main() -> None:
    """Takes as many GPUs as the command line says and runs the rest of it on them."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    count, *command = sys.argv[1:]
    try:
        taken = take_gpus(int(count)) if count != "1" else []  # a script takes one by itself
    except UserError as error:
        sys.exit(str(error))
    if len(taken) > 1:
        launcher = ["accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--num_processes", count]
        launcher += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
        command = ["-m", *launcher, *command]  # the precision is the script's own to choose
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    main()
