"""Hair colors of real drawings: what people tagged or see, and what the median color is called."""

import csv
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from skimage.color import rgb2lab

from facemill.config.label import LabelsConfig
from facemill.config.latent import TagsConfig
from facemill.data.classes import BACKGROUND, FACE, HAIR, SEVEN
from facemill.data.shards import decode_image, decode_mask
from facemill.imaging.colors import region_colors
from facemill.label.label_files import labelme_files
from facemill.label.labelled_rows import labelled_rows
from facemill.latent.tag_portraits import agreement, believed_tags, color_tagger, names_of, tag_row
from facemill.taggers.local import CollectionTagger
from facemill.taggers.tagger import TaggerInput

DATA = Path(os.environ.get("FACEMILL_REAL_DATA", "../shared/data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")
CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config/config.yaml").read_text())

SEEN = {
    "black_hair": ["0034", "0130", "0223", "0240", "0569", "1059", "1158", "1881"],
    "brown_hair": ["0698", "1117", "1539", "1726", "1828", "2716", "3257", "3370"],
    "blonde_hair": ["0434", "0989", "1145", "1264", "1509", "1517", "2289", "2846", "2944", "3144"],
    "pink_hair": ["1226", "2358"],
    "red_hair": ["3079"],
    "grey_hair": ["2652"],
}
"""Labelled portraits whose hair has, to the eye, one plain color."""


@pytest.fixture(scope="module")
def settings() -> TagsConfig:
    """The config's, with what config/folder.yaml adds."""
    folder = yaml.safe_load((Path(__file__).parents[2] / "config/folder.yaml").read_text())["tags"]
    return TagsConfig(**CONFIG["tags"] | {"hair_colors": CONFIG["tags"]["hair_colors"] | folder["hair_colors"]})


def test_plain_hair_is_called_what_it_is_seen_as():
    tagger, names = color_tagger(TagsConfig(**CONFIG["tags"])), list(CONFIG["tags"]["hair_colors"])
    files = labelme_files(DATA / "anime-portraits/labelled", LabelsConfig(**CONFIG["labels"]), SEVEN)
    rows = {row["id"]: row for row in labelled_rows(files, SEVEN, 128)[0]}
    for name, ids in SEEN.items():
        for id in ids:
            image, mask = decode_image(rows[id]["image"]["bytes"]), decode_mask(rows[id]["mask"]["bytes"])
            portrait = TaggerInput(image, colors=region_colors(image, mask))
            probable = tagger.estimate_specific_tags([portrait], names)[0]
            assert max(probable, key=probable.get) == name, id


def rough_mask(image: np.ndarray) -> np.ndarray:
    """The hair of a 64 px face: what is above the eyes and unlike the cheeks."""
    lab = rgb2lab(image)
    mask = np.full(image.shape[:2], BACKGROUND, np.uint8)
    cheeks = np.median(lab[38:48, 24:40].reshape(-1, 3), axis=0)
    mask[1:18, 8:56] = np.where(np.linalg.norm(lab - cheeks, axis=2)[1:18, 8:56] > 18, HAIR, FACE)
    return mask


def test_colors_agree_with_peoples_tags(settings):
    groups = {"hair_color": names_of(settings)["hair_color"]}
    ids, portraits = [], []
    with (DATA / "tagged-faces/tags.csv").open() as file, zipfile.ZipFile(DATA / "tagged-faces/images.zip") as images:
        for id, text in list(csv.reader(file))[::8]:
            image = decode_image(images.read(f"{id}.jpg"))
            colors = region_colors(image, rough_mask(image))
            portraits.append(TaggerInput(image, re.findall(r"\w+ (?:hair|eyes)", text), colors))
            ids.append(id)
    taggers = {"tags": CollectionTagger(groups["hair_color"]), "color": color_tagger(settings)}
    believed = believed_tags(taggers, portraits, groups, [])
    rows = [tag_row(id, own, groups, None) for id, own in zip(ids, believed, strict=True)]
    found = agreement(rows, groups, ["tags", "color"])["hair_color"]
    assert found["names"]["grey_hair"] > 50  # they write gray
    assert found["tags_color"]["images"] > 900
    assert found["tags_color"]["agreement"] > 0.6 and found["tags_color"]["kappa"] > 0.5  # the masks are rough
