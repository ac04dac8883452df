"""The command line of every door under `scripts/`: typed options, plain log lines, one line for a mistake."""

import errno
import importlib
import inspect
import logging
import os
import re
import sys
import typing
from collections.abc import Callable
from functools import partial
from types import UnionType
from typing import Annotated, Any

import cyclopts
from pydantic import BaseModel, ValidationError

from facemill.errors import Damaged, UserError
from facemill.files import given_paths
from facemill.log import log
from facemill.workflow.gpu_slots import take_gpus
from facemill.workflow.lifetime import end_with_workflow
from facemill.workflow.signatures import read_signature

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
"""Error numbers of a disk that is full, may not be written or read, or fails."""


def run(function: str, *, gpu: bool = False) -> None:
    """Calls `module:function` with the command line's options; the entry point of every door.

    The function's parameters are the options, those that are not keyword-only may be given without a name; its
    docstring is the help. Lists take several values (`--portraits a b c`), sections of the config are given as JSON.
    In paths `~` is the user's home. The module is imported when the options are read. With `gpu` a free GPU is waited
    for, where there is any.

    A `UserError`, a disk that is full or refuses, a GPU whose memory is full, and a killed worker process are shown as
    one line and exit with 1. A damaged product of the workflow is quarantined, so that the next run makes it again.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    log.setLevel(logging.INFO if os.environ.get("LOCAL_RANK", "0") == "0" else logging.WARNING)
    end_with_workflow()
    app = cyclopts.App(default_parameter=cyclopts.Parameter(consume_multiple=True, negative=()), version_flags=())
    app.default(_main(function, gpu))
    try:
        app()
    except Exception as error:
        if (fault := _fault_of(error)) is None:
            raise
        sys.unraisablehook = lambda _: None  # workers that come apart while this process ends have nothing to add
        sys.exit(f"{sys.argv[0].rsplit('/', 1)[-1]}: {fault}")


def _main(function: str, gpu: bool) -> Callable[..., None]:
    """A function with the signature and help of `module:function` that imports the module when it is called."""
    module, name = function.split(":")
    signature, help_text = read_signature(function)

    def main(*positional: Any, **options: Any) -> None:
        """Imports the module, and calls its function."""
        if gpu and "LOCAL_RANK" not in os.environ:  # the processes of one training: facemill.workflow.launch
            take_gpus()
        options = {key: given_paths(value) for key, value in options.items()}
        getattr(importlib.import_module(module), name)(*map(given_paths, positional), **options)

    parameters = [p.replace(annotation=_option_type(p.annotation)) for p in signature.parameters.values()]
    main.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect.signature reads
    main.__annotations__ = {p.name: p.annotation for p in parameters}
    main.__doc__ = help_text
    return main


def _option_type(annotation: Any) -> Any:
    """The annotation of an option; sections of the config, optional ones too, are read from JSON."""
    kinds = typing.get_args(annotation) if isinstance(annotation, UnionType) else [annotation]
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            reader = partial(_read_json, kind)
            return Annotated[annotation, cyclopts.Parameter(converter=reader, accepts_keys=False, n_tokens=1)]
    return annotation


def _read_json(model: type[BaseModel], _: Any, tokens: Any) -> BaseModel:
    try:
        return model.model_validate_json(tokens[0].value)
    except ValidationError as error:
        raise ValueError("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error


def _fault_of(error: Exception) -> str | None:
    """One line for a fault of the input or the machine; None for one of the code."""
    match error:
        case Damaged():
            return f"{error}; {error.quarantine()}"
        case UserError():
            return str(error)
        case RuntimeError() if str(error).startswith("DataLoader worker"):
            return f"{str(error).splitlines()[0]}; the same command resumes from the last checkpoint"
        case RuntimeError() if type(error).__name__ == "OutOfMemoryError":  # torch is not imported here
            said = ". ".join(str(error).split(". ")[:3])  # what was asked for, the GPU's memory, and how much is free
            return (
                f"{said}; accepted: a smaller training.batch (for GauGAN a larger gaugan.grad_accumulation), "
                "or a GPU with more memory"
            )
        case ConnectionResetError() | EOFError(args=()):  # raised instead when the worker was handing over a batch
            kind = type(error).__name__
            return f"a DataLoader worker was killed ({kind}); the same command resumes from the last checkpoint"
    number = getattr(error, "errno", None)
    if reported := re.search(r"os error (\d+)", str(error)):  # safetensors and polars, which are written in Rust
        number = int(reported[1])
    if number in DISK_ERRORS:
        path = getattr(error, "filename", None) or getattr(error, "output", None) or "a file"
        return f"{path}: {os.strerror(number)}"
    return None
