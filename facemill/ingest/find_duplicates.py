"""Near-duplicates by perceptual hashes; the best of each group is kept."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from facemill.data.shards import read_table, write_table
from facemill.files import atomic_write
from facemill.log import log

BITS = 64
_DUPLICATES = {"id": pl.String, "repeats": pl.String, "distance": pl.Int64}
_PAIRS_AT_ONCE = 1 << 18  # which fit into the processor's cache


def find_duplicates(*, candidates: list[Path], distance: int, duplicates: Path, table: Path) -> None:
    """Finds near-duplicates; the portrait with most pixels is kept, then the one with the highest score.

    Args:
        candidates: the candidates of all shards.
        distance: bits in which the 64-bit perceptual hashes of near-duplicates differ at most.
        duplicates: portraits that repeat a kept one: `id`, `repeats`, `distance`. Parquet.
        table: the same as CSV.
    """
    columns = ["id", "hash", "pixels", "score"]
    rows = pl.DataFrame(pa.concat_tables(read_table(path, columns) for path in candidates))
    quality = rows.select(pl.struct(pl.col("pixels").fill_null(0), pl.col("score").fill_null(0)).rank("dense"))
    repeats = match_duplicates(rows["id"].to_list(), rows["hash"].to_numpy(), quality.to_series().to_numpy(), distance)
    write_table(duplicates, repeats.to_arrow())
    with atomic_write(table) as tmp:
        repeats.write_csv(tmp)
    log.info("%d of %d portraits repeat another within %d bits", len(repeats), len(rows), distance)


def match_duplicates(ids: list[str], hashes: np.ndarray, quality: np.ndarray, distance: int) -> pl.DataFrame:
    """The rows that repeat a better row.

    Rows are visited from the best to the worst; a row is kept unless its hash is within `distance` bits of the hash of
    a kept row. There are no chains, so that a removed row always resembles the row that is kept for it. Rows with
    equal hashes form a group, which is visited with its best row.

    Args:
        ids: of the rows.
        hashes: uint64 (N,).
        quality: numbers (N,), larger is better; among equal numbers the earlier row is.
        distance: bits.

    Returns:
        A table of `id`, `repeats` (the id of the row that is kept for it) and `distance` in bits.
    """
    if not ids:
        return pl.DataFrame(schema=_DUPLICATES)
    order = np.argsort(-quality, kind="stable")
    distinct, first, group = np.unique(hashes[order], return_index=True, return_inverse=True)
    # groups get a rank by their best row: group_of_rank lists them, rank_of_group is its inverse
    group_of_rank = np.argsort(first)
    rank_of_group = np.empty_like(group_of_rank)
    rank_of_group[group_of_rank] = np.arange(len(group_of_rank))
    kept_rank = np.arange(len(distinct))
    bits_to_kept = np.zeros(len(distinct), np.int64)
    for worse, better, bits in _sorted_pairs(distinct[group_of_rank], distance):
        if kept_rank[better] == better and kept_rank[worse] == worse:  # the pairs of `worse` come nearest first
            kept_rank[worse], bits_to_kept[worse] = better, bits
    rank = rank_of_group[group]  # of each row, in `order`
    kept_row = order[first[group_of_rank][kept_rank[rank]]]
    repeated = np.flatnonzero(kept_row != order)
    return pl.DataFrame(
        {
            "id": [ids[order[i]] for i in repeated],
            "repeats": [ids[kept_row[i]] for i in repeated],
            "distance": bits_to_kept[rank[repeated]],
        },
        _DUPLICATES,
    )


def _sorted_pairs(hashes: np.ndarray, distance: int) -> Iterator[tuple[int, int, int]]:
    """Pairs `(later, earlier, bits)` of hashes within a distance, sorted by the later, then by bits."""
    if not distance:
        return
    blocks = list(_near(hashes, distance))
    if blocks:
        pairs = np.unique(np.concatenate(blocks, axis=1), axis=1)
        order = np.lexsort((pairs[1], pairs[2], pairs[0]))
        yield from zip(*pairs[:, order].tolist(), strict=True)


def _near(hashes: np.ndarray, distance: int) -> Iterator[np.ndarray]:
    """Pairs of distinct hashes within a distance: int64 (3, P) of later index, earlier index, bits; some pairs twice.

    Split into `distance` + 1 bands, two such hashes agree in at least one band (pigeonhole principle), so that only
    hashes with an equal band are compared.
    """
    edges = np.linspace(0, BITS, distance + 2).round().astype(int)
    for low, high in pairwise(edges):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(band, kind="stable")
        starts = np.flatnonzero(np.diff(band[order], prepend=band[order[:1]] ^ np.uint64(1)))
        ends = np.append(starts[1:], len(order))
        for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
            yield from _near_in_bucket(hashes, order[start:end], distance)


def _near_in_bucket(hashes: np.ndarray, indices: np.ndarray, distance: int) -> Iterator[np.ndarray]:
    """The pairs among a bucket's indices, ascending: a block of them with all later ones at a time."""
    bucket = hashes[indices]
    step = max(1, _PAIRS_AT_ONCE // len(indices))
    for start in range(0, len(indices), step):
        bits = np.bitwise_count(bucket[start : start + step, None] ^ bucket[None, start:])
        a, b = np.nonzero(bits <= distance)
        a, b, bits = a[a < b], b[a < b], bits[a, b][a < b]
        if len(a):
            yield np.stack([indices[b + start], indices[a + start], bits.astype(np.int64)])
