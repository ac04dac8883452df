"""The table of posts of each kind of collection; checksums of its files."""

import re
import zipfile
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


@pytest.mark.parametrize(
    ("kind", "option", "content", "fault"),
    [
        ("folder", "tags", "", "source.images: none of 4 images can be read; accepted: image files"),
        (
            "danbooru",
            "metadata",
            '{"id": 9, "tag_string": ""}\n',
            "source.metadata: none of 4 images belongs to a post",
        ),
        ("celeba", "attributes", "1\nSmiling\n9.png 1\n", "source.attributes: none of 4 images has a row; accepted"),
    ],
)
def test_a_collection_without_a_post_stops_with_the_reasons_of_its_rejects(tmp_path, kind, option, content, fault):
    folder, table = tmp_path / "images", tmp_path / "table"
    folder.mkdir()
    table.write_text(content)
    for name in ("a.png", "b.png", "c.png", "d.png"):
        (folder / name).write_text("no image")
    settings = SourceConfig(images=folder)
    files = {"metadata": [table]} if option == "metadata" else {option: table} if content else {}
    outputs = {"posts": tmp_path / "posts.parquet", "rejects": tmp_path / "rejects.parquet"}
    with pytest.raises(UserError, match=f"^{fault}") as caught:
        ingest_posts(kind=kind, settings=settings, images=[folder], **files, **outputs)
    assert re.search(r"\n  4 rejected: .*: a, b, c, d(\n|$)", str(caught.value))
    assert not outputs["posts"].exists()


def test_rejects_are_counted_by_reason_in_the_log_and_the_first_named(tmp_path, images, caplog):
    for number in range(20, 35):
        (images / f"{number}.png").write_text("no image")
    outputs = {"posts": tmp_path / "posts.parquet", "rejects": tmp_path / "rejects.parquet"}
    caplog.set_level("INFO", "facemill")
    ingest_posts(kind="folder", settings=SourceConfig(images=images), images=[images], **outputs)
    summary = caplog.records[-1].getMessage().splitlines()
    assert summary[0] == "3 posts, 16 rejected"
    [line] = [line for line in summary[1:] if "not a readable image" in line]
    assert re.search(r"^  16 rejected: .*: (20, 21, .*|.*, 27, 28) and 6 more$", line)


def test_rejects_are_the_same_bytes_in_each_run(tmp_path, images):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in sorted(images.iterdir()):
            archive.write(path, path.name)
    sums = set()
    for run in range(2):
        outputs = {"posts": tmp_path / f"{run}.parquet", "rejects": tmp_path / f"{run}-rejects.parquet"}
        settings = SourceConfig(images=tmp_path / "images.zip")
        ingest_posts(kind="folder", settings=settings, images=[tmp_path / "images.zip"], **outputs)
        sums.add(tuple(map(sha256, outputs.values())))
    assert len(sums) == 1 and pl.read_parquet(outputs["rejects"])["reason"].str.contains("0x").any() is False
