"""Rule `fold_labels`: labelled portraits in folds for cross-validation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from facemill.config.label import AugmentConfig
from facemill.data.shards import mask_classes, read_rows, sort_key, write_shard
from facemill.data.splits import hash_fraction
from facemill.errors import UserError
from facemill.label.augment_labels import augment_rows
from facemill.label.labelled_rows import SCHEMA, duplicate_groups


def fold_labels(
    *,
    labels: list[Path],
    fold: int,
    folds: int,
    settings: AugmentConfig,
    seed: int,
    threads: int = 1,
    train: Path,
    held_out: Path,
) -> None:
    """Holds out one fold of all labelled portraits, and augments the others.

    Args:
        labels: all labelled portraits, Parquet with columns id, image, mask.
        fold: number of the held-out fold, from 0.
        folds: number of folds.
        settings: section `augment` of the config, as JSON.
        seed: of the folds and of all transforms.
        threads: portraits augmented at a time.
        train: augmented copies of the portraits outside the fold, Parquet with the same columns.
        held_out: the portraits of the fold, Parquet with the same columns.
    """
    classes = mask_classes(labels)
    rows = sorted(read_rows(labels), key=lambda row: sort_key(row["id"]))
    fold_of = assign_folds([row["id"] for row in rows], duplicate_groups(rows), folds, seed)
    write_shard(held_out, [row for row in rows if fold_of[row["id"]] == fold], SCHEMA, classes)
    others = [row for row in rows if fold_of[row["id"]] != fold]
    write_shard(train, augment_rows(others, classes, settings, seed, threads), SCHEMA, classes)


def assign_folds(ids: Sequence[str], representatives: Mapping[str, str], folds: int, seed: int) -> dict[str, int]:
    """The fold of each id, from 0. Near-duplicates share a fold; the folds' numbers of groups differ by at most 1.

    Args:
        ids: of the portraits.
        representatives: the representative of each id's group of near-duplicates.
        folds: number of folds.
        seed: of the assignment.

    Raises:
        UserError: There are fewer groups than folds.
    """
    groups = sorted({representatives[key] for key in ids}, key=lambda key: hash_fraction(key, f"folds-{seed}"))
    if len(groups) < folds:
        raise UserError(f"label_quality.folds: found {folds}; accepted: up to {len(groups)}, for {len(ids)} portraits")
    fold_of_group = {group: number % folds for number, group in enumerate(groups)}
    return {key: fold_of_group[representatives[key]] for key in ids}
