"""Rows of shards with what a frozen network says of each, computed once: tokens, or a teacher's soft labels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor

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


def mirrored(batch: list[Tensor]) -> list[Tensor]:
    """A batch of images, masks and arrays, each row of all mirrored with probability 0.5."""
    flip = torch.rand(len(batch[0]), device=batch[0].device) < 0.5
    return [torch.where(flip.view(-1, *[1] * (part.ndim - 1)), part.flip(-1), part) for part in batch]
