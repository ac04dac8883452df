"""Attribute vectors fitted to latents: between the names of each exclusive group, and to each boolean."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

from facemill.data.classes import ClassTable
from facemill.data.splits import hash_fraction, held_out
from facemill.errors import UserError
from facemill.imaging.colors import REGIONS
from facemill.inference.vectors import Vectors
from facemill.latent.attributes import GROUPS, AttributeLabels, attribute_labels, control_columns
from facemill.latent.rows import joined_rows
from facemill.log import log

Method = Literal["means", "logistic"]

TAG_COLUMNS = [*GROUPS, "tags", *REGIONS]
"""Columns of tags that `fit_rows` reads."""


def attribute_vectors(
    *,
    latents: list[Path],
    tags: list[Path],
    booleans: list[str] | None = None,
    preserve: list[str] | None = None,
    method: Literal["means", "logistic"],
    min_images: int,
    holdout: float,
    classes: ClassTable | None = None,
    vectors: Path,
) -> None:
    """Fits the vectors between the names of each exclusive group and to each boolean, without held-out portraits.

    Where latents are style codes by region, the vectors between colors move the code of their region alone.

    Args:
        latents: shards of latents.
        tags: shards of tags.
        booleans: tags that are attributes by themselves.
        preserve: regions' colors, and booleans, that vectors leave as they are.
        method: difference of means, or normal of a logistic regression.
        min_images: least number of latents behind a vector.
        holdout: share of the portraits that are held out.
        classes: the classes whose style codes the latents are, one after another.
        vectors: the vectors to write; a JSON of the same name describes them.
    """
    joined = joined_rows((latents, ["latent"]), (tags, TAG_COLUMNS))
    rows = [row for row in joined if not held_out(row["id"], holdout)]
    points = np.array([row["latent"] for row in rows])
    moved = region_dimensions(classes, points.shape[1]) if classes else {}
    fit = fit_rows(rows, points, booleans or [], preserve or [], method, min_images, moved)
    if not fit.vectors.names():
        most = ", ".join(f"{name} {count}" for name, count in fit.counts.most_common(3)) or "none"
        raise UserError(
            f"attributes.min_images: found {min_images}, which fewer than two names of a group reach; "
            f"accepted: a number that two of them reach (most frequent: {most})"
        )
    fit.vectors.save(vectors, fit.counts, fit.cosines)
    for name in sorted(fit.counts.keys() - set(fit.vectors.names())):
        log.info("attribute_vectors: %s left out, it has %d images", name, fit.counts[name])


def region_dimensions(classes: ClassTable, z_dim: int) -> dict[str, np.ndarray]:
    """Which numbers of a style code by region are those of each group's region: bool (z_dim,) by group."""
    class_of = np.arange(z_dim) // (z_dim // len(classes))
    return {group: np.isin(class_of, classes.role_ids(*REGIONS[region])) for group, region in GROUPS.items()}


class Fit(NamedTuple):
    """Vectors, and what describes them in their JSON (`Vectors.save`)."""

    vectors: Vectors
    counts: Counter[str]
    cosines: dict[str, float]


def fit_rows(
    rows: Sequence[dict],
    points: np.ndarray,
    booleans: Sequence[str],
    preserve: Sequence[str],
    method: Method,
    min_images: int,
    moved: Mapping[str, np.ndarray] | None = None,
) -> Fit:
    """The vectors of portraits as `fit_vectors` fits them.

    Args:
        rows: of N portraits, with their id and the `TAG_COLUMNS`.
        points: latents, float (N, Z).
        booleans: tags that are attributes by themselves.
        preserve: regions' colors, and booleans, that vectors leave as they are.
        method: as `fit_vectors` takes it.
        min_images: least number of latents behind a vector.
        moved: as `fit_vectors` takes it.
    """
    labels = attribute_labels(rows, GROUPS, booleans)
    controls = control_columns(rows, preserve, booleans)
    counts = Counter(row[group] for row in rows for group in GROUPS if row[group] is not None)
    counts.update({name: int(present.sum()) for name, present in labels.booleans.items()})
    fitted = fit_vectors(points, labels, controls, method, min_images, moved)
    if not fitted.names():
        return Fit(fitted, counts, {})
    in_first_half = np.array([hash_fraction(row["id"], "halves") < 0.5 for row in rows])
    return Fit(fitted, counts, split_half_cosines(points, labels, controls, method, in_first_half, moved))


def fit_vectors(
    latents: np.ndarray,
    labels: AttributeLabels,
    controls: Mapping[str, np.ndarray],
    method: Method,
    min_images: int,
    moved: Mapping[str, np.ndarray] | None = None,
) -> Vectors:
    """The vectors between all names of each group, and of all booleans, that `min_images` latents have (and lack).

    Control columns are partialed out: a least-squares fit of the latents on labels and controls gives the part of the
    latents that the controls explain, which is subtracted before the latents are compared. A difference of means is
    then the labels' coefficient in that fit (Frisch and Waugh 1933).

    Args:
        latents: float (N, Z).
        labels: of the N portraits.
        controls: columns (N, K) of attributes that vectors shall preserve, by name; those of a group or boolean do not
            control its vectors. NaN counts as the mean.
        method: `means`, the difference of means, or `logistic`, the normal of the logistic regression between both
            sides, as long as that difference along it.
        min_images: least number of latents on each side of a vector.
        moved: by group, which numbers of a latent its vectors may move, bool (Z,); all of them for other groups.
    """
    groups, pairs, booleans = {}, {}, {}
    for group, names in labels.groups.items():
        counts = Counter(name for name in names if name is not None)
        frequent = sorted(name for name, count in counts.items() if count >= min_images)
        categories = np.array([name if name in frequent else "" for name in names], object)
        others = [columns for key, columns in controls.items() if key != group]
        residuals = _residualize(latents, np.stack([categories == name for name in [*frequent, ""]], 1), others)
        residuals = residuals * (moved or {}).get(group, True)
        for a, b in combinations(frequent, 2):
            pairs[a, b] = _vector(residuals[categories == a], residuals[categories == b], method)
            pairs[b, a] = -pairs[a, b]
        if len(frequent) > 1:
            groups[group] = frequent
    for name, present in labels.booleans.items():
        if min(np.count_nonzero(present), np.count_nonzero(~present)) >= min_images:
            others = [columns for key, columns in controls.items() if key != name]
            residuals = _residualize(latents, np.stack([present, ~present], 1), others)
            booleans[name] = _vector(residuals[~present], residuals[present], method)
    return Vectors(groups, pairs, booleans)


def _residualize(latents: np.ndarray, labels: np.ndarray, controls: Sequence[np.ndarray]) -> np.ndarray:
    """The latents without the part that the controls explain beyond the labels, bool (N, names)."""
    if not controls:
        return latents
    columns = np.concatenate(controls, 1)
    columns = columns[:, ~np.isnan(columns).all(0)]  # half of the portraits may lack a region
    columns = np.where(np.isnan(columns), np.nanmean(columns, 0), columns)
    columns = columns - columns.mean(0)
    effects = np.linalg.lstsq(np.concatenate([labels, columns], 1), latents, rcond=None)[0][labels.shape[1] :]
    return latents - columns @ effects


def _vector(a: np.ndarray, b: np.ndarray, method: Method) -> np.ndarray:
    """The vector from latents `a` to latents `b`, (N, Z) each."""
    difference = b.mean(0) - a.mean(0)
    if method == "means":
        return difference
    both = np.concatenate([a, b])
    scale = both.std(0) + 1e-6
    sides = np.repeat([0, 1], [len(a), len(b)])
    model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000).fit(both / scale, sides)
    normal = model.coef_[0] / scale
    normal /= np.linalg.norm(normal)
    return normal * (difference @ normal)


def split_half_cosines(
    latents: np.ndarray,
    labels: AttributeLabels,
    controls: Mapping[str, np.ndarray],
    method: Method,
    in_first_half: np.ndarray,
    moved: Mapping[str, np.ndarray] | None = None,
) -> dict[str, float]:
    """The cosine between the vectors of two halves of the portraits, by key; `in_first_half` is bool (N,)."""
    first, second = (
        fit_vectors(
            latents[half],
            labels.subset(half),
            {key: columns[half] for key, columns in controls.items()},
            method,
            1,
            moved,
        ).tensors()
        for half in (in_first_half, ~in_first_half)
    )
    return {
        key: float(first[key] @ second[key] / (np.linalg.norm(first[key]) * np.linalg.norm(second[key])))
        for key in first.keys() & second.keys()
    }
