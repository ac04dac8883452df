"""Taggers without a network: the collection's tags, and the colors under the masks."""

from collections.abc import Mapping, Sequence

import numpy as np

from facemill.imaging.colors import REGIONS
from facemill.imaging.palettes import Palette, probabilities
from facemill.taggers.tagger import Tagger, TaggerInput, normalized


class CollectionTagger(Tagger):
    """The collection's tags (Danbooru's, a CSV's, CelebA's attributes): probability 1 where given, else 0.

    It knows the tags that it is constructed with. Its feature is the vector of these probabilities.
    """

    threshold = 0.5

    def __init__(self, tags: Sequence[str]) -> None:
        super().__init__(tags)

    def probabilities(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """1 for each tag that a portrait has, 0 for each other: float (N, tags)."""
        given = [{normalized(tag) for tag in portrait.tags} for portrait in portraits]
        return np.array([[normalized(name) in tags for name in self.names] for tags in given], float)

    def extract_feature(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """The same as `probabilities`."""
        return self.probabilities(portraits)


class ColorTagger(Tagger):
    """The median color of hair, skin and eyes, named by the nearest color of a palette; needs masks, no weights.

    The probabilities of a region's names sum to 1; all are 0 where the region has no color. The feature is the L*a*b*
    color of all regions, NaN for those without one.
    """

    def __init__(self, palettes: Mapping[str, Palette]) -> None:
        """`palettes` names colors, by region."""
        super().__init__([name for palette in palettes.values() for name in palette])
        self.palettes = dict(palettes)

    def probabilities(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """The probability of each name of each region: float (N, names)."""
        return np.array([self._probabilities(portrait.colors or {}) for portrait in portraits])

    def _probabilities(self, colors: Mapping[str, np.ndarray | None]) -> np.ndarray:
        rows = []
        for region, palette in self.palettes.items():
            color = colors.get(region)
            rows.append(np.zeros(len(palette)) if color is None else probabilities(color, palette))
        return np.concatenate(rows)

    def extract_feature(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """The L*a*b* color of each region in turn: float (N, 3 * regions)."""
        missing = np.full(3, np.nan)
        features = []
        for portrait in portraits:
            colors = [(portrait.colors or {}).get(region) for region in REGIONS]
            features.append(np.concatenate([missing if color is None else color for color in colors]))
        return np.array(features).reshape(len(portraits), -1)
