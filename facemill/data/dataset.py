"""Rows of shards as a data set for training: random access, and a training order that resumes at any step."""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from facemill.data.shards import decode_image, decode_mask, open_shard
from facemill.errors import UserError

WINDOW_GROUPS = 16
"""Row groups in a shuffle window of an epoch: 4,096 rows, which each worker holds encoded."""


class Position(NamedTuple):
    """The position of a row: number of the shard, of the row group in it, and of the row in the group."""

    shard: int
    group: int
    row: int


class ShardDataset(Dataset):
    """Rows of image shards, and of mask shards with the same rows in the same order.

    An item is `(image uint8 (3, H, W), mask uint8 (H, W))`, or the image alone without masks.

    Args:
        images: shards with a column of images.
        masks: shards with a column of masks, one for each of `images`; without any the masks are those in `images`,
            if they have such a column.
        keep: selects rows by id.
    """

    def __init__(
        self, images: Sequence[Path], masks: Sequence[Path] = (), keep: Callable[[str], bool] = lambda row_id: True
    ) -> None:
        self.images, self.masks = list(images), list(masks)
        self.with_masks = bool(self.masks) or "mask" in open_shard(self.images[0]).schema_arrow.names
        self.ids: list[str] = []
        self.positions: list[Position] = []
        for s, path in enumerate(self.images):
            with open_shard(path) as shard:
                for g in range(shard.num_row_groups):
                    for r, row_id in enumerate(shard.read_row_group(g, ["id"]).column("id").to_pylist()):
                        if keep(row_id):
                            self.ids.append(row_id)
                            self.positions.append(Position(s, g, r))
        self._group = functools.lru_cache(maxsize=2 * WINDOW_GROUPS)(self._read_group)

    def _read_group(self, s: int, g: int) -> list[tuple[bytes, bytes | None]]:
        """The encoded images and masks of a row group."""
        columns = ["image", "mask"] if self.with_masks and not self.masks else ["image"]
        with open_shard(self.images[s]) as shard:
            table = shard.read_row_group(g, columns)
        if self.masks:
            with open_shard(self.masks[s]) as shard:
                table = table.append_column("mask", shard.read_row_group(g, ["mask"]).column("mask"))
        return [(row["image"]["bytes"], row["mask"]["bytes"] if self.with_masks else None) for row in table.to_pylist()]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor] | Tensor:
        position = self.positions[index]
        image, mask = self._group(position.shard, position.group)[position.row]
        pixels = torch.from_numpy(decode_image(image)).permute(2, 0, 1)
        return pixels if mask is None else (pixels, torch.from_numpy(decode_mask(mask).copy()))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor] | Tensor]:
        return (self[index] for index in range(len(self)))

    def groups(self) -> list[np.ndarray]:
        """The indices of the selected rows, int64, row group by row group."""
        keys = np.array([(position.shard, position.group) for position in self.positions])
        cuts = np.flatnonzero((np.diff(keys, axis=0) != 0).any(1)) + 1
        return np.split(np.arange(len(keys)), cuts)


class ResumableBatchSampler(Sampler[list[int]]):
    """Endless batches of row indices: a function of seed and step alone, so that a training resumes at any step.

    In each epoch the row groups are shuffled, then the rows of each shuffle window, `WINDOW_GROUPS` groups.

    Args:
        groups: indices of the rows, row group by row group.
        batch: rows of a batch.
        seed: seed of the order.
        first_step: the number of the first batch that is yielded.
    """

    def __init__(self, groups: Sequence[np.ndarray], batch: int, seed: int, first_step: int = 0) -> None:
        self.groups, self.batch_size, self.seed, self.first_step = groups, batch, seed, first_step
        self.drop_last = True  # like `batch_size` read by Accelerate, which splits batches among processes

    def _epoch(self, epoch: int) -> np.ndarray:
        random = np.random.default_rng([self.seed, epoch])
        groups = [self.groups[i] for i in random.permutation(len(self.groups))]
        windows = [np.concatenate(groups[i : i + WINDOW_GROUPS]) for i in range(0, len(groups), WINDOW_GROUPS)]
        return np.concatenate([random.permutation(window) for window in windows])

    def __iter__(self) -> Iterator[list[int]]:
        epoch, skip = divmod(self.first_step * self.batch_size, sum(map(len, self.groups)))
        rows = self._epoch(epoch)[skip:]
        while True:
            while len(rows) < self.batch_size:
                epoch += 1
                rows = np.concatenate([rows, self._epoch(epoch)])
            yield rows[: self.batch_size].tolist()
            rows = rows[self.batch_size :]


def train_loader(rows: ShardDataset, batch: int, seed: int, first_step: int = 0) -> DataLoader:
    """Endless shuffled batches, from `first_step` on; decoded by worker processes if there is a GPU to feed.

    Raises:
        UserError: There are no rows.
    """
    if not len(rows):
        raise UserError(f"{rows.images[0]}: no rows to train on; accepted: shards with rows that are selected")
    cuda = torch.cuda.is_available()
    return DataLoader(
        rows,
        batch_sampler=ResumableBatchSampler(rows.groups(), batch, seed, first_step),
        generator=torch.Generator(),  # by default the loader would draw from torch's generator, which a step has seeded
        num_workers=min(8, os.cpu_count() or 1) if cuda else 0,
        pin_memory=cuda,
    )
