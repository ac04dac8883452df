"""Stability of choices, and how many variants they use."""

import numpy as np
import pytest

from facemill.avatars.stability import effective, mean_of_styles, moved, stability
from facemill.avatars.styles import DrawingStyle

HAPPY, WIDE = [{"eyes": "happy"}], [{"eyes": "wide"}]


@pytest.mark.parametrize(("choices", "number"), [("aaaa", 1), ("abab", 2), ("abcd", 4), ("aaab", 1.7548)])
def test_effective_variants_are_as_many_as_are_used_alike(choices, number):
    assert effective(list(choices)) == pytest.approx(number, abs=1e-4)


def test_no_choices_use_no_variants():
    assert effective([]) is None


def test_stability_compares_the_same_portraits_and_counts_lost_parts_as_changed():
    style = DrawingStyle.load("toon-head")
    before = [{"eyes": HAPPY}, {"eyes": HAPPY}, {"eyes": WIDE}, {}]
    after = [{"eyes": HAPPY}, {"eyes": WIDE}, {}, {"eyes": WIDE}]
    eyes = stability(style, before, before, after)["eyes"]
    assert (eyes["unchanged"], eyes["n"], eyes["of"]) == (pytest.approx(1 / 3), 3, 5)
    assert eyes["effective"] == pytest.approx(1.8899, abs=1e-4)


def test_of_hair_the_main_component_counts_and_all_of_them_stand_beside():
    style = DrawingStyle.load("toon-head")
    bun, long = ([{"hair": "bun", "rearHair": rear, "beard": "none"}] for rear in ("none", "longWavy"))
    hair = stability(style, [{"hair": bun}], [{"hair": bun}], [{"hair": long}])["hair"]
    assert (hair["unchanged"], hair["all_unchanged"], hair["of"]) == (1, 0, 4)


def test_means_are_over_styles_that_have_the_role():
    one = {"eyes": {"unchanged": 1.0, "effective": 2.0, "of": 4, "n": 3}}
    two = {"eyes": {"unchanged": 0.5, "effective": 4.0, "of": 4, "n": 3}, "mouth": {"unchanged": None, "of": 2}}
    means = mean_of_styles({"one": one, "two": two})
    assert means == {"eyes": {"unchanged": 0.75, "effective": 3, "of": 4, "share": 0.75}}


@pytest.mark.parametrize("shape", [(128, 128), (200, 120), (5, 5)])
def test_a_moved_portrait_and_its_mask_move_alike_and_a_little(shape):
    height, width = shape
    mask = np.zeros(shape, np.uint8)
    mask[height // 4 : height // 2 + 1, width // 4 : width // 2 + 1] = 3
    image = np.repeat((mask * 80)[..., None], 3, 2)
    turned, ragged = moved(image, mask, np.random.default_rng(0))
    assert turned.shape == image.shape
    assert set(np.unique(ragged)) <= {0, 3}
    if height > 5:
        middles = [np.argwhere(m).mean(0) for m in (mask > 0, turned[..., 0] > 120, ragged > 0)]
        assert np.abs(middles[1] - middles[2]).max() < 0.6
        assert 0.2 < np.abs(middles[0] - middles[1]).max() < 6


def test_borders_of_a_moved_mask_are_ragged():
    mask = np.zeros((128, 128), np.uint8)
    mask[:, 64:] = 5
    _, ragged = moved(np.zeros((128, 128, 3), np.uint8), mask, np.random.default_rng(1))
    ends = (ragged[20:108] == 5).argmax(1)
    straight = np.polyval(np.polyfit(np.arange(88), ends, 1), np.arange(88))
    assert 0.3 < np.std(ends - straight) < 2
