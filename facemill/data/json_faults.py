"""What makes JSON malformed, in words that lead to the place."""

import json
import math
from collections.abc import Iterator
from typing import Any


def malformed(content: bytes | str) -> str | None:
    """Where JSON is malformed; of NaN and Infinity, which Python writes and JSON does not have, the key.

    None where Python reads it without such numbers.
    """
    if not content.strip():
        return "an empty file"
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        return f"malformed JSON ({error})"
    found = next(_no_numbers(parsed), None)
    return f"{found[0]} is {json.dumps(found[1])}; accepted: a number" if found else None


def _no_numbers(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield key, value
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, entry in entries:
        yield from _no_numbers(entry, f"{key}[{name}]" if isinstance(name, int) else f"{key}.{name}".lstrip("."))
