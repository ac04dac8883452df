"""Figures of generated portraits against real ones."""

import itertools
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import pdist

from facemill.data.classes import ClassTable
from facemill.log import log
from facemill.metrics.copying import Nearest, copying_z, near_hashes, nearest
from facemill.metrics.distances import frechet_distance, kid
from facemill.metrics.samples import interval, kid_deviation, precision_recall, shares, total_variation
from facemill.stylegan.judge import Compared, Looks
from facemill.stylegan.validity import Limits, are_valid, mask_limits

Figures = dict[str, Any]

NEAREST = 0.01
"""Share of the held-out portraits that are nearer to the training than `copies` has it."""

MIN_NEAREST = 500
"""Held-out portraits from which on this share is known: five of them are nearer."""


class Reference(NamedTuple):
    """Real portraits, which generated ones are compared with."""

    training: Looks
    """Of the training, at most some thousand."""
    every: Compared
    """All those of the training."""
    mirrored: Compared
    """The mirror images of `every`, in its order."""
    held_out: Looks
    groups: dict[str, list[str]]
    """Names of colors, by group; empty without masks."""
    classes: ClassTable | None
    """The class table of the masks; None without them."""
    limits: Limits | None
    """What the masks of the training have; None without masks."""

    @classmethod
    def of(
        cls,
        training: Looks,
        every: Compared,
        mirrored: Compared,
        held_out: Looks,
        groups: dict[str, list[str]],
        classes: ClassTable | None,
    ) -> "Reference":
        """The reference of real portraits, with the limits of their masks."""
        limits = mask_limits(training.parts) if classes else None
        return cls(training, every, mirrored, held_out, groups, classes, limits)

    def valid(self, looks: Looks) -> np.ndarray:
        """Which portraits' masks are valid, bool (N,)."""
        assert self.limits and self.classes, "no masks"
        return are_valid(looks.parts, self.limits, self.classes)

    def nearest(self, looks: Compared) -> Nearest:
        """The nearest training portraits by features."""
        return nearest(looks.features, self.every.features, self.mirrored.features)

    def nearest_pixels(self, looks: Compared) -> Nearest:
        """The nearest training portraits by pixels of their thumbnails."""
        return nearest(looks.thumbnails, self.every.thumbnails, self.mirrored.thumbnails)


def groups_of(values: np.ndarray, count: int) -> list[np.ndarray]:
    """As many values at a time, those of portraits in order; all of them where there are fewer."""
    return [values[i : i + count] for i in range(0, max(len(values) - count + 1, 1), count)]


def equal_frechet(features: np.ndarray, real: np.ndarray, count: int) -> float:
    """The mean Frechet distance, to the features of real portraits, of so many at a time."""
    return float(np.mean([frechet_distance(group, real) for group in groups_of(features, count)]))


def figures(looks: Looks, reference: Reference) -> Figures:
    """The figures of a set of portraits, all that its looks alone can tell.

    Returns:
        `frechet_distance`: of as many at a time as are held out; `kid`, `precision`, `recall`, `diversity`: of all to
        the training; `copying_z`, `copying_z_pixels`: nearness to the training beside that of held-out ones; `copies`:
        the share that is nearer than 99% of those, None for few held-out ones; `near_duplicates`: with the perceptual
        hash of one of the training; with masks `valid`, `mask_confidence`, `flip_disagreement` and by group `colors`,
        the total variation of names, of as many at a time as are held out.
    """
    real, count = reference.training, len(reference.held_out)
    result: Figures = {
        "frechet_distance": equal_frechet(looks.features, real.features, count),
        "kid": kid(looks.features, real.features),
        **precision_recall(looks.features, real.features),
        "diversity": float(pdist(looks.features).mean()),
        **copying(looks, reference),
    }
    if reference.classes:
        result["valid"] = float(reference.valid(looks).mean())
        result["mask_confidence"] = float(looks.confidence.mean())
        result["flip_disagreement"] = float(looks.flip_disagreement.mean())
        others = name_shares(real.names, reference)
        of_groups = [name_shares(names, reference) for names in groups_of(looks.names, count)]
        result["colors"] = {
            group: float(np.mean([total_variation(own[group], others[group]) for own in of_groups]))
            for group in reference.groups
        }
    return result


def copying(looks: Looks, reference: Reference) -> Figures:
    """Nearness of portraits to those of the training, against that of held-out ones."""
    distances = {
        "copying_z": [reference.nearest(x).distances for x in (looks, reference.held_out)],
        "copying_z_pixels": [reference.nearest_pixels(x).distances for x in (looks, reference.held_out)],
    }
    own, unseen = distances["copying_z"]
    hashes = np.concatenate([reference.every.hashes, reference.mirrored.hashes])
    enough = len(unseen) >= MIN_NEAREST
    return {key: copying_z(*pair) for key, pair in distances.items()} | {
        "copies": float((own < np.quantile(unseen, NEAREST)).mean()) if enough else None,
        "near_duplicates": float(near_hashes(looks.hashes, hashes).mean()),
    }


def name_shares(names: np.ndarray, reference: Reference) -> dict[str, np.ndarray]:
    """By group the share of each color's name, and last that of portraits without one."""
    columns = zip(reference.groups.items(), names.T, strict=True)
    return {group: shares(column, len(of_group)) for (group, of_group), column in columns}


def all_figures(looks: Looks, reference: Reference) -> Figures:
    """The figures of generated portraits, beside those of held-out ones as `<key>_real`, and what follows from both."""
    own, real = figures(looks, reference), figures(reference.held_out, reference)
    for key in ("copying_z", "copying_z_pixels", "copies"):
        real.pop(key)  # by definition 0, and `NEAREST`
    floor = real.pop("frechet_distance")
    half, other_half = np.array_split(np.random.default_rng(0).permutation(reference.training.features), 2)
    halves = frechet_distance(half, other_half)
    distance_to_half = equal_frechet(looks.features, other_half, len(half))
    warn_of_few(reference)
    result = own | {f"{key}_real": value for key, value in real.items()}
    result |= {
        "samples": len(looks),
        "training": len(reference.training),
        "held_out": len(reference.held_out),
        "frechet_floor": floor,
        "frechet_over_floor": quotient(own["frechet_distance"], floor),
        "frechet_distance_all": frechet_distance(looks.features, reference.training.features),
        "frechet_distance_half": distance_to_half,
        "frechet_halves": halves,
        "frechet_over_halves": quotient(distance_to_half, halves),
        "kid_deviation": kid_deviation(looks.features, reference.training.features),
        "diversity_vs_real": quotient(own["diversity"], float(pdist(reference.training.features).mean())),
        "intervals": intervals(own, reference, len(looks)),
    }
    if reference.classes:
        result["valid_over_real"] = quotient(own["valid"], real["valid"])
        both = {"generated": looks, "real": reference.training}
        shares_of = {key: name_shares(portraits.names, reference) for key, portraits in both.items()}
        result["color_shares"] = {
            group: {
                name: {key: float(of[group][index]) for key, of in shares_of.items()}
                for index, name in enumerate([*names, "none"])
            }
            for group, names in reference.groups.items()
        }
    return result


def quotient(value: float, real: float) -> float | None:
    """A figure over that of real portraits; None where that is 0, as of portraits that are all alike."""
    return value / real if real > 0 else None


def warn_of_few(reference: Reference) -> None:
    """A warning in the log where the Frechet distances of held-out portraits are mostly those of their number."""
    held_out, features = reference.held_out.features.shape
    if held_out < 2 * features:
        log.warning(
            "evaluate_stylegan: %d portraits are held out, for %d features: frechet_over_floor is too near to 1; "
            "frechet_over_halves is of %d",
            held_out,
            features,
            -(-len(reference.training) // 2),
        )


def intervals(own: Figures, reference: Reference, count: int) -> dict[str, list[float]]:
    """Central 95% of the shares of portraits, of which `count` are generated, over bootstrap samples of them."""
    counts = {"precision": count, "recall": len(reference.training), "valid": count}
    return {key: interval(own[key], of_key) for key, of_key in counts.items() if key in own}


ORDERED = {"precision": -1, "valid": -1, "recall": 1, "diversity": 1}
"""Figures that should not rise (-1) or not fall (1) as truncation lets portraits vary more."""


def order(curve: list[Figures]) -> dict[str, float]:
    """For each of `ORDERED` the share of a truncation curve's steps that go the way they should."""
    return {
        key: float(np.mean([sign * (after[key] - before[key]) >= 0 for before, after in itertools.pairwise(curve)]))
        for key, sign in ORDERED.items()
        if key in curve[0]
    }
