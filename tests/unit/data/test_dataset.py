"""The order of training rows follows from seed and step alone, and rows of two products stay together."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from facemill.data.classes import SEVEN
from facemill.data.dataset import ResumableBatchSampler, ShardDataset, train_loader
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, write_shard
from facemill.errors import UserError

ROOT = Path(__file__).parents[3]


def batches(groups, seed=1, first_step=0, batch=4, count=30):
    return list(itertools.islice(ResumableBatchSampler(groups, batch, seed, first_step), count))


GROUPS = np.split(np.arange(22), [5, 9, 20])


def test_every_epoch_holds_every_row_once():
    rows = np.concatenate(batches(GROUPS, count=11))
    assert sorted(rows[:22]) == sorted(rows[22:44]) == list(range(22))
    assert list(rows[:22]) != list(rows[22:44])


@pytest.mark.parametrize("step", [1, 5, 6, 17])
def test_order_is_reached_from_any_step(step):
    assert batches(GROUPS)[step:] == batches(GROUPS, first_step=step, count=30 - step)


def test_seed_changes_the_order():
    assert batches(GROUPS, seed=1) != batches(GROUPS, seed=2)


def write(path, ids, column, encode, classes=None):
    schema = pa.schema([("id", pa.string()), (column, IMAGE)])
    rows = [{"id": row_id, column: {"bytes": encode(int(row_id)), "path": None}} for row_id in ids]
    write_shard(path, rows, schema, classes)


@pytest.fixture
def products(tmp_path):
    images, masks = [], []
    for shard, ids in enumerate([["0", "2", "4"], ["1", "3"]]):
        images.append(tmp_path / f"portraits-{shard}.parquet")
        masks.append(tmp_path / f"masks-{shard}.parquet")
        write(images[-1], ids, "image", lambda i: encode_jpeg(np.full((16, 16, 3), 40 * i, np.uint8)))
        write(masks[-1], ids, "mask", lambda i: encode_mask(np.full((16, 16), i, np.uint8), SEVEN), SEVEN)
    return images, masks


def test_image_and_mask_of_one_row_come_together(products):
    rows = ShardDataset(*products)
    assert rows.ids == ["0", "2", "4", "1", "3"]
    for row_id, (image, mask) in zip(rows.ids, rows, strict=True):
        assert image.shape == (3, 16, 16) and mask.shape == (16, 16)
        assert abs(int(image.float().mean()) - 40 * int(row_id)) <= 2
        assert (mask == int(row_id)).all()


def test_rows_are_selected_by_id_and_groups_hold_the_selected(products):
    rows = ShardDataset(*products, keep=lambda row_id: row_id in "143")
    assert rows.ids == ["4", "1", "3"]
    assert [group.tolist() for group in rows.groups()] == [[0], [1, 2]]


def test_no_rows_to_train_on_are_a_mistake_of_the_user(products):
    rows = ShardDataset(*products, keep=lambda row_id: False)
    with pytest.raises(UserError, match="portraits-0.parquet: no rows to train on"):
        train_loader(rows, batch=2, seed=0)


def test_a_truncated_shard_is_named(products):
    path = products[0][1]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=path.name):
        ShardDataset(*products)


KILLED = """
import os, signal
from pathlib import Path
import torch
torch.cuda.is_available = lambda: True  # so that workers decode, as for a GPU
from facemill.data import dataset

loader = dataset.DataLoader
dataset.DataLoader = lambda rows, **options: loader(rows, **options | {"pin_memory": False})  # which needs a GPU

def train(*, images: Path) -> None:
    for step, _ in enumerate(dataset.train_loader(dataset.ShardDataset([images]), batch=2, seed=1)):
        if step == 3:
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            os.kill(int(children[0]), signal.SIGKILL)

if __name__ == "__main__":
    from facemill.workflow.command import run
    run("killed:train")
"""


def test_a_killed_worker_ends_the_training_with_one_line(products, tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "killed.py", "--images", products[0][0]],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert "DataLoader worker" in line and line.endswith("the same command resumes from the last checkpoint")
