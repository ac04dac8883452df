import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from facemill.ingest.drawing import HAIR_COLORS, draw
from facemill.ingest.toon_head import COMPONENT_IDS, LABELS, PART_IDS, _without_specks, definition

CONFIG = Path(__file__).parents[3] / "config/config.yaml"
IDS = range(1000, 1006)
HAIR = PART_IDS["hair"]


def pixels(post_id: int, size: int = 128) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(draw(post_id, 1).image(size))).convert("RGB"))


def lab(color: str) -> np.ndarray:
    return rgb2lab(np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]))


def test_the_same_id_and_seed_give_the_same_drawing_and_others_another():
    assert draw(1000, 1).image(64) == draw(1000, 1).image(64)
    assert len({draw(post_id, seed).image(64) for post_id in IDS for seed in (1, 2)}) == 2 * len(IDS)


def test_portraits_of_a_seed_are_the_same_for_ever():
    """Labels, measures and models of the sample are of these pictures: SHA-256 of the SVGs and maps' SVGs of a few."""
    svgs = "".join(drawing.picture + drawing.parts for drawing in (draw(post_id, 1) for post_id in range(1000, 1020)))
    assert (
        hashlib.sha256(svgs.encode()).hexdigest() == "e566ba65d65090d8fa36218035ac81d57130aa92d68249b0c476316009f61313"
    )


def test_variants_are_those_that_the_tags_tell():
    for post_id in range(1000, 1060):
        drawing = draw(post_id, 1)
        assert set(drawing.variants) == set(definition()["components"])
        assert (drawing.variants["rearHair"] == "none") <= ("short_hair" in drawing.tags)
        assert (drawing.variants["eyes"] == "wink") == ("one_eye_closed" in drawing.tags)
        assert (drawing.variants["mouth"] == "smile") == ({"closed_mouth", "smile"} <= set(drawing.tags))
        assert (drawing.variants["beard"] == "none") == ("facial_hair" not in drawing.tags)


def test_every_portrait_shows_the_parts_that_all_have():
    labels = np.array(list(LABELS.values()))
    for post_id in IDS:
        assert set(labels[np.unique(draw(post_id, 1).part_ids(128))]) == set(labels)


def test_parts_lie_where_they_are_visible():
    """Within a part that is one flat color, the picture hardly varies; across its border it does."""
    for post_id in IDS:
        image, parts = pixels(post_id), draw(post_id, 1).part_ids(128)
        hair = image[parts == HAIR].astype(int)
        median = np.median(hair, axis=0)
        others = ~np.isin(parts, [PART_IDS[part] for part in ("hair", "rearHair", "beard", "head", "eyebrows")])
        flat = (np.abs(image.astype(int) - median).max(axis=2) < 8) & others
        assert (np.abs(hair - median).max(axis=1) < 8).mean() > 0.6  # the rest are outlines and shades
        assert flat.mean() < 0.02  # nothing of the hair's color is outside hair and brows


def test_ears_are_at_the_sides_of_the_face():
    with_ears = 0
    for post_id in IDS:
        parts = draw(post_id, 1).part_ids(128)
        if (parts == PART_IDS["ears"]).any():
            with_ears += 1
            middle = np.nonzero(parts == PART_IDS["head"])[1].mean()
            assert np.abs(np.nonzero(parts == PART_IDS["ears"])[1] - middle).min() > 15
    assert with_ears > len(IDS) / 2


def test_details_lie_in_their_components():
    """The nose is on the face below the eyes, white eyeballs and dark pupils are around each other."""
    for post_id in IDS:
        image, parts = pixels(post_id, 512), draw(post_id, 1).part_ids(512)
        assert (COMPONENT_IDS[parts] == PART_IDS["eyes"]).sum() > (parts == PART_IDS["eyes"]).sum() > 0
        assert np.median(image[parts == PART_IDS["eyeballs"]], axis=0).min() > 200
        assert np.median(image[parts == PART_IDS["pupils"]], axis=0).max() < 100
        nose, pupils = (np.argwhere(parts == PART_IDS[part]).mean(0) for part in ("nose", "pupils"))
        assert 30 < nose[0] - pupils[0] < 130
        around = parts[int(nose[0]) - 14 : int(nose[0]) + 14, int(nose[1]) - 40 : int(nose[1]) + 40]
        assert (np.isin(around, [PART_IDS["nose"], PART_IDS["head"]])).mean() > 0.8


def test_hair_is_of_the_color_its_tag_names():
    palette = {name: lab(color) for name, color in HAIR_COLORS.items()}
    for post_id in IDS:
        image, parts = pixels(post_id), draw(post_id, 1).part_ids(128)
        color = rgb2lab(np.median(image[parts == HAIR], axis=0) / 255)
        nearest = min(palette, key=lambda name: float(deltaE_ciede2000(color, palette[name])))
        assert nearest in draw(post_id, 1).tags
        assert deltaE_ciede2000(color, palette[nearest]) < 6


def test_hair_colors_are_well_apart_and_those_of_the_config():
    colors = [lab(color) for color in HAIR_COLORS.values()]
    assert min(float(deltaE_ciede2000(a, b)) for i, a in enumerate(colors) for b in colors[:i]) > 15
    tags = yaml.safe_load(CONFIG.read_text())["tags"]
    assert tags["hair_colors"] == {name: [color] for name, color in HAIR_COLORS.items()}


def test_girls_have_no_beard_and_hair_has_one_length():
    lengths = {"short_hair", "medium_hair", "long_hair"}
    tags = [set(draw(i, 1).tags) for i in range(60)]
    assert all(
        len(t & lengths) == 1 and len(t & {"1girl", "1boy"}) == 1 and len(t & set(HAIR_COLORS)) == 1 for t in tags
    )
    assert any("facial_hair" in t for t in tags)
    assert not any({"facial_hair", "1girl"} <= t for t in tags)


def test_specks_are_filled_from_the_nearest_pixels_but_small_mouths_and_details_stay():
    body, mouth, head, nose = (PART_IDS[part] for part in ("body", "mouth", "head", "nose"))
    parts = np.zeros((128, 128), np.uint8)  # a speck has less than 4 pixels
    parts[64:] = HAIR
    parts[80, 10:13], parts[20, 20], parts[100, 100:102] = body, body, mouth
    parts[90, 50:54] = body
    parts[40:50, 40:50], parts[45, 45] = head, nose
    clean = _without_specks(parts)
    assert (clean[80, 10:13] == HAIR).all()
    assert clean[20, 20] == 0
    assert (clean[100, 100:102] == mouth).all()
    assert (clean[90, 50:54] == body).all()
    assert clean[45, 45] == nose


@pytest.mark.parametrize("size", [48, 200])
def test_any_size(size: int):
    assert pixels(1000, size).shape == (size, size, 3)
    assert draw(1000, 1).part_ids(size).shape == (size, size)
