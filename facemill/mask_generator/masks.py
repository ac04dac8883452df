"""Masks as their generator is trained on and measured with: shrunk to its size."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from facemill.data.classes import ClassTable
from facemill.data.dataset import ShardDataset
from facemill.data.shards import decode_mask
from facemill.errors import UserError

MEMORY = 1 << 30
"""Bytes of masks that are kept decoded, where no processes of the loader decode for a GPU."""


class SmallMasks(ShardDataset):
    """The masks of portraits: an item is uint8 (H, W), of class ids.

    Args:
        portraits: the shards.
        pseudo_labels: shards of their masks.
        classes: the masks' class table.
        height: to which masks are shrunk.
        keep: selects rows by id.
    """

    def __init__(
        self,
        portraits: Sequence[Path],
        pseudo_labels: Sequence[Path],
        classes: ClassTable,
        height: int,
        keep: Callable[[str], bool],
    ) -> None:
        super().__init__(portraits, pseudo_labels, keep)
        self.classes, self.height = classes, height
        self._decoded: dict[int, Tensor] = {}
        self._most = 0 if torch.cuda.is_available() else MEMORY // (height * height)

    def __getitem__(self, index: int) -> Tensor:
        mask = self._decoded.get(index)
        if mask is None:
            mask = torch.from_numpy(shrunk_mask(self.large(index), self.height, len(self.classes)))
            if len(self._decoded) < self._most:
                self._decoded[index] = mask
        return mask

    def large(self, index: int) -> np.ndarray:
        """A mask as it is, uint8 (H, W).

        Raises:
            UserError: It cannot be shrunk to the height by a whole number.
        """
        shard, group, row = self.positions[index].tolist()
        encoded = self._group(shard, group)[row][1]
        assert encoded, "shards of masks have masks"
        mask = decode_mask(encoded, self.classes)
        if mask.shape[0] % self.height:
            raise UserError(
                f"{self.masks[shard]}: masks of {mask.shape[0]} pixels; accepted: a multiple of {self.height}, "
                "mask_generator.size"
            )
        return mask


def shrunk_mask(mask: np.ndarray, height: int, classes: int) -> np.ndarray:
    """A mask of class ids, uint8 (H, W), at a height: of each pixel the class with the largest share, the lower id."""
    if mask.shape[0] == height:
        return mask
    size = (height * mask.shape[1] // mask.shape[0], height)
    shares = [cv2.resize((mask == i).astype(np.float32), size, interpolation=cv2.INTER_AREA) for i in range(classes)]
    return np.argmax(shares, 0).astype(np.uint8)
