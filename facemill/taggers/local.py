"""Taggers that need no network: the collection's own tags, and the colors under the masks."""

from collections.abc import Mapping, Sequence

import numpy as np

from facemill.imaging.colors import REGIONS
from facemill.imaging.palettes import Palette, probabilities
from facemill.taggers.tagger import Tagger, TaggerInput, normalized


class CollectionTagger(Tagger):
    """The collection's own tags (Danbooru's, a CSV's, CelebA's attributes): certain where given, else not there.

    It knows the tags it is made with. Its feature is their presence, as numbers.
    """

    threshold = 0.5

    def __init__(self, tags: Sequence[str]) -> None:
        super().__init__(tags)

    def probabilities(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        given = [{normalized(tag) for tag in portrait.tags} for portrait in portraits]
        return np.array([[normalized(tag) in own for tag in self.names] for own in given], float)

    def extract_feature(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        return self.probabilities(portraits)


class ColorTagger(Tagger):
    """The median color of hair, skin and eyes, named by the nearest of a palette; needs masks and no weights.

    The names of one region share a probability of 1; all are 0 where the region has no color. The feature is the
    L*a*b* color of all regions, with NaN for those that have none.
    """

    def __init__(self, palettes: Mapping[str, Palette]) -> None:
        """`palettes` names colors, by region."""
        super().__init__([name for palette in palettes.values() for name in palette])
        self.palettes = dict(palettes)

    def probabilities(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        return np.array([self._probabilities(portrait) for portrait in portraits])

    def _probabilities(self, portrait: TaggerInput) -> np.ndarray:
        colors = portrait.colors or {}
        parts = [
            np.zeros(len(palette)) if colors.get(region) is None else probabilities(colors[region], palette)
            for region, palette in self.palettes.items()
        ]
        return np.concatenate(parts)

    def extract_feature(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        nothing = np.full(3, np.nan)
        colors = [portrait.colors or {} for portrait in portraits]
        return np.array([[nothing if own.get(r) is None else own[r] for r in REGIONS] for own in colors]).reshape(
            len(portraits), -1
        )
