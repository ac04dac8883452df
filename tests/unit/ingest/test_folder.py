import io
import os
import re
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from facemill.errors import UserError
from facemill.ingest.archives import read_image
from facemill.ingest.folder import read_folder
from facemill.ingest.images import list_images


@pytest.fixture
def read(tmp_path: Path, collect):
    """A function that reads the folder `images` with a CSV of tags."""

    def tables(tags: str | None = None, pattern: str | None = None):
        if tags is not None:
            (tmp_path / "tags.csv").write_text(tags)
        path = None if tags is None else tmp_path / "tags.csv"
        return collect(lambda c: read_folder(list_images([tmp_path / "images"], c.reject), path, pattern, c))

    return tables


def test_a_folder_gives_a_post_for_each_image(tmp_path: Path, read, picture):
    folder = tmp_path / "images"
    picture(folder / "10.png")
    picture(folder / "deep/9.JPG", (3, 5), "JPEG")
    picture(folder / "a/cat.jpg", kind="PNG")  # PNG data under another name
    picture(folder / "b/cat.png")
    posts, _ = read()
    rows = {row["id"]: row for row in posts.to_dicts()}
    extensions = {"9": "jpg", "10": "png", "a/cat.jpg": "png", "b/cat.png": "png"}
    assert {post_id: row["ext"] for post_id, row in rows.items()} == extensions
    assert (rows["9"]["width"], rows["9"]["height"], rows["9"]["score"]) == (3, 5, None)
    assert Path(rows["9"]["path"]) == folder / "deep/9.JPG"


def test_what_is_no_image_is_rejected(tmp_path: Path, read, picture):
    picture(tmp_path / "images/good.png")
    (tmp_path / "images/bad.png").write_bytes(b"GIF89 or not")
    (tmp_path / "images/empty.jpg").touch()
    posts, rejects = read()
    assert posts["id"].to_list() == ["good"] and rejects["id"].to_list() == ["bad", "empty"]
    assert all(reason.startswith("not a readable image") for reason in rejects["reason"])


@pytest.mark.parametrize(
    ("text", "pattern", "tags"),
    [
        ("a,1girl blue_hair\nb.png,solo\n", None, [["1girl", "blue_hair"], ["solo"]]),
        ('id,tags\na,"1girl, blue hair"\nsub/b.png,"solo,"\n', None, [["1girl", "blue_hair"], ["solo"]]),
        ("a,1girl,blue hair\nb\n", None, [["1girl", "blue_hair"], []]),
        ("a,aqua hair green eyes\n", r"\w+ (?:hair|eyes)", [["aqua_hair", "green_eyes"], []]),
        ("\ufeffa,x x\n", None, [["x"], []]),
    ],
)
def test_tags_from_a_csv_file(tmp_path: Path, read, picture, text: str, pattern: str | None, tags: list[list[str]]):
    picture(tmp_path / "images/a.png")
    picture(tmp_path / "images/sub/b.png")
    posts, rejects = read(text, pattern)
    assert dict(posts.select("id", "tags_general").rows()) == dict(zip("ab", tags, strict=True)) and rejects.is_empty()


FORMS = {
    "commas": 'image,tags\na.png,"black hair, smile"\nb.png,"red hair, smile"\n',
    "space before quotes": 'a.png, "black hair, smile"\nb.png, "red hair, smile"\n',
    "header of another name": 'Image Name,caption\na.png,"black hair, smile"\nb.png,"red hair, smile"\n',
    "semicolons": "id;tags\na;black hair, smile\nb;red hair, smile\n",
    "semicolons between tags": "a;black hair;smile\nb;red hair;smile\n",
    "semicolons and quotes": '"id";"tags"\n"a";"black hair, smile"\n"b";"red hair, smile"\n',
    "tabs": "id\ttags\na\tblack hair, smile\nb\tred hair, smile\n",
    "bars": "a|black hair|smile\nb|red hair|smile\n",
    "an index of pandas": ',image,tags\n0,a.png,"black hair, smile"\n1,b.png,"red hair, smile"\n',
    "a further column": 'id,file_name,tags,score\na,a.png,"black hair, smile",9\nb,b.png,"red hair, smile",9\n',
    "backslashes": "a,black hair,smile\nsub\\b.png,red hair,smile\n",
    "leading ./": "./a.png,black hair,smile\n./sub/b.png,red hair,smile\n",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize("form", FORMS)
def test_csv_of_other_programs(tmp_path: Path, collect, picture, form: str, end: str, encoding: str):
    picture(tmp_path / "images/a.png")
    picture(tmp_path / "images/sub/b.png")
    path = tmp_path / "tags.csv"
    path.write_text(FORMS[form].replace("\n", end), encoding, newline="")
    posts, rejects = collect(lambda c: read_folder(list_images([tmp_path / "images"], c.reject), path, None, c))
    assert dict(posts.select("id", "tags_general").rows()) == {"a": ["black_hair", "smile"], "b": ["red_hair", "smile"]}
    assert rejects.is_empty()


NO_CSV = {
    "{file_name: a.png}\n": "found '{file_name: a.png}' in the first row; accepted: CSV",
    '{"file_name": "a.png", "text": "x"}\n': "tags.csv:1: no CSV (',' expected after '\"'); accepted: CSV of an id",
    "": "names none of the 1 images; found nothing in the first row; accepted: CSV",
    'a,"x\nb,y\n': "tags.csv:2: no CSV (unexpected end of data); accepted: CSV of an id",
    "a,\udce9\n": "tags.csv: not UTF-8 (byte 0xe9 at 2); accepted: a text file saved as UTF-8",
}


@pytest.mark.parametrize(("text", "reason"), NO_CSV.items(), ids=["braces", "JSON", "empty", "quote", "Latin-1"])
def test_what_is_no_csv_is_named(tmp_path: Path, collect, picture, text: str, reason: str):
    picture(tmp_path / "images/a.png")
    (tmp_path / "tags.csv").write_text(text, errors="surrogateescape")
    with pytest.raises(UserError, match=re.escape(reason)):
        collect(lambda c: read_folder(list_images([tmp_path / "images"], c.reject), tmp_path / "tags.csv", None, c))


def test_names_match_however_their_letters_are_composed(tmp_path: Path, read, picture):
    """A Mac stores decomposed letters, whatever was typed."""
    picture(tmp_path / "images" / unicodedata.normalize("NFD", "がんばる.png"))
    picture(tmp_path / "images" / unicodedata.normalize("NFC", "é.png"))
    posts, rejects = read(f"がんばる.png,x\n{unicodedata.normalize('NFD', 'é')},y\n")
    assert dict(posts.select("id", "tags_general").rows()) == {"がんばる": ["x"], "é": ["y"]} and rejects.is_empty()


def test_names_in_another_encoding_are_spelled(tmp_path: Path, read, picture):
    folder, name = (os.fsdecode(text.encode("shift_jis")) for text in ("がん", "ああ"))
    picture(tmp_path / "images" / folder / f"{name}.png")
    (tmp_path / "images" / f"{name}.jpg").write_bytes(b"no image")
    posts, rejects = read(r"\x82\xa0\x82\xa0.png,x")
    [row] = posts.to_dicts()
    assert row["id"] == r"\x82\xaa\x82\xf1/\x82\xa0\x82\xa0.png" and row["tags_general"] == ["x"]
    assert Image.open(io.BytesIO(read_image(row["path"]))).size == (6, 4)
    assert rejects["source"].to_list() == [rf"{tmp_path}/images/\x82\xa0\x82\xa0.jpg"]


def test_rows_without_an_image_and_repeated_ones_are_rejected(tmp_path: Path, read, picture):
    picture(tmp_path / "images/a.png")
    _, rejects = read("a,x\nc,y\na,z\n")
    assert [row[1:] for row in rejects.rows()] == [
        (2, "c", "no image file with this id"),
        (3, "a", "an earlier row has the same id"),
    ]
    with pytest.raises(
        UserError,
        match="tags.csv: names none of the 1 images; found 'c' in the first row; accepted: CSV of an id or file",
    ):
        read("c,y\n")


def test_two_folders_with_the_same_file_names_give_each_id_once(tmp_path: Path, collect, picture):
    roots = [tmp_path / "one", tmp_path / "two"]
    for root in roots:
        picture(root / "cat.png")
    posts, rejects = collect(lambda c: read_folder(list_images(roots, c.reject), None, None, c))
    assert posts["id"].to_list() == ["cat.png"]
    assert rejects.select("source", "reason").rows() == [
        (str(roots[1] / "cat.png"), f"{roots[0]}/cat.png has the same id")
    ]
