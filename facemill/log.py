"""Log lines and progress of long work."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

log = logging.getLogger("facemill")

T = TypeVar("T")


@contextmanager
def errors_only() -> Iterator[None]:
    """While it lasts no library logs less than an error, in any thread."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def progress(
    items: Iterable[T], name: str, total: int, unit: str = "images", done: int = 0, step: int = 1
) -> Iterator[T]:
    """Yields the items; shows a bar on a terminal, and elsewhere a plain line every ten seconds and at the end.

    `total` and `done` count units, `step` is how many of them one item stands for.
    """
    if sys.stderr.isatty():
        bar = tqdm(desc=name, total=total, unit=f" {unit}", initial=done, unit_scale=True)
        with bar:
            for item in items:
                yield item
                bar.update(min(step, total - bar.n))
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
            log.info("%s: %d of %d %s, %.3g/s, %.0f s left", name, done, total, unit, rate, left)
