"""Rows of shards as a data set for training: random access, and a training order that resumes at any step."""

import functools
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from facemill.data.batching import evenly_spaced
from facemill.data.shards import decode_image, decode_mask, open_shard
from facemill.errors import UserError

WINDOW_GROUPS = 16
"""Row groups in a shuffle window of an epoch: 4,096 rows, which each worker holds encoded."""

MAX_WORKERS = 8
"""Most worker processes of a loader."""


class ShardDataset(Dataset):
    """Rows of image shards, and of mask shards with the same rows in the same order.

    An item is `(image uint8 (3, H, W), mask uint8 (H, W))`, or the image alone without masks.

    Attributes:
        ids: ids of the selected rows.
        positions: of each row the numbers of its shard, of its row group there, and of itself in the group: int32
            (N, 3).

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
        positions: list[tuple[int, int, int]] = []
        for s, path in enumerate(self.images):
            with open_shard(path) as shard:
                for g in range(shard.num_row_groups):
                    for r, row_id in enumerate(shard.read_row_group(g, ["id"]).column("id").to_pylist()):
                        if keep(row_id):
                            self.ids.append(row_id)
                            positions.append((s, g, r))
        # an array: workers share its memory, but would copy that of tuples, whose reference counts they write
        self.positions = np.array(positions, np.int32).reshape(-1, 3)
        self._group = functools.lru_cache(maxsize=WINDOW_GROUPS)(self._read_group)

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

    def __getitem__(self, index: int) -> tuple[Tensor, ...] | Tensor:
        shard, group, row = self.positions[index].tolist()
        image, mask = self._group(shard, group)[row]
        pixels = torch.from_numpy(decode_image(image)).permute(2, 0, 1)
        return pixels if mask is None else (pixels, torch.from_numpy(decode_mask(mask).copy()))

    def __iter__(self) -> Iterator[tuple[Tensor, ...] | Tensor]:
        return (self[index] for index in range(len(self)))

    def groups(self) -> list[np.ndarray]:
        """The indices of the selected rows, int64, row group by row group."""
        cuts = np.flatnonzero((np.diff(self.positions[:, :2], axis=0) != 0).any(1)) + 1
        return np.split(np.arange(len(self)), cuts)


def sample_rows(rows: ShardDataset, most: int) -> list[int]:
    """Indices of at most `most` rows: all, or those of evenly spaced row groups, so that few groups are read."""
    groups = rows.groups() if len(rows) else []
    if len(rows) > most:
        groups = [groups[i] for i in evenly_spaced(len(groups), max(1, most * len(groups) // len(rows)))]
    return [int(index) for group in groups for index in group][:most]


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
        num_workers=workers() if cuda else 0,
        multiprocessing_context="fork" if cuda else None,  # whatever the default is: rows are shared, and not pickled
        worker_init_fn=heed_parent_alone,
        pin_memory=cuda,
    )


def workers() -> int:
    """Number of worker processes: this process's share of the processors that the job may use, at most `MAX_WORKERS`.

    `os.cpu_count` counts all processors of a node, of which Slurm gives a job some. LOCAL_WORLD_SIZE is the number of
    processes that `accelerate launch` has started on the node.
    """
    processors = len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return min(MAX_WORKERS, max(1, processors))


def heed_parent_alone(worker: int) -> None:
    """Lets a worker end by a SIGTERM of the training that started it, and ignore all others.

    Slurm and torchrun send SIGTERM to every process of a job. The training then ends its step and saves a checkpoint,
    for which it needs its workers; were one of them gone, it would end at once with an error.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

    def wait() -> None:
        while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
