"""The comparison of U-Net versions."""

import json

import numpy as np
import pytest
from PIL import Image

from facemill.data.classes import CLASSES, EYE, HAIR, MOUTH
from facemill.errors import UserError
from facemill.imaging.figures import colorize
from facemill.metrics import segmentation as metrics
from facemill.segment.compare_unets import measure, overlaps, said_of_gains, telling


def test_a_network_that_is_right_has_no_faults(painter, scene):
    truths = [scene(seed, 64, 64) for seed in range(40)]
    measured = measure(painter, [colorize(truth) for truth in truths], truths)
    numbers = measured.summary()
    assert (numbers["miou"], numbers["boundary_iou"], numbers["specks"]) == (1, 1, 0)
    assert (numbers["test_images"], numbers["miou_std"]) == (40, 0)
    assert set(numbers["iou"]) == set(CLASSES)
    assert measured.checkerboard.shape == (40,)


def test_each_fault_shows_in_its_number(painter):
    truth = np.zeros((64, 64), np.uint8)
    truth[16:48, 16:48] = HAIR
    seen = truth.copy()
    seen[2:4, 2:4] = EYE  # a speck of a class that is not there
    seen[16:18, 16:48] = 0  # a ragged edge
    numbers = measure(painter, [colorize(seen), colorize(truth)], [truth, truth]).summary()
    assert numbers["specks"] == 0.5
    assert numbers["iou"]["hair"] == pytest.approx(1 - 64 / 2048)
    assert numbers["iou"]["eye"] == 0
    assert numbers["iou"]["mouth"] is None
    assert numbers["miou"] == pytest.approx(np.mean([v for v in numbers["iou"].values() if v is not None]))
    assert numbers["boundary_iou"] < numbers["miou"]
    alone = [np.mean([1, 1]), np.mean([(4096 - 1024 - 4) / (4096 - 1024 + 64), 1 - 64 / 1024, 0])]
    assert numbers["miou_std"] == pytest.approx(np.std(alone))


def test_intervals_hold_what_other_draws_of_portraits_would_have_given(painter, scene):
    random = np.random.default_rng(5)
    truths = [scene(seed, 32, 32) for seed in range(24)]
    seen = [
        np.where(random.random((32, 32)) < share, 0, t).astype(np.uint8)
        for share, t in zip(random.random(24), truths, strict=True)
    ]
    measured = measure(painter, [colorize(mask) for mask in seen], truths)
    numbers = measured.summary()
    low, high = numbers["interval"]["miou"]
    assert low < numbers["miou"] < high and set(numbers["interval"]) == {"miou", *CLASSES}
    drawn = [random.integers(0, 24, 24) for _ in range(300)]
    others = [np.nanmean(metrics.iou(measured.confusion[portraits].sum(0))) for portraits in drawn]
    assert np.mean([low <= one <= high for one in others]) == pytest.approx(0.95, abs=0.04)


def test_a_class_that_no_portrait_holds_has_no_interval(painter):
    truth = np.zeros((32, 32), np.uint8)
    numbers = measure(painter, [colorize(truth)] * 2, [truth] * 2).summary()
    assert numbers["interval"]["hair"] is None and numbers["interval"]["background"] == [1, 1]


def test_versions_are_told_apart_where_their_intervals_do_not_overlap():
    ends = {"v1": [0.5, 0.6], "v2": [0.7, 0.8], "v3": [0.8, 0.9]}
    summaries = {name: {"interval": {"miou": both}} for name, both in ends.items()}
    assert overlaps(summaries) == [("v2", "v3")]


def test_a_small_gain_on_every_portrait_is_told_from_chance(painter, scene):
    truths = [scene(seed, 32, 32) for seed in range(24)]
    random = np.random.default_rng(2)
    worse = [np.where(random.random((32, 32)) < 0.30 * (1 + i % 5), 0, t) for i, t in enumerate(truths)]
    better = [np.where(random.random((32, 32)) < 0.05, t, w) for w, t in zip(worse, truths, strict=True)]
    a, b = (measure(painter, [colorize(mask.astype(np.uint8)) for mask in seen], truths) for seen in (worse, better))
    gain = b.gain_over(a)
    assert gain["miou"] == pytest.approx(b.summary()["miou"] - a.summary()["miou"])
    assert 0 < gain["interval"][0] < gain["miou"] < gain["interval"][1]
    summaries = {"v1": a.summary(), "v2": b.summary() | {"gain": gain}, "v3": a.summary() | {"gain": a.gain_over(b)}}
    assert overlaps({name: summaries[name] for name in ("v1", "v2")})  # which the two intervals alone do not show
    first, second = said_of_gains(summaries)
    assert first.startswith("v2 beats v1 (+0.") and second.startswith("v3 does not beat v2 (-0.")


def test_confusion_says_what_became_of_each_class(painter):
    truth = np.zeros((32, 32), np.uint8)
    truth[:16] = HAIR
    seen = truth.copy()
    seen[:4] = EYE
    confusion = measure(painter, [colorize(seen)], [truth]).summary()["confusion"]
    assert confusion["hair"] == [0.25 if c == EYE else 0.75 if c == HAIR else 0 for c in range(len(CLASSES))]
    assert confusion["background"][0] == 1 and confusion["mouth"] == [0] * len(CLASSES)


def test_checkerboard_is_measured_on_the_logits(painter):
    truth = np.zeros((64, 64), np.uint8)
    image = np.full((64, 64, 3), 120, np.uint8)
    image += (np.indices((64, 64)).sum(0) % 2 * 20).astype(np.uint8)[..., None]
    assert measure(painter, [image], [truth]).summary()["checkerboard"] > 10


def test_the_most_disputed_portraits_are_shown_first_then_typical_ones():
    disputed = [3, 0, 9, 4, 5, 5, 40, 5]
    flat = np.zeros((8, 8), np.uint8)
    other = []
    for count in disputed:
        mask = flat.copy()
        mask.ravel()[:count] = MOUTH
        other.append(mask)
    shown = telling([[flat] * 8, other, other], limit=4)
    assert shown[:2] == [6, 2]
    assert shown[2:] == [4, 5]
    assert sorted(telling([[flat] * 8, other], limit=20)) == list(range(8))


def test_the_command_compares_all_versions(tmp_path, models, pairs, script):
    paths = {name: tmp_path / file for name, file in
             (("metrics", "c.json"), ("picture", "c.png"), ("plot", "m.png"), ("confusion", "f.png"))}  # fmt: skip
    script("compare_unets")(models=models, test=pairs("test.parquet", range(10)), **paths)
    numbers = json.loads(paths["metrics"].read_text())
    assert list(numbers) == ["v1", "v2", "v3"]
    keys = ["miou", "iou", "boundary_iou", "specks", "checkerboard", "confusion", "test_images", "miou_std"]
    keys += ["interval"]
    assert [list(version) for version in numbers.values()] == [keys, [*keys, "gain"], [*keys, "gain"]]
    assert all(version["test_images"] == 10 for version in numbers.values())
    with Image.open(paths["picture"]) as picture:
        assert (picture.width // 150, picture.height // 150) == (5, 8)
    for name in ("plot", "confusion"):
        plot = Image.open(paths[name])
        assert len(np.unique(np.asarray(plot.convert("RGB")).reshape(-1, 3), axis=0)) > 20


def test_no_test_portraits_is_a_mistake(tmp_path, models, pairs, script):
    with pytest.raises(UserError, match="holds no portraits"):
        paths = dict.fromkeys(["metrics", "picture", "plot", "confusion"], tmp_path)
        script("compare_unets")(models=models, test=pairs("test.parquet", range(0)), **paths)
