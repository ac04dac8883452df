from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from facemill.errors import BadInput
from facemill.ingest.posts import POSTS, REJECTS, Collection, Post, find_images, images_by_id, read_folder


def image(path: Path, size: tuple[int, int] = (6, 4), kind: str = "PNG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "red").save(path, kind)
    return path


def test_a_folder_gives_a_post_for_each_image(tmp_path: Path):
    image(tmp_path / "10.png")
    image(tmp_path / "deep/9.JPG", (3, 5), "JPEG")
    image(tmp_path / "a/cat.jpg", kind="PNG")  # PNG data under another name
    image(tmp_path / "b/cat.png")
    (tmp_path / "notes.txt").write_text("not an image")
    table = read_folder(tmp_path).posts_table()
    assert table.schema == POSTS
    assert table["id"].to_list() == ["9", "10", "a/cat.jpg", "b/cat.png"]
    assert table["ext"].to_list() == ["jpg", "png", "png", "png"]
    assert table.row(0, named=True) | {"width": 3, "height": 5, "tags": [], "score": None} == table.row(0, named=True)
    assert Path(table["path"][0]) == tmp_path / "deep/9.JPG"


def test_what_is_no_image_is_rejected(tmp_path: Path):
    image(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"GIF89 or not")
    (tmp_path / "empty.jpg").touch()
    collection = read_folder(tmp_path)
    assert list(collection.posts) == ["good"]
    rejects = collection.rejects_table()
    assert rejects.schema == REJECTS
    assert rejects["id"].to_list() == ["bad", "empty"]
    assert all(reason.startswith("not a readable image") for reason in rejects["reason"])


def test_hidden_files_and_empty_folders(tmp_path: Path):
    image(tmp_path / ".a.part.png")
    with pytest.raises(BadInput, match="source.images: no image under"):
        find_images(tmp_path)


def test_of_two_images_with_one_id_the_later_is_rejected(tmp_path: Path):
    first, second = image(tmp_path / "0001/1.jpg", kind="JPEG"), image(tmp_path / "0001/1.png")
    collection = Collection()
    assert images_by_id(tmp_path, collection) == {"1": first}
    assert collection.rejects == [(str(second), None, "1", f"{first} has the same id")]


def test_of_two_posts_with_one_id_the_later_is_rejected():
    collection = Collection()
    collection.add(Post(id="1", path="a"), Path("m.jsonl"), 1)
    collection.add(Post(id="1", path="b"), Path("m.jsonl"), 2)
    assert collection.posts["1"].path == "a"
    assert collection.rejects == [("m.jsonl", 2, "1", "an earlier post has the same id")]


def test_broken_records_stop_the_run_only_above_their_share():
    collection = Collection()
    collection.reject_broken(Path("m.jsonl"), 7, "no id")
    collection.check_broken(100, 0.01)
    with pytest.raises(BadInput, match="1 of 99 .* the first m.jsonl:7: no id; accepted: source.max_broken 0.01"):
        collection.check_broken(99, 0.01)


def test_tables_of_nothing_keep_their_columns():
    assert Collection().posts_table().schema == POSTS
    assert Collection().rejects_table().equals(pl.DataFrame(schema=REJECTS))
