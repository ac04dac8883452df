"""Finds portraits that repeat another one, across all shards."""

from pathlib import Path

import polars as pl

from facemill.files import atomic_write
from facemill.ingest.find_duplicates import find_duplicates
from facemill.log import log
from facemill.workflow.command import run


def main(*, candidates: list[Path], distance: int, out: Path, table: Path) -> None:
    """Keep the best of portraits that look alike: the one with most pixels, then with the highest score.

    Parameters
    ----------
    candidates
        The candidates of all shards.
    distance
        Portraits whose perceptual hashes differ in at most so many of 64 bits look alike.
    out
        The portraits that repeat a kept one: `id`, `repeats`, `distance`. Parquet.
    table
        The same for people, CSV.
    """
    rows = pl.read_parquet(candidates, columns=["id", "hash", "pixels", "score"])
    quality = rows.select(pl.struct(pl.col("pixels").fill_null(0), pl.col("score").fill_null(0)).rank("dense"))
    found = find_duplicates(rows["id"].to_list(), rows["hash"].to_numpy(), quality.to_series().to_numpy(), distance)
    with atomic_write(out) as tmp:
        found.write_parquet(tmp)
    with atomic_write(table) as tmp:
        found.write_csv(tmp)
    log.info("%d of %d portraits repeat another within %d bits", len(found), len(rows), distance)


if __name__ == "__main__":
    run(main)
