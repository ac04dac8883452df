"""What is measured of translations in one direction: the networks look, `figures` computes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from facemill.data.batching import batched
from facemill.data.shards import decode_image, encode_jpeg
from facemill.inference.segmenter import Segmenter
from facemill.inference.translator import Translator
from facemill.stylegan.judge import Judge
from facemill.translate.domains import role_table
from facemill.translate.figures import (
    Features,
    Figures,
    called_figures,
    color_correlations,
    diversity,
    frechet_figures,
    l1,
    mask_figures,
    mious,
    no_face,
    over,
    resized_masks,
    truth_figures,
)
from facemill.translate.sides import Collection, Side

BATCH = 64

QUALITY = 90
"""Of the JPEG that hidden messages do not survive."""


class Eyes(NamedTuple):
    """The U-Net that knows a collection."""

    segmenter: Segmenter
    size: tuple[int, int]
    """Height and width at which it sees portraits, those of its collection."""

    def masks(self, images: np.ndarray) -> np.ndarray:
        """Masks of roles, uint8 (N, H, W), of uint8 RGB images (N, h, w, 3)."""
        large = (cv2.resize(image, self.size[::-1], interpolation=cv2.INTER_LINEAR) for image in images)
        masks: np.ndarray = role_table(self.segmenter.classes).numpy()[self.segmenter.masks(large)]
        return masks


class View(NamedTuple):
    """What is seen of a collection: features, float32 (N, D) each, and masks."""

    features: np.ndarray
    """Of its side."""
    training: np.ndarray
    """Of the portraits that the training saw."""
    masks: np.ndarray | None
    """Roles that its U-Net sees of its side, uint8 (N, H, W); None without one."""


@dataclass
class Way:
    """One direction of translation, with what its results are compared with.

    Attributes:
        there: the translator.
        back: that of the other direction; None where there is none.
        source: portraits that no training saw.
        target: the other collection's portraits that no training saw.
        paired: whether a portrait of the target is the true answer of that of the source with the same id.
        judge: the network whose features portraits are compared by.
        source_view, target_view: what is seen of both.
        eyes: the U-Net that knows the target.
    """

    there: Translator
    back: Translator | None
    source: Side
    target: Side
    paired: bool
    judge: Judge
    source_view: View
    target_view: View
    eyes: "Eyes | None"

    def truth(self) -> Side | None:
        """The true answers of the source's portraits, in their order; None where they are unknown."""
        return self.target.of(self.source.ids) if self.paired else None

    def kept(self) -> np.ndarray | None:
        """Masks of roles that results should have: the true answers', else the source's; None without any."""
        truth = self.truth()
        masks = self.source.masks if truth is None or truth.masks is None else truth.masks
        return None if masks is None or self.eyes is None else resized_masks(masks, self.eyes.size)


@dataclass
class Translated:
    """The results of a direction.

    Attributes:
        images: the translations, uint8 RGB (N, h, w, 3).
        cycle: translated back, or None.
        masks: of roles, as the target's U-Net sees them, or None.
        scores: of each, larger is better: minus the L1 to the true answers, else the mIoU of masks, else minus the
            L1 of the cycle, else of nothing; float64 (N,).
    """

    images: np.ndarray
    cycle: np.ndarray | None
    masks: np.ndarray | None
    scores: np.ndarray


def features_of(judge: Judge, images: Iterable[np.ndarray]) -> np.ndarray:
    """Features, float32 (N, D), of any number of uint8 RGB images (h, w, 3)."""
    return np.concatenate([judge.features(np.stack(batch)) for batch in batched(images, BATCH)])


def translate(way: Way) -> Translated:
    """Translates the source there and back."""
    images = way.there.translate(way.source.images)
    cycle = way.back.translate(images) if way.back else None
    masks = way.eyes.masks(images) if way.eyes else None
    truth, kept = way.truth(), way.kept()
    if truth is not None:
        scores = -l1(images, truth.images)
    elif masks is not None and kept is not None:
        scores = mious(masks, kept)
    else:
        scores = -l1(images if cycle is None else cycle, way.source.images)
    return Translated(images, cycle, masks, scores)


def way_figures(way: Way, translated: Translated) -> Figures:
    """The figures of one direction; which there are depends on what is known."""
    source, images, truth = way.source, translated.images, way.truth()
    figures: Figures = {"portraits": len(source), "real": len(way.target)}
    if truth is not None:
        figures |= truth_figures(source.images, images, truth.images, truth.masks)
    figures |= cycle_figures(way, translated)
    source_view, target_view = way.source_view, way.target_view
    features = Features(
        features_of(way.judge, images),
        source_view.features,
        target_view.features,
        target_view.training,
        source_view.training,
    )
    figures |= frechet_figures(features) | change_figures(way, images) | called_figures(features)
    figures["diversity"] = diversity(features)
    if translated.masks is not None:
        figures |= seen_figures(way, translated.masks)
    if source.masks is not None:
        figures["color_correlation"] = color_correlations(source.images, images, source.masks)
    return figures


def cycle_figures(way: Way, translated: Translated) -> Figures:
    """`cycle`: L1 of portraits translated there and back, of 255; `hidden_messages`: with a JPEG between, over that."""
    if way.back is None or translated.cycle is None:
        return {}
    stored = np.stack([decode_image(encode_jpeg(image, QUALITY)) for image in translated.images])
    plain = float(l1(translated.cycle, way.source.images).mean())
    lossy = float(l1(way.back.translate(stored), way.source.images).mean())
    return {"cycle": plain, "hidden_messages": over(lossy, plain)}


def change_figures(way: Way, images: np.ndarray) -> Figures:
    """`changed_l1`: of results to what was translated, of 255; `changed`: over that of the true answers.

    Where these are unknown it is over that of other portraits of the target.
    """
    source, truth = way.source.images, way.truth()
    others = way.target.images[np.arange(len(source)) % len(way.target)] if truth is None else truth.images
    own = float(l1(images, source).mean())
    return {"changed": over(own, float(l1(others, source).mean())), "changed_l1": own}


def seen_figures(way: Way, masks: np.ndarray) -> Figures:
    """The figures of what the target's U-Net sees of results, beside what it sees of real portraits."""
    figures: Figures = {"no_face": no_face(masks, way.source.sexes)}
    real, kept, eyes = way.target_view.masks, way.kept(), way.eyes
    assert real is not None and eyes, "results are seen by the U-Net that saw real portraits"
    figures["no_face_real"] = no_face(real, way.target.sexes)
    if kept is not None and way.target.masks is not None:
        figures |= mask_figures(masks, kept, real, resized_masks(way.target.masks, eyes.size))
    return figures


def make_ways(
    translators: Sequence[Translator | None], collections: Sequence[Collection], judge: Judge, paired: bool
) -> dict[str, Way]:
    """The directions, `a2b` and `b2a`, of which there is a translator.

    With true answers each collection's portraits are those that the other has too.

    Args:
        translators: of both directions.
        collections: this one and the other.
        judge: the network whose features portraits are compared by.
        paired: whether portraits of one id are each other's true answers.
    """
    sides = [collection.side for collection in collections]
    if paired:
        common = [row_id for row_id in sides[0].ids if row_id in set(sides[1].ids)]
        sides = [side.of(common) for side in sides]
    eyes = [Eyes(x.segmenter, x.seen_size) if x.segmenter else None for x in collections]
    views = [
        View(
            features_of(judge, side.images),
            features_of(judge, collection.training),
            of_side.masks(side.images) if of_side else None,
        )
        for side, collection, of_side in zip(sides, collections, eyes, strict=True)
    ]
    ways = {}
    for name, source, target in (("a2b", 0, 1), ("b2a", 1, 0)):
        if there := translators[source]:
            pair = sides[source], sides[target]
            seen = views[source], views[target], eyes[target]
            ways[name] = Way(there, translators[target], *pair, paired, judge, *seen)
    return ways
