"""The order of training rows follows from seed and step alone, and rows of two products stay together."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from facemill.data import dataset, shards
from facemill.data.classes import SEVEN
from facemill.data.dataset import MAX_WORKERS, ResumableBatchSampler, ShardDataset, sample_rows, train_loader
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


def test_a_sample_of_rows_is_all_or_has_few_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "ROWS_PER_GROUP", 4)
    write(tmp_path / "a", [str(i) for i in range(40)], "image", lambda i: encode_jpeg(np.zeros((8, 8, 3), np.uint8)))
    rows = ShardDataset([tmp_path / "a"])
    assert sample_rows(rows, 40) == list(range(40))
    assert sample_rows(rows, 12) == [*range(4), *range(16, 20), *range(36, 40)]
    assert sample_rows(rows, 3) == [0, 1, 2]
    assert sample_rows(ShardDataset([tmp_path / "a"], keep=lambda _: False), 3) == []


def test_no_rows_to_train_on_are_a_mistake_of_the_user(products):
    rows = ShardDataset(*products, keep=lambda row_id: False)
    with pytest.raises(UserError, match="portraits-0.parquet: no rows to train on"):
        train_loader(rows, batch=2, seed=0)


def test_a_truncated_shard_is_named(products):
    path = products[0][1]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=path.name):
        ShardDataset(*products)


def test_a_window_of_row_groups_is_held_and_each_is_read_once_an_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "ROWS_PER_GROUP", 2)
    monkeypatch.setattr(dataset, "WINDOW_GROUPS", 2)
    path = tmp_path / "portraits.parquet"
    write(path, [str(i) for i in range(12)], "image", lambda i: encode_jpeg(np.full((8, 8, 3), i, np.uint8)))
    rows = ShardDataset([path])
    for batch in batches(rows.groups(), batch=3, count=4):  # batches that begin in one window and end in the next
        for index in batch:
            assert rows[index].shape == (3, 8, 8)
    assert len(rows.groups()) == rows._group.cache_info().misses == 6 and rows._group.cache_info().currsize == 2


@pytest.mark.parametrize(("processors", "processes", "expected"), [(3, "1", 3), (64, "1", MAX_WORKERS), (6, "4", 1)])
def test_workers_are_those_of_the_jobs_processors(products, monkeypatch, processors, processes, expected):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(os, "cpu_count", lambda: 128)  # the node's
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert train_loader(ShardDataset(*products), batch=2, seed=0).num_workers == expected


WORKERS = """
import multiprocessing, os, signal, subprocess, sys
from pathlib import Path
import torch
torch.cuda.is_available = lambda: True  # so that workers decode, as for a GPU
from facemill.data import dataset

loader = dataset.DataLoader
dataset.DataLoader = lambda rows, **options: loader(rows, **options | {"pin_memory": False})  # which needs a GPU

def kill_worker() -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)

def end_job() -> None:  # a SIGTERM to all of its processes, from elsewhere
    code = f"import os; os.killpg({os.getpid()}, {int(signal.SIGTERM)})"
    subprocess.run([sys.executable, "-c", code], start_new_session=True, check=True)

def train(*, images: Path, fault: str) -> None:
    received = []
    if fault == "none":  # the default of Python 3.14, and of children of a fork server
        multiprocessing.set_start_method("forkserver")
    signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    for step, _ in enumerate(dataset.train_loader(dataset.ShardDataset([images]), batch=2, seed=1)):
        if step == 3 and fault != "none":
            {"kill": kill_worker, "end": end_job}[fault]()
        if step == 100:
            print("a hundred steps after", received)
            raise SystemExit

if __name__ == "__main__":
    from facemill.workflow.command import run
    run("workers:train")
"""


def with_workers(folder: Path, images: Path, fault: str) -> subprocess.CompletedProcess:
    (folder / "workers.py").write_text(WORKERS)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "workers.py", "--images", images, "--fault", fault],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,  # a group of processes of their own
        capture_output=True,
        text=True,
    )


def test_workers_outlive_the_end_of_the_job_until_the_training_has_ended(products, tmp_path):
    done = with_workers(tmp_path, products[0][0], "end")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"a hundred steps after [{int(signal.SIGTERM)}]\n", "")


def test_workers_are_forked_whatever_the_default(products, tmp_path):
    done = with_workers(tmp_path, products[0][0], "none")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a hundred steps after []\n", "")


def test_a_killed_worker_ends_the_training_with_one_line(products, tmp_path):
    done = with_workers(tmp_path, products[0][0], "kill")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert "DataLoader worker" in line and line.endswith("the same command resumes from the last checkpoint")
