"""Held-out faces of a film, exchanged, and what networks and eyes see of them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from facemill.avatars.regions import cut_parts, seven_ids
from facemill.avatars.styles import PartRole
from facemill.config.swap import SwapConfig
from facemill.data.batching import batched
from facemill.data.classes import IGNORE
from facemill.data.film import Frame
from facemill.inference.segmenter import Segmenter
from facemill.networks.face_swap import FaceSwap, Side
from facemill.swap.alignment import crop
from facemill.swap.converter import Converted, Converter
from facemill.swap.faces import Face
from facemill.swap.frame_faces import shots
from facemill.swap.pictures import read_pictures
from facemill.swap.swap_measures import FaceFlicker, color_difference, seam

AROUND = 1.5
"""Side of the crops in which the evaluator sees a face, in sides of the unit crop: about that of a portrait."""

LOOKS, MOVED = 3, 0.03
"""How many of them, moved and scaled by how much of their side at most: masks of small mouths are coarse."""

EXPRESSIVE: tuple[PartRole, ...] = ("eyes", "mouth")
"""Parts by which an expression is measured."""

Openness = dict[PartRole, float | None]
"""How open eyes and mouth are; None for what is not seen."""


class Shown(NamedTuple):
    """A frame before and after, for a picture: uint8 RGB each."""

    time: float
    before: np.ndarray
    after: np.ndarray
    face: np.ndarray
    """The exchanged face, in the frame's resolution."""
    drawn: np.ndarray
    """What the decoder drew."""
    number: int
    """Of the frame."""


@dataclass
class Exchanged:
    """The held-out faces of a film, each in a column's place; crops are uint8 RGB (S, S, 3) of the network's side."""

    faces: list[Face] = field(default_factory=list)
    real: list[np.ndarray] = field(default_factory=list)
    drawn: list[np.ndarray] = field(default_factory=list)
    """By the decoder of the other person, in its own colors."""
    reconstructed: list[np.ndarray] = field(default_factory=list)
    """By the decoder of the same person."""
    swapped: list[np.ndarray] = field(default_factory=list)
    """Crops of the frames with the other face."""
    seams: list[tuple[float, float]] = field(default_factory=list)
    colors: list[float] = field(default_factory=list)
    openness: list[dict[str, Openness]] = field(default_factory=list)
    """`before` and `after`, and `again`: before, in other looks."""
    film_openness: list[dict[str, Openness]] = field(default_factory=list)
    """The same of faces evenly spaced over all of the film, others than the held-out ones too."""
    flicker: FaceFlicker = field(default_factory=FaceFlicker)
    shown: list[Shown] = field(default_factory=list)


class Expressions:
    """How open the evaluator U-Net sees eyes and mouths, upright: the mean over `LOOKS` slightly moved looks."""

    def __init__(self, segmenter: Segmenter, seed: int) -> None:
        self._segmenter, self._random = segmenter, np.random.default_rng(seed)

    def compare(self, before: np.ndarray, after: np.ndarray, matrix: np.ndarray) -> dict[str, Openness]:
        """A face in two frames, uint8 RGB (H, W, 3), in the same looks, and `before` in others, as `again`.

        Args:
            before: the frame.
            after: the frame with another face.
            matrix: from the frame to the unit crop.
        """
        looks, others = (self._looks(matrix) for _ in range(2))
        shown = {"before": (before, looks), "after": (after, looks), "again": (before, others)}
        size = self._segmenter.size
        crops = [crop(pixels, look, size) for pixels, of_frame in shown.values() for look in of_frame]
        opened = [self._openness(mask) for mask in self._segmenter.masks(crops)]
        return {name: mean_openness(opened[i * LOOKS : (i + 1) * LOOKS]) for i, name in enumerate(shown)}

    def _looks(self, matrix: np.ndarray) -> list[np.ndarray]:
        """Matrices from a frame to crops `AROUND` times as wide as the unit crop."""
        looks = []
        for right, down, larger in self._random.uniform(-MOVED, MOVED, (LOOKS, 3)):
            scale = (1 + larger) / AROUND
            look = matrix * scale
            look[:, 2] += 0.5 - 0.5 * scale + np.array([right, down])
            looks.append(look)
        return looks

    def _openness(self, mask: np.ndarray) -> Openness:
        """What is seen in a mask, uint8 (S, S): None for a part that is not."""
        border = round(len(mask) * (0.5 - 0.5 / AROUND - MOVED))
        inner = np.full_like(mask, IGNORE)  # a second person's face is none of it
        inside = np.s_[border:-border, border:-border]
        inner[inside] = seven_ids(mask, self._segmenter.classes)[inside]
        parts = cut_parts(np.zeros((*mask.shape, 3), np.uint8), inner, looks=1, roles=EXPRESSIVE)
        return {role: parts[role].openness if role in parts else None for role in EXPRESSIVE}


def mean_openness(looks: Sequence[Openness]) -> Openness:
    """The mean over the looks in which a part is seen."""
    seen = {role: [value for look in looks if (value := look[role]) is not None] for role in EXPRESSIVE}
    return {role: float(np.mean(values)) if values else None for role, values in seen.items()}


def exchange_held_out(
    network: FaceSwap,
    film: Path,
    table: Path,
    side: Side,
    settings: SwapConfig,
    expressions: Expressions,
    shown: Sequence[int],
    sampled: Collection[str] = (),
) -> Exchanged:
    """Exchanges the faces of a film, and looks at the held-out ones; of some others at their expressions alone.

    All usable faces are exchanged, in their order, as in a conversion: colors are smoothed over time.

    Args:
        network: with both decoders.
        film: the film, or folder of frames or photos, of a person.
        table: its `faces.parquet`.
        side: who that is.
        settings: section `swap`, for colors and borders.
        expressions: looks at eyes and mouths.
        shown: which of the held-out faces are kept for a picture.
        sampled: ids of faces, evenly spaced over the film.
    """
    color, blend, feather = settings.color, settings.blend, settings.feather
    other = Converter(network, "b" if side == "a" else "a", color=color, blend=blend, feather=feather)
    own, exchanged = Converter(network, side), Exchanged()
    for batch in batched(_faces(film, table), other.batch):
        converted_batch = other.convert(*_columns(batch))
        redrawn = iter(own.draw(*_columns([one for one in batch if one[1].held_out])))
        for (frame, face), converted in zip(batch, converted_batch, strict=True):
            if not (face.held_out or face.id in sampled):
                continue
            opened = expressions.compare(frame.pixels, converted.pixels, face.matrix)
            if face.id in sampled:
                exchanged.film_openness.append(opened)
            if not face.held_out:
                continue
            if len(exchanged.faces) in shown:
                zoom = crop(converted.pixels, face.matrix, len(face.image))
                before_after = frame.pixels, converted.pixels
                exchanged.shown.append(Shown(frame.time, *before_after, zoom, converted.crop, frame.number))
            exchanged.reconstructed.append(np.rint(next(redrawn).pixels).astype(np.uint8))
            exchanged.openness.append(opened)
            _look(exchanged, frame, face, converted, network.size)
    return exchanged


def _faces(film: Path, table: Path) -> Iterator[tuple[Frame, Face]]:
    for shot in shots(read_pictures(film), table, film, to_end=True):
        for face in shot.faces():
            yield shot.frame, face


def _columns(batch: Sequence[tuple[Frame, Face]]) -> tuple[list[np.ndarray], list[Face]]:
    return [frame.pixels for frame, _ in batch], [face for _, face in batch]


def _look(exchanged: Exchanged, frame: Frame, face: Face, converted: Converted, size: int) -> None:
    """Adds a face to `exchanged`."""
    before, after, side = frame.pixels, converted.pixels, len(face.image)
    source, swapped = (crop(pixels, face.matrix, side) for pixels in (before, after))
    exchanged.faces.append(face)
    exchanged.real.append(crop(before, face.matrix, size))
    exchanged.swapped.append(crop(after, face.matrix, size))
    exchanged.drawn.append(converted.crop)
    exchanged.seams.append(seam(before, after, converted.alpha, converted.box))
    exchanged.colors.append(color_difference(source, swapped, face.mask))
    exchanged.flicker.add(face.track, face.frame, source, swapped)
