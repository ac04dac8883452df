"""Commands of rules: a door's command line, made from the rule's names, and the digest of the code behind it."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from pydantic import BaseModel

from facemill.workflow.provenance import code_digest
from facemill.workflow.signatures import door_of, read_options


def door(root: Path, script: str, wildcards: Sequence[str] = (), launcher: str = "", **settings: Any) -> dict[str, Any]:
    """The parameters `code` and `command` of a rule, for `params: **door(...)`.

    `command` has an option for each named input and output, for each of these wildcards and settings: `--name value`,
    quoted. None and empty lists are left out. Unnamed inputs and outputs count for their contents alone.

    Args:
        root: the folder that holds `scripts` and `facemill`.
        script: the door's name.
        wildcards: the rule's wildcards that are options.
        launcher: arguments of `python` before the script.
        settings: options; sections of the config become JSON, functions of the wildcards are called.

    Raises:
        ValueError: An option that the door does not take, or a required one that is not given: when the rule is
            parsed, or as a job is planned for inputs and outputs.
    """
    path = root / "scripts" / f"{script}.py"
    module, function = door_of(path).split(":")
    options = read_options(root.joinpath(*module.split(".")).with_suffix(".py"), function)
    _check(script, [*wildcards, *settings], options, complete=False)

    def command(wildcards_of_job: Any, input: Any, output: Any) -> str:  # noqa: A002  (Snakemake's names)
        values = [*input.items(), *output.items(), *((name, wildcards_of_job[name]) for name in wildcards)]
        values += [(name, value(wildcards_of_job) if callable(value) else value) for name, value in settings.items()]
        words = {name: texts for name, value in values if (texts := _words(value))}
        if len(dict(values)) < len(values):
            raise ValueError(f"scripts/{script}.py: two of its rule's inputs, outputs and settings have one name")
        _check(script, words, options, complete=True)
        line = " ".join(f"--{name.replace('_', '-')} {' '.join(map(quote, texts))}" for name, texts in words.items())
        return f"FACEMILL_CODE={code_digest(path)} python {launcher + ' ' if launcher else ''}{quote(str(path))} {line}"

    return {"code": _digest_of(path), "command": command}


def _digest_of(path: Path) -> Callable[[Any], str]:
    return lambda wildcards: code_digest(path)


def _words(value: Any) -> list[str]:
    """The values of one option, as text."""
    if value is None:
        return []
    if isinstance(value, BaseModel):
        return [value.model_dump_json()]
    if isinstance(value, str | Path) or not isinstance(value, Iterable):
        return [str(value)]
    return [str(item) for item in value]


def _check(script: str, names: Collection[str], options: Mapping[str, bool], complete: bool) -> None:
    if unknown := [name for name in names if name not in options]:
        raise ValueError(f"scripts/{script}.py takes no --{unknown[0]}; accepted: {', '.join(options)}")
    missing = [name for name, required in options.items() if required and name not in names and name != "threads"]
    if complete and missing:
        raise ValueError(f"scripts/{script}.py needs --{missing[0]}, which its rule does not give")
