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
from facemill.data.classes import SEVEN
from facemill.data.shards import decode_image, decode_mask
from facemill.imaging.colors import region_colors
from facemill.label.label_files import labelme_files
from facemill.label.labelled_rows import labelled_rows
from facemill.latent.compare_tags import agreement
from facemill.latent.tag_portraits import tag_row
from facemill.latent.tag_sources import assign_tags, color_tagger, group_names
from facemill.taggers.local import CollectionTagger
from facemill.taggers.tagger import TaggerInput

DATA = Path(os.environ.get("FACEMILL_REAL_DATA", "../shared/data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")
ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
BACKGROUND, FACE, HAIR = (SEVEN.names.index(name) for name in ("background", "face", "hair"))

PLAIN_HAIR = {
    "black_hair": ["0034", "0130", "0223", "0240", "0569", "1059", "1158", "1881"],
    "brown_hair": ["0698", "1117", "1539", "1726", "1828", "2716", "3257", "3370"],
    "blonde_hair": ["0434", "0989", "1145", "1264", "1509", "1517", "2289", "2846", "2944", "3144"],
    "pink_hair": ["1226", "2358"],
    "red_hair": ["3079"],
    "grey_hair": ["2652"],
}
"""Labelled portraits whose hair has, to the eye, one plain color."""


@pytest.fixture(scope="module")
def tags_config() -> TagsConfig:
    """The config's, with what config/folder.yaml adds."""
    folder = yaml.safe_load((ROOT / "config/folder.yaml").read_text())["tags"]
    return TagsConfig(**CONFIG["tags"] | {"hair_colors": CONFIG["tags"]["hair_colors"] | folder["hair_colors"]})


def test_plain_hair_has_the_name_that_people_give_it():
    tagger, names = color_tagger(TagsConfig(**CONFIG["tags"])), list(CONFIG["tags"]["hair_colors"])
    files = labelme_files(DATA / "anime-portraits/labelled", LabelsConfig(**CONFIG["labels"]), SEVEN)
    rows = {row["id"]: row for row in labelled_rows(files, SEVEN, 128)[0]}
    for name, ids in PLAIN_HAIR.items():
        for row in (rows[portrait_id] for portrait_id in ids):
            image, mask = decode_image(row["image"]["bytes"]), decode_mask(row["mask"]["bytes"], SEVEN)
            portrait = TaggerInput(image, colors=region_colors(image, mask, SEVEN))
            [probs] = tagger.estimate_specific_tags([portrait], names)
            assert max(probs, key=probs.get) == name, row["id"]


def rough_mask(image: np.ndarray) -> np.ndarray:
    """The hair of a 64 px face: the pixels above the eyes with another color than the cheeks."""
    lab = rgb2lab(image)
    mask = np.full(image.shape[:2], BACKGROUND, np.uint8)
    cheeks = np.median(lab[38:48, 24:40].reshape(-1, 3), axis=0)
    mask[1:18, 8:56] = np.where(np.linalg.norm(lab - cheeks, axis=2)[1:18, 8:56] > 18, HAIR, FACE)
    return mask


def test_colors_agree_with_peoples_tags(tags_config):
    groups = {"hair_color": group_names(tags_config)["hair_color"]}
    ids, portraits = [], []
    with (DATA / "tagged-faces/tags.csv").open() as file, zipfile.ZipFile(DATA / "tagged-faces/images.zip") as images:
        for portrait_id, text in list(csv.reader(file))[::8]:
            image = decode_image(images.read(f"{portrait_id}.jpg"))
            colors = region_colors(image, rough_mask(image), SEVEN)
            portraits.append(TaggerInput(image, re.findall(r"\w+ (?:hair|eyes)", text), colors))
            ids.append(portrait_id)
    taggers = {"tags": CollectionTagger(groups["hair_color"]), "color": color_tagger(tags_config)}
    assigned = assign_tags(taggers, portraits, groups, [])
    rows = [tag_row(row_id, tags, groups, None) for row_id, tags in zip(ids, assigned, strict=True)]
    values = agreement(rows, groups, ["tags", "color"])["hair_color"]
    assert values["names"]["grey_hair"] > 50  # they write gray
    assert values["tags_color"]["images"] > 900
    assert values["tags_color"]["agreement"] > 0.6 and values["tags_color"]["kappa"] > 0.5  # the masks are rough
