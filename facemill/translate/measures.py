"""What is measured of translations in one direction: the networks look, `figures` computes.

Masks of results are drawn by the U-Net that knows where a direction goes: one that was trained on one collection alone
may see nothing in the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from facemill.config.latent import TagsConfig
from facemill.data.batching import batched
from facemill.data.shards import decode_image, encode_jpeg
from facemill.inference.segmenter import Segmenter
from facemill.inference.translator import Translator
from facemill.stylegan.judge import Judge
from facemill.translate.classifier import Classifier, train_classifier
from facemill.translate.domains import role_table
from facemill.translate.figures import (
    Features,
    Figures,
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
from facemill.translate.sides import Collection, Side, unet_size

BATCH = 64

QUALITY = 90
"""Of the JPEG that hidden messages do not survive."""


class TargetSegmenter(NamedTuple):
    """The U-Net that knows a collection that results should be like."""

    segmenter: Segmenter
    size: tuple[int, int]
    """Height and width at which it sees portraits."""

    @classmethod
    def of(cls, collection: Collection) -> "TargetSegmenter | None":
        """That of a collection; None without a U-Net."""
        segmenter = collection.segmenter
        return cls(segmenter, unet_size(segmenter, collection.side.images)) if segmenter else None

    def masks(self, images: np.ndarray) -> np.ndarray:
        """Masks of roles, uint8 (N, H, W), of uint8 RGB images (N, h, w, 3)."""
        sized = (cv2.resize(image, self.size[::-1], interpolation=cv2.INTER_LINEAR) for image in images)
        masks: np.ndarray = role_table(self.segmenter.classes).numpy()[self.segmenter.masks(sized)]
        return masks


@dataclass
class Way:
    """One direction of translation, with what its results are compared with.

    Attributes:
        there: the translator.
        back: that of the other direction; None where there is none.
        source: portraits that no training saw.
        target: the other collection's portraits that no training saw.
        paired: whether a portrait of the target is the true answer of that of the source with the same id.
        judges: the networks by whose features, side by side, portraits are compared.
        features: of portraits of all kinds; the results' are those of the untranslated source.
        classifier: that tells the two collections apart.
        forward: whether the target is the classifier's second collection.
        segmenter: the U-Net that knows the target; None without one.
        seen: roles that it sees of the target, uint8 (N, H, W); None without one.
    """

    there: Translator
    back: Translator | None
    source: Side
    target: Side
    paired: bool
    judges: Sequence[Judge]
    features: Features
    classifier: Classifier
    forward: bool
    segmenter: TargetSegmenter | None
    seen: np.ndarray | None

    def truth(self) -> Side | None:
        """The true answers of the source's portraits, in their order; None where they are unknown."""
        return self.target.of(self.source.ids) if self.paired else None

    def expected_masks(self) -> np.ndarray | None:
        """Masks of roles that results should have: the true answers', else the source's; None without any."""
        truth = self.truth()
        masks = self.source.masks if truth is None or truth.masks is None else truth.masks
        return None if masks is None or self.segmenter is None else resized_masks(masks, self.segmenter.size)


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


def make_judges(
    unets: Iterable[Path | None], vae: Path | None, inception_weights: Path | None, images: np.ndarray
) -> list[Judge]:
    """The networks by whose features portraits are compared, each at the size at which it was trained.

    A U-Net that was trained on photos alone hardly tells drawings from them, so those of both collections count.

    Args:
        unets: that know this collection and the other, where there are any.
        vae: the VAE, whose features stand for theirs without any.
        inception_weights: of FID's Inception, whose features are used where they are given.
        images: uint8 RGB (N, h, w, 3), from which the portraits' shape is taken.
    """
    known: list[Path | None] = [*dict.fromkeys(unet for unet in unets if unet and not inception_weights)]
    sizes = [unet_size(Segmenter.load(unet), images) if unet else images.shape[1:3] for unet in known or [None]]
    return [
        Judge((size[0], size[1]), unet, None, vae, inception_weights, NO_COLORS)
        for unet, size in zip(known or [None], sizes, strict=True)
    ]


NO_COLORS = TagsConfig(sources=["tags"])
"""The judge names no colors."""


def features_of(judges: Sequence[Judge], images: Iterable[np.ndarray]) -> np.ndarray:
    """Features, float32 (N, D), of any number of uint8 RGB images (h, w, 3): those of all judges side by side."""
    batches = (np.stack(batch) for batch in batched(images, BATCH))
    return np.concatenate([np.concatenate([judge.features(batch) for judge in judges], 1) for batch in batches])


def make_ways(
    translators: Sequence[Translator | None],
    collections: Sequence[Collection],
    judges: Sequence[Judge],
    paired: bool,
) -> dict[str, Way]:
    """The directions, `a2b` and `b2a`, of which there is a translator.

    With true answers each collection's portraits are those that the other has too.

    Args:
        translators: of both directions.
        collections: this one and the other.
        judges: networks by whose features portraits are compared.
        paired: whether portraits of one id are each other's true answers.
    """
    sides = [collection.side for collection in collections]
    if paired:
        common = [row_id for row_id in sides[0].ids if row_id in set(sides[1].ids)]
        sides = [side.of(common) for side in sides]
    classifier = train_classifier(*(collection.training for collection in collections))
    ways = {}
    for name, here, there in (("a2b", 0, 1), ("b2a", 1, 0)):
        if translator := translators[here]:
            segmenter = TargetSegmenter.of(collections[there])
            own, real = (features_of(judges, sides[i].images) for i in (here, there))
            ways[name] = Way(
                there=translator,
                back=translators[there],
                source=sides[here],
                target=sides[there],
                paired=paired,
                judges=judges,
                features=Features(own, own, real, features_of(judges, collections[there].training)),
                classifier=classifier,
                forward=name == "a2b",
                segmenter=segmenter,
                seen=segmenter.masks(sides[there].images) if segmenter else None,
            )
    return ways


def translate(way: Way) -> Translated:
    """Translates the source there and back."""
    images = way.there.translate(way.source.images)
    cycle = way.back.translate(images) if way.back else None
    masks = way.segmenter.masks(images) if way.segmenter else None
    truth, expected = way.truth(), way.expected_masks()
    if truth is not None:
        scores = -l1(images, truth.images)
    elif masks is not None and expected is not None:
        scores = mious(masks, expected)
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
    features = way.features._replace(results=features_of(way.judges, images))
    figures |= frechet_figures(features) | change_figures(way, images)
    figures |= called_figures(way, images)
    names = dict.fromkeys(judge.features_name for judge in way.judges)
    figures |= {"diversity": diversity(features), "features": "; ".join(names)}
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


def called_figures(way: Way, images: np.ndarray) -> Figures:
    """`called`: the shares of results, real portraits and untranslated ones that a classifier calls the target's."""
    kinds = {"results": images, "real": way.target.images, "source": way.source.images}
    second = {name: float(way.classifier.second(of_kind).mean()) for name, of_kind in kinds.items()}
    return {"called": {name: share if way.forward else 1 - share for name, share in second.items()}}


def seen_figures(way: Way, masks: np.ndarray) -> Figures:
    """The figures of what the target's U-Net sees of results, beside what it sees of real portraits."""
    assert way.seen is not None and way.segmenter, "results are seen by the U-Net that saw real portraits"
    figures: Figures = {
        "no_face": no_face(masks, way.source.sexes),
        "no_face_real": no_face(way.seen, way.target.sexes),
    }
    expected = way.expected_masks()
    if expected is not None and way.target.masks is not None:
        figures |= mask_figures(masks, expected, way.seen, resized_masks(way.target.masks, way.segmenter.size))
    return figures
