"""Valid masks: one face, eyes, one mouth, hair and a body, as large as real ones, in their places."""

import json

import numpy as np
import pytest

from facemill.data.classes import SEVEN, Class, ClassTable
from facemill.stylegan.validity import are_valid, mask_limits, measure_mask, part_ids, read_limits, write_limits

IDS = {name: i for i, name in enumerate(SEVEN.names)}


def portrait(face: int = 20, eyes: int = 2, mouths: int = 1, upside_down: bool = False) -> np.ndarray:
    """A mask of 64 pixels, with a face of so many pixels in width, and so many eyes and mouths."""
    mask = np.zeros((64, 64), np.uint8)
    mask[8:44, 16:48] = IDS["hair"]
    mask[44:, 8:56] = IDS["clothes"]
    mask[16:44, 32 - face // 2 : 32 + face // 2] = IDS["face"]
    for eye in range(eyes):
        mask[22:25, 24 + 6 * eye : 28 + 6 * eye] = IDS["eye"]
    for mouth in range(mouths):
        mask[34 + 4 * mouth : 36 + 4 * mouth, 28:36] = IDS["mouth"]
    return mask[::-1] if upside_down else mask


def measured(*masks: np.ndarray) -> np.ndarray:
    return np.stack([measure_mask(mask, SEVEN) for mask in masks])


REAL = mask_limits(measured(*(portrait(face, eyes) for face in range(18, 23) for eyes in (1, 2) for _ in range(10))))


def test_the_parts_of_a_mask_are_measured():
    areas, components, heights = measure_mask(portrait(), SEVEN).reshape(3, -1)
    parts = list(part_ids(SEVEN))
    assert parts == ["face", "eye", "mouth", "hair", "body"]
    assert areas[parts.index("eye")] == 2 * 12 / 64**2
    assert components.tolist() == [1, 2, 1, 1, 1]
    assert heights[parts.index("eye")] == 23.5 / 64
    assert heights[parts.index("body")] == 54 / 64


def test_specks_of_a_part_are_no_components_of_it():
    mask = portrait()
    mask[60, 60] = mask[2, 2] = IDS["mouth"]
    assert measure_mask(mask, SEVEN)[7] == 1


@pytest.mark.parametrize(
    ("mask", "valid"),
    [
        (portrait(), True),
        (portrait(eyes=1), True),
        (portrait(face=28), False),
        (portrait(eyes=0), False),
        (portrait(eyes=3), False),
        (portrait(mouths=0), False),
        (portrait(mouths=2), False),
        (portrait(upside_down=True), False),
        (np.zeros((64, 64), np.uint8), False),
    ],
    ids=["portrait", "one eye", "large face", "no eye", "three", "no mouth", "two", "upside down", "empty"],
)
def test_a_mask_is_valid_like_real_ones(mask, valid):
    assert are_valid(measured(mask), REAL, SEVEN).tolist() == [valid]


def test_nearly_all_real_masks_are_valid_but_the_strangest():
    usual = [portrait(18 + 2 * (i % 3)) for i in range(995)]
    measures = measured(*usual, *[portrait(mouths=2)] * 4, portrait(eyes=0))
    assert are_valid(measures, mask_limits(measures), SEVEN).tolist() == [True] * 995 + [False] * 5


def hair_and_clothes() -> np.ndarray:
    mask = portrait(eyes=0, mouths=0)
    mask[mask == IDS["face"]] = IDS["hair"]
    return mask


def three_faces() -> np.ndarray:
    """Three faces with a mouth each, without eyes: in all not larger than one face and one mouth."""
    mask = portrait(eyes=0, mouths=0)
    mask[mask == IDS["face"]] = IDS["hair"]
    for left in (18, 28, 38):
        mask[16:36, left : left + 8] = IDS["face"]
        mask[30:32, left + 2 : left + 5] = IDS["mouth"]
    return mask


@pytest.mark.parametrize("mask", [hair_and_clothes(), three_faces()], ids=["no face", "three"])
def test_a_portrait_has_one_face_whatever_the_labeller_makes_of_some_real_ones(mask):
    measures = measured(*[portrait(18 + i % 5, eyes=1 + i % 2) for i in range(80)], *[mask] * 20)
    assert are_valid(measures, mask_limits(measures), SEVEN).tolist() == [True] * 80 + [False] * 20


def test_areas_are_limited_by_the_masks_that_have_the_part():
    measures = measured(*[portrait()] * 50, *[portrait(mouths=0)] * 50)
    smaller = portrait()
    smaller[34:36, 29:36] = IDS["face"]
    assert are_valid(measured(portrait(), smaller), mask_limits(measures), SEVEN).tolist() == [True, False]


def test_without_a_real_mask_that_has_the_part_no_mask_is_valid():
    limits = mask_limits(measured(*[portrait(mouths=0)] * 9))
    assert not are_valid(measured(portrait(), portrait(mouths=0)), limits, SEVEN).any()


def test_a_table_without_a_role_has_no_such_part():
    table = ClassTable((SEVEN.root[0], Class(name="head", color="#abcdef", role="face")))
    measures = np.stack([measure_mask(np.eye(8, dtype=np.uint8), table)] * 3)
    assert measures.shape == (3, 3)
    assert are_valid(measures, mask_limits(measures), table).all()


def test_limits_are_written_by_part_and_read_again(tmp_path):
    write_limits(tmp_path / "limits.json", REAL, SEVEN)
    written = json.loads((tmp_path / "limits.json").read_text())
    assert list(written) == list(part_ids(SEVEN))
    assert written["eye"] == {"area": [12 / 64**2, 24 / 64**2], "components": [1, 2]}
    assert written["hair"]["components"] == [1, None]
    for limits, expected in zip(read_limits(tmp_path / "limits.json"), REAL, strict=True):
        assert (limits == expected).all()
