"""Near-duplicates by perceptual hashes: of portraits that look alike the best is kept."""

from collections.abc import Iterator

import numpy as np
import polars as pl

BITS = 64
_REPEATS = {"id": pl.String, "repeats": pl.String, "distance": pl.Int64}
_PAIRS_AT_ONCE = 1 << 18  # which stay in the cache


def find_duplicates(ids: list[str], hashes: np.ndarray, quality: np.ndarray, distance: int) -> pl.DataFrame:
    """The rows that repeat a better one: `id`, `repeats` (the id of the one that is kept) and `distance` in bits.

    `hashes` are uint64 (N,), `quality` sorts rows, larger is better (ties: the earlier row). From the best row on, each
    is kept unless its hash lies within `distance` bits of that of a kept one: no chains, so that what is removed does
    look like what is kept. Rows of one hash are judged together, at the place of the best of them.
    """
    if not ids:
        return pl.DataFrame(schema=_REPEATS)
    order = np.argsort(-quality, kind="stable")
    distinct, first, group = np.unique(hashes[order], return_index=True, return_inverse=True)
    # distinct hashes by their best row, best first; rank[g] is the place of group g among them
    best_first = np.argsort(first)
    rank = np.empty_like(best_first)
    rank[best_first] = np.arange(len(best_first))
    keeper = np.arange(len(distinct))
    apart = np.zeros(len(distinct), np.int64)
    for worse, better, bits in _sorted_pairs(distinct[best_first], distance):
        if keeper[better] == better and keeper[worse] == worse:  # pairs come with the worse one's best match first
            keeper[worse], apart[worse] = better, bits
    place = rank[group]
    kept_row = order[first[best_first][keeper[place]]]
    repeated = np.flatnonzero(kept_row != order)
    return pl.DataFrame(
        {
            "id": [ids[order[i]] for i in repeated],
            "repeats": [ids[kept_row[i]] for i in repeated],
            "distance": apart[place[repeated]],
        },
        _REPEATS,
    )


def _sorted_pairs(hashes: np.ndarray, distance: int) -> Iterator[tuple[int, int, int]]:
    """Pairs `(later, earlier, bits)` of hashes within a distance, sorted by the later, then by bits."""
    if not distance:
        return
    found = list(_near(hashes, distance))
    if found:
        pairs = np.unique(np.concatenate(found, axis=1), axis=1)
        order = np.lexsort((pairs[1], pairs[2], pairs[0]))
        yield from zip(*pairs[:, order].tolist(), strict=True)


def _near(hashes: np.ndarray, distance: int) -> Iterator[np.ndarray]:
    """Pairs of places of distinct hashes within a distance: int64 (3, P) of later, earlier, bits; some of them twice.

    Cut into `distance` + 1 bands, two such hashes agree in one band at least (pigeonhole), so that only rows that share
    a band are compared.
    """
    edges = np.linspace(0, BITS, distance + 2).round().astype(int)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(band, kind="stable")
        starts = np.flatnonzero(np.diff(band[order], prepend=band[order[:1]] ^ np.uint64(1)))
        ends = np.append(starts[1:], len(order))
        for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
            yield from _near_in_bucket(hashes, order[start:end], distance)


def _near_in_bucket(hashes: np.ndarray, places: np.ndarray, distance: int) -> Iterator[np.ndarray]:
    """The pairs among a few places: every one with every later one, a stretch of rows at a time."""
    own = hashes[places]
    step = max(1, _PAIRS_AT_ONCE // len(places))
    for row in range(0, len(places), step):
        bits = np.bitwise_count(own[row : row + step, None] ^ own[None, row:])
        a, b = np.nonzero(bits <= distance)
        a, b, bits = a[a < b], b[a < b], bits[a, b][a < b]
        if len(a):
            earlier, later = places[a + row], places[b + row]  # sorted stably, so that places grow in a bucket
            yield np.stack([later, earlier, bits.astype(np.int64)])
