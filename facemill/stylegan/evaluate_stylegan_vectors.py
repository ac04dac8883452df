"""Evaluation of the attribute vectors in W: generated portraits edited to each target, and what else changes."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from facemill.config.latent import TagsConfig
from facemill.data.shards import decode_image, read_rows
from facemill.data.splits import held_out
from facemill.files import write_json
from facemill.imaging.figures import image_grid, save_animation, save_picture
from facemill.inference.editor import LatentPainter, Renderer, Rendering, style_painter
from facemill.inference.sampler import Sampler
from facemill.inference.segmenter import Segmenter
from facemill.inference.vectors import Vectors
from facemill.latent.evaluate_attributes import edits_of, evaluate_vectors, halves
from facemill.latent.rows import images_of, joined_rows, sample_ids
from facemill.latent.tag_portraits import TAG_SCHEMA
from facemill.latent.transitions import Edit, draw_transitions, transition_rows
from facemill.stylegan.judge import Judge
from facemill.stylegan.portraits import portrait_size
from facemill.taggers.probes import Probes, thumbnails
from facemill.taggers.tagger import TaggerInput

SHOWN = 8
"""Portraits in the picture where nothing can be edited."""


def evaluate_stylegan_vectors(
    *,
    vectors: Path,
    probes: Path,
    model: Path,
    generated: list[Path],
    tags: list[Path],
    portraits: list[Path],
    evaluator: Path | None = None,
    labeller: Path | None = None,
    vae: Path | None = None,
    tags_config: TagsConfig,
    eval_portraits: int,
    strength: float,
    steps: int,
    holdout: float,
    seed: int,
    metrics: Path,
    transitions: Path,
    animation: Path,
) -> None:
    """Edits held-out generated portraits to each target, and measures the success rate, and the drift of all else.

    Args:
        vectors: the attribute vectors in W.
        probes: linear probes of pixels, for what no source of tags sees.
        model: the generator.
        generated: shards of generated portraits.
        tags: shards of their tags.
        portraits: shards of the collection, whose size the networks that judge were trained on.
        evaluator: with masks, a U-Net that did not label: compares masks, and its features are `identity`.
        labeller: with masks, the U-Net under whose masks colors are read.
        vae: the VAE, whose features are `identity` where there are no masks.
        tags_config: sources of tags, some of which classify the edited portraits, and palettes.
        eval_portraits: greatest number of portraits for each target, in each half.
        strength: factor of each vector.
        steps: pictures in a transition.
        holdout: share of the portraits that are held out.
        seed: of the order of the portraits.
        metrics: the JSON to write: for each target the scores of `evaluate_vector` and `identity`, and under `choice`
            those by which to choose settings.
        transitions: the picture of transitions to write.
        animation: the animation of transitions to write.
    """
    loaded, paint = Vectors.load(vectors), style_painter(Sampler.load(model))
    judge = Judge(portrait_size(portraits), evaluator, labeller, vae, None, tags_config)
    renderer = JudgedRenderer(paint, judge, Segmenter.load(evaluator, judge.classes) if evaluator else None)
    rows = held_out_rows(generated, tags, holdout, seed)
    none: dict[str, list[Edit]] = {name: [] for name in loaded.names()}
    choice, edits = (edits_of(half, loaded, bool(labeller), eval_portraits) or none for half in halves(rows))
    scores = evaluate_vectors(
        renderer, edits, choice, rows, loaded, Probes.load(probes, thumbnails), tags_config, strength
    )
    for values, half in [(scores, edits), ({name: s["choice"] for name, s in scores.items()}, choice)]:
        add_identity(values, half, loaded, paint, judge, strength)
    write_json(metrics, scores)
    shown = transition_rows(edits, loaded, tags_config)
    draw_edits(shown, generated, loaded, paint, strength, steps, transitions, animation)


class JudgedRenderer(Renderer):
    """Paints portraits and reads the colors of regions under masks that are drawn anew for each picture."""

    def __init__(self, paint: LatentPainter, judge: Judge, segmenter: Segmenter | None) -> None:
        """A renderer.

        Args:
            paint: paints styles.
            judge: draws masks, where there are any.
            segmenter: another U-Net, which segments the painted portraits.
        """
        super().__init__(paint, classes=judge.classes, segmenter=segmenter)
        self.judge = judge

    def render(self, ids: Sequence[str], latents: np.ndarray, *, segmented: bool = True) -> list[Rendering]:
        """The portraits painted from styles, float (N, w_dim), at the size of the collection's."""
        images = self.judge.enlarged(self.paint(ids, latents))
        masks = self._segment(images, segmented)
        if self.judge.classes is None:
            return [Rendering(TaggerInput(image), mask) for image, mask in zip(images, masks, strict=True)]
        portraits = self.judge.portraits(images, self.judge.masks(images)[0])
        return [Rendering(portrait, mask) for portrait, mask in zip(portraits, masks, strict=True)]


def held_out_rows(generated: list[Path], tags: list[Path], holdout: float, seed: int) -> list[dict]:
    """Rows of tags, with w as `latent`, of the held-out portraits in random order.

    Rejected portraits are left out where others remain.
    """
    joined = joined_rows((generated, ["w", "rejected"]), (tags, TAG_SCHEMA.names[1:]))
    rows = [row | {"latent": row.pop("w")} for row in joined if held_out(row["id"], holdout)]
    accepted = {row["id"]: row for row in rows if row["rejected"] is None} or {row["id"]: row for row in rows}
    return [accepted[row_id] for row_id in sample_ids(accepted, len(accepted), f"edited-{seed}")]


def add_identity(
    scores: Mapping[str, dict],
    edits: Mapping[str, Sequence[Edit]],
    vectors: Vectors,
    paint: LatentPainter,
    judge: Judge,
    strength: float,
) -> None:
    """Adds to the scores of each target what an edit costs in `identity`.

    It is the mean distance, in the judge's features, of the portraits before and after the edit, as a multiple of that
    between two different portraits, for each unit of success: so methods compare at equal success. 0 would be the same
    portrait; None where no edit succeeds.
    """
    for target, values in scores.items():
        values["identity"] = None
        if len(edits[target]) > 1 and values["success"]:
            ids = [edit.portrait_id for edit in edits[target]]
            latents = np.stack([edit.latent for edit in edits[target]])
            changes = strength * np.stack([vectors.step(edit.source, target) for edit in edits[target]])
            before, after = (judge.features(paint(ids, points)) for points in (latents, latents + changes))
            between = np.linalg.norm(before - np.roll(before, 1, axis=0), axis=1).mean()
            change = np.linalg.norm(after - before, axis=1).mean()
            values["identity"] = float(change / max(between, 1e-9) / values["success"])


def draw_edits(
    shown: Sequence[tuple[str, Edit]],
    generated: Sequence[Path],
    vectors: Vectors,
    paint: LatentPainter,
    strength: float,
    steps: int,
    transitions: Path,
    animation: Path,
) -> None:
    """Writes picture and animation of edits, or, without any, of the first `SHOWN` portraits as they are."""
    if not shown:
        return draw_first(generated, transitions, animation)
    images, positions = images_of(generated, [edit.portrait_id for _, edit in shown]), np.linspace(0, 1, steps)
    draw_transitions(shown, images, vectors, paint, strength, positions, transitions, animation)


def draw_first(generated: Sequence[Path], transitions: Path, animation: Path) -> None:
    """Writes picture and animation where nothing can be edited: the first `SHOWN` portraits as they are."""
    rows = itertools.islice(read_rows(generated, ["image"]), SHOWN)
    images = [decode_image(row["image"]["bytes"]) for row in rows]
    save_picture(image_grid([images]), transitions)
    save_animation([[image] for image in images], animation)
