"""Transitions: pictures of held-out portraits that are edited step by step from one attribute to another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facemill.config.latent import TagsConfig
from facemill.imaging.figures import image_grid, save_animation, save_picture
from facemill.imaging.palettes import Palette, lab_palette
from facemill.inference.editor import LatentPainter, traverse
from facemill.inference.vectors import Vectors

TRANSITIONS = 8
"""Rows of the picture for exclusive groups; each boolean has two more, added and removed."""


@dataclass(frozen=True)
class Edit:
    """A portrait that can be edited to a target."""

    portrait_id: str
    latent: np.ndarray
    source: str | bool
    """Its name in the target's group, or whether it has the boolean that is to change."""


def choose_transitions(
    hair: Mapping[str, str], names: Sequence[str], palette: Palette, count: int
) -> list[tuple[str, str]]:
    """At most `count` portraits, each with the name that it is edited to; no portrait and no name comes twice.

    Where a portrait has the darkest color, the first row edits it to the most colorless of the others: black to silver.

    Args:
        hair: the portraits' names, by id, in the order in which portraits are taken.
        names: the names of the group.
        palette: the typical colors of the names.
        count: greatest number of rows.
    """
    darkest = min(names, key=lambda name: palette[name][0, 0])
    palest = min((name for name in names if name != darkest), key=lambda name: np.hypot(*palette[name][0, 1:]))
    dark_ids = [portrait_id for portrait_id, name in hair.items() if name == darkest]
    chosen = dict.fromkeys(dark_ids[:1], palest)
    for target in names:
        free = (portrait_id for portrait_id, name in hair.items() if portrait_id not in chosen and name != target)
        if target not in chosen.values() and (portrait_id := next(free, None)) is not None:
            chosen[portrait_id] = target
    return list(chosen.items())[:count]


def transition_rows(
    edits: Mapping[str, Sequence[Edit]], vectors: Vectors, tags_config: TagsConfig
) -> list[tuple[str, Edit]]:
    """Targets and edits of the picture's rows: transitions in the first group, then each boolean added and removed."""
    rows = []
    for group, names in list(vectors.groups.items())[:1]:
        by_id = {edit.portrait_id: edit for name in names for edit in edits[name]}
        sources = {portrait_id: str(edit.source) for portrait_id, edit in by_id.items()}
        palette = lab_palette(getattr(tags_config, f"{group}s"))
        chosen = choose_transitions(sources, names, palette, TRANSITIONS)
        rows += [(target, by_id[portrait_id]) for portrait_id, target in chosen]
    for name in vectors.booleans:
        for present in (False, True):
            used = {edit.portrait_id for _, edit in rows}
            unused = [edit for edit in edits[name] if edit.source == present and edit.portrait_id not in used]
            rows += [(name, edit) for edit in unused[:1]]
    return rows


def draw_transitions(
    rows: Sequence[tuple[str, Edit]],
    images: Mapping[str, np.ndarray],
    vectors: Vectors,
    paint: LatentPainter,
    strength: float,
    positions: np.ndarray,
    picture: Path,
    animation: Path,
) -> None:
    """Writes a picture and an animation of transitions.

    Args:
        rows: targets and edits.
        images: the portraits, uint8 RGB (H, W, 3), by id.
        vectors: the attribute vectors.
        paint: paints latents.
        strength: factor of each vector.
        positions: along each vector, 0 the portrait's latent, 1 the end.
        picture: the PNG to write.
        animation: the WebP to write.
    """
    strips = [
        list(traverse(paint, edit.portrait_id, edit.latent, strength * vectors.step(edit.source, target), positions))
        for target, edit in rows
    ]
    columns = ["portrait", *(f"{position:.0%}" for position in positions)]
    grid = [[images[edit.portrait_id], *strip] for (_, edit), strip in zip(rows, strips, strict=True)]
    save_picture(image_grid(grid, columns, [_caption(edit, target) for target, edit in rows]), picture)
    save_animation(strips, animation)


def _caption(edit: Edit, target: str) -> str:
    if isinstance(edit.source, bool):
        return f"{target} {'removed' if edit.source else 'added'}".replace("_", " ")
    return f"{edit.source} to {target}".replace("_", " ")
