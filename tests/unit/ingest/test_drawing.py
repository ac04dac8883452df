import io

import numpy as np
import pytest
import yaml
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from facemill.data.classes import BACKGROUND, CLASSES, FACE, HAIR, SKIN
from facemill.ingest.drawing import CLASS_OF_PART, FINE_LABELS, HAIR_COLORS, _without_specks, draw

IDS = range(1000, 1006)
HAIR_PART = list(FINE_LABELS).index("hair")


def pixels(id: int, size: int = 128) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(draw(id, 1).image(size))).convert("RGB"))


def lab(color: str) -> np.ndarray:
    return rgb2lab(np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]))


def test_the_same_id_and_seed_give_the_same_drawing_and_others_another():
    assert draw(1000, 1).image(64) == draw(1000, 1).image(64)
    assert len({draw(id, seed).image(64) for id in IDS for seed in (1, 2)}) == 2 * len(IDS)


def test_every_portrait_shows_the_parts_that_all_have():
    for id in IDS:
        seen = set(np.unique(CLASS_OF_PART[draw(id, 1).part_ids(128)]))
        assert seen == set(range(len(CLASSES)))


def test_parts_lie_where_they_are_seen():
    """Within a part that is one flat color, the picture hardly varies; across its border it does."""
    for id in IDS:
        image, parts = pixels(id), draw(id, 1).part_ids(128)
        hair = image[parts == HAIR_PART].astype(int)
        median = np.median(hair, axis=0)
        flat = (np.abs(image.astype(int) - median).max(axis=2) < 8) & ~np.isin(CLASS_OF_PART[parts], [HAIR, FACE])
        assert (np.abs(hair - median).max(axis=1) < 8).mean() > 0.6  # the rest are outlines and shades
        assert flat.mean() < 0.02  # nothing of the hair's color is outside hair and brows


def test_ears_are_skin_at_the_sides_of_the_face():
    ear, face = list(FINE_LABELS).index("ears"), list(FINE_LABELS).index("head")
    found = 0
    for id in IDS:
        parts = draw(id, 1).part_ids(128)
        if (parts == ear).any():
            found += 1
            xs, middle = np.nonzero(parts == ear)[1], np.nonzero(parts == face)[1].mean()
            assert np.abs(xs - middle).min() > 15
    assert found > len(IDS) / 2
    assert CLASS_OF_PART[ear] == SKIN


def test_hair_is_of_the_color_its_tag_names():
    palette = {name: lab(color) for name, color in HAIR_COLORS.items()}
    for id in IDS:
        image, parts = pixels(id), draw(id, 1).part_ids(128)
        found = rgb2lab(np.median(image[parts == HAIR_PART], axis=0) / 255)
        nearest = min(palette, key=lambda name: float(deltaE_ciede2000(found, palette[name])))
        assert nearest in draw(id, 1).tags
        assert deltaE_ciede2000(found, palette[nearest]) < 6


def test_hair_colors_are_well_apart_and_those_of_the_config():
    colors = [lab(color) for color in HAIR_COLORS.values()]
    assert min(float(deltaE_ciede2000(a, b)) for i, a in enumerate(colors) for b in colors[:i]) > 15
    with open("config/config.yaml") as file:
        assert yaml.safe_load(file)["tags"]["hair_colors"] == {name: [color] for name, color in HAIR_COLORS.items()}


def test_girls_have_no_beard_and_hair_has_one_length():
    lengths = {"short_hair", "medium_hair", "long_hair"}
    tags = [set(draw(id, 1).tags) for id in range(60)]
    assert all(
        len(t & lengths) == 1 and len(t & {"1girl", "1boy"}) == 1 and len(t & set(HAIR_COLORS)) == 1 for t in tags
    )
    assert any("facial_hair" in t for t in tags)
    assert not any({"facial_hair", "1girl"} <= t for t in tags)


def test_specks_go_to_what_is_nearest_but_small_mouths_stay():
    body, mouth = list(FINE_LABELS).index("body"), list(FINE_LABELS).index("mouth")
    parts = np.zeros((128, 128), np.uint8)  # a speck has less than 4 pixels
    parts[64:] = HAIR_PART
    parts[80, 10:13], parts[20, 20], parts[100, 100:102] = body, body, mouth
    parts[90, 50:54] = body
    clean = _without_specks(parts)
    assert (clean[80, 10:13] == HAIR_PART).all()
    assert clean[20, 20] == BACKGROUND
    assert (clean[100, 100:102] == mouth).all()
    assert (clean[90, 50:54] == body).all()


@pytest.mark.parametrize("size", [48, 200])
def test_any_size(size: int):
    assert pixels(1000, size).shape == (size, size, 3)
    assert draw(1000, 1).part_ids(size).shape == (size, size)
