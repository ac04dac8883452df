"""Whether avatars agree across styles: of a figure that is posed twice, and of one that goes there and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facemill.avatars.drawn import Drawer, Drawn
from facemill.avatars.evaluation import mean_of
from facemill.avatars.matching import Library
from facemill.avatars.retrieval import Nearest, described, nearest_choices, statistics_of, told_components, variant_name
from facemill.avatars.styles import PART_ROLES, DrawingStyle


def cross_style(
    drawn: Mapping[str, Sequence[Drawn]], libraries: Mapping[str, Library], drawer: Drawer, pairs: int, seed: int
) -> dict[str, Any]:
    """Agreement and return over all pairs of different styles, and for each pair.

    `agreement`: of figures of one style that are drawn twice (other pose, background, noise) the share of roles whose
    nearest variant in the other style is the same. `returned`: of figures whose nearest parts in the other style are
    drawn and matched back, the share of roles that come back to the variant they had; a role that the other style
    lacks, or draws in one way only, comes back by chance at most. `n` is the number of figures.

    Args:
        drawn: portraits by style.
        libraries: by style.
        drawer: draws them again.
        pairs: portraits of a style that are drawn again.
        seed: of their poses.
    """
    again = {}
    for number, (name, portraits) in enumerate(drawn.items()):
        rng = np.random.default_rng([seed, number])
        again[name] = [drawer.again(portrait, rng) for portrait in portraits[:pairs]]
    of_pairs: dict[str, dict[str, float | None]] = {}
    for a, portraits in drawn.items():
        descriptors = [described(portrait.parts) for portrait in portraits]
        statistics = statistics_of(descriptors)
        second = [described(portrait.parts) for portrait in again[a]]
        for b in (name for name in libraries if name != a):
            there, once_more = (
                nearest_choices(libraries[b], side, statistics) for side in (descriptors[:pairs], second)
            )
            rng = np.random.default_rng([seed, *a.encode(), *b.encode()])
            templates = [drawn[b][i % len(drawn[b])] for i in range(len(there))]
            avatars = [
                described(drawer.with_choices(of, {role: told[0] for role, told in to.items()}, rng).parts)
                for of, to in zip(templates, there, strict=True)
            ]
            back = nearest_choices(libraries[a], avatars, statistics_of(avatars))
            truths: list[Nearest] = [{role: [choice] for role, choice in of.choices.items()} for of in portraits]
            of_pairs[f"{a} to {b}"] = {
                "agreement": same(there, once_more, libraries[b].style),
                "returned": same(truths[:pairs], back, libraries[a].style),
            }
    means = mean_of(of_pairs, ("agreement", "returned"))
    return {**means, "n": min([pairs, *map(len, drawn.values())], default=0) * len(of_pairs), "pairs": of_pairs}


def same(first: Sequence[Nearest], second: Sequence[Nearest], style: DrawingStyle) -> float | None:
    """The share of the first portraits' roles of which the second have the same variant, of all that have several."""
    components = {role: told_components(style, role) for role in PART_ROLES if role in style.candidates}
    flags = [
        role in two and variant_name(one[role][0], names) == variant_name(two[role][0], names)
        for one, two in zip(first, second, strict=True)
        for role, names in components.items()
        if role in one
    ]
    return float(np.mean(flags)) if flags else None
