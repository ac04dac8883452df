"""Styles by color: the nearest one, the colors that are wanted, and what is added in the end."""

import cv2
import numpy as np
import pytest

from facemill.data.classes import ROLES, SEVEN
from facemill.imaging.colors import REGIONS
from facemill.translate.style_bank import StyleBank, lab_of, recolored

R = list(REGIONS)
HAIR, SKIN = R.index("hair"), R.index("skin")


def colors(**regions):
    """CIELAB of the regions that are given, (R, 3); NaN for others."""
    result = np.full((len(R), 3), np.nan, np.float32)
    for name, lab in regions.items():
        result[R.index(name)] = lab
    return result


def bank(*portraits):
    return StyleBank(np.arange(len(portraits), dtype=np.float32)[:, None], np.stack(portraits))


def test_the_style_is_that_of_the_portrait_nearest_in_color():
    known = bank(colors(hair=(20, 0, 0), skin=(90, 5, 10)), colors(hair=(60, 40, 20), skin=(90, 5, 10)))
    assert known.nearest(colors(hair=(55, 35, 20), skin=(60, 5, 10))) == [1]
    assert known.nearest(colors(hair=(30, 5, 5), skin=(60, 5, 10))) == [0]


def test_hair_and_skin_count_more_than_clothes_and_a_region_without_a_color_not_at_all():
    known = bank(
        colors(hair=(20, 0, 0), clothes=(80, 0, 0)),
        colors(hair=(80, 0, 0), clothes=(20, 0, 0)),
        colors(hair=(50, 0, 0)),
    )
    assert known.nearest(colors(hair=(20, 0, 0), clothes=(20, 0, 0))) == [0]
    assert known.nearest(colors(clothes=(20, 0, 0))) == [1]
    assert known.nearest(colors(hair=(48, 0, 0))) == [2]


def test_hair_keeps_its_color_and_skin_its_difference_from_the_usual_one():
    known = bank(colors(skin=(86, 4, 10)), colors(skin=(94, 4, 10)))
    usual = colors(skin=(60, 14, 20))
    wanted = known.wanted(colors(hair=(20, 1, 2), skin=(50, 14, 20)), usual)
    assert wanted[HAIR] == pytest.approx([20, 1, 2])
    assert wanted[SKIN, 0] == pytest.approx(50 + 30)
    assert wanted[SKIN, 1] == pytest.approx(14 - 10 * 20 / 30, abs=1e-4)
    assert np.isnan(wanted[R.index("eye")]).all()


def test_skin_is_no_lighter_than_the_others_lightest_and_dark_skin_keeps_its_hue():
    known = bank(colors(skin=(86, 4, 10)), colors(skin=(94, 4, 10)))
    usual = colors(skin=(60, 14, 20))
    light = known.wanted(colors(skin=(90, 14, 20)), usual)[SKIN]
    assert light[0] < 94 and light[1:] == pytest.approx([4, 10], abs=1e-4)
    dark = known.wanted(colors(skin=(30, 14, 20)), usual)[SKIN]
    assert dark == pytest.approx([60, 14, 20])


def portrait():
    """A picture of flat regions with its mask."""
    mask = np.zeros((48, 48), np.uint8)
    mask[4:24, 8:40], mask[24:44, 8:40] = ROLES.index("hair"), ROLES.index("face")
    mask[30:34, 14:20] = ROLES.index("eye")
    image = np.full((48, 48, 3), 200, np.uint8)
    image[mask == ROLES.index("hair")] = (90, 60, 40)
    image[mask == ROLES.index("face")] = (230, 190, 170)
    image[mask == ROLES.index("eye")] = (20, 40, 120)
    return image, mask


def test_hair_and_skin_get_the_wanted_colors_and_nothing_else_changes():
    image, mask = portrait()
    wanted = lab_of(image, mask, SEVEN)
    wanted[HAIR] += (10, 5, -5)
    wanted[SKIN] += (-12, 2, 3)
    result = recolored(image, mask, SEVEN, wanted)
    assert np.abs(lab_of(result, mask, SEVEN)[[HAIR, SKIN]] - wanted[[HAIR, SKIN]]).max() < 1
    inner = cv2.erode(np.isin(mask, (0, ROLES.index("eye"))).astype(np.uint8), np.ones((3, 3))).astype(bool)
    assert np.abs(result[inner].astype(int) - image[inner]).max() <= 1


def test_a_color_that_is_unknown_changes_nothing():
    image, mask = portrait()
    assert np.abs(recolored(image, mask, SEVEN, colors()).astype(int) - image).max() <= 1
    nothing = np.zeros_like(mask)
    result = recolored(image, nothing, SEVEN, colors(hair=(50, 0, 0)))
    assert np.abs(result.astype(int) - image).max() <= 1
