"""Measures and shows what the vectors between hair colours do."""

from pathlib import Path

import numpy as np

from facemill.command import Annotated, Settings, run
from facemill.config import Attributes, Tags
from facemill.errors import BadInput
from facemill.figures import image_grid, save_picture
from facemill.files import write_json
from facemill.latent.attributes import load_means
from facemill.latent.colors import lab_palette
from facemill.latent.editing import Styled, choose_transitions, transition, try_vectors
from facemill.latent.rows import drawn, images_of, joined_rows, masks_of
from facemill.networks import load_model
from facemill.splits import held_out
from facemill.synthesize.gaugan import Generator

TRANSITIONS = 8
"""Rows of the picture."""


def main(
    *,
    vectors: Path,
    gaugan: Path,
    latents: list[Path],
    colors: list[Path],
    pseudo_labels: list[Path],
    portraits: list[Path],
    settings: Annotated[Attributes, Settings],
    tags: Annotated[Tags, Settings],
    holdout: float,
    seed: int,
    metrics: Path,
    transitions: Path,
) -> None:
    """Tries each vector on held-out portraits painted by GauGAN: writes how many turn into the hair colour (success)
    and how much else changes (drift), and a picture of transitions."""
    means, palette = load_means(vectors), lab_palette(tags.hair_colors)
    generator = load_model(Generator, gaugan)
    rows = joined_rows((latents, ["latent"]), (colors, ["hair_color", "hair"]))
    usable = {row["id"]: row for row in rows if held_out(row["id"], holdout) and _can_be_edited(row, means)}
    own = {id: usable[id]["hair_color"] for id in drawn(usable, len(usable), f"edited-{seed}")}
    if not own:
        raise BadInput(f"holdout: found {holdout}, which leaves no portrait with a hair colour; accepted: more")

    edits = {name: [id for id in own if own[id] != name][: settings.edited] for name in means}
    shown = choose_transitions(own, list(means), palette, TRANSITIONS)
    masks = masks_of(pseudo_labels, {id for ids in edits.values() for id in ids} | {id for id, _ in shown})
    styled = {id: Styled(own[id], mask, np.array(usable[id]["latent"])) for id, mask in masks.items()}

    write_json(metrics, try_vectors(generator, styled, edits, means, palette))

    images = images_of(portraits, [id for id, _ in shown])
    strips = [
        [images[id], *transition(generator, styled[id], means[name] - means[own[id]], settings.steps)]
        for id, name in shown
    ]
    columns = ["portrait", *(f"{part:.0%}" for part in np.linspace(0, 1, settings.steps))]
    captions = [f"{own[id]} to {name}".replace("_", " ") for id, name in shown]
    save_picture(image_grid(strips, columns, captions), transitions)


def _can_be_edited(row: dict, means: dict[str, np.ndarray]) -> bool:
    """Whether a portrait's hair colour has a mean to start from, and its mask enough hair to judge by."""
    return row["hair_color"] in means and row["hair"] is not None


if __name__ == "__main__":
    run(main, gpu=True)
