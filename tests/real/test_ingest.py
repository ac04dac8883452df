"""Danbooru's metadata in both forms, a folder of anime portraits, and CelebA, as found."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemill.config import Filter
from facemill.ingest.celeba import read_celeba
from facemill.ingest.danbooru import read_danbooru
from facemill.ingest.filter import select
from facemill.ingest.portraits import load_portrait
from facemill.ingest.posts import read_folder

DATA = Path(os.environ.get("FACEMILL_REAL_DATA", "../shared/data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")


def test_danbooru_metadata_of_both_forms(tmp_path: Path):
    dump = DATA / "danbooru-metadata/danbooru2021_jsonl_1line.jsonl"
    api = DATA / "danbooru-metadata/danbooru_api_posts_10.json"
    expected = {str(post["id"]): post for post in json.loads(api.read_text())}
    for id in [*expected, "263162"]:
        Image.new("RGB", (4, 4)).save(tmp_path / f"{id}.jpg")
    collection = read_danbooru([dump, api], tmp_path, 0)
    rows = {row["id"]: row for row in collection.posts_table().to_dicts()}
    assert collection.rejects == []
    assert rows.keys() == {"263162", *expected}
    old = rows["263162"]
    assert (old["score"], old["fav_count"], old["width"], old["height"], old["rating"]) == (1, 3, 797, 794, "s")
    assert len(old["tags"]) == 18 and "larva_(vampire_princess_miyu)" in old["tags"]
    for id, post in expected.items():
        assert rows[id]["tags"] == post["tag_string"].split()
        for column, key in {"fav_count": "fav_count", "score": "score", "width": "image_width", "md5": "md5"}.items():
            assert rows[id][column] == post[key]
        assert rows[id]["created_at"].isoformat()[:4] == post["created_at"][:4]
    kept, _ = select(collection.posts_table(), Filter(tags_all=["solo"]), 1)
    assert set(kept["id"]) == {id for id, post in expected.items() if "solo" in post["tag_string"].split()}


def test_a_folder_of_anime_portraits():
    collection = read_folder(DATA / "anime-portraits/images")
    posts = collection.posts_table()
    assert (len(posts), len(collection.rejects)) == (1500, 0)
    assert (posts["ext"] == "png").sum() == 20  # under a .jpg name
    assert set(posts["width"]) == set(posts["height"]) == {256}
    for path in [*posts.filter(posts["ext"] == "png")["path"][:5], *posts["path"][:20]]:
        with Image.open(path) as image:
            small = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BOX), int)
        found = load_portrait(Path(path), 128).reshape(32, 4, 32, 4, 3).mean((1, 3))
        assert np.abs(found - small).mean() < 2


def test_celeba(tmp_path: Path):
    with zipfile.ZipFile(DATA / "celeba/img_align_celeba.zip") as archive:
        archive.extractall(tmp_path, archive.namelist()[:300])
    collection = read_celeba(DATA / "celeba/list_attr_celeba.txt", tmp_path, 0)
    posts = collection.posts_table()
    assert posts["id"].to_list() == [f"{n:06}" for n in range(1, 301)]
    assert len(collection.rejects) == 20_000 - 300
    assert set(posts.select("width", "height").rows()) == {(89, 109)}
    assert {"Smiling", "Young", "Brown_Hair"} <= set(posts["tags"][0]) and "Male" not in posts["tags"][0]
    assert load_portrait(Path(posts["path"][0]), 64).shape == (64, 64, 3)
