"""Sliders along attribute vectors: from one name of an exclusive group to another, or towards a boolean."""

from collections.abc import Mapping

import numpy as np

from facemill.config.latent import TagsConfig
from facemill.data.classes import ClassTable
from facemill.errors import UserError
from facemill.imaging.colors import region_colors
from facemill.imaging.palettes import Palette, lab_palette, probabilities
from facemill.inference.vectors import Vectors
from facemill.latent.attributes import GROUPS
from facemill.studio.messages import Slider

Seen = dict[str, str | None]
"""For each exclusive group the name that a portrait shows; None where that cannot be told."""


class Sliders:
    """The vectors, and the palettes by which the groups' names are seen in portraits."""

    def __init__(self, vectors: Vectors, tags: TagsConfig | None, classes: ClassTable) -> None:
        """Sliders.

        Args:
            vectors: the attribute vectors.
            tags: the palettes of the groups' names; without them no name is seen.
            classes: the class table of the masks.
        """
        self.vectors, self.classes = vectors, classes
        self.palettes: dict[str, Palette] = {}
        for group, names in vectors.groups.items():
            colors = getattr(tags, f"{group}s", {})
            if known := {name: colors[name] for name in names if name in colors}:
                self.palettes[group] = lab_palette(known)

    def seen(self, pixels: np.ndarray, mask: np.ndarray) -> Seen:
        """The nearest name of each group's region, by its median color.

        Args:
            pixels: uint8 RGB (H, W, 3).
            mask: class ids, uint8 (H, W).
        """
        colors = region_colors(pixels, mask, self.classes) if self.palettes else {}
        names: Seen = dict.fromkeys(self.vectors.groups)
        for group, palette in self.palettes.items():
            if (color := colors[GROUPS[group]]) is not None:
                names[group] = list(palette)[int(probabilities(color, palette).argmax())]
        return names

    def step(self, sliders: Mapping[str, Slider], seen: Mapping[str, str | None]) -> np.ndarray:
        """The sum of the sliders' steps, float (Z,).

        Args:
            sliders: by group or boolean.
            seen: the names from which a slider without a source starts; where that is None, too, it starts from the
                mean of the group's other names.

        Raises:
            UserError: There is no such vector.
        """
        total = np.zeros(len(next(iter(self.vectors.tensors().values()))))
        for key, slider in sliders.items():
            total += slider.amount * self._vector(key, slider, seen.get(key))
        return total

    def _vector(self, key: str, slider: Slider, seen: str | None) -> np.ndarray:
        if key in self.vectors.booleans:
            self._check(key, slider.target, [key])
            self._check(key, slider.source, [None])
            return self.vectors.booleans[key]
        self._check("sliders", key, [*self.vectors.groups, *self.vectors.booleans])
        names = self.vectors.groups[key]
        self._check(key, slider.target, names)
        self._check(key, slider.source, [None, *names])
        source = slider.source or seen
        sources = [source] if source else [name for name in names if name != slider.target]
        zero = np.zeros_like(next(iter(self.vectors.pairs.values())))
        return np.mean([self.vectors.pairs.get((name, slider.target), zero) for name in sources], 0)

    def _check(self, key: str, name: str | None, accepted: list) -> None:
        if name not in accepted:
            raise UserError(f"{key}: found {name!r}; accepted: {', '.join(map(str, accepted))}")
