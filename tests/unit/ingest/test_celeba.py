from pathlib import Path

import pytest
from PIL import Image

from facemill.errors import BadInput
from facemill.ingest.celeba import read_celeba

HEAD = ["4", "Smiling Male Young"]
ROWS = ["000001.jpg  1 -1  1", "000002.jpg -1 -1 -1"]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "img").mkdir()
    for id in ("000001", "000002", "000009"):
        Image.new("RGB", (178, 218)).save(tmp_path / f"img/{id}.jpg")
    return tmp_path / "img"


def attributes(folder: Path, lines: list[str]) -> Path:
    path = folder / "list_attr_celeba.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_true_attributes_are_tags(tmp_path: Path, images: Path):
    table = read_celeba(attributes(tmp_path, HEAD + ROWS), images, 0).posts_table()
    assert table["id"].to_list() == ["000001", "000002"]
    assert table["tags"].to_list() == [["Smiling", "Young"], []]
    assert table.select("width", "height", "ext").row(0) == (178, 218, "jpg")


def test_rejects_have_a_reason(tmp_path: Path, images: Path):
    path = attributes(tmp_path, [*HEAD, *ROWS, "000003.jpg 1 1 1", "000004.jpg 1 1", "000005.jpg 1 2 1"])
    collection = read_celeba(path, images, 0.4)
    assert [(line, id) for _, line, id, _ in collection.rejects] == [
        (5, "000003"),
        (6, None),
        (7, None),
        (None, "000009"),
    ]
    reasons = [reason.split(":")[0] for *_, reason in collection.rejects]
    assert reasons == [
        "no image file with this id",
        "broken metadata",
        "broken metadata",
        "the metadata names no such image",
    ]
    with pytest.raises(BadInput, match="2 of 5 metadata records are broken"):
        read_celeba(path, images, 0.1)


@pytest.mark.parametrize("lines", [[], ["Smiling Male"], ["three", "Smiling"], ["3", ""]])
def test_another_form_of_file(tmp_path: Path, images: Path, lines: list[str]):
    with pytest.raises(BadInput, match="not CelebA's attributes"):
        read_celeba(attributes(tmp_path, lines), images, 0)
