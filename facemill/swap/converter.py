"""Faces in frames drawn anew by the decoder of another person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch

from facemill.config.swap import Blend, Color
from facemill.data.classes import SEVEN
from facemill.networks.device import autocast
from facemill.networks.face_swap import FaceSwap, Side
from facemill.swap.alignment import Box, crop, crop_side, paste_box, uncrop
from facemill.swap.blending import blend_face, face_alpha
from facemill.swap.color_transfer import Transfer, color_transfer
from facemill.swap.faces import Face

BATCH_PIXELS = 1 << 16
"""Pixels of the faces that are drawn at once: 16 faces of 64 x 64."""

_BORDER = 2  # pixels around a face whose colors `poisson` takes
_SKIN = SEVEN.role_ids("face")


class Drawn(NamedTuple):
    """A face in a crop, before and after."""

    source: np.ndarray
    """What the frame shows: uint8 RGB (S, S, 3)."""
    pixels: np.ndarray
    """What the decoder draws: float32 RGB (S, S, 3) in 0 to 255."""
    mask: np.ndarray
    """The probability of the drawn face: float32 (S, S)."""


@dataclass(frozen=True)
class Converted:
    """A frame with another face."""

    pixels: np.ndarray
    """The frame, uint8 RGB (H, W, 3)."""
    alpha: np.ndarray
    """How much of the drawn face is seen in the box: float32 (h, w); elsewhere the frame is as it was."""
    box: Box
    """The pixels that the crop covers; empty where they lie beyond the frame."""
    crop: np.ndarray
    """What the decoder drew, in its own colors: uint8 RGB (S, S, 3)."""
    seen: np.ndarray
    """The classes of the frame's crop: ids of `SEVEN`, uint8, of the side of the table's crops."""


class Converter:
    """Draws a person's face over those in frames, for the frames of one film in their order.

    Attributes:
        network: in evaluation mode.
        side: whose face is drawn.
        batch: how many faces are drawn at once.
        transfers: the last change of colors of each track, which smooths the next one.
    """

    def __init__(
        self, network: FaceSwap, side: Side, *, color: Color = "lab", blend: Blend = "alpha", feather: float = 0.06
    ) -> None:
        self.network, self.side = network, side
        self.transfers: dict[int, Transfer] = {}
        self._color, self._blend, self._feather = color, blend, feather
        self._device = next(network.parameters()).device
        self.batch = max(1, BATCH_PIXELS // network.size**2)

    def convert(self, pixels: Sequence[np.ndarray], faces: Sequence[Face]) -> list[Converted]:
        """Frames, uint8 RGB (H, W, 3), each with the face that is replaced in it."""
        drawn = self.draw(pixels, faces)
        return [self.compose(*one) for one in zip(pixels, faces, drawn, strict=True)]

    @torch.inference_mode()
    def draw(self, pixels: Sequence[np.ndarray], faces: Sequence[Face]) -> list[Drawn]:
        """The first part of `convert`, for any frames: crops, and the network.

        Faces always go through the network in batches of one size, the last filled up, so that the same face gives the
        same bytes, whatever others are with it.
        """
        size, drawn = self.network.size, list[Drawn]()
        sources = [crop(image, face.matrix, size) for image, face in zip(pixels, faces, strict=True)]
        for start in range(0, len(sources), self.batch):
            part = sources[start : start + self.batch]
            filled = np.zeros((self.batch, size, size, 3), np.uint8)
            filled[: len(part)] = part
            images = torch.from_numpy(filled).to(self._device).permute(0, 3, 1, 2).float() / 255
            with autocast():
                result = self.network(images.contiguous(memory_format=torch.channels_last), self.side)
            values = result.float().permute(0, 2, 3, 1).cpu().numpy()
            for source, value in zip(part, values, strict=False):  # without the filling
                drawn.append(Drawn(source, value[..., :3] * np.float32(255), np.ascontiguousarray(value[..., 3])))
        return drawn

    def compose(self, pixels: np.ndarray, face: Face, drawn: Drawn) -> Converted:
        """The second part of `convert`, for frames in their order: colors, mask, and the face put into the frame."""
        shape = face.mask.shape
        alpha = face_alpha(face.mask, cv2.resize(drawn.mask, shape, interpolation=cv2.INTER_LINEAR), self._feather)
        colored = self._colored(face, drawn)
        height, width = pixels.shape[:2]
        box, result = paste_box(face.matrix, width, height), pixels.copy()
        if box:
            alpha = np.clip(uncrop(alpha, face.matrix, box), 0, 1)
            part, rows, columns = _seen_part(alpha, box)
            patch = np.clip(uncrop(colored, face.matrix, part), 0, 255)
            blend_face(result, patch, alpha[rows, columns], part, self._blend)
        else:
            alpha, box = np.zeros((0, 0), np.float32), (0, 0, 0, 0)
        return Converted(result, alpha, box, np.rint(drawn.pixels).astype(np.uint8), face.mask)

    def scale(self, face: Face) -> float:
        """The width, in pixels of the frame, of a pixel that the network draws."""
        return crop_side(face.matrix) / self.network.size

    def _colored(self, face: Face, drawn: Drawn) -> np.ndarray:
        """What was drawn in the frame's colors, float32 RGB (S, S, 3) in 0 to 255."""
        small = cv2.resize(face.mask, drawn.mask.shape, interpolation=cv2.INTER_NEAREST)
        transfer = color_transfer(drawn.pixels, drawn.source.astype(np.float32), np.isin(small, _SKIN), self._color)
        before = self.transfers.get(face.track)
        transfer = transfer.after(before) if transfer and before else transfer or before
        if transfer is None:
            return drawn.pixels
        self.transfers[face.track] = transfer
        return transfer(drawn.pixels)


def _seen_part(alpha: np.ndarray, box: Box) -> tuple[Box, slice, slice]:
    """The part of a box in which a face is seen, with a border around it, also as rows and columns of the alpha."""
    x, y, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    left, top = max(x - _BORDER, 0), max(y - _BORDER, 0)
    right, bottom = min(x + width + _BORDER, alpha.shape[1]), min(y + height + _BORDER, alpha.shape[0])
    part = box[0] + left, box[1] + top, box[0] + right, box[1] + bottom
    return part, slice(top, bottom), slice(left, right)
