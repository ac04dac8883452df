"""What every command under `scripts/` shares: typed arguments, plain log lines, progress, one line for a mistake."""

import errno
import logging
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import cyclopts
from pydantic import BaseModel, ValidationError

from facemill.errors import Damaged, UserError
from facemill.log import log
from facemill.workflow.gpu_slots import take_gpus
from facemill.workflow.lifetime import end_with_workflow


def _parse_settings(model: type[BaseModel], tokens: Any) -> BaseModel:
    try:
        return model.model_validate_json(tokens[0].value)
    except ValidationError as error:
        raise ValueError("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error


Settings = cyclopts.Parameter(converter=_parse_settings, accepts_keys=False, n_tokens=1)
"""Marks an argument that is a section of the config, given as JSON: `settings: Annotated[UnetSettings, Settings]`."""


DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
"""What the system says of a disk that is full, may not be written or read, or fails."""


def run(main: Callable[..., None], *, gpu: bool = False) -> None:
    """Calls `main` with the command line's arguments, typed by its signature; the entry point of every script.

    Lists take several values (`--portraits a b c`). A `UserError`, a disk that is full or refuses and a worker process
    that was killed are shown as one line and exit with 1. A damaged product of the workflow is put aside, so that the
    next run makes it again. With `gpu` it waits for a GPU of its own, where there is any.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    log.setLevel(logging.INFO if os.environ.get("LOCAL_RANK", "0") == "0" else logging.WARNING)
    end_with_workflow()
    if gpu and "LOCAL_RANK" not in os.environ:  # several processes of one training: facemill.workflow.launch
        take_gpus()
    app = cyclopts.App(
        default_parameter=cyclopts.Parameter(consume_multiple=True, negative=()), help=main.__doc__, version_flags=()
    )
    app.default(main)
    try:
        app()
    except Exception as error:
        if (fault := _fault_of(error)) is None:
            raise
        sys.unraisablehook = lambda _: None  # workers that come apart while this process ends have nothing to add
        sys.exit(f"{sys.argv[0].rsplit('/', 1)[-1]}: {fault}")


def _fault_of(error: Exception) -> str | None:
    """One line for a fault of the input or the machine; None for one of the code."""
    match error:
        case Damaged():
            return f"{error}; {error.put_aside()}"
        case UserError():
            return str(error)
        case RuntimeError() if str(error).startswith("DataLoader worker"):
            return f"{str(error).splitlines()[0]}; the same command goes on from the last checkpoint"
        case ConnectionResetError():  # what is said instead when it was handing over a batch
            return f"a DataLoader worker was killed ({error}); the same command goes on from the last checkpoint"
    number = getattr(error, "errno", None)
    if told := re.search(r"os error (\d+)", str(error)):  # safetensors and polars, which are written in Rust
        number = int(told[1])
    if number in DISK_ERRORS:
        named = getattr(error, "filename", None) or getattr(error, "output", None) or "a file"
        return f"{named}: {os.strerror(number)}"
    return None
