"""What an edit does to portraits, in numbers."""

import numpy as np
import pytest
from helpers.color_unet import COLORS, ColorUnet

from facemill.data.classes import SEVEN
from facemill.inference.segmenter import Segmenter
from facemill.stylegan.edit_scores import Edited, Judge, at_size, color_drift, seam
from facemill.stylegan.region_probes import RegionProbe

HAIR, MOUTH, CLOTHES = (SEVEN.names.index(name) for name in ("hair", "mouth", "clothes"))


def portraits(heights: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Portraits, uint8 RGB (N, 128, 128, 3), with mouths of these heights, and their masks."""
    masks = np.zeros((len(heights), 128, 128), np.uint8)
    for index, (mask, height) in enumerate(zip(masks, heights, strict=True)):
        mask[:30], mask[110:] = HAIR, CLOTHES
        mask[80 : 80 + height, 50 + index % 4 : 80] = MOUTH
    return COLORS[masks], masks


@pytest.fixture
def judge() -> Judge:
    images, masks = portraits([4, 20] * 20)
    probe = RegionProbe.fit("open_mouth", [MOUTH], images[:, ::2, ::2], masks[:, ::2, ::2], np.arange(40) % 2 == 1, 5)
    assert probe
    return Judge(Segmenter(ColorUnet().eval(), SEVEN), probe, "mouth")


def test_an_edit_of_the_mouth_alone_succeeds_and_changes_nothing_else(judge):
    (before, masks), (after, _) = portraits([4, 4, 20, 4]), portraits([20, 4, 20, 20])
    regions = np.zeros(masks.shape, bool)
    regions[:, 78:102, 48:82] = True
    scores = judge.scores(Edited(before, after), regions)
    assert scores["success"] == pytest.approx(2 / 3) and scores["outside"] == 0
    assert scores["drift"] == 0 and scores["mask_iou"] == pytest.approx(1, abs=0.06) and scores["area"] > 1.5
    assert judge.scores(Edited(after[[2]], after[[2]]), regions[:1])["success"] is None


def test_what_changes_outside_counts_as_outside_and_drift(judge):
    before, masks = portraits([4] * 3)
    after = before.copy()
    after[:, 112:, :] = (60, 140, 40)  # of no class: nearest to hair
    scores = judge.scores(Edited(before, after), masks == MOUTH)
    assert scores["success"] == 0 and scores["outside"] == 1 and scores["mask_iou"] < 0.9


def test_drift_is_of_other_regions_than_the_parts_own():
    before = np.full((2, 6, 3), 50, np.float32)
    after = before.copy()
    after[:, 3] = 90  # the mouth
    assert color_drift(before, after, "mouth") == 0 and color_drift(before, after, "hair") == pytest.approx(1 / 5)
    after[1, 0] = 90  # the hair of one portrait
    after[:, 5] = np.nan
    assert color_drift(before, after, "mouth") == pytest.approx(0.5 / 4)
    assert color_drift(before * np.nan, after, "mouth") is None


def test_a_seam_is_a_step_across_the_border():
    before = np.tile(np.arange(8, dtype=np.uint8)[None, :, None, None] * 2, (1, 1, 8, 3))
    regions = np.zeros((1, 8, 8), bool)
    regions[:, :4] = True
    after = before.copy()
    assert seam(Edited(before, after), regions) == 1
    after[:, :4] += 20
    assert seam(Edited(before, after), regions) == pytest.approx(18 / 2)
    assert seam(Edited(before, after), regions * False) is None


def test_masks_take_the_size_of_images():
    masks = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    assert at_size(masks, np.zeros((1, 8, 8, 3))).shape == (1, 8, 8)
    assert at_size(masks > 3, np.zeros((1, 2, 2, 3))).dtype == bool
    assert at_size(masks, np.zeros((1, 4, 4, 3))) is masks
