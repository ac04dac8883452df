"""Rows of shards with what a frozen network says of each, computed once: tokens, or a teacher's soft labels."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor
from torch.nn import functional as F

from facemill.data.classes import IGNORE
from facemill.data.dataset import ShardDataset
from facemill.log import progress
from facemill.networks.device import device

AT_A_TIME = 4
"""Portraits that are computed together."""


class CachedRows(ShardDataset):
    """Rows whose items, after `compute`, end with an array more."""

    cache: np.ndarray | None = None

    def __getitem__(self, index: int) -> tuple[Tensor, ...] | Tensor:
        item = super().__getitem__(index)
        if self.cache is None:
            return item
        return *(item if isinstance(item, tuple) else (item,)), torch.from_numpy(self.cache[index].copy())

    @torch.no_grad()
    def compute(self, path: Path, function: Callable[[Tensor], Tensor]) -> None:
        """Computes the arrays of all rows, or reads those that are there already.

        Args:
            path: an `.npy` of as many arrays as rows; what is half done lies beside it, and is begun anew.
            function: images, float32 (B, 3, H, W) in [0, 1] on `device()`, to arrays (B, ...).
        """
        if PartialState().is_main_process and not path.exists():
            partial, arrays = path.with_suffix(".partial"), None
            for i in progress(range(0, len(self), AT_A_TIME), path.stem, len(self), step=AT_A_TIME):
                rows = range(i, min(i + AT_A_TIME, len(self)))
                images = torch.stack([self._image(row) for row in rows]).to(device()).float() / 255
                computed = function(images).cpu().numpy()
                if arrays is None:
                    shape = (len(self), *computed.shape[1:])
                    arrays = np.lib.format.open_memmap(partial, "w+", computed.dtype, shape)
                arrays[rows.start : rows.stop] = computed
            if arrays is not None:
                arrays.flush()
                partial.replace(path)
        PartialState().wait_for_everyone()
        self.cache = np.load(path, mmap_mode="r") if len(self) else None

    def _image(self, row: int) -> Tensor:
        """The image of a row, uint8 (3, H, W)."""
        item = super().__getitem__(row)
        return item[0] if isinstance(item, tuple) else item


def warped(batch: list[Tensor], rotation: float, scale: float) -> list[Tensor]:
    """A batch of images, masks and arrays of any resolution, each row of all turned and scaled by the same.

    Around the middle; what comes into view is `IGNORE` in the masks, so that it does not count.

    Args:
        batch: images, uint8 (B, 3, H, W), masks, uint8 (B, H, W), and grids, float (B, C, h, w).
        rotation: largest rotation to either side, in degrees.
        scale: largest relative change of size.
    """
    pixels, masks, *grids = batch
    angle, factor = torch.empty(2, len(pixels), device=pixels.device).uniform_(-1, 1)
    angle, factor = angle * math.radians(rotation), 1 + factor * scale
    zero, cos, sin = torch.zeros_like(angle), angle.cos() / factor, angle.sin() / factor
    ratio = pixels.shape[2] / pixels.shape[3]
    matrix = torch.stack([torch.stack([cos, -sin * ratio, zero], 1), torch.stack([sin / ratio, cos, zero], 1)], 1)

    def resampled(part: Tensor, mode: str) -> Tensor:
        """A part, float32, seen through the matrices."""
        where = F.affine_grid(matrix, list(part.shape), align_corners=False)
        return F.grid_sample(part.float(), where, mode, "zeros" if mode == "nearest" else "border", align_corners=False)

    known = resampled(masks[:, None].float() + 1, "nearest")[:, 0]  # 0 outside
    masks = torch.where(known > 0, known - 1, IGNORE).byte()
    return [resampled(pixels, "bilinear").round().byte(), masks, *(resampled(grid, "bilinear") for grid in grids)]


def mirrored(batch: list[Tensor]) -> list[Tensor]:
    """A batch of images, masks and arrays, each row of all mirrored with probability 0.5."""
    flip = torch.rand(len(batch[0]), device=batch[0].device) < 0.5
    return [torch.where(flip.view(-1, *[1] * (part.ndim - 1)), part.flip(-1), part) for part in batch]
