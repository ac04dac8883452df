"""Labels that networks contradict: what counts, and that wrong ones come first."""

import csv

import numpy as np
import pytest
import torch
from helpers.scenes import PAIRS
from PIL import Image

from facemill.data.classes import BACKGROUND, CLASSES, EYE, HAIR, IGNORE, MOUTH, SKIN
from facemill.data.shards import encode_jpeg, encode_mask, write_shard
from facemill.imaging.figures import colorize
from facemill.review import judge_labels as label_quality
from facemill.review.judge_labels import judge, outlying, probabilities


def sure(mask: np.ndarray, probability: float = 0.9) -> np.ndarray:
    """Probabilities of a network that says `mask` and is as sure everywhere: (classes, S, S)."""
    rest = (1 - probability) / (len(CLASSES) - 1)
    return np.where(np.arange(len(CLASSES))[:, None, None] == mask, probability, rest).astype(np.float32)


def test_agreement_is_no_contradiction(scene):
    mask = scene(1, 64, 64)
    judged = judge(sure(mask), mask)
    assert np.array_equal(judged.mask, mask) and not judged.against.any()
    assert np.nanmax(judged.contradictions) == 0


def test_a_sure_network_contradicts_more_than_an_unsure_one():
    label = np.zeros((8, 8), np.uint8)
    said = label.copy()
    said[:4] = HAIR
    strong, weak = judge(sure(said), label), judge(sure(said, 0.3), label)
    assert strong.against[:4] == pytest.approx(0.9 - 0.1 / 6) and not strong.against[4:].any()
    assert strong.contradictions[BACKGROUND] == pytest.approx((0.9 - 0.1 / 6) / 2)
    assert weak.contradictions[HAIR] < strong.contradictions[HAIR] == pytest.approx(0.9 - 0.1 / 6)
    assert np.isnan(strong.contradictions[MOUTH])


def test_ignored_pixels_count_for_nothing():
    label = np.zeros((8, 8), np.uint8)
    label[:4] = IGNORE
    said = np.full((8, 8), HAIR, np.uint8)
    said[4:] = BACKGROUND
    judged = judge(sure(said), label)
    assert not judged.against.any() and np.isnan(judged.contradictions[HAIR])


def test_what_is_usual_for_a_class_is_no_outlier():
    random = np.random.default_rng(1)
    usual = np.stack([random.normal(0.4, 0.1, 50).clip(0), random.normal(0.02, 0.01, 50).clip(0)], 1)
    away = outlying(np.concatenate([usual, [[0.5, 0.3], [np.nan, 0.02]]]))
    assert away.max(1).argmax() == 50 and away[50].argmax() == 1
    assert away[51, 0] == 0 and np.abs(away[:50]).max() < 6


def test_wrong_labels_come_first_with_their_class_and_place(tmp_path, scene, painter, script, monkeypatch):
    """A network that sees the truth, and labels of which three in forty are wrong."""
    monkeypatch.setattr("facemill.networks.store.load_model", lambda kind, path: painter)
    wrong = {"7": (EYE, BACKGROUND), "20": (HAIR, SKIN), "33": (MOUTH, EYE)}
    folds = []
    for fold in range(2):
        rows = []
        for seed in range(fold, 40, 2):
            mask = scene(seed, 64, 64)
            before, after = wrong.get(str(seed), (0, 0))
            label = np.where(mask == before, after, mask).astype(np.uint8)
            image = {"bytes": encode_jpeg(colorize(mask))}
            rows.append({"id": str(seed), "image": image, "mask": {"bytes": encode_mask(label)}})
        folds.append(tmp_path / f"{fold}.parquet")
        write_shard(folds[-1], rows, PAIRS)
    out = {"ranking": tmp_path / "ranking.csv", "picture": tmp_path / "picture.png"}
    script("judge_labels")(models=[tmp_path / "0", tmp_path / "1"], held_out=folds, **out)
    ranked = list(csv.DictReader(out["ranking"].open()))
    assert len(ranked) == 40 and {row["id"] for row in ranked[:3]} == set(wrong)
    assert all(row["class"] in {CLASSES[c] for c in wrong[row["id"]]} for row in ranked[:3])
    assert float(ranked[2]["deviations"]) > 3 * float(ranked[3]["deviations"])
    with Image.open(out["picture"]) as picture:
        assert picture.height // 134 == 12


def test_probabilities_sum_to_one(painter, scene):
    found = probabilities(painter, [colorize(scene(1, 64, 64))])
    assert found.shape == (1, len(CLASSES), 64, 64) and np.allclose(found.sum(1), 1, atol=1e-5)
    assert found.dtype == np.float32 and torch.is_inference_mode_enabled() is False
    assert label_quality.judge(found[0], scene(1, 64, 64)).mask.dtype == np.uint8
