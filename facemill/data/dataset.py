"""Rows of shards for training: random access, one order for a seed, any step of it reachable at once."""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from facemill.data.shards import decode_image, decode_mask, open_shard

WINDOW_GROUPS = 16
"""Row groups among which one stretch of an epoch is shuffled: 4,096 rows, held encoded by each worker."""


class ShardDataset(Dataset):
    """Rows of image shards, and of mask shards with the same rows in the same order.

    An item is `(image uint8 (3, H, W), mask uint8 (H, W))`, or the image alone when no mask shards are given and the
    images' own shards have no masks. `keep` chooses rows by id.
    """

    def __init__(
        self, images: Sequence[Path], masks: Sequence[Path] = (), keep: Callable[[str], bool] = lambda id: True
    ) -> None:
        self.images, self.masks = list(images), list(masks)
        self.with_masks = bool(self.masks) or "mask" in open_shard(self.images[0]).schema_arrow.names
        self.ids: list[str] = []
        self.places: list[tuple[int, int, int]] = []
        for s, path in enumerate(self.images):
            with open_shard(path) as shard:
                for g in range(shard.num_row_groups):
                    ids = shard.read_row_group(g, ["id"]).column("id").to_pylist()
                    kept = [(s, g, r) for r, id in enumerate(ids) if keep(id)]
                    self.places += kept
                    self.ids += [ids[r] for _, _, r in kept]
        self._group = functools.lru_cache(maxsize=2 * WINDOW_GROUPS)(self._read_group)

    def _read_group(self, s: int, g: int) -> list[tuple[bytes, bytes | None]]:
        own = ["image", "mask"] if self.with_masks and not self.masks else ["image"]
        with open_shard(self.images[s]) as shard:
            table = shard.read_row_group(g, own)
        if self.masks:
            with open_shard(self.masks[s]) as shard:
                table = table.append_column("mask", shard.read_row_group(g, ["mask"]).column("mask"))
        return [(row["image"]["bytes"], row["mask"]["bytes"] if self.with_masks else None) for row in table.to_pylist()]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor] | Tensor:
        s, g, r = self.places[index]
        image, mask = self._group(s, g)[r]
        pixels = torch.from_numpy(decode_image(image)).permute(2, 0, 1)
        return pixels if mask is None else (pixels, torch.from_numpy(decode_mask(mask).copy()))

    def groups(self) -> list[np.ndarray]:
        """The indices of the rows, row group by row group."""
        keys = np.array([(s, g) for s, g, _ in self.places])
        cuts = np.flatnonzero((np.diff(keys, axis=0) != 0).any(1)) + 1
        return np.split(np.arange(len(keys)), cuts)


class ResumableBatchSampler(Sampler[list[int]]):
    """Endless batches of row indices: a function of seed and step alone, so that a training resumes at any step.

    Epoch after epoch the row groups are shuffled, then the rows of each stretch of `WINDOW_GROUPS` groups.
    """

    def __init__(self, groups: Sequence[np.ndarray], batch: int, seed: int, first_step: int = 0) -> None:
        self.groups, self.batch_size, self.seed, self.first_step = groups, batch, seed, first_step
        self.drop_last = True  # read, as `batch_size`, by Accelerate, which splits batches among processes

    def _epoch(self, epoch: int) -> np.ndarray:
        random = np.random.default_rng([self.seed, epoch])
        groups = [self.groups[i] for i in random.permutation(len(self.groups))]
        stretches = range(0, len(groups), WINDOW_GROUPS)
        return np.concatenate([random.permutation(np.concatenate(groups[i : i + WINDOW_GROUPS])) for i in stretches])

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
    """Endless shuffled batches; decoded by worker processes where a GPU waits for them, in place on the CPU."""
    cuda = torch.cuda.is_available()
    return DataLoader(
        rows,
        batch_sampler=ResumableBatchSampler(rows.groups(), batch, seed, first_step),
        generator=torch.Generator(),  # or it would draw from the one that a step has seeded
        num_workers=min(8, os.cpu_count() or 1) if cuda else 0,
        pin_memory=cuda,
    )
