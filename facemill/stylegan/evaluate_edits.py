"""Evaluation of local edits beside the other ways to an attribute: what succeeds, and what else changes.

All ways edit the same held-out generated portraits, and are measured alike, by networks that found none of them: the
evaluation U-Net, and a probe of the half of the collection that no edit was found by.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from PIL import Image

from facemill.config.stylegan import EditsConfig
from facemill.data.classes import Role
from facemill.data.shards import mask_classes
from facemill.data.splits import held_out
from facemill.files import write_json
from facemill.imaging.figures import image_grid, save_animation, save_picture
from facemill.inference.segmenter import Segmenter
from facemill.log import log
from facemill.stylegan.edit_rows import Generated, RealPortraits, read_generated, read_real
from facemill.stylegan.edit_scores import SCORES, Judge, at_size
from facemill.stylegan.edit_ways import Case, Directions, Way, Ways
from facemill.stylegan.edits import Edit, LocalEdit, map_deviations
from facemill.stylegan.find_edits import divided
from facemill.stylegan.recipes import RecipePainter
from facemill.stylegan.region_probes import RegionProbe
from facemill.stylegan.seen import see

MOST_JUDGED = 1000
"""Real portraits that the judge's probe is fitted to, at most."""
SHOWN = 3
"""Portraits of each attribute in the picture."""
ANIMATED = 4
"""Portraits of each attribute in the animation."""
STEPS = 9
"""Pictures in the animation, from none of the edit to all."""


def evaluate_edits(
    *,
    model: Path,
    edits: list[Path],
    evaluator: Path,
    gaugan: Path | None = None,
    style_encoder: Path | None = None,
    generated: list[Path],
    generated_tags: list[Path],
    portraits: list[Path],
    tags: list[Path],
    pseudo_labels: list[Path],
    settings: EditsConfig,
    preserve: list[str] | None = None,
    strength: float,
    min_images: int,
    holdout: float,
    metrics: Path,
    picture: Path,
    animation: Path,
) -> None:
    """Edits held-out generated portraits to each attribute in up to four ways, and measures what changes.

    Args:
        model: the generator, a safetensors file.
        edits: the edit files, one for each attribute, in their order.
        evaluator: a U-Net that did not draw the portraits' masks.
        gaugan: GauGAN, where its style can be edited.
        style_encoder: the network beside it that reads styles.
        generated: shards of generated portraits.
        generated_tags: shards of their tags, for the colors of their regions.
        portraits: shards of the collection.
        tags: shards of the collection's tags.
        pseudo_labels: shards of the collection's masks.
        settings: the section `edits`.
        preserve: regions whose colors directions leave as they are, but that of the attribute.
        strength: factor of a direction.
        min_images: least number of portraits that have an attribute, and that lack it.
        holdout: share of the portraits that is held out.
        metrics: JSON: for each way the means of `Judge.scores`, and those of each attribute.
        picture: PNG of portraits, edited in each way.
        animation: WebP of portraits along each local edit.
    """
    painter, classes = RecipePainter.load(model), mask_classes(generated)
    ways = Ways.load(painter.sampler, gaugan, style_encoder)
    real = read_real(portraits, tags, pseudo_labels, classes, painter.sampler.generator.height)
    probes = Halves.of(real, Segmenter.load(evaluator, classes), min_images)
    kinds = (lambda i: not held_out(i, holdout)), (lambda i: held_out(i, holdout))
    learned, unseen = (read_generated(generated, classes, settings.samples, kind) for kind in kinds)
    directions = Directions(learned, ways.codes(learned), generated_tags, preserve or [], strength)
    read = [Edit.read(path, painter.model, painter.sampler.generator) for path in edits]
    named = list(zip(read, settings.attributes.values(), strict=True))
    cases = evaluated(named, ways, probes, directions, unseen, settings.portraits)
    write_json(metrics, figures(cases))
    save_picture(edit_grid(cases, unseen), picture)
    save_animation(edit_strips(ways, cases, unseen), animation)


class Halves(NamedTuple):
    """The collection in two halves, one for probes that find, one for those that judge, under another U-Net's masks."""

    finding: RealPortraits
    judging: RealPortraits
    checked: RealPortraits
    """Of the finding half, with the masks under which is judged."""
    segmenter: Segmenter
    min_images: int

    @classmethod
    def of(cls, real: RealPortraits, segmenter: Segmenter, min_images: int) -> "Halves":
        """The halves of real portraits; those that judge get the masks that the segmenter sees."""
        finding, judging = real.half(True), real.half(False)
        judging, checked = (with_masks_of(segmenter, half.first(MOST_JUDGED)) for half in (judging, finding))
        return cls(finding, judging, checked, segmenter, min_images)

    def finder(self, name: str, role: Role) -> RegionProbe | None:
        """The probe by which an attribute's edit was found."""
        return self.finding.probe(name, self.segmenter.classes.role_ids(role), self.min_images)

    def judge(self, name: str, role: Role) -> Judge | None:
        """The judge of an attribute's edits; None where too few portraits have or lack it."""
        probe = self.judging.probe(name, self.segmenter.classes.role_ids(role), self.min_images)
        return Judge(self.segmenter, probe, role) if probe else None

    def accuracy(self, judge: Judge) -> float | None:
        """The judge's balanced accuracy on real portraits of the other half."""
        return judge.probe.accuracy(self.checked.images, self.checked.masks, self.checked.have(judge.probe.name))

    def area(self, judge: Judge) -> float | None:
        """The pixels of the part in real portraits with the attribute, over those in others; None without any of these.

        It is what `area` of an edit should come to.
        """
        have, sizes = self.judging.have(judge.probe.name), np.isin(self.judging.masks, judge.probe.ids).sum((1, 2))
        return float(sizes[have].mean() / sizes[~have].mean()) if sizes[have].any() and sizes[~have].any() else None


def with_masks_of(segmenter: Segmenter, portraits: RealPortraits) -> RealPortraits:
    """Real portraits with the masks that another U-Net sees."""
    return replace(portraits, masks=at_size(see(portraits.images, segmenter).masks, portraits.images))


def evaluated(
    edits: Sequence[tuple[Edit, Role]],
    ways: Ways,
    probes: Halves,
    directions: Directions,
    unseen: Generated,
    most: int,
) -> list[Case]:
    """The cases of edits, with what came of each way and its scores.

    Args:
        edits: each with the role of the classes that show its attribute.
        ways: the networks that edit.
        probes: who finds and judges.
        directions: the vectors.
        unseen: held-out generated portraits, of which those are edited that lack the attribute and have the region.
        most: portraits of each case.
    """
    deviations, cases = map_deviations(ways.sampler), []
    for edit, role in edits:
        finder, judge = probes.finder(edit.name, role), probes.judge(edit.name, role)
        if finder is None or judge is None:
            log.warning("evaluate_edits: %s: too few portraits of the collection have, or lack, it", edit.name)
            continue
        lacks = judge.shows(unseen.images) <= judge.probe.probes.threshold
        regions = edit.region.of(unseen.masks, judge.segmenter.classes)
        chosen = np.flatnonzero(lacks & regions.any((1, 2)))[:most]
        if not len(chosen):
            log.warning("evaluate_edits: %s: no held-out generated portrait lacks it", edit.name)
            continue
        about: dict[str, Any] = {"class": role, "layer": edit.layer, "found": edit.found, "portraits": len(chosen)}
        about |= {"judge_accuracy": probes.accuracy(judge), "area_real": probes.area(judge)}
        case = Case(edit.name, role, unseen.take(chosen), regions[chosen], LocalEdit.of(edit, deviations), about)
        ways.edit(case, *directions.fit(divided(directions.portraits, finder)[0].ids, role))
        ways.measure(case, judge)
        success = {way: scores["success"] for way, scores in case.scores.items()}
        log.info("evaluate_edits: %s: success %s", edit.name, success)
        cases.append(case)
    return cases


def figures(cases: Sequence[Case]) -> dict[str, Any]:
    """For each way the means of its `SCORES` over attributes, then those of each attribute; and what these are."""
    content: dict[str, Any] = {}
    for way in get_args(Way):
        scores = {case.name: case.scores[way] for case in cases if way in case.scores}
        known = {key: [x for of_one in scores.values() if (x := of_one[key]) is not None] for key in SCORES}
        content[way] = {key: float(np.mean(values)) if values else None for key, values in known.items()}
        content[way]["attributes"] = scores
    return content | {"attributes": {case.name: case.about for case in cases}}


def edit_grid(cases: Sequence[Case], others: Generated) -> Image.Image:
    """Portraits of each attribute, edited in each way; without any attribute, portraits as they are."""
    rows: list[list[np.ndarray | None]] = []
    captions = []
    columns = ["portrait", "direction", "locked", "local", "GauGAN", "edited"]
    for case in cases:
        for index in range(min(SHOWN, len(case.portraits))):
            after = {way: edited.after[index] for way, edited in case.edited.items()}
            repainted = case.edited["gaugan"].before[index] if "gaugan" in after else None
            ways = [after.get(way) for way in get_args(Way)]
            rows.append([case.edited["local"].before[index], *ways[:-1], repainted, ways[-1]])
            captions.append(case.name.replace("_", " ") if not index else "")
    return image_grid(rows, columns, captions) if rows else image_grid([list(others.images[:SHOWN])])


def edit_strips(ways: Ways, cases: Sequence[Case], others: Generated) -> list[list[np.ndarray]]:
    """For the animation, portraits of each attribute along its local edit, from none of it to all."""
    strips: list[list[np.ndarray]] = []
    for case in cases:
        shown = case.first(ANIMATED)
        path = [ways.local(shown, float(strength)) for strength in np.linspace(0, 1, STEPS)]
        strips += [list(strip) for strip in np.stack(path, 1)]
    return strips or [[image] * 2 for image in others.images[:ANIMATED]]
