"""The command of rule `fold_labels`."""

from pathlib import Path
from typing import Annotated

from facemill.config.label import AugmentConfig
from facemill.data.shards import read_rows, sort_key, write_shard
from facemill.label.augment_labels import augmented
from facemill.label.convert_labels import SCHEMA, near_duplicates_of
from facemill.review.fold_labels import folds_of
from facemill.workflow.command import Settings, run


def main(
    *,
    labels: list[Path],
    fold: int,
    folds: int,
    settings: Annotated[AugmentConfig, Settings],
    seed: int,
    threads: int = 1,
    train: Path,
    held_out: Path,
) -> None:
    """Holds out one fold of all labelled portraits, and augments the others.

    Args:
        labels: all labelled portraits, Parquet with columns id, image, mask
        fold: the number of the fold held out, from 0
        folds: how many there are
        settings: section `augment` of the config, as JSON
        seed: of the folds and of all changes
        threads: portraits warped at a time
        train: warped copies of the portraits outside the fold, Parquet with the same columns
        held_out: the portraits of the fold
    """
    rows = sorted(read_rows(labels), key=lambda row: sort_key(row["id"]))
    place = folds_of([row["id"] for row in rows], near_duplicates_of(rows), folds, seed)
    write_shard(held_out, [row for row in rows if place[row["id"]] == fold], SCHEMA)
    write_shard(train, augmented([row for row in rows if place[row["id"]] != fold], settings, seed, threads), SCHEMA)


if __name__ == "__main__":
    run(main)
