"""Faces of both people in memory, and batches of them, augmented."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.data.classes import IGNORE, SEVEN, Role
from facemill.data.dataset import ResumableBatchSampler
from facemill.swap.faces import Face
from facemill.swap.warp import places, random_moves, random_warps, sample, shift_colors

FACE: dict[Role, float] = {"face": 1, "eye": 3, "mouth": 2}
"""Roles of the pixels that belong to a face, with their weights in the losses."""

OUTSIDE = 0.1
"""Weight of the pixels around a face."""

_LARGEST = max(FACE.values())


@dataclass(frozen=True)
class Batch:
    """Faces, those of a before as many of b."""

    inputs: Tensor
    """What the encoder sees, float32 (N, 3, S, S) in [0, 1], channels last."""
    targets: Tensor
    """The same faces, not warped and in their own colors: what is to be drawn, float32 (N, 3, S, S)."""
    masks: Tensor
    """What share of each target's pixel belongs to the face, float32 (N, 1, S, S)."""
    weights: Tensor
    """Weight of each pixel, float32 (N, 1, S, S); 0 beyond the frame."""


def stack_faces(faces: Sequence[Face], size: int) -> Tensor:
    """Faces at a size, shrunk by averaging: uint8 (N, 5, size, size): RGB, share of the face, and weight."""
    ids = {SEVEN.role_ids(role)[0]: weight for role, weight in FACE.items()}
    weights, inside = np.full(256, OUTSIDE, np.float32), np.zeros(256, np.float32)
    weights[list(ids)], inside[list(ids)], weights[IGNORE] = list(ids.values()), 1, 0
    stacked = np.empty((len(faces), 5, size, size), np.uint8)
    for row, face in zip(stacked, faces, strict=True):
        planes = [face.image, 255 * inside[face.mask][..., None], 255 / _LARGEST * weights[face.mask][..., None]]
        layers = np.concatenate(planes, axis=2, dtype=np.float32)
        row[:] = np.rint(cv2.resize(layers, (size, size), interpolation=cv2.INTER_AREA)).transpose(2, 0, 1)
    return torch.from_numpy(stacked)


def face_batches(sides: Sequence[Tensor], batch: int, seed: int, first_step: int) -> Iterator[Batch]:
    """Endless batches, each of as many faces of one person as of the other; they follow from seed and step.

    Augmentation draws from torch's generator, which a run seeds before each step.

    Args:
        sides: of a and of b, at twice the network's size, from `stack_faces`, on the device of the training.
        batch: faces of each.
        seed: of the order.
        first_step: number of the first batch that is yielded.
    """
    orders = [
        ResumableBatchSampler([np.arange(len(faces))], batch, seed + n, first_step) for n, faces in enumerate(sides)
    ]
    for rows in zip(*orders, strict=True):
        yield augment(torch.cat([faces[chosen] for faces, chosen in zip(sides, rows, strict=True)]))


def augment(faces: Tensor) -> Batch:
    """A batch of faces moved and mirrored; the inputs alone are warped and have other colors.

    So each decoder draws a person in the colors of that person's own pictures. Faces are moved at twice the network's
    size and halved then: at that size itself the interpolation would blur what is to be drawn.

    Args:
        faces: uint8 (N, 5, 2 * S, 2 * S), from `stack_faces`.
    """
    count, side = len(faces), faces.shape[-1]
    values = faces.float() / 255
    grid = places(random_moves(count, faces.device), side)
    warped = F.avg_pool2d(sample(values[:, :3], grid + random_warps(count, side, faces.device)), 2)
    targets, masks, weights = F.avg_pool2d(sample(values, grid), 2).split([3, 1, 1], dim=1)
    inputs = shift_colors(warped).contiguous(memory_format=torch.channels_last)
    return Batch(inputs, targets, masks, _LARGEST * weights)
