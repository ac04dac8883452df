import datetime
import json
from pathlib import Path

import pytest
from PIL import Image

from facemill.errors import BadInput
from facemill.ingest.danbooru import read_danbooru

DUMP = {
    "id": "263162", "created_at": "2008-06-10 03:08:07.34205 UTC", "score": "-1", "md5": "9a0f", "rating": "s",
    "image_width": "797", "image_height": "794", "file_ext": "jpg", "is_deleted": False, "is_banned": True,
    "tags": [{"id": "1", "name": "1girl", "category": "0"}, {"id": "2", "name": "blue_hair", "category": "0"}],
    "favs": ["15115", "159766", "23892"], "pools": [],
}  # fmt: skip
API = {
    "id": 4018204, "created_at": "2020-07-26T10:31:20.176-04:00", "score": 1, "md5": "4f39", "rating": "g",
    "image_width": 1037, "image_height": 988, "file_ext": "png", "is_deleted": True, "is_banned": False,
    "tag_string": "1girl ahoge solo", "fav_count": 5,
}  # fmt: skip


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("0162/263162.jpg", "0204/4018204.jpg"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(path)
    return tmp_path / "images"


def write(path: Path, *records: dict | str) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


def test_both_forms_give_the_same_typed_posts(tmp_path: Path, images: Path):
    lines = write(tmp_path / "dump.jsonl", DUMP)
    api = write(tmp_path / "api.json", json.dumps([API], indent=1))
    collection = read_danbooru([lines, api], images, 0)
    dump_row, api_row = collection.posts_table().to_dicts()
    assert collection.rejects == []
    assert dump_row == {
        "id": "263162", "md5": "9a0f", "rating": "s", "score": -1, "fav_count": 3, "width": 797, "height": 794,
        "created_at": datetime.datetime(2008, 6, 10, 3, 8, 7, 342050, datetime.UTC), "ext": "jpg",
        "is_deleted": False, "is_banned": True, "tags": ["1girl", "blue_hair"], "path": f"{images}/0162/263162.jpg",
    }  # fmt: skip
    assert api_row == {
        "id": "4018204", "md5": "4f39", "rating": "g", "score": 1, "fav_count": 5, "width": 1037, "height": 988,
        "created_at": datetime.datetime(2020, 7, 26, 14, 31, 20, 176000, datetime.UTC), "ext": "png",
        "is_deleted": True, "is_banned": False, "tags": ["1girl", "ahoge", "solo"],
        "path": f"{images}/0204/4018204.jpg",
    }  # fmt: skip


def test_the_api_form_as_lines(tmp_path: Path, images: Path):
    assert list(read_danbooru([write(tmp_path / "a.jsonl", API, DUMP)], images, 0).posts) == ["4018204", "263162"]


def test_flat_folders_of_images(tmp_path: Path):
    (tmp_path / "flat").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "flat/263162.png")
    posts = read_danbooru([write(tmp_path / "m.jsonl", DUMP)], tmp_path / "flat", 0).posts
    assert posts["263162"].path == str(tmp_path / "flat/263162.png")


BROKEN = {
    "cut short": json.dumps(DUMP)[:99],
    "no id": json.dumps({"score": "1"}),
    "unknown rating": json.dumps(DUMP | {"rating": "x"}),
    "no number": json.dumps(DUMP | {"image_width": "wide"}),
    "too large": json.dumps(DUMP | {"score": "99999999999"}),
    "no date": json.dumps(DUMP | {"created_at": "yesterday"}),
    "no UTF-8": '{"id": "1", "md5": "\udcff"}',
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_broken_lines_are_rejected_with_their_place(tmp_path: Path, images: Path, line: str):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b"\n".join([json.dumps(API).encode(), b"", line.encode(errors="surrogateescape"), b""]))
    collection = read_danbooru([path], images, 0.5)
    assert list(collection.posts) == ["4018204"]
    (source, number, id, reason), (unnamed, *_) = collection.rejects
    assert (source, number, id) == (str(path), 3, None)
    assert reason.startswith("broken metadata: ")
    assert unnamed.endswith("263162.jpg")
    with pytest.raises(BadInput, match=r"1 of 2 metadata records are broken, the first .*m.jsonl:3: "):
        read_danbooru([path], images, 0.49)


def test_posts_without_image_and_images_without_post_are_rejected(tmp_path: Path, images: Path):
    path = write(tmp_path / "m.jsonl", DUMP, DUMP | {"id": "77", "file_ext": "mp4"})
    collection = read_danbooru([path], images, 0)
    assert list(collection.posts) == ["263162"]
    assert collection.rejects == [
        (str(path), 2, "77", "no image file with this id"),
        (f"{images}/0204/4018204.jpg", None, "4018204", "the metadata names no such image"),
    ]


def test_a_list_that_is_cut_short(tmp_path: Path, images: Path):
    path = tmp_path / "api.json"
    path.write_text(json.dumps([API])[:-5])
    with pytest.raises(BadInput, match=r"api.json: not a whole JSON list .*; accepted: JSON lines or a JSON list"):
        read_danbooru([path], images, 0.5)
