"""Evaluation of attribute vectors: held-out portraits edited to each target, the success rate and what else changes.

The held-out portraits are in two halves: settings such as the strength are to be chosen by the scores of one, so that
those of the other say what the choice is worth.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from facemill.config.latent import TagsConfig
from facemill.data.shards import mask_classes
from facemill.data.splits import held_out, in_choice
from facemill.errors import UserError
from facemill.files import write_json
from facemill.imaging.colors import REGIONS, difference
from facemill.inference.editor import EditClassifier, Renderer, Rendering, decoding_painter, mask_painter
from facemill.inference.painter import Painter
from facemill.inference.segmenter import Segmenter
from facemill.inference.vectors import Vectors
from facemill.latent.attributes import GROUPS
from facemill.latent.rows import images_of, joined_rows, masks_of, sample_ids
from facemill.latent.tag_portraits import TAG_SCHEMA
from facemill.latent.tag_sources import load_tagger
from facemill.latent.transitions import Edit, draw_transitions, transition_rows
from facemill.log import log
from facemill.metrics.segmentation import confusion, iou
from facemill.networks.store import load_model
from facemill.networks.vae import Vae
from facemill.taggers.probes import Probes, thumbnails
from facemill.taggers.tagger import Tagger

DRIFT = 10.0
"""CIEDE2000 difference above which a region's color has drifted."""

PROB_TOLERANCE = 0.01
"""Fall of a probability that still counts as monotonic."""

TRAVERSED = 8
"""Portraits whose path is checked for monotonicity."""

BETWEEN = (0.25, 0.5, 0.75)
"""Positions on that path besides its ends."""

Scores = dict[str, float | int | None]


def evaluate_attributes(
    *,
    vectors: Path,
    judge: Path,
    vae: Path,
    latents: list[Path],
    tags: list[Path],
    portraits: list[Path],
    gaugan: Path | None = None,
    unet: Path | None = None,
    pseudo_labels: list[Path] | None = None,
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
    """Edits held-out portraits to each target, and measures the success rate, and the drift of all else.

    Args:
        vectors: the attribute vectors.
        judge: the linear probes of pixels.
        vae: the VAE.
        latents: shards of latents.
        tags: shards of tags.
        portraits: shards of portraits.
        gaugan: paints the edited latents with each portrait's mask fixed; without it the VAE decodes them.
        unet: with masks: segments the painted portraits.
        pseudo_labels: shards of masks, where there are masks.
        tags_config: sources of tags, some of which classify the edited portraits, and palettes.
        eval_portraits: greatest number of portraits for each target, in each half.
        strength: factor of each vector.
        steps: pictures in a transition.
        holdout: share of the portraits that are held out.
        seed: of the order of the portraits.
        metrics: the JSON to write: for each target the scores, and under `choice` those by which to choose settings.
        transitions: the picture of transitions to write.
        animation: the animation of transitions to write.
    """
    loaded, network = Vectors.load(vectors), load_model(Vae, vae)
    rows = _held_out_rows(latents, tags, holdout, seed)
    choice, edits = (edits_of(half, loaded, gaugan is not None, eval_portraits) for half in halves(rows))
    if not choice or not edits:
        raise UserError(
            f"holdout: found {holdout}, which leaves {len(rows)} portraits, and in one half of them none to edit; "
            "accepted: more"
        )
    ids = {edit.portrait_id for half in (choice, edits) for edits_to_name in half.values() for edit in edits_to_name}
    renderer = _load_renderer(network, gaugan, unet, pseudo_labels or [], ids)
    of_pixels = Probes.load(judge, thumbnails)
    write_json(metrics, evaluate_vectors(renderer, edits, choice, rows, loaded, of_pixels, tags_config, strength))
    shown = transition_rows(edits, loaded, tags_config)
    images = images_of(portraits, [edit.portrait_id for _, edit in shown])
    positions = np.linspace(0, 1, steps)
    draw_transitions(shown, images, loaded, renderer.paint, strength, positions, transitions, animation)


def _held_out_rows(latents: list[Path], tags: list[Path], holdout: float, seed: int) -> list[dict]:
    joined = joined_rows((latents, ["latent"]), (tags, TAG_SCHEMA.names[1:]))
    rows = {row["id"]: row for row in joined if held_out(row["id"], holdout)}
    return [rows[portrait_id] for portrait_id in sample_ids(rows, len(rows), f"edited-{seed}")]


def halves(rows: Sequence[dict]) -> tuple[list[dict], list[dict]]:
    """Rows by whose scores settings are chosen, and those of the other images, whose scores are reported."""
    return [row for row in rows if in_choice(row["id"])], [row for row in rows if not in_choice(row["id"])]


def edits_of(rows: Sequence[dict], vectors: Vectors, masked: bool, limit: int) -> dict[str, list[Edit]]:
    """At most `limit` edits to each target; empty when there are none at all."""
    edits = {target: _edits_to(target, rows, vectors, masked)[:limit] for target in vectors.names()}
    return edits if any(edits.values()) else {}


def _edits_to(target: str, rows: Sequence[dict], vectors: Vectors, masked: bool) -> list[Edit]:
    """The portraits that can be edited to a target: with masks, those in which its region has a color."""
    group = vectors.group_of(target)
    if group is None:
        return [Edit(row["id"], np.array(row["latent"]), target in row["tags"]) for row in rows]
    others = set(vectors.groups[group]) - {target}
    return [
        Edit(row["id"], np.array(row["latent"]), row[group])
        for row in rows
        if row[group] in others and not (masked and row[GROUPS[group]] is None)
    ]


def _load_renderer(
    vae: Vae, gaugan: Path | None, unet: Path | None, pseudo_labels: Sequence[Path], ids: set[str]
) -> Renderer:
    """GauGAN with the masks of these portraits fixed, or the VAE's decoder without GauGAN."""
    classes = mask_classes(pseudo_labels) if pseudo_labels else None
    masks = masks_of(pseudo_labels, ids, classes) if classes else {}
    paint = mask_painter(Painter.load(gaugan, classes), masks) if gaugan else decoding_painter(vae)
    return Renderer(paint, masks, classes, Segmenter.load(unet, classes) if unet else None)


def evaluate_vectors(
    renderer: Renderer,
    edits: Mapping[str, Sequence[Edit]],
    choice: Mapping[str, Sequence[Edit]],
    rows: Sequence[dict],
    vectors: Vectors,
    judge: Probes,
    tags_config: TagsConfig,
    strength: float,
) -> dict[str, dict]:
    """Scores of `evaluate_vector` for each target, with the sources of `labels` and `classifier`.

    `choice` are the edits of the other half, whose scores stand apart under this name.
    """
    visual: list[str] = [source for source in tags_config.sources if source != "tags"]
    taggers = {source: load_tagger(source, tags_config, list(vectors.booleans)) for source in visual}
    scores, unedited = {}, render_unedited(renderer, [edits, choice])
    for target in edits:
        group = vectors.group_of(target)
        labels_source = source_of_labels(rows, group, tags_config.sources)
        source = choose_classifier(target, labels_source, taggers)
        names = vectors.groups[group] if group else []
        classifier = EditClassifier(judge if source == "judge" else taggers[source], target, names)
        values, choice_values = (
            evaluate_vector(renderer, half[target], unedited, target, vectors, classifier, judge, strength=strength)
            for half in (edits, choice)
        )
        scores[target] = values | {"labels": labels_source, "classifier": source, "choice": choice_values}
        log.info("%s: success %s, drift %s", target, values["success"], values["drift"])
    return scores


def render_unedited(renderer: Renderer, halves: Sequence[Mapping[str, Sequence[Edit]]]) -> dict[str, Rendering]:
    """The portraits of all edits before the edit, by id: most of them are edited to several targets."""
    edits = [edit for half in halves for edits_to_name in half.values() for edit in edits_to_name]
    latents = {edit.portrait_id: edit.latent for edit in edits}
    ids = list(latents)
    return dict(zip(ids, renderer.render(ids, np.stack(list(latents.values()))), strict=True)) if ids else {}


def source_of_labels(rows: Sequence[dict], group: str | None, sources: Sequence[str]) -> str:
    """The source that named most portraits of a group; for booleans the first of all."""
    counts = Counter(row[f"{group}_source"] for row in rows if row[group]) if group else Counter[str]()
    return counts.most_common(1)[0][0] if counts else sources[0]


def choose_classifier(target: str, labels_source: str, taggers: Mapping[str, Tagger]) -> str:
    """The source that classifies edits to a target: knows the target, and differs from the source of the labels.

    Without such a source it is the source of the labels; where that cannot classify images, the probes of pixels
    (`judge`).
    """
    knowing = [source for source, tagger in taggers.items() if tagger.knows(target)]
    others = [source for source in knowing if source != labels_source]
    return next(iter([*others, *knowing]), "judge")


def evaluate_vector(
    renderer: Renderer,
    edits: Sequence[Edit],
    unedited: Mapping[str, Rendering],
    target: str,
    vectors: Vectors,
    classifier: EditClassifier,
    judge: Probes,
    *,
    strength: float,
    traversed: int = TRAVERSED,
) -> Scores:
    """Scores of the edits to a target.

    Args:
        renderer: paints the edited portraits.
        edits: the edits.
        unedited: their portraits before the edit, by id, of the same renderer.
        target: the attribute to which they are edited.
        vectors: the attribute vectors.
        classifier: tells whether a portrait shows the target.
        judge: without masks, tells which other attributes the edit changes.
        strength: factor of each vector.
        traversed: portraits whose path is checked for monotonicity.

    Returns:
        `success`: success rate, the share of portraits classified as the target after the edit, among those that were
        not before it.
        `before`: the share classified as the target before the edit.
        `drift`: with masks, for each region but the target's the share of portraits whose color there differs by more
        than `DRIFT` after the edit, and the mean of these shares over the regions; without masks the share of
        predictions of all other attributes, by the judge, that the edit changes.
        `mask_iou`: mean IoU of the masks that the U-Net segments before and after; None without masks.
        `monotonicity`: the share of steps on the path, of the first `traversed` portraits, on which the probability of
        the target does not fall (by `PROB_TOLERANCE` at least).
        `images`: the number of edited portraits; all else is None when it is 0.
    """
    if not edits:
        return dict.fromkeys(["success", "before", "drift", "mask_iou", "monotonicity"]) | {"images": 0}
    ids, added = [edit.portrait_id for edit in edits], [edit.source is not True for edit in edits]
    latents = np.stack([edit.latent for edit in edits])
    steps = strength * np.stack([vectors.step(edit.source, target) for edit in edits])
    before, after = [unedited[portrait_id] for portrait_id in ids], renderer.render(ids, latents + steps)
    hit_before, hit_after = classifier.predictions(before, added), classifier.predictions(after, added)
    edited_region = GROUPS[group] if (group := vectors.group_of(target)) else None
    by_color = renderer.classes is not None
    drift = _color_drift(before, after, edited_region) if by_color else _judged_drift(judge, before, after, target)
    halfway = latents[:traversed, None] + np.array(BETWEEN)[:, None] * steps[:traversed, None]
    between = renderer.render(ids[:traversed], halfway.reshape(-1, latents.shape[1]), segmented=False)
    path = [before[:traversed], *(between[i :: len(BETWEEN)] for i in range(len(BETWEEN))), after[:traversed]]
    probs = np.stack([classifier.probabilities(renderings, added[:traversed]) for renderings in path])
    return {
        "success": float(hit_after[~hit_before].mean()) if not hit_before.all() else None,
        "before": float(hit_before.mean()),
        "drift": drift,
        "mask_iou": _mask_iou(before, after, len(renderer.classes or ())) if renderer.segmenter else None,
        "monotonicity": float((np.diff(probs, axis=0) > -PROB_TOLERANCE).mean()),
        "images": len(edits),
    }


def _color_drift(before: Sequence[Rendering], after: Sequence[Rendering], edited_region: str | None) -> float:
    drifted: dict[str, list[bool]] = {}
    for rendering, edited in zip(before, after, strict=True):
        colors, edited_colors = rendering.portrait.colors or {}, edited.portrait.colors or {}
        for region in REGIONS:
            color, edited_color = colors.get(region), edited_colors.get(region)
            if region != edited_region and color is not None and edited_color is not None:
                drifted.setdefault(region, []).append(difference(color, edited_color) > DRIFT)
    return float(np.mean([np.mean(flags) for flags in drifted.values()])) if drifted else 0.0


def _judged_drift(judge: Probes, before: Sequence[Rendering], after: Sequence[Rendering], target: str) -> float | None:
    first, second = (judge.predictions([rendering.portrait for rendering in side]) for side in (before, after))
    edited = next((group for group, names in judge.groups.items() if target in names), target)
    changed = [np.mean(first[key] != second[key]) for key in first if key != edited]
    return float(np.mean(changed)) if changed else None


def _mask_iou(before: Sequence[Rendering], after: Sequence[Rendering], classes: int) -> float:
    pairs = [(b.mask, a.mask) for b, a in zip(before, after, strict=True) if b.mask is not None and a.mask is not None]
    return float(np.nanmean(iou(np.sum([confusion(b, a, classes) for b, a in pairs], axis=0))))
