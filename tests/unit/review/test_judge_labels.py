"""Labels that networks contradict: what counts, and that wrong labels come first."""

import csv

import numpy as np
import pytest
from helpers.label_files import BACKGROUND, EYE, HAIR, MOUTH, SKIN
from PIL import Image

from facemill.data.classes import IGNORE, SEVEN
from facemill.data.shards import encode_jpeg, encode_mask, write_shard
from facemill.imaging.figures import colorize
from facemill.inference.segmenter import Segmenter
from facemill.label.labelled_rows import SCHEMA
from facemill.review.judge_labels import judge_labels, score_label


def confident(mask: np.ndarray, confidence: float = 0.9, classes: int = len(SEVEN)) -> np.ndarray:
    """Probabilities of a network that predicts `mask`, with the same confidence everywhere: (classes, S, S)."""
    rest = (1 - confidence) / (classes - 1)
    return np.where(np.arange(classes)[:, None, None] == mask, confidence, rest).astype(np.float32)


def test_agreement_is_no_contradiction(scene):
    mask = scene(1, 64, 64)
    issues = score_label(confident(mask), mask)
    assert np.array_equal(issues.prediction, mask) and issues.prediction.dtype == np.uint8
    assert not issues.margin.any() and np.nanmax(issues.contradictions) == 0


def test_a_confident_network_contradicts_more_than_an_uncertain_one():
    label = np.zeros((8, 8), np.uint8)
    prediction = label.copy()
    prediction[:4] = HAIR
    strong, weak = score_label(confident(prediction), label), score_label(confident(prediction, 0.3), label)
    assert strong.margin[:4] == pytest.approx(0.9 - 0.1 / 6) and not strong.margin[4:].any()
    assert strong.contradictions[BACKGROUND] == pytest.approx((0.9 - 0.1 / 6) / 2)
    assert weak.contradictions[HAIR] < strong.contradictions[HAIR] == pytest.approx(0.9 - 0.1 / 6)
    assert np.isnan(strong.contradictions[MOUTH])


def test_ignored_pixels_do_not_count():
    label = np.zeros((8, 8), np.uint8)
    label[:4] = IGNORE
    prediction = np.full((8, 8), HAIR, np.uint8)
    prediction[4:] = BACKGROUND
    issues = score_label(confident(prediction), label)
    assert not issues.margin.any() and np.isnan(issues.contradictions[HAIR])


def test_any_number_of_classes_is_scored():
    label = np.full((8, 8), 14, np.uint8)
    prediction = np.full((8, 8), 3, np.uint8)
    contradictions = score_label(confident(prediction, classes=15), label).contradictions
    assert np.flatnonzero(~np.isnan(contradictions)).tolist() == [3, 14]


def test_wrong_labels_come_first_with_their_class_and_place(tmp_path, scene, painter, monkeypatch):
    """A network that predicts the truth, and forty labels of which three are wrong."""
    monkeypatch.setattr(Segmenter, "load", lambda path, classes: Segmenter(painter, classes))
    wrong = {"7": (EYE, BACKGROUND), "20": (HAIR, SKIN), "33": (MOUTH, EYE)}
    folds = []
    for fold in range(2):
        rows = []
        for seed in range(fold, 40, 2):
            mask = scene(seed, 64, 64)
            before, after = wrong.get(str(seed), (0, 0))
            label = np.where(mask == before, after, mask).astype(np.uint8)
            image = {"bytes": encode_jpeg(colorize(mask, SEVEN))}
            rows.append({"id": str(seed), "image": image, "mask": {"bytes": encode_mask(label, SEVEN)}})
        folds.append(tmp_path / f"{fold}.parquet")
        write_shard(folds[-1], rows, SCHEMA, SEVEN)
    out = {"ranking": tmp_path / "ranking.csv", "picture": tmp_path / "picture.png"}
    judge_labels(models=[tmp_path / "0", tmp_path / "1"], held_out=folds, **out)
    ranked = list(csv.DictReader(out["ranking"].open()))
    assert len(ranked) == 40 and {row["id"] for row in ranked[:3]} == set(wrong)
    assert all(row["class"] in {SEVEN.names[c] for c in wrong[row["id"]]} for row in ranked[:3])
    assert float(ranked[2]["deviations"]) > 3 * float(ranked[3]["deviations"])
    with Image.open(out["picture"]) as picture:
        assert picture.height // 134 == 12
