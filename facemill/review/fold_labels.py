"""Labelled portraits in folds: each is held out once from a training on the others."""

from collections.abc import Mapping, Sequence

from facemill.data.splits import hash_fraction
from facemill.errors import UserError


def folds_of(ids: Sequence[str], leaders: Mapping[str, str], folds: int, seed: int) -> dict[str, int]:
    """The fold, 0 and on, of every id: as many groups of near-duplicates in each, which `leaders` gives, as can be.

    Raises `UserError` when there are fewer groups than folds.
    """
    groups = sorted({leaders[id] for id in ids}, key=lambda id: hash_fraction(id, f"folds-{seed}"))
    if len(groups) < folds:
        raise UserError(f"label_quality.folds: found {folds}; accepted: up to {len(groups)}, for {len(ids)} portraits")
    place = {id: number % folds for number, id in enumerate(groups)}
    return {id: place[leaders[id]] for id in ids}
