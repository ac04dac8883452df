from pathlib import Path

import pytest

from facemill.errors import UserError
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


def test_rows_without_an_image_and_repeated_ones_are_rejected(tmp_path: Path, read, picture):
    picture(tmp_path / "images/a.png")
    _, rejects = read("a,x\nc,y\na,z\n")
    assert [row[1:] for row in rejects.rows()] == [
        (2, "c", "no image file with this id"),
        (3, "a", "an earlier row has the same id"),
    ]
    with pytest.raises(
        UserError, match="tags.csv: names none of the 1 images; accepted: an id or file name, then tags"
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
