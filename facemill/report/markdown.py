"""Markdown of cards, in Hugging Face's form: a header of YAML, then text.

Format: https://huggingface.co/docs/hub/repositories-cards
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from facemill.data.classes import ClassTable

IDENTIFIER = re.compile(r"[a-z0-9.-]+")
"""The form of a license's identifier on the Hub: https://huggingface.co/docs/hub/repositories-licenses"""


def card(header: dict[str, Any], license_name: str | None, *parts: str) -> str:
    """A card: the header with its license, where there is one, and parts between empty lines."""
    content = _license_header(license_name) | header
    return "\n\n".join([f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---", *parts]) + "\n"


def _license_header(license_name: str | None) -> dict[str, str]:
    """The license in the header, where the Hub takes its own identifiers, in lower case, and `other` with a name."""
    if license_name is None or IDENTIFIER.fullmatch(license_name.lower()):
        return {"license": license_name.lower()} if license_name else {}
    return {"license": "other", "license_name": license_name}


def license_part(license_name: str | None, key: str) -> str:
    """The section on the license: that which the config names under a key of `licenses`, or that it names none."""
    if license_name:
        return f"## License\n\n{license_name}, as its makers name it."
    return (
        "## License\n\nUnknown: its makers name none. Who shares it decides: a license in the config, "
        f"`licenses: {{{key}: IDENTIFIER}}`, is named here and in the header by the next run. The dataset's `bom.json` "
        "names the licenses of what it was made from, as far as they are known."
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; the signs in a cell that would end it are escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def class_table(classes: ClassTable) -> str:
    """The classes by id, with name, color and role."""
    rows = [(i, f"`{c.name}`", f"`{c.color}`", c.role or "") for i, c in enumerate(classes.root)]
    return table(["id", "class", "color", "role"], rows)


def json_part(content: object) -> str:
    """A block of JSON."""
    return f"```json\n{json.dumps(content, indent=2, ensure_ascii=False)}\n```"


def number(value: object) -> str:
    """A number with four significant digits, integers with all; a dash for null, what was not measured."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def scalars(metrics: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """The names of all numbers and texts in nested metrics, as iou.hair, with their values; lists are left out."""
    rows: list[tuple[str, str]] = []
    for key, value in metrics.items():
        if isinstance(value, dict):
            rows += scalars(value, f"{prefix}{key}.")
        elif not isinstance(value, list):
            rows.append((f"{prefix}{key}", number(value)))
    return rows


def _cell(content: object) -> str:
    return str(content).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
