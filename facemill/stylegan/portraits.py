"""Portraits as StyleGAN is trained on them: shrunk, with the slots of their conditions."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.data.dataset import ShardDataset
from facemill.data.shards import decode_image, read_rows
from facemill.data.splits import held_out, trained_on
from facemill.errors import UserError
from facemill.stylegan.conditions import Conditions

MEMORY = 2 << 30
"""Bytes of portraits that are kept decoded, where no processes of the loader decode for a GPU."""


class StylePortraits(ShardDataset):
    """Rows of portrait shards: `(image uint8 (3, H, W), slots int64 (groups,))`.

    Args:
        portraits: the shards.
        height: to which portraits are shrunk, by averaging.
        conditions: of the portraits.
        keep: selects rows by id.
    """

    def __init__(
        self, portraits: Sequence[Path], height: int, conditions: Conditions, keep: Callable[[str], bool]
    ) -> None:
        super().__init__(portraits, keep=keep)
        self.height, self.conditions = height, conditions
        self._decoded: dict[int, Tensor] = {}
        self._most = 0 if torch.cuda.is_available() else MEMORY // (3 * height * height)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = self._decoded.get(index)
        if image is None:
            image = self._shrunk(index)
            if len(self._decoded) < self._most:
                self._decoded[index] = image
        return image, torch.tensor(self.slots(index), dtype=torch.int64)

    def slots(self, index: int) -> tuple[int, ...]:
        """The slots of a portrait's conditions; one without tags has no name."""
        return self.conditions.slots.get(self.ids[index], self.conditions.none)

    def _shrunk(self, index: int) -> Tensor:
        item = super().__getitem__(index)
        pixels = item if isinstance(item, Tensor) else item[0]
        factor, rest = divmod(pixels.shape[1], self.height)
        if rest or not factor:
            raise UserError(
                f"{self.images[0]}: portraits of {pixels.shape[1]} pixels; accepted: a multiple of {self.height}, "
                "stylegan.size"
            )
        return pixels if factor == 1 else F.avg_pool2d(pixels.float(), factor).round().to(torch.uint8)


def aspect_ratio(rows: StylePortraits) -> int:
    """Height : width of the portraits."""
    height, width = rows[0][0].shape[1:]
    return height // width


def portrait_size(portraits: Sequence[Path]) -> tuple[int, int]:
    """Height and width of the collection's portraits."""
    first = next(read_rows(portraits, ["image"]))
    height, width, _ = decode_image(first["image"]["bytes"]).shape
    return height, width


class Kinds(NamedTuple):
    """Kinds of portraits, those that a gate rejects left out: whether one, by its id, is of the kind."""

    training: Callable[[str], bool]
    """Neither held out nor of the collection's own test split."""
    held_out: Callable[[str], bool]

    @classmethod
    def of(cls, portraits: Sequence[Path], gate: Path | None, holdout: float) -> "Kinds":
        """The kinds of a collection.

        Args:
            portraits: its shards.
            gate: shard that says which portraits are accepted; without it all are.
            holdout: share of the portraits that is held out.
        """
        accepted = None
        if gate:
            accepted = {row["id"] for row in read_rows([gate], ["id", "rejected"]) if row["rejected"] is None}
        learned = trained_on(portraits, holdout)
        return cls(
            lambda row_id: (accepted is None or row_id in accepted) and learned(row_id),
            lambda row_id: (accepted is None or row_id in accepted) and held_out(row_id, holdout),
        )
