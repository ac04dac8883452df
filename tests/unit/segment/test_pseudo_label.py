"""Pseudo-labels of a shard: the same rows, the network's masks and their confidence."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.scenes import THREE, ColorUnet, save_unet

from facemill.data.classes import SEVEN
from facemill.data.shards import decode_image, decode_mask, encode_jpeg, mask_classes, open_shard, read_rows
from facemill.errors import UserError
from facemill.imaging.figures import colorize
from facemill.inference.backends import fastest_backend
from facemill.inference.segmenter import Segmenter
from facemill.segment.pseudo_label import pseudo_label, pseudo_label_batches, pseudo_label_schema

ROOT = Path(__file__).parents[3]

KILLED_HALF_WAY = """
import os, runpy, signal
from facemill.segment import pseudo_label
encode, done = pseudo_label.encode_mask, []
def encode_and_die(*arguments):
    done.append(arguments)
    return encode(*arguments) if len(done) < 150 else os.kill(os.getpid(), signal.SIGKILL)
pseudo_label.encode_mask = encode_and_die
runpy.run_path("scripts/pseudo_label.py", run_name="__main__")
"""


def label(unet, portraits: list[tuple[str, bytes]], classes=SEVEN) -> list[dict]:
    with ThreadPoolExecutor(2) as pool:
        batches = pseudo_label_batches(fastest_backend(unet), classes, portraits, pool)
        return [row for batch in batches for row in batch.to_pylist()]


def portraits_of(masks: dict, classes=SEVEN) -> list[tuple[str, bytes]]:
    return [(name, encode_jpeg(colorize(mask, classes))) for name, mask in masks.items()]


def test_rows_keep_their_order_and_hold_the_masks(painter, scene):
    truths = {str(1000 - i): scene(i, 64, 64) for i in range(70)}
    rows = label(painter, portraits_of(truths))
    assert [row["id"] for row in rows] == list(truths)
    for row in rows:
        mask = decode_mask(row["mask"]["bytes"])
        assert np.mean(mask == truths[row["id"]]) > 0.97
        assert [row[f"area_{name}"] for name in SEVEN.names] == [np.mean(mask == c) for c in range(7)]


def test_confidence_and_entropy_are_means_over_the_pixels(painter):
    gray = np.full((64, 64, 3), 128, np.uint8)
    [row] = label(painter, [("1", encode_jpeg(gray))])
    logits = Segmenter(painter, SEVEN).logits([gray])[0].double().numpy()
    p = np.exp(logits) / np.exp(logits).sum(0)
    assert row["confidence"] == pytest.approx(p.max(0).mean(), rel=1e-3)
    assert row["entropy"] == pytest.approx(-(p * np.log(p)).sum(0).mean(), rel=1e-3)
    assert 0 < row["entropy"] < np.log(7)


def test_an_image_that_cannot_be_decoded_is_named(painter):
    with pytest.raises(UserError, match="portrait 17: .*cannot be decoded"):
        label(painter, [("17", b"no image")])


def test_the_images_of_one_batch_are_decoded_by_all_threads(painter, scene, monkeypatch):
    at_once = threading.Barrier(4)

    def decode_with_others(encoded: bytes) -> np.ndarray:
        at_once.wait(10)
        return decode_image(encoded)

    monkeypatch.setattr("facemill.segment.pseudo_label.decode_image", decode_with_others)
    backend = fastest_backend(painter)
    backend.batch = 8
    with ThreadPoolExecutor(4) as pool:
        portraits = portraits_of({str(i): scene(i, 64, 64) for i in range(8)})
        [batch] = pseudo_label_batches(backend, SEVEN, portraits, pool)
    assert batch["id"].to_pylist() == [portrait_id for portrait_id, _ in portraits]


def test_pseudo_label_writes_the_same_bytes_by_any_number_of_threads_and_its_seconds(tmp_path, models, pairs):
    portraits = pairs("portraits.parquet", range(300))
    written = []
    for threads in (1, 5):
        out, metrics = tmp_path / f"{threads}.parquet", tmp_path / f"{threads}.json"
        files = {"portraits": portraits, "pseudo_labels": out, "metrics": metrics}
        pseudo_label(model=models[2], threads=threads, **files)
        written.append(out.read_bytes())
    assert written[0] == written[1]
    assert '"images": 300' in metrics.read_text()
    with open_shard(out) as shard:
        assert shard.schema_arrow.remove_metadata() == pseudo_label_schema(SEVEN)
    assert [row["id"] for row in read_rows([out], ["id"])] == [str(i) for i in range(300)]


def test_a_killed_job_leaves_nothing_and_the_next_makes_the_same_bytes(tmp_path, models, pairs):
    portraits, out = pairs("portraits.parquet", range(300)), tmp_path / "out.parquet"
    arguments = {"model": models[2], "portraits": portraits, "pseudo_labels": out, "metrics": tmp_path / "metrics.json"}
    command = [sys.executable, "-c", KILLED_HALF_WAY]
    command += [part for key, value in arguments.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    assert subprocess.run(command, cwd=ROOT).returncode == -signal.SIGKILL
    assert not out.exists()
    pseudo_label(**arguments)
    first = out.read_bytes()
    pseudo_label(**arguments)
    assert out.read_bytes() == first and len(list(read_rows([out], ["id"]))) == 300


def test_an_empty_shard_is_labelled_as_an_empty_shard(tmp_path, models, pairs):
    out = tmp_path / "out.parquet"
    portraits = pairs("portraits.parquet", range(0))
    pseudo_label(model=models[2], portraits=portraits, pseudo_labels=out, metrics=tmp_path / "metrics.json")
    with open_shard(out) as shard:
        assert (shard.metadata.num_rows, shard.schema_arrow.names) == (0, pseudo_label_schema(SEVEN).names)


def test_a_table_of_another_size_names_the_columns(scene):
    truths = {str(i): scene(i, 64, 64, THREE) for i in range(6)}
    rows = label(ColorUnet(64, THREE).eval(), portraits_of(truths, THREE), THREE)
    for row in rows:
        mask = decode_mask(row["mask"]["bytes"], THREE)
        assert np.mean(mask == truths[row["id"]]) > 0.97
        assert row["area_hat"] == np.mean(mask == 2) and (row["entropy_hat"] is None) == (2 not in mask[::2, ::2])


def test_the_shard_has_the_models_table(tmp_path, pairs):
    model, out = save_unet(tmp_path / "model.safetensors", THREE), tmp_path / "out.parquet"
    portraits = pairs("portraits.parquet", range(3))  # of any table: their masks are not read
    pseudo_label(model=model, portraits=portraits, pseudo_labels=out, metrics=tmp_path / "metrics.json")
    assert mask_classes([out]) == THREE
    with open_shard(out) as shard:
        assert shard.schema_arrow.names[-3:] == ["area_around", "area_head", "area_hat"]
