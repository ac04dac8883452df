"""What avatars of a collection's portraits are measured by."""

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from facemill.avatars.drawn import Drawer, Drawn
from facemill.avatars.expression import (
    OPEN_MOUTH,
    Openness,
    drawn_openness,
    followed,
    mouth_openness,
    mouth_pairs,
    open_mouth_accuracy,
    rank_correlation,
)
from facemill.avatars.matching import Library
from facemill.avatars.measured import (
    SAMPLE_STYLE,
    Measured,
    masked_portraits,
    read_column,
    read_tags,
    true_portrait,
    true_variants,
)
from facemill.avatars.part_maps import over, picture, seven_mask
from facemill.avatars.regions import cut_parts, seven_ids
from facemill.avatars.retrieval import (
    Answers,
    Descriptors,
    Nearest,
    all_answers,
    described,
    nearest_choices,
    statistics_of,
)
from facemill.avatars.stability import mean_of_styles, moved, stability
from facemill.avatars.statistics import Statistics
from facemill.avatars.styles import DrawingStyle
from facemill.data.classes import SEVEN, ClassTable
from facemill.data.shards import mask_classes
from facemill.imaging.colors import Lab, difference, region_colors
from facemill.latent.rows import sample_ids

TRUE, MOVED, COLORED = 400, 200, 60
"""Largest numbers of portraits that are cut anew by true masks, that are moved, and whose avatars' colors are read."""

PAIRS = 0.25
"""Share of each style's portraits that are drawn with two mouths."""

COLORS = ("hair", "skin")
"""Regions whose colors are compared."""

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The function of each item, in order, computed by as many threads as there are cores."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(function, items))


@dataclass(frozen=True)
class Evaluation:
    """Portraits, the styles that they are matched to, and their avatars."""

    measured: Measured
    statistics_file: Path
    """Of the collection's parts."""
    parts: Sequence[Path]
    """The styles' tables, each named as its style, with the JSON about it beside it."""
    portraits: Sequence[Path]
    pseudo_labels: Sequence[Path]
    avatars: Sequence[Path]
    """Shards, in folders named as the styles."""
    drawer: Drawer
    seed: int

    @cached_property
    def statistics(self) -> Statistics:
        """Of the collection's parts."""
        return Statistics.load(self.statistics_file)

    @cached_property
    def libraries(self) -> dict[str, Library]:
        """By style."""
        return {path.stem: Library.load(path, path.with_suffix(".json")) for path in self.parts}

    @cached_property
    def openness(self) -> dict[str, Openness]:
        """By style."""
        return {path.stem: drawn_openness(path, self.libraries[path.stem].style) for path in self.parts}

    @cached_property
    def classes(self) -> ClassTable:
        """Of the masks."""
        return mask_classes(self.pseudo_labels)

    def avatars_of(self, name: str) -> list[Path]:
        """The shards of a style's avatars."""
        return [path for path in self.avatars if path.parent.name == name]

    @cached_property
    def nearest(self) -> dict[str, list[Nearest]]:
        """In each style the nearest choices of the portraits."""
        return {name: self.match(library, range(len(self.measured.ids))) for name, library in self.libraries.items()}

    def match(self, library: Library, indices: Iterable[int]) -> list[Nearest]:
        """The nearest choices of some portraits."""
        return nearest_choices(library, [self.measured.descriptors[i] for i in indices], self.statistics)

    def sample(self, count: int, salt: str) -> list[str]:
        """The ids of some of the portraits."""
        return sample_ids(self.measured.ids, count, f"avatars-{salt}-{self.seed}")

    def images(self, ids: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Portraits, uint8 RGB (H, W, 3), with their masks, ids of `SEVEN`, uint8 (H, W)."""
        return masked_portraits(self.portraits, self.pseudo_labels, ids)

    def by_true_masks(self, source: Path) -> dict[str, Answers]:
        """The answers for portraits of the sample, cut from the originals by their exact masks."""
        library, truths = self.libraries[SAMPLE_STYLE], true_variants(source, self.measured.ids)
        ids = sample_ids(truths, TRUE, f"avatars-true-{self.seed}")

        def cut(row_id: str) -> Descriptors:
            image, mask = true_portrait(source, row_id, self.classes)
            return described(cut_parts(image, seven_ids(mask, self.classes), looks=self.drawer.looks))

        descriptors = in_threads(cut, ids)
        nearest = nearest_choices(library, descriptors, statistics_of(descriptors))
        return all_answers(library.style, [truths[i] for i in ids], nearest)

    def by_unet_masks(self, source: Path) -> dict[str, Answers]:
        """The answers for portraits of the sample, as the collection's are cut: by the U-Net's masks."""
        library, truths = self.libraries[SAMPLE_STYLE], true_variants(source, self.measured.ids)
        indices = self.measured.at(truths)
        nearest = [self.nearest[SAMPLE_STYLE][i] for i in indices]
        return all_answers(library.style, [truths[self.measured.ids[i]] for i in indices], nearest)

    def color(self) -> dict[str, Any]:
        """CIEDE2000 between a region's color in the portrait and in its avatar: mean, deviation, n; means by style.

        The least that a drawing can reach is what colors of 8 bits leave, which is the same in every style.
        """
        ids, size = self.sample(COLORED, "color"), self.drawer.size
        wanted = [region_colors(image, mask, SEVEN) for image, mask in self.images(ids)]
        styles: dict[str, dict[str, list[float]]] = {}
        for name, library in self.libraries.items():
            svgs = read_column(self.avatars_of(name), ids, "svg")
            drawn = in_threads(partial(drawn_colors, style=library.style, size=size), (svgs[row_id] for row_id in ids))
            styles[name] = differences(
                wanted, drawn, [region for region in COLORS if region in library.style.color_options]
            )
        every = {region: [value for of in styles.values() for value in of.get(region, ())] for region in COLORS}
        return {
            **means(every),
            "std": {region: float(np.std(values)) if values else None for region, values in every.items()},
            "n": {region: len(values) for region, values in every.items()},
            "styles": {name: means(of) for name, of in styles.items()},
        }

    def expression(self, drawn: Mapping[str, Sequence[Drawn]]) -> dict[str, Any]:
        """Whether avatars open their mouths where portraits do: means over styles, and by style.

        `spearman`: correlation of the openness of both mouths, of `n` portraits. `toggle`: of `pairs` of drawings that
        differ in the mouth alone, the share of which the more open one gets the more open mouth. `open_mouth`: the
        balanced accuracy with which the avatar's mouth tells the tag, on the half of the portraits (`tagged`, 0 without
        tags) by which the threshold was not chosen.
        """
        tags = read_tags(self.portraits, set(self.measured.ids))
        is_open = {row_id: not tags.get(row_id, set()).isdisjoint(OPEN_MOUTH) for row_id in self.measured.ids}
        pairs = {
            name: mouth_pairs(
                of[: math.ceil(PAIRS * len(of))],
                self.openness[name],
                self.drawer,
                np.random.default_rng([self.seed, 1]),
            )
            for name, of in drawn.items()
        }
        collections = {
            name: statistics_of([described(portrait.parts) for portrait in of]) for name, of in drawn.items()
        }
        styles = {}
        for name, library in self.libraries.items():
            if "mouth" not in library.style.candidates:
                continue
            opened = [mouth_openness(nearest, self.openness[name]) for nearest in self.nearest[name]]
            toggles = [
                followed(of, library, collections[source], self.openness[name]) for source, of in pairs.items() if of
            ]
            toggled = [flag for flags in toggles for flag in flags]
            accuracy = open_mouth_accuracy(dict(zip(self.measured.ids, opened, strict=True)), is_open)
            styles[name] = rank_correlation(self.measured.openness, opened) | {
                "toggle": float(np.mean(toggled)) if toggled else None,
                "pairs": len(toggled),
                "open_mouth": accuracy["balanced_accuracy"],
                "tagged": accuracy["n"],
            }
        return mean_of(styles, ("spearman", "toggle", "open_mouth")) | {"styles": styles}

    def stability(self) -> dict[str, Any]:
        """How often a slightly moved portrait keeps its variants, and how many variants all portraits use."""
        ids = self.sample(MOVED, "moved")
        indices = {row_id: i for i, row_id in enumerate(self.measured.ids)}

        def cut(item: tuple[int, tuple[np.ndarray, np.ndarray]]) -> Descriptors:
            number, portrait = item
            rng = np.random.default_rng([self.seed, number])
            return described(cut_parts(*moved(*portrait, rng), looks=self.drawer.looks))

        descriptors = in_threads(cut, enumerate(self.images(ids)))
        styles = {}
        for name, library in self.libraries.items():
            after = nearest_choices(library, descriptors, self.statistics)
            before = [self.nearest[name][indices[row_id]] for row_id in ids]
            styles[name] = stability(library.style, self.nearest[name], before, after)
        return {
            **{str(group): mean for group, mean in mean_of_styles(styles).items()},
            "portraits": len(self.measured.ids),
            "moved": len(ids),
            "styles": styles,
        }


def drawn_colors(svg: str, *, style: DrawingStyle, size: int) -> dict[str, Lab | None]:
    """The colors of the regions of an avatar, which its map of parts shows."""
    return region_colors(over(picture(svg, size)), seven_mask(svg, style, size), SEVEN)


def differences(
    wanted: Sequence[Mapping[str, Lab | None]], drawn: Sequence[Mapping[str, Lab | None]], regions: Sequence[str]
) -> dict[str, list[float]]:
    """CIEDE2000 of the pairs that both have a region's color, by region."""
    found: dict[str, list[float]] = {region: [] for region in regions}
    for one, two in zip(wanted, drawn, strict=True):
        for region in regions:
            a, b = one[region], two[region]
            if a is not None and b is not None:
                found[region].append(difference(a, b))
    return found


def means(values: Mapping[str, Sequence[float]]) -> dict[str, float | None]:
    """The mean of each; None of nothing."""
    return {name: float(np.mean(of)) if of else None for name, of in values.items()}


def mean_of(styles: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> dict[str, float | None]:
    """Means over styles of what is known."""
    return means({name: [of[name] for of in styles.values() if of[name] is not None] for name in names})
