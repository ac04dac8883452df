"""Measures and shows what attribute vectors do."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np

from facemill.config.latent import TagsConfig
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.files import write_json
from facemill.imaging.figures import image_grid, save_animation, save_picture
from facemill.imaging.palettes import lab_palette
from facemill.inference.editor import (
    Edit,
    Judge,
    Studio,
    along,
    choose_transitions,
    decoding_painter,
    judge_of,
    mask_painter,
    try_vector,
)
from facemill.latent.attribute_vectors import Vectors, load_vectors
from facemill.latent.probe_latents import load_probes
from facemill.latent.rows import images_of, joined_rows, masks_of, sample_ids
from facemill.latent.tag_portraits import GROUPS, TAG_SCHEMA, load_tagger
from facemill.log import log
from facemill.networks.spade import Generator
from facemill.networks.store import load_model
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae
from facemill.workflow.command import Settings, run

TRANSITIONS = 8
"""Rows of the picture for exclusive groups; each boolean has two more, added and taken away."""

ALONG = 8
"""Portraits whose way is looked at."""


def main(
    *,
    vectors: Path,
    probes: Path,
    vae: Path,
    latents: list[Path],
    tags: list[Path],
    portraits: list[Path],
    gaugan: Path | None = None,
    unet: Path | None = None,
    pseudo_labels: list[Path] | None = None,
    settings: Annotated[TagsConfig, Settings],
    eval_portraits: int,
    strength: float,
    steps: int,
    holdout: float,
    seed: int,
    metrics: Path,
    transitions: Path,
    animation: Path,
) -> None:
    """Tries each vector on held-out portraits and writes how often it takes (success) and what else changes (drift),
    with a picture and an animation of transitions.

    Parameters
    ----------
    gaugan:
        paints the edited latents with each portrait's mask held; without it the VAE decodes them
    unet:
        with GauGAN: segments what it painted
    pseudo_labels:
        with GauGAN: the masks
    """
    found, encoder = load_vectors(vectors), load_model(Vae, vae)
    rows = _held_out_rows(latents, tags, holdout, seed)
    edits = {target: _edits(rows, target, found, gaugan is not None)[:eval_portraits] for target in found.names()}
    if not any(edits.values()):
        raise UserError(f"holdout: found {holdout}, which leaves no portrait to turn into anything; accepted: more")
    shown = _shown(edits, found, settings)
    ids = {edit.id for of_target in edits.values() for edit in of_target}
    masks = masks_of(pseudo_labels, ids) if pseudo_labels else {}
    painter = mask_painter(load_model(Generator, gaugan), masks) if gaugan else decoding_painter(encoder)
    studio = Studio(painter, masks, load_model(Unet, unet) if unet else None)

    looking = [source for source in settings.sources if source != "tags"]
    judges = {source: load_tagger(source, settings, list(found.booleans)) for source in looking}
    judges["probe"] = seen = load_probes(probes, encoder)
    figures = {}
    for target, of_target in edits.items():
        group = next((group for group, names in found.groups.items() if target in names), None)
        given_by = _given_by(rows, group, settings.sources)
        name = judge_of(target, given_by, {source: judges[source] for source in looking}, seen)
        judge = Judge(judges[name], target, found.groups[group] if group else [])
        measured = try_vector(studio, of_target, target, found, judge, seen, strength=strength, along=ALONG)
        figures[target] = measured | {"labels": given_by, "judge": name}
        log.info("evaluate_attributes: %s, success %s, drift %s", target, measured["success"], measured["drift"])
    write_json(metrics, figures)

    images = images_of(portraits, [edit.id for _, edit in shown])
    places = np.linspace(0, 1, steps)
    strips = [
        list(along(painter, edit.id, edit.latent, strength * found.step(edit.own, target), places))
        for target, edit in shown
    ]
    captions = [_caption(edit, target) for target, edit in shown]
    columns = ["portrait", *(f"{place:.0%}" for place in places)]
    atomic_write = [[images[edit.id], *strip] for (_, edit), strip in zip(shown, strips, strict=True)]
    save_picture(image_grid(atomic_write, columns, captions), transitions)
    save_animation(strips, animation)


def _held_out_rows(latents: list[Path], tags: list[Path], holdout: float, seed: int) -> list[dict]:
    joined = joined_rows((latents, ["latent"]), (tags, TAG_SCHEMA.names[1:]))
    rows = {row["id"]: row for row in joined if held_out(row["id"], holdout)}
    return [rows[id] for id in sample_ids(rows, len(rows), f"edited-{seed}")]


def _edits(rows: list[dict], target: str, vectors: Vectors, masked: bool) -> list[Edit]:
    """The portraits that can be turned into a target: with masks, those in which its region has a color."""
    if target in vectors.booleans:
        return [Edit(row["id"], np.array(row["latent"]), target in row["tags"]) for row in rows]
    group = next(group for group, names in vectors.groups.items() if target in names)
    others = set(vectors.groups[group]) - {target}
    return [
        Edit(row["id"], np.array(row["latent"]), row[group])
        for row in rows
        if row[group] in others and not (masked and row[GROUPS[group]] is None)
    ]


def _given_by(rows: list[dict], group: str | None, sources: list[str]) -> str:
    """The source that named most portraits of a group; for booleans the first of all."""
    counts = Counter(row[f"{group}_source"] for row in rows if row[group]) if group else Counter()
    return counts.most_common(1)[0][0] if counts else sources[0]


def _shown(edits: dict[str, list[Edit]], vectors: Vectors, settings: TagsConfig) -> list[tuple[str, Edit]]:
    """Targets and portraits of the picture's rows."""
    rows = []
    for group, names in list(vectors.groups.items())[:1]:
        found = {edit.id: edit for name in names for edit in edits[name]}
        own = {id: str(edit.own) for id, edit in found.items()}
        chosen = choose_transitions(own, names, lab_palette(getattr(settings, f"{group}s")), TRANSITIONS)
        rows += [(target, found[id]) for id, target in chosen]
    for name in vectors.booleans:
        for has in (False, True):
            fresh = [edit for edit in edits[name] if edit.own == has and edit.id not in {other.id for _, other in rows}]
            rows += [(name, edit) for edit in fresh[:1]]
    return rows


def _caption(edit: Edit, target: str) -> str:
    if isinstance(edit.own, bool):
        return f"{target} {'taken away' if edit.own else 'added'}".replace("_", " ")
    return f"{edit.own} to {target}".replace("_", " ")


if __name__ == "__main__":
    run(main, gpu=True)
