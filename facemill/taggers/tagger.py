"""The interface of taggers, with the verbs of illustration2vec.

Source: Saito and Matsui 2015, "Illustration2Vec" (https://github.com/rezoo/illustration2vec).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from facemill.errors import UserError
from facemill.imaging.colors import Lab

CATEGORIES = ("general", "character", "copyright", "rating")


@dataclass(frozen=True)
class TaggerInput:
    """A portrait, the input of taggers; each tagger reads the fields that it needs."""

    image: np.ndarray
    """uint8 RGB (H, W, 3)."""
    tags: Sequence[str] = ()
    """The collection's tags."""
    colors: Mapping[str, Lab | None] | None = None
    """The median color of each region; None without a mask."""


class Tagger(ABC):
    """A tagger: `names` are the tags that it knows, `categories` holds one of `CATEGORIES` for each.

    Tags are matched whatever their case, with blanks or underscores, grey or gray.
    """

    threshold = 0.0
    """Probability above which a tag counts as present."""

    def __init__(self, names: Sequence[str], categories: Sequence[str] | None = None) -> None:
        self.names = list(names)
        self.categories = list(categories or ["general"] * len(self.names))
        self._indices = {normalized(name): index for index, name in reversed(list(enumerate(self.names)))}

    def knows(self, tag: str) -> bool:
        """Whether the tagger gives a probability for this tag."""
        return normalized(tag) in self._indices

    @abstractmethod
    def probabilities(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """The probability of each known tag: float (N, tags)."""

    @abstractmethod
    def extract_feature(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """The features from which the tags are derived: float (N, D)."""

    def estimate_specific_tags(self, portraits: Sequence[TaggerInput], tags: Sequence[str]) -> list[dict[str, float]]:
        """The probability of each of these tags, for each portrait. Raises `UserError` for an unknown tag."""
        if unknown := [tag for tag in tags if not self.knows(tag)]:
            examples = ", ".join(self.names[:3])
            raise UserError(f"tag {unknown[0]!r}: not known; accepted: one of {len(self.names)} such as {examples}")
        indices = [self._indices[normalized(tag)] for tag in tags]
        return [dict(zip(tags, map(float, row[indices]), strict=True)) for row in self.probabilities(portraits)]

    def estimate_plausible_tags(
        self, portraits: Sequence[TaggerInput], threshold: float = 0.25
    ) -> list[dict[str, list[tuple[str, float]]]]:
        """For each portrait and category the tags above the threshold with their probabilities, most probable first.

        Ratings exclude each other: all of them are given, whatever the threshold.
        """
        portraits_tags = []
        for row in self.probabilities(portraits):
            plausible: dict[str, list[tuple[str, float]]] = {category: [] for category in CATEGORIES}
            for index in np.argsort(-row, kind="stable"):
                category = self.categories[index]
                if row[index] > threshold or category == "rating":
                    plausible[category].append((self.names[index], float(row[index])))
            portraits_tags.append(plausible)
        return portraits_tags


def normalized(tag: str) -> str:
    """A tag in the form in which tags are compared: lower case, blanks as underscores, gray as grey."""
    return tag.strip().lower().replace(" ", "_").replace("gray", "grey")


def most_probable(probabilities: Mapping[str, float], names: Iterable[str]) -> tuple[str | None, float | None]:
    """The most probable of the names, and its probability.

    Both are None where no name has a probability, or where the two highest are equal.
    """
    ranked = sorted(((probabilities[name], name) for name in names if name in probabilities), reverse=True)
    if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        return None, None
    return ranked[0][1], ranked[0][0]


def network_tagger(kind: Literal["i2v", "wd14"], folder: Path, threshold: float) -> Tagger:
    """A network tagger, its files read from a folder; only the library that runs it is imported."""
    if kind == "i2v":
        from facemill.taggers.i2v import I2v

        return I2v(folder, threshold)
    from facemill.taggers.wd14 import Wd14

    return Wd14(folder, threshold)
