"""Maps that follow a class, beside what the mean mask alone does."""

import numpy as np
import pytest

from facemill.data.classes import SEVEN
from facemill.inference.sampler import Sampler
from facemill.stylegan.edit_rows import Generated
from facemill.stylegan.find_features import colored, feature_grid, halves, ious, layer_rows, maps_of, prior_iou

HAIR, MOUTH = SEVEN.names.index("hair"), SEVEN.names.index("mouth")
LAYER, CHANNEL = 4, 2


@pytest.fixture
def sampler(save_generator) -> Sampler:
    return Sampler.load(save_generator())


@pytest.fixture
def portraits(sampler) -> Generated:
    """Their hair is where a map is high, their mouth always in one place."""
    styles = sampler.truncated(range(24), 1).cpu()
    maps = maps_of(sampler, styles, LAYER)[:, CHANNEL].numpy()
    masks = np.where(maps > np.quantile(maps, 0.7), HAIR, 0).astype(np.uint8).repeat(2, 1).repeat(2, 2)
    masks[:, 20:24, 12:20] = MOUTH
    return Generated([str(i) for i in range(24)], styles, sampler.generate(styles), masks)


def test_the_map_by_which_a_class_was_drawn_is_found(sampler, portraits):
    rows = sorted(layer_rows(sampler, portraits, SEVEN, LAYER), key=lambda row: -row["gain"])
    best = next(row for row in rows if row["class"] == "hair")
    assert (best["channel"], best["sign"]) == (CHANNEL, 1) and best["iou"] > 0.8
    assert best["gain"] == pytest.approx(best["iou"] - best["prior_iou"]) and best["linear_iou"] > 0.6
    assert {row["class"] for row in rows} == {"background", "hair", "mouth"}
    assert {row["channel"] for row in rows} == set(range(8))


def test_a_class_that_is_always_in_one_place_gives_no_map_a_gain(sampler, portraits):
    mouths = [row for row in layer_rows(sampler, portraits, SEVEN, LAYER) if row["class"] == "mouth"]
    assert all(row["prior_iou"] == 1 and row["gain"] <= 0 for row in mouths)


def test_the_prior_is_chosen_on_one_half_and_judged_on_the_other(sampler, portraits):
    chosen, judged = halves(sampler, portraits, SEVEN, LAYER)
    assert len(chosen.values) == len(judged.values) == 12 * 16 * 16 and chosen.values.shape[1] == 8
    assert 0 < prior_iou(chosen, judged, HAIR) < 1
    assert np.array_equal(chosen.prior, judged.prior)


def test_ious_of_maps_with_classes():
    shown = np.array([[1, 0], [1, 0], [0, 0], [0, 0]], bool)
    labels = np.array([[1], [0], [1], [0]], bool)
    assert ious(shown, labels) == pytest.approx(np.array([[1 / 3], [0]]))


def test_maps_are_drawn_green_above_zero_and_red_below(sampler, portraits):
    image = np.full((4, 4, 3), 100, np.uint8)
    picture = colored(image, np.array([[1.0, -1.0], [0.0, 0.5]]))
    assert picture[0, 0].tolist() == [0, 200, 80] and picture[0, 3].tolist() == [220, 40, 40]
    assert picture[3, 0].tolist() == [100, 100, 100]
    rows = list(layer_rows(sampler, portraits, SEVEN, LAYER))
    assert feature_grid(sampler, portraits, SEVEN, rows).height > 9 * 96
