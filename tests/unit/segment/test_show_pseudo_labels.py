"""Pseudo-labels summed up and shown by confidence."""

import json

import numpy as np
import pytest
from helpers.scenes import THREE
from PIL import Image

from facemill.data.classes import SEVEN
from facemill.data.shards import encode_mask, write_shard
from facemill.errors import UserError
from facemill.segment.gate_pseudo_labels import SCHEMA as GATE
from facemill.segment.pseudo_label import pseudo_label_schema
from facemill.segment.show_pseudo_labels import by_confidence, compare_with_truth, quantiles, show_pseudo_labels


@pytest.fixture
def labels(tmp_path, scene):
    """A shard of pseudo-labels that are the true masks of the seeds, but for those in `wrong`."""

    def write(name, seeds, wrong=(), classes=SEVEN):
        rows = []
        for seed in seeds:
            mask = np.zeros((64, 64), np.uint8) if seed in wrong else scene(seed, 64, 64, classes)
            numbers = {"confidence": 1 - seed / 1000, "entropy": 0.1, "flip_disagreement": seed / 100}
            rows.append({"id": str(seed), "mask": {"bytes": encode_mask(mask, classes)}} | numbers)
        write_shard(tmp_path / name, rows, pseudo_label_schema(classes), classes)
        return tmp_path / name

    return write


@pytest.fixture
def truth(tmp_path, scene):
    folder = tmp_path / "truth"
    folder.mkdir()
    for seed in range(30):
        (folder / f"{seed}.png").write_bytes(encode_mask(scene(seed, 64, 64).repeat(2, 0).repeat(2, 1), SEVEN))
    return folder


def test_quantiles_are_named_by_their_share():
    assert quantiles(np.linspace(0, 1, 101).tolist())["0.95"] == pytest.approx(0.95)


def test_portraits_are_grouped_by_confidence():
    confidence = np.random.default_rng(0).permutation(30) / 30
    groups = by_confidence(confidence.tolist(), 4)
    assert list(groups) == ["most confident", "median", "least confident"]
    shown = [confidence[i] for group in groups.values() for i in group]
    assert shown == sorted(shown, reverse=True)
    assert np.rint(np.array(shown) * 30).tolist() == [29, 28, 27, 26, 16, 15, 14, 13, 3, 2, 1, 0]
    few = [i for group in by_confidence(confidence[:7].tolist(), 4).values() for i in group]
    assert len(set(few)) == len(few) == 6
    assert by_confidence([0.5], 4) == {"most confident": [0], "median": [0], "least confident": [0]}


def test_truth_is_compared_without_the_labelled_portraits(labels, truth):
    shard = labels("a.parquet", range(10), wrong=range(3))
    right = compare_with_truth([shard], truth, {"0", "1", "2"})
    assert (right["miou_vs_truth"], right["truth_images"]) == (1, 7)
    assert right["iou_vs_truth"] == dict.fromkeys(SEVEN.names, 1)
    assert compare_with_truth([shard], truth, set())["miou_vs_truth"] < 0.9


def test_missing_truth_is_a_mistake(labels, truth):
    with pytest.raises(UserError, match="31.png: no such file"):
        compare_with_truth([labels("a.parquet", [1, 31])], truth, set())
    with pytest.raises(UserError, match="labelled by hand"):
        compare_with_truth([labels("b.parquet", [1])], truth, {"1"})


def test_show_pseudo_labels_sums_up_and_shows(tmp_path, labels, truth, pairs):
    ranges = [range(20), range(20, 30)]
    shards = [labels(f"labels-{i}.parquet", ids, wrong=[3]) for i, ids in enumerate(ranges)]
    portraits = [pairs(f"portraits-{i}.parquet", ids) for i, ids in enumerate(ranges)]
    timings = [tmp_path / f"{i}.json" for i in range(2)]
    for path, seconds in zip(timings, (2, 3), strict=True):
        path.write_text(json.dumps({"images": 15, "seconds": seconds}))
    out = {"metrics": tmp_path / "metrics.json", "picture": tmp_path / "shown.png"}
    gate = tmp_path / "gate.parquet"
    write_shard(gate, [{"id": str(i), "rejected": "unsure" if i > 26 else None} for i in range(30)], GATE)
    inputs = {"portraits": portraits, "pseudo_labels": shards, "gate": gate, "timings": timings}
    labelled = [pairs("train.parquet", range(3, 5))]
    show_pseudo_labels(**inputs, labelled=labelled, truth=truth, **out)
    numbers = json.loads(out["metrics"].read_text())
    assert (numbers["images"], numbers["images_per_second"]) == (30, 6)
    assert (numbers["miou_vs_truth"], numbers["truth_images"]) == (1, 28)
    assert numbers["confidence"]["0.5"] == pytest.approx(1 - 14.5 / 1000)
    assert (numbers["accepted"], numbers["flip_disagreement"]["0.5"]) == (0.9, pytest.approx(0.145))
    with Image.open(out["picture"]) as picture:
        assert (picture.height // 134, (picture.width - 180) // 134) == (6, 8)

    show_pseudo_labels(**inputs, labelled=labelled, **out)
    assert not any("truth" in key for key in json.loads(out["metrics"].read_text()))


def test_true_masks_of_another_table_are_refused(labels, truth):
    shard = labels("a.parquet", range(3), classes=THREE)
    with pytest.raises(UserError, match="accepted: around, head, hat"):
        compare_with_truth([shard], truth, set())
