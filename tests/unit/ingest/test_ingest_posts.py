"""The table of posts of each kind of collection; checksums of its files."""

from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from facemill.config.ingest import SourceConfig
from facemill.errors import UserError
from facemill.files import sha256
from facemill.ingest.ingest_posts import check_sums, ingest_posts


@pytest.fixture
def images(tmp_path) -> Path:
    """Three images and a file that is none."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
    (folder / "3.png").write_text("no image")
    return folder


def test_a_folder_becomes_posts_with_the_tags_of_a_csv_file(tmp_path, images):
    (tmp_path / "tags.csv").write_text("0,1girl blue_hair\n9,solo\n")
    outputs = {"posts": tmp_path / "posts.parquet", "rejects": tmp_path / "rejects.parquet"}
    settings = SourceConfig(images=images, tags=tmp_path / "tags.csv")
    ingest_posts(kind="folder", settings=settings, images=[images], tags=tmp_path / "tags.csv", **outputs)
    posts, rejects = (pl.read_parquet(path) for path in outputs.values())
    assert {"0", "1", "2"} <= set(posts["id"]) and posts.height + rejects.height >= 4
    assert posts.filter(pl.col("id") == "0")["tags_general"].to_list() == [["1girl", "blue_hair"]]


@pytest.mark.parametrize(("kind", "option"), [("celeba", "attributes"), ("danbooru", "metadata")])
def test_a_kind_without_its_metadata_is_refused(tmp_path, images, kind, option):
    outputs = {"posts": tmp_path / "posts.parquet", "rejects": tmp_path / "rejects.parquet"}
    with pytest.raises(UserError, match=f"--{option}: found nothing; accepted: .* kind '{kind}' needs"):
        ingest_posts(kind=kind, settings=SourceConfig(images=images), images=[images], **outputs)
    assert not outputs["posts"].exists()


def test_a_file_with_another_checksum_is_refused(tmp_path):
    archive = tmp_path / "images.zip"
    archive.write_bytes(b"content")
    right = SourceConfig(images=archive, sha256={str(archive): sha256(archive).upper()})
    check_sums(right, {"images": [archive]})
    wrong = SourceConfig(images=archive, sha256={str(archive): "0" * 64})
    with pytest.raises(UserError, match=f"source.images: .* has sha256 {sha256(archive)}; accepted: 000"):
        check_sums(wrong, {"images": [archive]})


def test_a_folder_has_no_checksum(images):
    settings = SourceConfig(images=images, sha256={str(images): "0" * 64})
    with pytest.raises(UserError, match="a folder; accepted: a file"):
        check_sums(settings, {"images": [images]})
