"""Proportions of masks, and masks brought to those of another collection: drawn heads whose measures are known."""

import numpy as np
import pytest
from helpers.heads import ID, SIZE, head

from facemill.translate.mask_parts import parts_of
from facemill.translate.proportions import MEASURES, MOST, Proportions, carried_over, measure, with_proportions

PHOTOS = [head(shift=s, eye=(8, 4), mouth=(m, 8)) for s, m in ((-4, 16), (0, 20), (4, 24))]
DRAWINGS = [
    head(face=(40, 32, 48, 48), shift=s, eye=(16, e), apart=28, eye_y=24, mouth=(m, 4), mouth_y=40, hair=16)
    for s, e, m in ((-2, 12, 6), (0, 14, 8), (2, 16, 10))
]


def of(masks):
    return Proportions.of(masks)


def named(roles):
    return dict(zip(MEASURES, measure(roles), strict=True))


def test_measures_of_a_head_are_those_it_is_drawn_by():
    found = named(head())
    assert found["face_x"] == 0.5 and found["face_y"] == pytest.approx((40 + 32) / SIZE)
    assert np.exp(found["face_width"]) == pytest.approx(48 / SIZE)
    assert np.exp(found["face_height"]) == pytest.approx(64 / SIZE)
    assert (found["hair_top"], found["hair_side"]) == pytest.approx((8 / 64, 8 / 48))
    assert np.exp(found["eyes_apart"]) == pytest.approx(24 / 48)
    assert found["eyes_y"] == pytest.approx(24 / 64) and found["mouth_y"] == pytest.approx(52 / 64)
    assert np.exp([found["eye_width"], found["eye_height"]]) == pytest.approx([8 / 48, 4 / 64])
    assert np.exp([found["mouth_width"], found["mouth_height"]]) == pytest.approx([20 / 48, 8 / 64])


def test_specks_are_no_parts_and_a_missing_part_has_no_measure():
    roles = head()
    roles[0:3, 0:3] = ID["face"]
    roles[np.isin(roles, (ID["eye"], ID["mouth"]))] = ID["face"]
    found = named(roles)
    assert found["face_x"] == 0.5
    missing = {name for name, value in found.items() if np.isnan(value)}
    assert missing == {name for name in MEASURES if name.startswith(("eye", "mouth"))}
    assert np.isnan(measure(np.zeros((SIZE, SIZE), np.uint8))).all()


def test_a_score_is_kept_and_the_mean_taken_where_there_is_none():
    a, b = of(PHOTOS), of(DRAWINGS)
    values = a.means + a.deviations
    values[0], values[1] = np.nan, a.means[1] + 100 * a.deviations[1]
    carried = carried_over(values, a, b)
    assert carried[2:] == pytest.approx((b.means + b.deviations)[2:])
    assert carried[0] == b.means[0]
    assert carried[1] == pytest.approx(b.means[1] + MOST * b.deviations[1])


def test_a_mean_head_gets_the_others_proportions():
    result = with_proportions(PHOTOS[1], of(PHOTOS), of(DRAWINGS))
    found, wanted = named(result), named(DRAWINGS[1])
    pixel = {"face_x": 1, "face_y": 1, "eyes_y": 2, "mouth_y": 2, "hair_top": 3, "hair_side": 3}
    for name in pixel:
        assert found[name] == pytest.approx(wanted[name], abs=pixel[name] / 48), name
    for name in ("face_width", "face_height", "eyes_apart", "eye_width", "eye_height", "mouth_width"):
        assert found[name] == pytest.approx(wanted[name], abs=0.2), name


def test_the_larger_mouth_stays_the_larger():
    small, _, large = (named(with_proportions(m, of(PHOTOS), of(DRAWINGS)))["mouth_width"] for m in PHOTOS)
    assert large > small + 0.2


def test_proportions_of_one_collection_leave_its_heads_as_they_are():
    own = of(PHOTOS)
    for mask in PHOTOS:
        assert (with_proportions(mask, own, own) != mask).mean() < 0.02


def test_what_lies_below_the_picture_is_what_the_other_collection_has_there():
    low = [head(face=(40, 56, 48, 64), shift=s, mouth=(m, 8)) for s, m in ((-4, 16), (0, 20), (4, 24))]
    result = with_proportions(low[1], of(low), of(DRAWINGS))
    assert (result[-20:, 30:98] == ID["clothes"]).all()


def test_hidden_eyes_and_mouth_are_put_where_the_other_collection_has_them():
    roles = PHOTOS[1].copy()
    roles[np.isin(roles, (ID["eye"], ID["mouth"]))] = ID["face"]
    parts = parts_of(with_proportions(roles, of(PHOTOS), of(DRAWINGS)))
    assert len(parts.eyes) == 2 and parts.mouth
    assert parts.face.left < parts.eyes[0].left < parts.eyes[1].right < parts.face.right


def test_the_smallest_parts_keep_a_pixel_and_no_part_leaves_the_head():
    tiny = [head(eye=(2, 2), mouth=(2, 2), shift=s) for s in (-2, 0, 2)]
    result = with_proportions(PHOTOS[1], of(PHOTOS), of(tiny))
    for role in ("eye", "mouth"):
        assert 0 < np.count_nonzero(result == ID[role]) < 40
    wide = [head(apart=80, eye=(40, 30), shift=s) for s in (-2, 0, 2)]
    background = with_proportions(PHOTOS[1], of(PHOTOS), of(PHOTOS)) == 0
    eyes = with_proportions(PHOTOS[1], of(PHOTOS), of(PHOTOS)._replace(means=of(wide).means)) == ID["eye"]
    assert not (eyes & background)[:40].any()


def test_a_mask_without_a_face_stays():
    nothing = np.zeros((SIZE, SIZE), np.uint8)
    nothing[64:] = ID["hair"]
    assert (with_proportions(nothing, of(PHOTOS), of(DRAWINGS)) == nothing).all()


def test_masks_without_two_faces_are_no_collection():
    with pytest.raises(ValueError, match="1 masks; accepted: some with a face, two eyes, a mouth and hair"):
        Proportions.of(PHOTOS[:1])
    with pytest.raises(ValueError, match="0 masks"):
        Proportions.of([])
