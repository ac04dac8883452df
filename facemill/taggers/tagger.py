"""Taggers: whatever says which tags a portrait has, behind the verbs of illustration2vec.

The verbs are those of Saito and Matsui 2015, "Illustration2Vec" (https://github.com/rezoo/illustration2vec).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from facemill.errors import UserError
from facemill.imaging.colors import Lab

CATEGORIES = ("general", "character", "copyright", "rating")


@dataclass(frozen=True)
class TaggerInput:
    """What taggers look at; each takes of it what it needs."""

    image: np.ndarray
    """uint8 RGB (H, W, 3)."""
    tags: Sequence[str] = ()
    """The collection's own."""
    colors: Mapping[str, Lab | None] | None = None
    """The median color of each region, where there is a mask."""


class Tagger(ABC):
    """Says how probable tags are: `names` are the tags that it knows, `categories` one of `CATEGORIES` for each.

    Tags are found whatever their case, with blanks or underscores, grey or gray.
    """

    threshold = 0.0
    """Probability from which a tag is believed."""

    def __init__(self, names: Sequence[str], categories: Sequence[str] | None = None) -> None:
        self.names = list(names)
        self.categories = list(categories or ["general"] * len(self.names))
        self._places = {normalized(name): place for place, name in reversed(list(enumerate(self.names)))}

    def knows(self, tag: str) -> bool:
        return normalized(tag) in self._places

    @abstractmethod
    def probabilities(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """How probable each known tag is: float (N, tags)."""

    @abstractmethod
    def extract_feature(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """What the tagger sees in portraits before it names tags: float (N, D)."""

    def estimate_specific_tags(self, portraits: Sequence[TaggerInput], tags: Sequence[str]) -> list[dict[str, float]]:
        """The probability of each of these tags, for each portrait. Raises `UserError` for a tag it does not know."""
        if unknown := [tag for tag in tags if not self.knows(tag)]:
            some = ", ".join(self.names[:3])
            raise UserError(f"tag {unknown[0]!r}: not known; accepted: one of {len(self.names)} such as {some}")
        places = [self._places[normalized(tag)] for tag in tags]
        return [dict(zip(tags, map(float, row[places]), strict=True)) for row in self.probabilities(portraits)]

    def estimate_plausible_tags(
        self, portraits: Sequence[TaggerInput], threshold: float = 0.25
    ) -> list[dict[str, list[tuple[str, float]]]]:
        """For each portrait and category the tags above the threshold with their probabilities, most probable first.

        Ratings exclude each other: all of them are given, whatever the threshold.
        """
        found = []
        for row in self.probabilities(portraits):
            plausible: dict[str, list[tuple[str, float]]] = {category: [] for category in CATEGORIES}
            for place in np.argsort(-row, kind="stable"):
                category = self.categories[place]
                if row[place] > threshold or category == "rating":
                    plausible[category].append((self.names[place], float(row[place])))
            found.append(plausible)
        return found


def normalized(tag: str) -> str:
    """A tag as it is compared: without case, blanks as underscores, American gray as British grey."""
    return tag.strip().lower().replace(" ", "_").replace("gray", "grey")


def network_tagger(kind: Literal["i2v", "wd14"], folder: Path, threshold: float) -> Tagger:
    """A tagger that is a network, with its files in a folder; only its own library is imported."""
    if kind == "i2v":
        from facemill.taggers.i2v import I2v

        return I2v(folder, threshold)
    from facemill.taggers.wd14 import Wd14

    return Wd14(folder, threshold)
