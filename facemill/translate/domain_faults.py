"""Two collections that do not suit each other: the same twice, a gray one, faces of other sizes."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from facemill.data.batching import evenly_spaced
from facemill.errors import UserError
from facemill.imaging.phash import perceptual_hash
from facemill.log import log
from facemill.metrics.copying import near_hashes
from facemill.translate.domains import Domain
from facemill.translate.mask_parts import parts_of

SAMPLED = 300
"""Portraits of each collection, evenly spaced, whose colors and faces are measured."""

SEARCHED = 5000
"""Portraits of this collection, evenly spaced, among which those of the other are searched."""

SAME = 0.5
"""Share of portraits with a near-duplicate in the other collection from which on both are one."""

GRAY = 3.0
"""Mean chroma in CIELAB below which a portrait is gray."""

OTHER_FRAMING = 1.5
"""Quotient of the faces' widths from which on portraits are cropped in another way."""


def check_domains(own: Domain, other: Domain, *, paired: bool = False) -> None:
    """Refuses a collection that is the same as the other, and warns of what makes translations bad.

    Args:
        own: this collection's portraits; faces are compared where both domains have masks.
        other: the other's.
        paired: whether both show the same persons, as the sample's hands do.

    Raises:
        UserError: Half of the one's portraits are in the other.
    """
    images = [_images(domain, SAMPLED) for domain in (own, other)]
    if not paired:
        share = float(near_hashes(_hashes(images[1]), _hashes(_images(own, SEARCHED))).mean())
        if share >= SAME:
            raise UserError(
                f"cyclegan.other: {_place(other)} holds {share:.0%} of the portraits in {_place(own)}; accepted: "
                "another collection"
            )
    for domain, of in zip((own, other), images, strict=True):
        gray = float(np.mean([chroma(image) < GRAY for image in of]))
        if gray > SAME:
            log.warning(
                "cyclegan: %.0f%% of the portraits in %s are gray: their colors are guessed", 100 * gray, _place(domain)
            )
    here, there = face_width(own), face_width(other)
    if here and there and not 1 / OTHER_FRAMING < here / there < OTHER_FRAMING:
        log.warning(
            "cyclegan: faces in %s are %.0f%% of a portrait wide, those in %s %.0f%%; portraits that are cropped alike "
            "translate better",
            *(_place(own), 100 * here, _place(other), 100 * there),
        )


def _hashes(images: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([perceptual_hash(image) for image in images], np.uint64)


def _images(domain: Domain, most: int) -> list[np.ndarray]:
    chosen = evenly_spaced(len(domain), most)
    return [domain[index][0].permute(1, 2, 0).numpy() for index in chosen]


def chroma(image: np.ndarray) -> float:
    """The mean chroma in CIELAB of a picture, uint8 RGB (H, W, 3)."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def face_width(domain: Domain) -> float | None:
    """The median width of faces, a share of the portraits'; None without masks, or where none shows a face."""
    if not domain.with_masks:
        return None
    masks = [domain[index][1].numpy() for index in evenly_spaced(len(domain), SAMPLED)]
    widths = [face.width / mask.shape[1] for mask in masks if (face := parts_of(mask).face)]
    return float(np.median(widths)) if widths else None


def _place(domain: Domain) -> Path:
    return domain.images[0].parent
