import unicodedata
from pathlib import Path

import pytest

from facemill.errors import UserError
from facemill.ingest.celeba import read_celeba, read_names
from facemill.ingest.images import list_images, without_repeats

HEAD = ["4", "Smiling Male Young"]
ROWS = ["000001.jpg  1 -1  1", "000002.jpg -1 -1 -1"]


@pytest.fixture
def read(tmp_path: Path, collect, picture):
    """A function that reads attribute and partition files on three images."""

    def tables(attributes: list[str], partition: list[str] | None = None, max_broken: float = 0, suffix: str = "txt"):
        for name in ("000001", "000002", "000009"):
            picture(tmp_path / f"img/{name}.jpg", (178, 218))
        path, splits = tmp_path / f"list_attr_celeba.{suffix}", tmp_path / f"list_eval_partition.{suffix}"
        path.write_text("\n".join(attributes) + "\n")
        splits.write_text("\n".join(partition or []))

        def fill(collection):
            images = without_repeats(list_images([tmp_path / "img"], collection.reject), collection.reject)
            read_celeba(path, splits if partition else None, images, collection, max_broken)

        return collect(fill, read_names(path))

    return tables


@pytest.mark.parametrize("form", ["txt", "csv"])
def test_attributes_are_booleans_and_the_true_ones_tags(read, form: str, caplog):
    with caplog.at_level("INFO", "facemill"):
        if form == "txt":
            posts, rejects = read(HEAD + ROWS, ["000001.jpg 0", "000002.jpg 2", "000003.jpg 1"])
        else:
            head, *rows = [",".join(line.split()) for line in ["image_id Smiling Male Young", *ROWS]]
            posts, rejects = read([head, *rows], ["image_id,partition", "000001.jpg,0", "000002.jpg,2"], suffix="csv")
    assert posts["id"].to_list() == ["000001", "000002"]
    assert posts["attributes"].to_list() == [
        {"Smiling": True, "Male": False, "Young": True},
        {"Smiling": False, "Male": False, "Young": False},
    ]
    assert posts["tags_general"].to_list() == [["Smiling", "Young"], []]
    assert posts["split"].to_list() == ["train", "test"]
    assert posts.select("width", "height", "ext").row(0) == (178, 218, "jpg")
    assert rejects["reason"].to_list() == ["the metadata names no such image"]
    assert ("its first line counts 4 rows; found 2" in caplog.text) == (form == "txt")


def test_rejects_have_a_reason(read):
    lines = [*HEAD, *ROWS, "000003.jpg 1 1 1", "000004.jpg 1 1", "000005.jpg 1 2 1", "000001.jpg 1 1 1"]
    posts, rejects = read(lines, ["000001.jpg train", "000002.jpg 1"], max_broken=0.5)
    assert posts["split"].to_list() == [None, "validation"]
    assert [(row[1], row[2], row[3].split(":")[0]) for row in rejects.rows()] == [
        (1, None, "broken metadata"),
        (5, "000003", "no image file with this id"),
        (6, None, "broken metadata"),
        (7, None, "broken metadata"),
        (8, "000001", "an earlier row has the same id"),
        (None, "000009", "the metadata names no such image"),
    ]
    with pytest.raises(UserError, match="2 of 6 metadata records are broken"):
        read(lines, None, max_broken=0.1)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize(("end", "quote"), [("\n", ""), ("\r\n", '"'), ("\r", "")])
@pytest.mark.parametrize("form", ["txt", "csv"])
def test_files_from_other_systems(tmp_path: Path, collect, picture, encoding, end, quote, form):
    """Byte order marks, line ends, quotes; names composed in the files and decomposed on the disk."""
    picture(tmp_path / "img" / unicodedata.normalize("NFD", "é.png"))
    heads = {"txt": ["1", "Smiling Male"], "csv": ["image_id,Smiling,Male"]}
    lines = {"txt": "é.png  1 -1", "csv": f"{quote}é.png{quote},1,-1"}
    path, splits = tmp_path / "attributes", tmp_path / "partition"
    path.write_text(end.join([*heads[form], lines[form], ""]), encoding, newline="")
    splits.write_text(end.join(["image_id,partition", "img\\é.png,2", ""]), encoding, newline="")
    assert read_names(path) == ["Smiling", "Male"]
    posts, rejects = collect(
        lambda c: read_celeba(path, splits, list_images([tmp_path / "img"], c.reject), c, 0), ("Smiling", "Male")
    )
    assert rejects.is_empty()
    assert posts.select("id", "split", "tags_general").rows() == [("é", "test", ["Smiling"])]


def test_broken_lines_count_against_their_own_file(read):
    partition = ["000001.jpg train", "000002.jpg 1", "000009.jpg 1"]
    with pytest.raises(
        UserError, match=r"1 of 3 metadata .*list_eval_partition.txt:1: .*; accepted: source.max_broken"
    ):
        read(HEAD + ROWS * 9, partition, max_broken=0.3)
    read(HEAD + ROWS, [*partition[1:], *partition[1:], partition[0]], max_broken=0.2)


@pytest.mark.parametrize("lines", [[], ["Smiling Male"], ["three", "Smiling"], ["3", ""], ["image_id"]])
def test_another_form_of_file(read, lines: list[str]):
    with pytest.raises(UserError, match="not CelebA's attributes"):
        read(lines)
