"""Validation of the config before anything runs, with one line for an error, and the JSON schema for editors.

`python -m facemill.config.validation` prints `schemas/config.schema.json`.
"""

import json
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, RootModel, ValidationError

from facemill.config.root import Config
from facemill.errors import UserError

FOLDERS = (
    "source.labelled",
    "source.masks.images",
    "source.masks.masks",
    "portraits.person.files",
    "tags.i2v",
    "tags.wd14",
)
"""Keys of paths that are folders; those of images may be archives, too."""


def validate(content: dict) -> Config:
    """The typed config.

    Raises:
        UserError: One line with the first error's key, its value and what is accepted.
    """
    try:
        config = Config.model_validate(content)
    except ValidationError as error:
        raise UserError(_describe(error)) from error
    for key, path in config.paths().items():
        if not path.exists():
            raise UserError(f"{key}: found {str(path)!r}, which is not there; accepted: a path that exists")
        if key in FOLDERS and not path.is_dir():
            raise UserError(f"{key}: found {str(path)!r}, a file; accepted: a folder")
        check_braces(key, path)
    return config


def check_braces(key: str, path: Path) -> None:
    """Raise `UserError` for a path that Snakemake would read as a pattern where it is an input."""
    if {"{", "}"} & set(str(path)):
        raise UserError(f"{key}: found {str(path)!r}; accepted: a path without braces, Snakemake's sign for wildcards")


def _describe(error: ValidationError) -> str:
    """One line for the first error of a config: key, value, what is accepted."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if "[" not in str(part))  # without pydantic's marks
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    match first["type"]:
        case "extra_forbidden":
            accepted = ", ".join(_keys(first["loc"][:-1]))
            return f"{key}: unknown key (value {first['input']!r}); accepted: {accepted}{more}"
        case "missing":
            return f"{key}: found nothing; accepted: a value, since it has no default{more}"
        case "value_error":  # ours: "found ..." or "key: found ..."
            message = str(first["ctx"]["error"])
            return f"{key}{': ' if message.startswith('found') else '.' if key else ''}{message}{more}"
        case _:
            accepted = first["msg"].replace("Input should be ", "").replace("should match", "that matches")
            return f"{key}: found {first['input']!r}; accepted: {accepted[0].lower()}{accepted[1:]}{more}"


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the section at a location of the config accepts."""
    section: Any = Config
    for part in location:  # a field; or a key of a dict or an index of a list, whose section was reached already
        if part in section.model_fields:
            section = _section(section.model_fields[part].annotation)
    return list(section.model_fields)


def _section(kind: Any) -> Any:
    """The section in a type annotation such as `Section | None` or `dict[str, Section]`."""
    if isinstance(kind, type) and issubclass(kind, RootModel):
        kind = kind.model_fields["root"].annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next(filter(None, map(_section, get_args(kind))), None)


def schema() -> dict:
    """The config's JSON schema, which editors use to complete and check YAML files."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Config.model_json_schema()


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
