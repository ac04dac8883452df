"""Evenly spaced indices, batches, and the prefetching map."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from facemill.data.batching import batched, evenly_spaced, map_ahead


def test_evenly_spaced_indices():
    assert evenly_spaced(9, 3) == [0, 4, 8]
    assert evenly_spaced(2, 5) == [0, 1]
    assert evenly_spaced(7, 1) == [0] and evenly_spaced(0, 3) == []
    assert len(set(evenly_spaced(1000, 999))) == 999


def test_batched_keeps_everything_in_order():
    assert list(batched(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batched([], 3)) == []


def test_map_ahead_keeps_the_order_and_runs_no_further_ahead_than_told():
    taken = []
    release = threading.Event()

    def items():
        for i in range(6):
            taken.append(i)
            yield i

    def slow_first(i: int) -> int:
        return i * 10 if i or release.wait(10) else -1

    with ThreadPoolExecutor(2) as pool:
        results = map_ahead(pool, slow_first, items(), ahead=2)
        timer = threading.Timer(0.05, release.set)
        timer.start()
        assert next(results) == 0
        assert taken == [0, 1, 2]
        assert list(results) == [10, 20, 30, 40, 50]


def test_map_ahead_passes_on_what_the_function_raises():
    with ThreadPoolExecutor(2) as pool, pytest.raises(ZeroDivisionError):
        list(map_ahead(pool, lambda i: 1 / i, [2, 1, 0]))
