"""Portraits that a style draws at random, whose parts are known: what matching is measured on in every style."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from facemill.avatars.part_maps import over, picture, seven_mask
from facemill.avatars.regions import Part, cut_parts
from facemill.avatars.styles import Choice, DrawingStyle, PartRole, merged, random_options, variant_options

ROTATION, SCALE, SHIFT = 10, 0.1, 5
"""Greatest change of a pose: degrees, share of the size, and percent of the picture."""

NOISE = 4.0
"""Standard deviation of the noise on colors, of 255."""


@dataclass(frozen=True)
class Drawn:
    """A portrait that a style drew."""

    style: DrawingStyle
    options: dict
    choices: Mapping[PartRole, Choice]
    parts: Mapping[PartRole, Part]
    """What matching sees of it, by the renderer's masks."""

    @property
    def variants(self) -> dict[str, str]:
        """The variant of each component that a role has."""
        return merged(self.choices)


@dataclass(frozen=True)
class Drawer:
    """Draws portraits as the collection's are seen: in some pose, over some background, with noise on their colors."""

    size: int
    looks: int

    def at_random(self, style: DrawingStyle, rng: np.random.Generator) -> Drawn:
        """A portrait of random parts and colors."""
        return self.again(Drawn(style, *random_options(style, rng), {}), rng)

    def again(self, drawn: Drawn, rng: np.random.Generator) -> Drawn:
        """The portrait of the same options in another pose, over another background, with other noise."""
        turned = {"rotate": rng.uniform(-ROTATION, ROTATION), "scale": rng.uniform(1 - SCALE, 1 + SCALE)}
        shifted = {f"translate{axis}": rng.uniform(-SHIFT, SHIFT) for axis in "XY"}
        pose = {key: round(float(value), 3) for key, value in (turned | shifted).items()}
        svg = drawn.style.svg(drawn.options | pose)
        red, green, blue = rng.integers(0, 256, 3).tolist()
        image = over(picture(svg, self.size), (red, green, blue)) + rng.normal(0, NOISE, (self.size, self.size, 3))
        mask = seven_mask(svg, drawn.style, self.size)
        parts = cut_parts(np.clip(image, 0, 255).astype(np.uint8), mask, looks=self.looks)
        return replace(drawn, parts=parts)

    def with_choices(self, drawn: Drawn, choices: Mapping[PartRole, Choice], rng: np.random.Generator) -> Drawn:
        """A portrait with these parts in place of those of the same roles, drawn again."""
        options = drawn.options | variant_options(merged(choices))
        return self.again(replace(drawn, options=options, choices={**drawn.choices, **choices}), rng)


def draw_all(styles: Mapping[str, DrawingStyle], count: int, drawer: Drawer, seed: int) -> dict[str, list[Drawn]]:
    """Portraits of random parts in each style, by its name; those of one style do not depend on the others."""
    rngs = {name: np.random.default_rng([seed, zlib.crc32(name.encode()), 1]) for name in styles}
    return {name: [drawer.at_random(style, rngs[name]) for _ in range(count)] for name, style in styles.items()}
