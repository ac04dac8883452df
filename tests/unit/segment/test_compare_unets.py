"""The comparison of U-Net versions."""

import json

import numpy as np
import pytest
import torch
from helpers.scenes import PAIRS, THREE, save_unet
from PIL import Image
from torch import nn

from facemill.data.classes import IGNORE, SEVEN
from facemill.data.shards import decode_mask, encode_mask, read_rows, write_shard
from facemill.errors import UserError
from facemill.imaging import figures
from facemill.imaging.figures import colorize
from facemill.inference.segmenter import Segmenter
from facemill.metrics import segmentation as metrics
from facemill.segment.compare_unets import (
    NOT_MEASURED,
    compare_unets,
    gain_sentences,
    overlapping,
    plot_scores,
    select_examples,
)
from facemill.segment.unet_scores import UnetScores, evaluate_unet

[EYE], [MOUTH], [HAIR] = (SEVEN.role_ids(role) for role in ("eye", "mouth", "hair"))


def evaluate(network, predictions, truths) -> UnetScores:
    """The scores of a network that segments by color, on images that are painted as it should segment them."""
    return evaluate_unet(Segmenter(network, SEVEN), [colorize(mask, SEVEN) for mask in predictions], truths)


def test_a_network_that_is_right_has_no_faults(painter, scene):
    truths = [scene(seed, 64, 64) for seed in range(40)]
    scores = evaluate(painter, truths, truths)
    numbers = scores.summary()
    assert (numbers["miou"], numbers["boundary_iou"], numbers["specks"]) == (1, 1, 0)
    assert (numbers["test_images"], numbers["miou_std"]) == (40, 0)
    assert set(numbers["iou"]) == set(SEVEN.names)
    assert scores.checkerboard.shape == (40,)


def test_each_fault_shows_in_its_number(painter):
    truth = np.zeros((64, 64), np.uint8)
    truth[16:48, 16:48] = HAIR
    predicted = truth.copy()
    predicted[2:4, 2:4] = EYE  # a speck of a class that is not there
    predicted[16:18, 16:48] = 0  # a ragged edge
    numbers = evaluate(painter, [predicted, truth], [truth, truth]).summary()
    assert numbers["specks"] == 0.5
    assert numbers["iou"]["hair"] == pytest.approx(1 - 64 / 2048)
    assert numbers["iou"]["eye"] == 0
    assert numbers["iou"]["mouth"] is None
    assert numbers["miou"] == pytest.approx(np.mean([v for v in numbers["iou"].values() if v is not None]))
    assert numbers["boundary_iou"] < numbers["miou"]
    portrait_miou = [np.mean([1, 1]), np.mean([(4096 - 1024 - 4) / (4096 - 1024 + 64), 1 - 64 / 1024, 0])]
    assert numbers["miou_std"] == pytest.approx(np.std(portrait_miou))


def test_intervals_hold_95_percent_of_other_samples_of_portraits(painter, scene):
    random = np.random.default_rng(5)
    truths = [scene(seed, 32, 32) for seed in range(24)]
    predicted = [
        np.where(random.random((32, 32)) < share, 0, t).astype(np.uint8)
        for share, t in zip(random.random(24), truths, strict=True)
    ]
    scores = evaluate(painter, predicted, truths)
    numbers = scores.summary()
    low, high = numbers["interval"]["miou"]
    assert low < numbers["miou"] < high and set(numbers["interval"]) == {"miou", *SEVEN.names}
    samples = [random.integers(0, 24, 24) for _ in range(300)]
    mious = [np.nanmean(metrics.iou(scores.confusion[portraits].sum(0))) for portraits in samples]
    assert np.mean([low <= miou <= high for miou in mious]) == pytest.approx(0.95, abs=0.04)


def test_a_class_without_pixels_has_no_interval(painter):
    truth = np.zeros((32, 32), np.uint8)
    numbers = evaluate(painter, [truth] * 2, [truth] * 2).summary()
    assert numbers["interval"]["hair"] is None and numbers["interval"]["background"] == [1, 1]


def test_a_score_that_is_null_is_a_dash_in_the_plot(tmp_path, monkeypatch, painter):
    plots: list = []
    monkeypatch.setattr(figures.plt, "close", plots.append)
    mask = np.zeros((64, 64), np.uint8)
    summary = evaluate(painter, [mask], [mask]).summary() | {"boundary_iou": None}
    plot_scores(tmp_path / "a.png", {"v1": summary}, SEVEN)
    iou_axes, boundary_axes, *_ = plots[0].axes
    shown = [text.get_text() for text in iou_axes.texts]
    assert shown == ["1", "1", *[NOT_MEASURED] * 6]  # the mean, background, and classes that no portrait has
    assert [text.get_text() for text in boundary_axes.texts] == [NOT_MEASURED]


def test_overlapping_intervals_are_listed():
    ends = {"v1": [0.5, 0.6], "v2": [0.7, 0.8], "v3": [0.8, 0.9]}
    summaries = {name: {"interval": {"miou": both}} for name, both in ends.items()}
    assert overlapping(summaries) == [("v2", "v3")]


def test_a_small_gain_on_every_portrait_is_significant(painter, scene):
    truths = [scene(seed, 32, 32) for seed in range(24)]
    random = np.random.default_rng(2)
    worse = [np.where(random.random((32, 32)) < 0.30 * (1 + i % 5), 0, t) for i, t in enumerate(truths)]
    better = [np.where(random.random((32, 32)) < 0.05, t, w) for w, t in zip(worse, truths, strict=True)]
    a, b = (evaluate(painter, [mask.astype(np.uint8) for mask in masks], truths) for masks in (worse, better))
    gain = b.gain_over(a)
    assert gain["miou"] == pytest.approx(b.summary()["miou"] - a.summary()["miou"])
    assert 0 < gain["interval"][0] < gain["miou"] < gain["interval"][1]
    summaries = {"v1": a.summary(), "v2": b.summary() | {"gain": gain}, "v3": a.summary() | {"gain": a.gain_over(b)}}
    assert overlapping({name: summaries[name] for name in ("v1", "v2")})  # the two intervals alone do not show it
    first, second = gain_sentences(summaries)
    assert first.startswith("v2 beats v1 (+0.") and second.startswith("v3 does not beat v2 (-0.")


def test_confusion_has_the_shares_of_each_true_class(painter):
    truth = np.zeros((32, 32), np.uint8)
    truth[:16] = HAIR
    predicted = truth.copy()
    predicted[:4] = EYE
    confusion = evaluate(painter, [predicted], [truth]).summary()["confusion"]
    assert confusion["hair"] == [0.25 if c == EYE else 0.75 if c == HAIR else 0 for c in range(7)]
    assert confusion["background"][0] == 1 and confusion["mouth"] == [0] * 7


def test_checkerboard_is_measured_on_the_logits(painter):
    truth = np.zeros((64, 64), np.uint8)
    image = np.full((64, 64, 3), 120, np.uint8)
    image += (np.indices((64, 64)).sum(0) % 2 * 20).astype(np.uint8)[..., None]
    assert evaluate_unet(Segmenter(painter, SEVEN), [image], [truth]).summary()["checkerboard"] > 10


def test_checkerboard_is_that_of_one_look(painter):
    class Striped(nn.Module):
        """The painter, and a pattern of period 2 along x, which the mean of an image and its mirror image cancels."""

        def __init__(self) -> None:
            super().__init__()
            self.painter, self.size = painter, 64

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            signs = torch.linspace(-1, 1, 7)[:, None, None] * (1 - 2 * (torch.arange(64) % 2))
            return self.painter(images) + 3 * signs

    image, truth = np.full((64, 64, 3), 120, np.uint8), np.zeros((64, 64), np.uint8)
    segmenter = Segmenter(Striped(), SEVEN)
    assert metrics.checkerboard(segmenter.logits([image])[0].numpy()) < 1.5
    assert evaluate_unet(segmenter, [image], [truth]).summary()["checkerboard"] > 10


def test_examples_are_the_portraits_of_most_disagreement_then_typical_ones():
    disagreement = [3, 0, 9, 4, 5, 5, 40, 5]
    flat = np.zeros((8, 8), np.uint8)
    other = []
    for count in disagreement:
        mask = flat.copy()
        mask.ravel()[:count] = MOUTH
        other.append(mask)
    shown = select_examples([[flat] * 8, other, other], limit=4)
    assert shown[:2] == [6, 2]
    assert shown[2:] == [4, 5]
    assert sorted(select_examples([[flat] * 8, other], limit=20)) == list(range(8))


def test_compare_unets_writes_scores_and_pictures_of_all_versions(tmp_path, models, pairs):
    paths = {name: tmp_path / file for name, file in
             (("metrics", "c.json"), ("picture", "c.png"), ("plot", "m.png"), ("confusion", "f.png"))}  # fmt: skip
    compare_unets(models=models, test=pairs("test.parquet", range(10)), **paths)
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


def test_masks_without_any_label_leave_no_gaps_in_the_numbers(tmp_path, models, pairs):
    test, paths = pairs("test.parquet", range(2)), {name: tmp_path / name for name in ("picture", "plot", "confusion")}
    rows = list(read_rows([test]))

    def compared(*masks: np.ndarray) -> dict:
        changed = [row | {"mask": {"bytes": encode_mask(mask, SEVEN)}} for row, mask in zip(rows, masks, strict=True)]
        write_shard(test, changed, PAIRS, SEVEN)
        pictures = {name: path.with_suffix(".png") for name, path in paths.items()}
        compare_unets(models=models, test=test, metrics=tmp_path / "c.json", **pictures)
        return json.loads((tmp_path / "c.json").read_text(), parse_constant=pytest.fail)

    ignored, dotted = np.full((2, 64, 64), IGNORE, np.uint8)
    dotted[::9, ::9] = HAIR  # every boundary is near ignored pixels
    numbers = compared(decode_mask(rows[0]["mask"]["bytes"], SEVEN), ignored)["v3"]
    assert (numbers["test_images"], numbers["miou_std"]) == (1, 0)
    assert compared(dotted, dotted)["v3"]["boundary_iou"] is None
    with pytest.raises(UserError, match="holds no labelled portraits"):
        compared(ignored, ignored)


def test_no_test_portraits_is_a_mistake(tmp_path, models, pairs):
    with pytest.raises(UserError, match="holds no labelled portraits"):
        paths = dict.fromkeys(["metrics", "picture", "plot", "confusion"], tmp_path)
        compare_unets(models=models, test=pairs("test.parquet", range(0)), **paths)


def test_a_table_of_another_size_is_compared_by_its_names(tmp_path, pairs):
    models = [save_unet(tmp_path / version / "model.safetensors", THREE) for version in ("v1", "v2")]
    paths = {name: tmp_path / f"{name}.png" for name in ("picture", "plot", "confusion")}
    compare_unets(models=models, test=pairs("test.parquet", range(3), THREE), metrics=tmp_path / "c.json", **paths)
    numbers = json.loads((tmp_path / "c.json").read_text())["v2"]
    assert list(numbers["iou"]) == list(numbers["confusion"]) == list(THREE.names)
    assert set(numbers["interval"]) == {"miou", *THREE.names}


def test_a_model_of_another_table_is_refused(tmp_path, models, pairs):
    paths = dict.fromkeys(["metrics", "picture", "plot", "confusion"], tmp_path)
    with pytest.raises(UserError, match="v1.*has the classes background, .*; accepted: around, head, hat"):
        compare_unets(models=models, test=pairs("test.parquet", range(2), THREE), **paths)
