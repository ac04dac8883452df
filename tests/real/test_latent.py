"""Hair colours of real drawings: what people tagged or see, and what the median colour is called."""

import csv
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from skimage.color import rgb2lab

from facemill.classes import BACKGROUND, FACE, HAIR
from facemill.colors import region_colors
from facemill.config import Labels
from facemill.label.convert import labelled_portraits
from facemill.latent.colors import Palette, lab_palette, name_by_color
from facemill.shards import decode_image, decode_mask

DATA = Path(os.environ.get("FACEMILL_REAL_DATA", "../shared/data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")
CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())

SEEN = {
    "black_hair": ["0034", "0130", "0223", "0240", "0569", "1059", "1158", "1881"],
    "brown_hair": ["0698", "1117", "1539", "1726", "1828", "2716", "3257", "3370"],
    "blonde_hair": ["0434", "0989", "1145", "1264", "1509", "1517", "2289", "2846", "2944", "3144"],
    "pink_hair": ["1226", "2358"],
    "red_hair": ["3079"],
    "grey_hair": ["2652"],
}
"""Labelled portraits whose hair has, to the eye, one plain colour."""


@pytest.fixture(scope="module")
def palette() -> Palette:
    return lab_palette(CONFIG["tags"]["hair_colors"])


def test_plain_hair_is_called_what_it_is_seen_as(palette):
    rows = {
        row["id"]: row for row in labelled_portraits(DATA / "anime-portraits/labelled", Labels(**CONFIG["labels"]), 128)
    }
    for name, ids in SEEN.items():
        for id in ids:
            image, mask = decode_image(rows[id]["image"]["bytes"]), decode_mask(rows[id]["mask"]["bytes"])
            assert name_by_color(region_colors(image, mask)["hair"], palette)[0] == name, id


def rough_mask(image: np.ndarray) -> np.ndarray:
    """The hair of a 64 px face: what is above the eyes and unlike the cheeks."""
    lab = rgb2lab(image)
    mask = np.full(image.shape[:2], BACKGROUND, np.uint8)
    cheeks = np.median(lab[38:48, 24:40].reshape(-1, 3), axis=0)
    mask[1:18, 8:56] = np.where(np.linalg.norm(lab - cheeks, axis=2)[1:18, 8:56] > 18, HAIR, FACE)
    return mask


def test_names_agree_with_peoples_tags(palette):
    agreed = []
    with (DATA / "tagged-faces/tags.csv").open() as file, zipfile.ZipFile(DATA / "tagged-faces/images.zip") as images:
        for id, text in list(csv.reader(file))[::8]:
            tag = re.search(r"(\w+) hair", text)
            name = f"{tag[1]}_hair".replace("gray", "grey") if tag else None
            if name in palette:
                image = decode_image(images.read(f"{id}.jpg"))
                found, _ = name_by_color(region_colors(image, rough_mask(image))["hair"], palette)
                agreed.append(found == name)
    assert len(agreed) > 500
    assert np.mean(agreed) > 0.65  # 0.11 by chance; the masks are rough
