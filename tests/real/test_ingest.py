"""Danbooru's metadata in both forms, folders and archives of faces with and without tags, and CelebA, as found."""

import gzip
import io
import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from facemill.config.ingest import DetectorConfig, FilterConfig, PortraitsConfig, SourceConfig
from facemill.data.shards import decode_image
from facemill.errors import UserError
from facemill.ingest.archives import read_image
from facemill.ingest.faces import face_detector
from facemill.ingest.filter_posts import select
from facemill.ingest.find_duplicates import match_duplicates
from facemill.ingest.find_portraits import CANDIDATES, find_candidates
from facemill.ingest.ingest_posts import ingest_posts
from facemill.ingest.portraits import Unreadable, crop_portrait, load_portrait

DATA = Path(os.environ.get("FACEMILL_REAL_DATA", "../shared/data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")


@pytest.fixture
def ingest(tmp_path: Path):
    """A function that ingests a collection as the rule does and gives the tables of posts and rejects."""

    def tables(kind: str, **source) -> tuple[pl.DataFrame, pl.DataFrame]:
        settings = SourceConfig(**source)
        paths = {key: locations for key, locations in settings.files().items() if locations}
        single = {key: paths.pop(key)[0] for key in ("attributes", "partition", "tags") if key in paths}
        posts, rejects = tmp_path / "out/posts.parquet", tmp_path / "out/rejects.parquet"
        ingest_posts(kind=kind, settings=settings, posts=posts, rejects=rejects, **paths, **single)
        return pl.read_parquet(posts), pl.read_parquet(rejects)

    return tables


def bucketed(folder: Path, ids: list[str]) -> Path:
    for post_id in ids:
        path = folder / f"{int(post_id) % 1000:04}/{post_id}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    return folder


def test_danbooru_metadata_of_both_forms(tmp_path: Path, ingest):
    dump = DATA / "danbooru-metadata/danbooru2021_jsonl_1line.jsonl"
    api = DATA / "danbooru-metadata/danbooru_api_posts_10.json"
    packed = tmp_path / "2021.json.gz"
    packed.write_bytes(gzip.compress(dump.read_bytes()))
    expected = {str(post["id"]): post for post in json.loads(api.read_text())}
    images = bucketed(tmp_path / "images", [*expected, "263162"])
    posts, rejects = ingest("danbooru", images=images, metadata=[packed, api], max_broken=0)
    rows = {row["id"]: row for row in posts.to_dicts()}
    assert rejects.is_empty() and rows.keys() == {"263162", *expected}
    old = rows["263162"]
    assert (old["score"], old["fav_count"], old["width"], old["height"], old["rating"]) == (1, 3, 797, 794, "s")
    assert len(old["tags_general"]) == 14 and old["tags_artist"] == ["kakinouchi_narumi"]
    assert (
        old["tags_copyright"] == ["vampire_princess_miyu"] and "larva_(vampire_princess_miyu)" in old["tags_character"]
    )
    for post_id, post in expected.items():
        for category in ("general", "artist", "copyright", "character", "meta"):
            assert rows[post_id][f"tags_{category}"] == post[f"tag_string_{category}"].split()
        columns = {"width": "image_width", "height": "image_height", "ext": "file_ext"}
        for column in ("fav_count", "score", "md5", "rating", "source", "is_deleted", "is_banned", *columns):
            assert rows[post_id][column] == post[columns.get(column, column)]
        assert rows[post_id]["created_at"].isoformat()[:4] == post["created_at"][:4]
    solo = {post_id for post_id, post in expected.items() if "solo" in post["tag_string"].split()}
    for tag in ("solo", "sol*"):
        assert set(select(tmp_path / "out/posts.parquet", FilterConfig(tags_all=[tag]), 1)[0]["id"]) == solo


@pytest.mark.parametrize(
    ("name", "reason"), [("danbooru_api_posts.xml", "XML or HTML"), ("danbooru_tags_2020.json", "no post")]
)
def test_files_that_hold_no_posts(tmp_path: Path, ingest, name: str, reason: str):
    with pytest.raises(UserError, match=reason):
        ingest("danbooru", images=bucketed(tmp_path / "images", ["1"]), metadata=[DATA / "danbooru-metadata" / name])


def test_a_folder_of_anime_portraits(ingest):
    posts, rejects = ingest("folder", images=DATA / "anime-portraits/images")
    assert (len(posts), len(rejects)) == (1500, 0)
    assert (posts["ext"] == "png").sum() == 20  # under a .jpg name
    assert set(posts["width"]) == set(posts["height"]) == {256}
    for path in [*posts.filter(posts["ext"] == "png")["path"][:5], *posts["path"][:20]]:
        with Image.open(path) as image:
            small = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BOX), int)
        portrait = load_portrait(Path(path), 128).reshape(32, 4, 32, 4, 3).mean((1, 3))
        assert np.abs(portrait - small).mean() < 2


def candidates(posts: pl.DataFrame, settings: PortraitsConfig) -> tuple[list[dict], int]:
    """The candidates of the posts, and the number of posts without any."""
    detect = face_detector(settings.detector) if settings.detector else None
    rows, without = [], 0
    for post in posts.to_dicts():
        try:
            rows += find_candidates(post, settings, detect)
        except Unreadable as error:
            assert str(error) == "no face"
            without += 1
    return rows, without


def test_the_anime_face_cascade_finds_most_faces(ingest):
    posts, _ = ingest("folder", images=DATA / "anime-portraits/images")
    cascade = DATA / "weights/lbpcascade_animeface.xml"
    settings = PortraitsConfig(size=64, shards=1, detector=DetectorConfig(kind="cascade", cascade=cascade, min_face=48))
    rows, without = candidates(posts.sort("id")[:60], settings)
    assert without < 24 and 36 < len(rows) < 80
    path = {post["id"]: post["path"] for post in posts.to_dicts()}[rows[0]["post"]]
    boxes = [row for row in rows if row["bottom"] - row["top"] > 0.3]
    assert len(boxes) > 30 and decode_image(crop_portrait(read_image(path), None, 32, 64)[0]).shape == (64, 32, 3)


def test_near_duplicates_of_anime_portraits(tmp_path: Path, ingest):
    """Of 300 portraits, 20 of them twice, once smaller and compressed: the copies go, hardly another."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number, path in enumerate(sorted((DATA / "anime-portraits/images").iterdir())[:300]):
        with Image.open(path) as image:
            image.convert("RGB").save(folder / f"{path.stem}.png")
            if number < 20:
                image.convert("RGB").resize((160, 160)).save(folder / f"{path.stem}-copy.jpg", quality=60)
    posts, _ = ingest("folder", images=folder)
    rows = pl.from_arrow(pa.Table.from_pylist(candidates(posts, PortraitsConfig(size=64, shards=1))[0], CANDIDATES))
    repeats = match_duplicates(rows["id"].to_list(), rows["hash"].to_numpy(), rows["pixels"].to_numpy(), 6)
    copies = {row["id"]: row["repeats"] for row in repeats.to_dicts() if row["id"].endswith("-copy")}
    assert len(copies) >= 19 and all(copy == f"{original}-copy" for copy, original in copies.items())
    assert len(repeats) - len(copies) <= 6


def test_tagged_faces_in_a_zip(ingest):
    source = {"images": DATA / "tagged-faces/images.zip", "tags": DATA / "tagged-faces/tags.csv"}
    posts, rejects = ingest("folder", **source, tag_pattern=r"\w+ (?:hair|eyes)")
    assert len(posts) == 8000 and rejects.is_empty()
    tags = dict(posts.select("id", "tags_general").rows())
    assert tags["2"] == ["aqua_hair", "aqua_eyes"]
    assert all(1 <= len(image_tags) <= 2 for image_tags in tags.values())
    path, offset, length = posts.select("path", "offset", "length").row(17)
    assert Image.open(io.BytesIO(read_image(path, offset, length))).size == (64, 64)


def test_celeba_in_its_zip(tmp_path: Path, ingest):
    celeba = DATA / "celeba"
    source = {"attributes": celeba / "list_attr_celeba.txt", "partition": celeba / "list_eval_partition.txt"}
    posts, rejects = ingest("celeba", images=celeba / "img_align_celeba.zip", **source, max_broken=0)
    assert sorted(posts["id"]) == [f"{n:06}" for n in range(1, 5001)]
    assert rejects["reason"].unique().to_list() == ["no image file with this id"] and len(rejects) == 15_000
    assert set(posts.select("width", "height").rows()) == {(89, 109)} and set(posts["split"]) == {"train"}
    first = posts.filter(id="000001").row(0, named=True)
    assert first["attributes"]["Smiling"] and not first["attributes"]["Male"] and len(first["attributes"]) == 40
    assert {"Smiling", "Young", "Brown_Hair"} <= set(first["tags_general"])
    kept, _ = select(tmp_path / "out/posts.parquet", FilterConfig(tags_all=["Smiling"], tags_none=["Wearing_*"]), 1)
    assert 0 < len(kept) < 2500 and all(not any(t.startswith("Wearing_") for t in tags) for tags in kept["tags"])
    assert decode_image(crop_portrait(read_image(first["path"]), None, 64, 64)[0]).shape == (64, 64, 3)
