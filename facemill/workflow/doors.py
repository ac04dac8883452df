"""Commands of rules: a door's command line, made from the rule's names, and the digest of the code behind it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from pydantic import BaseModel

from facemill.workflow.provenance import code_digest
from facemill.workflow.signatures import door_of, read_options


def door(root: Path, script: str, wildcards: Sequence[str] = (), launcher: str = "", **settings: Any) -> dict[str, Any]:
    """The parameters of a rule, for `params: **door(...)`: `code`, `settings` and `command`.

    `command` has an option for each named input and output, for each of these wildcards and settings: `--name value`,
    quoted. None and empty lists are left out. Unnamed inputs and outputs count for their contents alone.

    Snakemake does not compare what depends on inputs and outputs, as `command` does, with the last run. So a job runs
    again when `code`, the digest of the code behind the door, or `settings`, the options that are no files, change.

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

    start = f"python {launcher + ' ' if launcher else ''}{quote(str(path))}"

    def code(_: Any) -> str:
        return code_digest(path)

    def settings_line(job: Any) -> str:
        values = {name: value(job) if callable(value) else value for name, value in settings.items()}
        return _line(values | {name: job[name] for name in wildcards})

    def command(job: Any, input: Any, output: Any) -> str:  # noqa: A002  (Snakemake's names, after its wildcards)
        """The job's command line."""
        files = {**dict(input.items()), **dict(output.items())}
        names = [*input.keys(), *output.keys(), *settings, *wildcards]
        if len(set(names)) < len(names):
            raise ValueError(f"scripts/{script}.py: two of its rule's inputs, outputs and settings have one name")
        given = [*(name for name, value in files.items() if _words(value)), *settings, *wildcards]
        _check(script, given, options, complete=True)
        return f"FACEMILL_CODE={code(job)} {start} {_line(files)} {settings_line(job)}"

    return {"code": code, "settings": settings_line, "command": command}


def code_digests(rules: Iterable[Any]) -> dict[str, str]:
    """The digest of the code behind each of Snakemake's rules that has a door, by the rule's name."""
    codes = {rule.name: dict(rule.params.items()).get("code") for rule in rules}
    return {name: code(None) for name, code in codes.items() if callable(code)}


def _line(values: Mapping[str, Any]) -> str:
    """Options with their values, quoted; those without values are left out. True is an option alone, False is none."""
    words = {name: _words(value) for name, value in values.items()}
    return " ".join(
        " ".join([f"--{name.replace('_', '-')}", *map(quote, texts)])
        for name, texts in words.items()
        if texts or values[name] is True
    )


def _words(value: Any) -> list[str]:
    """The values of one option, as text."""
    if value is None or isinstance(value, bool):
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
