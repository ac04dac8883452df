import cv2
import numpy as np
import pytest

from facemill.avatars.descriptors import DIMENSIONS, PROPORTIONS, SILHOUETTE, mirrored
from facemill.avatars.regions import CROP, WORKING_SIZE, box_of, cut_parts, seven_ids
from facemill.data.classes import IGNORE, SEVEN, Class, ClassTable
from facemill.imaging.colors import region_colors

BACKGROUND, SKIN, FACE, EYE, MOUTH, HAIR, CLOTHES = range(7)


def portrait(size: int = 256, open_mouth: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A head of ellipses with a bun to its right, and its mask."""
    mask = np.zeros((256, 256), np.uint8)
    cv2.rectangle(mask, (70, 200), (186, 255), CLOTHES, -1)
    cv2.ellipse(mask, (128, 110), (66, 70), 0, 0, 360, HAIR, -1)
    cv2.ellipse(mask, (165, 45), (20, 20), 0, 0, 360, HAIR, -1)
    cv2.ellipse(mask, (128, 130), (50, 60), 0, 0, 360, FACE, -1)
    cv2.ellipse(mask, (78, 130), (6, 12), 0, 0, 360, SKIN, -1)
    cv2.ellipse(mask, (178, 130), (6, 12), 0, 0, 360, SKIN, -1)
    for x in (105, 151):
        cv2.ellipse(mask, (x, 120), (10, 7), 0, 0, 360, EYE, -1)
    cv2.ellipse(mask, (128, 165), (16, 10 if open_mouth else 2), 0, 0, 360, MOUTH, -1)
    colors = np.uint8([[20, 90, 200], [240, 200, 180], [240, 200, 180], [40, 40, 40], [150, 20, 20], [90, 50, 20]])
    image = np.vstack([colors, np.uint8([[60, 160, 90]])])[mask]
    for x in (105, 151):
        cv2.line(image, (x - 9, 102), (x + 9, 100), (90, 50, 20), 4)
    return (
        cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA),
        cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST),
    )


def posed(image: np.ndarray, mask: np.ndarray, angle: float, scale: float, shift: tuple[int, int]):
    size = mask.shape[0]
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), angle, scale)
    turn[:, 2] += shift
    return (
        cv2.warpAffine(image, turn, (size, size), borderMode=cv2.BORDER_REPLICATE),
        cv2.warpAffine(mask, turn, (size, size), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE),
    )


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """The root mean square difference of two silhouettes."""
    return float(np.sqrt(((a[SILHOUETTE] - b[SILHOUETTE]) ** 2).mean()))


def test_masks_of_other_tables_come_to_the_seven_classes_by_their_roles():
    table = ClassTable(
        (
            Class(name="nothing", color="#000000", role="background"),
            Class(name="glasses", color="#111111", role=None),
            Class(name="fringe", color="#222222", role="hair"),
            Class(name="braid", color="#333333", role="hair"),
        )
    )
    mask = np.uint8([[0, 1], [2, 3], [IGNORE, 0]])
    np.testing.assert_array_equal(seven_ids(mask, table), [[0, IGNORE], [HAIR, HAIR], [IGNORE, 0]])


def test_every_part_is_cut_described_and_colored():
    image, mask = portrait()
    parts = cut_parts(image, mask, looks=8)
    assert list(parts) == ["eyes", "eyebrows", "mouth", "hair", "face", "clothes"]
    colors = region_colors(image, mask, SEVEN)
    for role, region in {"eyes": "eye", "mouth": "mouth", "hair": "hair", "face": "skin", "clothes": "clothes"}.items():
        np.testing.assert_array_equal(parts[role].lab, colors[region])
    for role, part in parts.items():
        assert part.crop.shape == (CROP, CROP, 4) and part.crop.dtype == np.uint8
        assert part.descriptor.shape == (DIMENSIONS,) and np.isfinite(part.descriptor).all()
        assert (part.openness is not None) == (role in ("eyes", "mouth"))
        assert part.crop[..., 3].max() == 255 and part.crop[0, 0, 3] == 0
    assert parts["eyebrows"].lab is None
    assert np.median(parts["hair"].crop[parts["hair"].crop[..., 3] == 255][:, 0]) == 90


def test_only_wanted_parts_are_cut():
    assert set(cut_parts(*portrait(), looks=1, roles=["mouth", "hair"])) == {"mouth", "hair"}


@pytest.mark.parametrize("role", ["eyes", "eyebrows", "mouth", "hair", "face", "clothes"])
def test_a_portrait_turned_scaled_and_moved_has_the_same_descriptors(role):
    image, mask = portrait()
    still = cut_parts(image, mask, looks=8)[role].descriptor
    moved = cut_parts(*posed(image, mask, 9, 0.9, (6, -3)), looks=8)[role].descriptor
    assert apart(still, moved) < 0.12


def test_hair_that_the_edge_cuts_is_described_as_before():
    image, mask = portrait()
    taller = cut_parts(image, mask, looks=1)["hair"].descriptor
    cut = cut_parts(image[36:], mask[36:], looks=1)["hair"].descriptor
    assert apart(taller, cut) < 0.1


def test_a_mirrored_portrait_has_mirrored_descriptors():
    image, mask = portrait()
    hair = cut_parts(image, mask, looks=1)["hair"].descriptor
    flipped = cut_parts(image[:, ::-1].copy(), mask[:, ::-1].copy(), looks=1)["hair"].descriptor
    assert apart(mirrored(hair[None])[0], flipped) < 0.03 < apart(hair, flipped)


def test_large_and_small_portraits_have_the_same_descriptors():
    small, large = (cut_parts(*portrait(size), looks=1)["face"].descriptor for size in (128, 2 * WORKING_SIZE))
    assert apart(small, large) < 0.08
    np.testing.assert_allclose(small[PROPORTIONS], large[PROPORTIONS], atol=0.05)


def test_an_open_mouth_is_more_open():
    shut, opened = (cut_parts(*portrait(open_mouth=wide), looks=1)["mouth"].openness for wide in (False, True))
    assert shut < 0.2 and opened > 0.4


def test_a_portrait_without_mouth_or_eyes_has_its_other_parts():
    image, mask = portrait()
    mask[np.isin(mask, (EYE, MOUTH))] = FACE
    assert set(cut_parts(image, mask, looks=2)) == {"hair", "face", "clothes"}


def test_eyebrows_that_hair_hides_are_no_part():
    image, mask = portrait()
    mask[:104] = np.where(mask[:104] == FACE, HAIR, mask[:104])
    assert "eyebrows" not in cut_parts(image, mask, looks=1)


def test_hair_alone_is_a_part_and_nothing_is_none():
    image, mask = portrait()
    assert set(cut_parts(image, np.where(mask == HAIR, HAIR, 0).astype(np.uint8), looks=2)) == {"hair"}
    assert cut_parts(image, np.zeros_like(mask), looks=2) == {}
    assert cut_parts(image, np.full_like(mask, IGNORE), looks=2) == {}


@pytest.mark.parametrize("shape", [(5, 5), (1, 1), (3, 200), (300, 17)])
def test_portraits_of_any_size_and_any_noise_are_described(shape):
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 7, shape).astype(np.uint8)
    for part in cut_parts(rng.integers(0, 256, (*shape, 3)).astype(np.uint8), mask, looks=3).values():
        assert np.isfinite(part.descriptor).all()


def test_a_gray_image_is_described():
    image, mask = portrait()
    gray = np.repeat(image.mean(2, keepdims=True).astype(np.uint8), 3, 2)
    parts = cut_parts(gray, mask, looks=2)
    assert apart(parts["hair"].descriptor, cut_parts(image, mask, looks=2)["hair"].descriptor) < 1e-6


def test_looks_come_from_the_seed_alone():
    image, mask = portrait()
    first, again, other = (cut_parts(image, mask, looks=4, seed=s)["eyes"].descriptor for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_box_leaves_out_a_speck():
    mask = np.zeros((100, 100), np.uint8)
    mask[40:60, 30:70] = 255
    mask[2, 2] = 255
    assert box_of(mask) == pytest.approx((30.4, 40.2, 69.6, 59.8), abs=0.1)
    assert box_of(np.zeros((9, 9), np.uint8)) is None
