"""Figures of translated portraits, from pixels, masks, colors and features; no network runs here."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.spatial.distance import pdist

from facemill.data.classes import ROLES, SEVEN
from facemill.imaging.colors import REGIONS
from facemill.metrics.distances import frechet_distance
from facemill.metrics.segmentation import confusion, ratio
from facemill.metrics.style import color_errors, colors_of
from facemill.translate.sides import SEXES

Figures = dict[str, Any]

NEEDED = ("face", "eye", "mouth")
"""Parts without which a result is no face."""

PLACES = {"hair": ("hair",), "face": ("face",), "eye": ("eye",), "mouth": ("mouth",), "background": ("background",)}
"""Regions in which results are compared with the true answers."""


HALVES = 20
"""Halves of portraits by which a standard error is told, to about a sixth of it. Of 128 features of 48 drawn portraits
it came out 1.6 times too large by halves, 2.7 times by bootstrap samples, which have portraits twice."""


class Features(NamedTuple):
    """Features of portraits, float32 (N, D) each."""

    results: np.ndarray
    source: np.ndarray
    """Of the portraits that were translated."""
    real: np.ndarray
    """Of the other collection's portraits that no training saw."""
    training: np.ndarray
    """Of the other collection's portraits that the training saw."""


def l1(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The mean difference of each two images of two stacks of uint8 (N, h, w, 3), of 255: float64 (N,)."""
    return np.abs(a.astype(np.int16) - b).mean((1, 2, 3), np.float64)


def resized_masks(masks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Masks, uint8 (N, H, W), at a height and width; the nearest pixel counts."""
    if masks.shape[1:] == size:
        return masks
    return np.stack([cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT) for mask in masks])


def truth_figures(source: np.ndarray, results: np.ndarray, truth: np.ndarray, masks: np.ndarray | None) -> Figures:
    """How near results come to the true answers, beside doing nothing.

    Args:
        source: the portraits that were translated, uint8 RGB (N, h, w, 3).
        results: the translations.
        truth: what they should be.
        masks: roles of the true answers, uint8 (N, H, W), or None.

    Returns:
        `truth`: L1 to the true answers over that of doing nothing; `truth_l1`, `nothing_l1`: both, of 255; with masks
        `truth_by_region`: the ratio in each of `PLACES`; `truth_color`: mean CIEDE2000 of hair's and skin's median
        colors, and `nothing_color`, that of doing nothing.
    """
    own, nothing = float(l1(results, truth).mean()), float(l1(source, truth).mean())
    figures: Figures = {"truth": over(own, nothing), "truth_l1": own, "nothing_l1": nothing}
    if masks is None:
        return figures
    small = resized_masks(masks, (truth.shape[1], truth.shape[2]))
    figures["truth_by_region"] = {}
    for name, roles in PLACES.items():
        inside = np.isin(small, [ROLES.index(role) for role in roles])
        errors = [np.abs(x.astype(np.int16) - truth)[inside].mean() if inside.any() else 0 for x in (results, source)]
        figures["truth_by_region"][name] = over(*map(float, errors))
    true_colors = colors_of(truth, small, SEVEN)
    for name, images in (("truth_color", results), ("nothing_color", source)):
        of_colors = color_errors(colors_of(images, small, SEVEN), true_colors)
        columns = {region: of_colors[:, list(REGIONS).index(region)] for region in ("hair", "skin")}
        known = {region: column[~np.isnan(column)] for region, column in columns.items()}
        figures[name] = {region: float(column.mean()) for region, column in known.items() if len(column)}
    return figures


def over(value: float, reference: float) -> float | None:
    """A figure over another; None where that is 0."""
    return value / reference if reference else None


def frechet_figures(features: Features) -> Figures:
    """How far results are from the other collection, 0 as its own unseen portraits are, 1 as untranslated ones are.

    All three distances are to the features of the training's portraits, and of the same number of portraits. The
    scaled one and its standard error are None where untranslated portraits are no farther than unseen ones.
    """
    count = min(len(features.results), len(features.real))

    def distance(points: np.ndarray) -> float:
        return frechet_distance(points[:count], features.training)

    own, floor, nothing = map(distance, (features.results, features.real, features.source))
    span = max(nothing - floor, 0.0)
    return {
        "frechet_scaled": over(own - floor, span),
        "frechet_scaled_error": over(frechet_error(features.results[:count], features.training), span),
        "frechet_distance": own,
        "frechet_floor": floor,
        "frechet_nothing": nothing,
    }


def frechet_error(points: np.ndarray, reference: np.ndarray) -> float:
    """The standard error of `frechet_distance` by the choice of points, (N, D): its deviation over random halves.

    The `HALVES` of N points are always the same ones. tr((A B)^1/2) is the sum of the singular values of the centered
    points times a root of B, of whose products the smaller one's eigenvalues are taken.
    """
    random, count, x = np.random.default_rng(0), len(points) // 2, points.astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(reference, rowvar=False))
    turned, center = x @ (vectors * np.sqrt(values.clip(0))), reference.mean(0, np.float64)
    distances = []
    for _ in range(HALVES):
        chosen = random.permutation(len(points))[:count]
        y = turned[chosen] - turned[chosen].mean(0)
        product = y @ y.T if count < y.shape[1] else y.T @ y
        roots = np.sqrt(np.linalg.eigvalsh(product).clip(0) / (count - 1)).sum()
        between = ((x[chosen].mean(0) - center) ** 2).sum()
        distances.append(between + x[chosen].var(0, ddof=1).sum() - 2 * roots)  # without the trace of B
    return float(np.std(distances, ddof=1) * np.sqrt(count / (len(points) - count)))


def diversity(features: Features) -> float | None:
    """The mean distance between results over that between the other collection's portraits."""
    return over(*(float(pdist(x).mean()) for x in (features.results, features.real)))


def role_overlaps(seen: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Intersection and union of each role in each two masks of roles, uint8 (N, H, W): int64 (N, roles, 2)."""
    known = np.where(seen < len(ROLES), seen, 0)
    counts = np.array([confusion(a, b, len(ROLES)) for a, b in zip(known, truth, strict=True)])
    intersection = np.diagonal(counts, axis1=1, axis2=2)
    return np.stack([intersection, counts.sum(1) + counts.sum(2) - intersection], axis=2)


def mious(seen: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The mean IoU over the roles in each two masks of roles: float64 (N,)."""
    return np.array([np.nanmean(ratio(counts)) for counts in role_overlaps(seen, truth)])


def mask_figures(seen: np.ndarray, truth: np.ndarray, seen_real: np.ndarray, real: np.ndarray) -> Figures:
    """Whether the layout is kept: masks that the other collection's U-Net sees against those that there should be.

    Args:
        seen: masks of results, roles, uint8 (N, H, W).
        truth: those that they should have.
        seen_real: masks that the U-Net sees of real portraits of its collection, (M, H, W).
        real: those that these have.

    Returns:
        `mask_miou`, mean over roles; `mask_iou` by role; `mask_miou_parts` of eye, face and hair; `..._ceiling`: the
        same of real portraits; `portrait_miou`: the mean of the mIoU of each result, and `portrait_miou_error`, its
        standard error.
    """
    of_each = mious(seen, truth)
    figures: Figures = {
        "portrait_miou": float(of_each.mean()),
        "portrait_miou_error": float(of_each.std(ddof=1) / np.sqrt(len(of_each))),
    }
    for suffix, pair in (("", (seen, truth)), ("_ceiling", (seen_real, real))):
        ious = ratio(role_overlaps(*pair).sum(0))
        figures[f"mask_miou{suffix}"] = float(np.nanmean(ious))
        figures[f"mask_miou_parts{suffix}"] = float(np.nanmean(ious[[ROLES.index(r) for r in ("eye", "face", "hair")]]))
        figures[f"mask_iou{suffix}"] = {r: None if np.isnan(x) else float(x) for r, x in zip(ROLES, ious, strict=True)}
    return figures


def missing_parts(masks: np.ndarray) -> dict[str, np.ndarray]:
    """By each of `NEEDED` which masks of roles, uint8 (N, H, W), have no pixel of it: bool (N,)."""
    return {role: ~(masks == ROLES.index(role)).any((1, 2)) for role in NEEDED}


def are_faces(masks: np.ndarray) -> np.ndarray:
    """Which masks of roles, uint8 (N, H, W), have each of `NEEDED`: bool (N,)."""
    return ~np.any(list(missing_parts(masks).values()), axis=0)


def no_face(masks: np.ndarray, sexes: list[str]) -> Figures:
    """The share of masks that have no face with eyes and mouth: of `all`, and of each of `SEXES` that there are.

    `without`: by part the share of all masks that lack it.
    """
    missing, of = ~are_faces(masks), np.array(sexes)
    shares: Figures = {"all": float(missing.mean())}
    shares |= {sex: float(missing[of == sex].mean()) for sex in SEXES if (of == sex).any()}
    return shares | {"without": {role: float(lack.mean()) for role, lack in missing_parts(masks).items()}}


def color_correlations(
    source: np.ndarray, results: np.ndarray, masks: np.ndarray, moved: np.ndarray | None = None
) -> Figures:
    """Correlations of the regions' colors before and after, of L*, a* and b*: a negative one tells inverted colors.

    Args:
        source: the portraits that were translated, uint8 RGB (N, h, w, 3).
        results: the translations.
        masks: roles of the source, uint8 (N, H, W).
        moved: roles of the results, uint8 (N, H, W), where these have another layout on purpose.

    Returns:
        `all`, of all regions together, and of `hair` and `skin`: by channel, None where nothing varies.
    """
    before, after = (
        colors_of(images, resized_masks(of, (images.shape[1], images.shape[2])), SEVEN)
        for images, of in ((source, masks), (results, masks if moved is None else moved))
    )
    chosen = {"all": range(len(REGIONS)), **{name: [list(REGIONS).index(name)] for name in ("hair", "skin")}}
    figures: Figures = {}
    for name, regions in chosen.items():
        pairs = [x[:, list(regions)].reshape(-1, 3) for x in (before, after)]
        known = ~np.isnan(pairs).any((0, 2))
        columns = zip("Lab", pairs[0][known].T, pairs[1][known].T, strict=True)
        figures[name] = {channel: correlation(a, b) for channel, a, b in columns}
    return figures


def correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson's correlation of two columns (N,); None where one of them does not vary."""
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
