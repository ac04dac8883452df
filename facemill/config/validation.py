"""The config as a whole, checked before anything runs: one line for a fault, and the JSON schema that editors use.

`schemas/config.schema.json` is what this module prints.
"""

import json
from pathlib import Path
from types import UnionType
from typing import Any

from pydantic import ValidationError

from facemill.config.root import Config
from facemill.errors import UserError


def validate(content: dict) -> Config:
    """The typed config. Raises `UserError` with one line that names key, value and what is accepted."""
    try:
        config = Config.model_validate(content)
    except ValidationError as error:
        raise UserError(_describe(error)) from error
    for key, path in config.paths().items():
        if not path.exists():
            raise UserError(f"{key}: found {str(path)!r}; accepted: a path that exists")
        check_braces(key, path)
    return config


def check_braces(key: str, path: Path) -> None:
    """Raises `UserError` for a path that Snakemake would take for a pattern, at whatever place it is an input."""
    if {"{", "}"} & set(str(path)):
        raise UserError(f"{key}: found {str(path)!r}; accepted: a path without braces, Snakemake's sign for wildcards")


def _describe(error: ValidationError) -> str:
    """One line for the first fault of a config: key, value, what is accepted."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if "[" not in str(part))  # pydantic's own marks aside
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


def _keys(place: tuple[int | str, ...]) -> list[str]:
    """The accepted keys of the section at a place of the config."""
    kind: Any = Config
    for part in place:
        # a section's field, or a value of a dict; of `Section | None` the section
        kind = kind.model_fields[part].annotation if isinstance(kind, type) else kind.__args__[1]
        kind = kind.__args__[0] if isinstance(kind, UnionType) else kind
    return list(kind.model_fields)


def schema() -> dict:
    """The config's JSON schema, which editors use to complete and check YAML files."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Config.model_json_schema()


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
