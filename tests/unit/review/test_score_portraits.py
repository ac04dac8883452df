"""Acquisition scores: uncertainty and disagreement."""

from typing import Any

import numpy as np
from helpers.label_files import EYE, HAIR

from facemill.data.classes import SEVEN, ClassTable
from facemill.data.shards import encode_mask
from facemill.review.score_portraits import score_rows

FIFTEEN = ClassTable.model_validate(
    [{"name": f"c{i}", "color": f"#{i:06x}", "role": None if i else "background"} for i in range(15)]
)


def row(mask: np.ndarray, classes: ClassTable, entropy: float = 0, portrait_id: str = "") -> dict[str, Any]:
    return {"id": portrait_id, "mask": {"bytes": encode_mask(mask, classes)}, "entropy": entropy}


def test_masks_that_agree_have_no_disagreement(scene):
    masks = [scene(seed, 64, 64) for seed in range(3)]
    others = [masks[0], np.where(masks[1] == EYE, HAIR, masks[1]), np.zeros_like(masks[2])]
    pseudo_labels = [row(mask, SEVEN, i / 10, str(i)) for i, mask in enumerate(masks)]
    scores = list(score_rows(pseudo_labels, [row(mask, SEVEN) for mask in others], SEVEN))
    assert [score["id"] for score in scores] == ["0", "1", "2"]
    assert [score["uncertainty"] for score in scores] == [0, 0.1, 0.2]
    assert scores[0]["disagreement"] == 0 < scores[1]["disagreement"] < 0.5 < scores[2]["disagreement"]


def test_classes_of_neither_mask_do_not_count():
    mask = np.zeros((8, 8), np.uint8)
    mask[:4] = 14
    [score] = score_rows([row(mask, FIFTEEN)], [row(mask, FIFTEEN)], FIFTEEN)
    assert score["disagreement"] == 0
