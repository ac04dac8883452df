"""Whether avatars open their mouths where portraits do."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from facemill.avatars.drawn import Drawer, Drawn
from facemill.avatars.matching import Library
from facemill.avatars.retrieval import Descriptors, Nearest, described, nearest_choices
from facemill.avatars.statistics import Statistics
from facemill.avatars.styles import Choice, DrawingStyle
from facemill.data.shards import read_rows
from facemill.data.splits import in_choice

OPEN_MOUTH = ("Mouth_Slightly_Open", "open_mouth")
"""Tags, CelebA's and Danbooru's, that say that a portrait's mouth is open."""

Openness = Mapping[str, float]
"""How open each of a style's mouths is drawn, by `key` of its choice."""


def key(choice: Choice) -> str:
    """A choice as a key."""
    return " ".join(f"{component}:{variant}" for component, variant in sorted(choice.items()))


def drawn_openness(parts: Path, style: DrawingStyle) -> dict[str, float]:
    """How open each of a style's mouths is: the mean over the drawings in its table of parts."""
    drawings: dict[str, list[float]] = {}
    for row in read_rows([parts], ["role", "candidate", "openness"]):
        if row["role"] == "mouth" and row["openness"] is not None:
            drawings.setdefault(key(style.candidates["mouth"][row["candidate"]]), []).append(row["openness"])
    return {mouth: float(np.mean(values)) for mouth, values in drawings.items()}


def mouth_openness(nearest: Nearest, openness: Openness) -> float | None:
    """How open the mouth of a portrait's avatar is; None for a portrait without one."""
    return openness.get(key(nearest["mouth"][0])) if "mouth" in nearest else None


def rank_correlation(first: Sequence[float | None], second: Sequence[float | None]) -> dict[str, float | int | None]:
    """Spearman's correlation of the pairs that are both known, None where it has no value, and n."""
    pairs = np.array([pair for pair in zip(first, second, strict=True) if None not in pair], float).reshape(-1, 2)
    varies = len(pairs) > 2 and (np.ptp(pairs, axis=0) > 0).all()
    return {"spearman": float(spearmanr(*pairs.T).statistic) if varies else None, "n": len(pairs)}


def mouth_pairs(
    drawn: Sequence[Drawn], openness: Openness, drawer: Drawer, rng: np.random.Generator
) -> list[tuple[Descriptors, Descriptors]]:
    """Portraits drawn twice with all else equal, with a closed mouth and with an open one.

    A closed mouth is one of the third that is drawn least open, an open one of the third that is drawn most open.
    """
    style = drawn[0].style
    mouths = [choice for choice in style.candidates.get("mouth", ()) if key(choice) in openness]
    mouths.sort(key=lambda choice: openness[key(choice)])
    third = max(1, len(mouths) // 3)
    if len(mouths) < 2:
        return []
    pairs = []
    for portrait in drawn:
        seed = int(rng.integers(2**32))
        ends = (mouths[rng.integers(third)], mouths[-1 - rng.integers(third)])
        closed, opened = (
            drawer.with_choices(portrait, {"mouth": choice}, np.random.default_rng(seed)).parts for choice in ends
        )
        pairs.append((described(closed), described(opened)))
    return pairs


def followed(
    pairs: Sequence[tuple[Descriptors, Descriptors]], library: Library, statistics: Statistics, openness: Openness
) -> list[bool]:
    """Of each pair whether the mouth chosen for the open one is more open than that chosen for the closed one."""
    sides = [nearest_choices(library, side, statistics) for side in zip(*pairs, strict=True)]
    of_sides = [[mouth_openness(nearest, openness) for nearest in side] for side in sides]
    return [None not in pair and pair[1] > pair[0] for pair in zip(*of_sides, strict=True)]


def open_mouth_accuracy(
    openness: Mapping[str, float | None], is_open: Mapping[str, bool]
) -> dict[str, float | int | None]:
    """Balanced accuracy with which avatars' openness alone tells portraits that are tagged as of open mouth, and n.

    The threshold is chosen on one half of the portraits, the accuracy is that of the other.

    Args:
        openness: of the avatars' mouths, by portrait; None is taken for a closed one.
        is_open: by portrait.
    """
    values = {row_id: -1.0 if value is None else value for row_id, value in openness.items()}
    choice, rest = ([row_id for row_id in values if in_choice(row_id) is chosen] for chosen in (True, False))
    if any(len({is_open[row_id] for row_id in half}) < 2 for half in (choice, rest)):
        return {"balanced_accuracy": None, "n": 0}
    thresholds = sorted({values[row_id] for row_id in choice})
    best = max(thresholds, key=lambda threshold: _balanced(choice, values, is_open, threshold))
    return {"balanced_accuracy": _balanced(rest, values, is_open, best), "n": len(rest)}


def _balanced(ids: Sequence[str], values: Openness, is_open: Mapping[str, bool], threshold: float) -> float:
    """The mean of the shares of open and closed mouths that a threshold tells rightly."""
    right = {state: [(values[i] >= threshold) == state for i in ids if is_open[i] == state] for state in (True, False)}
    return float(np.mean([np.mean(flags) for flags in right.values()]))
