"""What every command under `scripts/` shares: typed arguments, plain log lines, progress, one line for a mistake."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, TypeVar

import cyclopts
from pydantic import BaseModel, ValidationError
from tqdm import tqdm

from facemill.errors import BadInput
from facemill.lifetime import end_with_workflow

log = logging.getLogger("facemill")
T = TypeVar("T")


def _parse_settings(model: type[BaseModel], tokens: Any) -> BaseModel:
    try:
        return model.model_validate_json(tokens[0].value)
    except ValidationError as error:
        raise ValueError("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error


Settings = cyclopts.Parameter(converter=_parse_settings, accepts_keys=False, n_tokens=1)
"""Marks an argument that is a section of the config, given as JSON: `settings: Annotated[UnetSettings, Settings]`."""


def run(main: Callable[..., None]) -> None:
    """Calls `main` with the command line's arguments, typed by its signature; the entry point of every script.

    Lists take several values (`--portraits a b c`). A `BadInput` is shown as one line and exits with 1.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    log.setLevel(logging.INFO)
    end_with_workflow()
    app = cyclopts.App(
        default_parameter=cyclopts.Parameter(consume_multiple=True, negative=()), help=main.__doc__, version_flags=()
    )
    app.default(main)
    try:
        app()
    except BadInput as error:
        sys.exit(f"{sys.argv[0].rsplit('/', 1)[-1]}: {error}")


def progress(
    items: Iterable[T], what: str, total: int, unit: str = "images", done: int = 0, step: int = 1
) -> Iterator[T]:
    """Yields the items; shows a bar on a terminal, and elsewhere a plain line every ten seconds and at the end.

    `total` and `done` count units, `step` is how many of them one item stands for.
    """
    if sys.stderr.isatty():
        bar = tqdm(desc=what, total=total, unit=f" {unit}", initial=done, unit_scale=True)
        with bar:
            for item in items:
                yield item
                bar.update(step)
        return
    start = shown = time.monotonic()
    first = done
    for item in items:
        yield item
        done = min(done + step, total)
        now = time.monotonic()
        if now - shown >= 10 or done >= total:
            shown = now
            rate = (done - first) / max(now - start, 1e-9)
            left = (total - done) / max(rate, 1e-9)
            log.info("%s: %d of %d %s, %.3g/s, %.0f s left", what, done, total, unit, rate, left)


__all__ = ["Annotated", "Settings", "log", "progress", "run"]
