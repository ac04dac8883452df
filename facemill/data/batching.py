"""Streams of items: evenly spaced ones, in batches, and through a pool of threads ahead of their consumer."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import fields
from typing import Any, Self, TypeVar

import numpy as np

T = TypeVar("T")
R = TypeVar("R")


class Columns:
    """The base of dataclasses whose fields are arrays with a row for each item."""

    @classmethod
    def join(cls, batches: Sequence[Self]) -> Self:
        """The rows of several batches, in their order."""
        columns: Any = cls
        return columns(*(np.concatenate([getattr(b, field.name) for b in batches]) for field in fields(columns)))


def evenly_spaced(count: int, most: int) -> list[int]:
    """At most `most` of the indices below `count`, evenly spaced."""
    chosen = min(count, most)
    return [i * (count - 1) // max(chosen - 1, 1) for i in range(chosen)]


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yields lists of `size` items, the last one shorter."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def map_ahead(pool: Executor, function: Callable[[T], R], items: Iterable[T], ahead: int = 2) -> Iterator[R]:
    """Prefetching map: yields `function(item)` in the items' order, computed in the pool up to `ahead` items early."""
    pending: deque[Future[R]] = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
