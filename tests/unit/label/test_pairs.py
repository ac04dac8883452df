"""Which label files are read, and which image belongs to each."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.label_files import MERGE, SETTINGS, box, write_index_mask, write_labelme
from PIL import Image

from facemill.config.ingest import IndexMasksConfig
from facemill.config.label import LabelsConfig
from facemill.data.classes import SEVEN
from facemill.errors import UserError
from facemill.label.label_files import InvalidLabel, LabelledImage, index_mask_files, labelme_files

INDEXED = LabelsConfig(merge=MERGE | {"eye": ["l_eye"]}, index_names=["background", "l_eye"], validation=0.3, test=0.3)
SHAPES = [box("hair", 0, 0, 31, 31)]
MASK = np.eye(32, dtype=np.uint8)


def colored(path: Path, red: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64), (red, 0, 0)).save(path, "PNG")


def read_one(folder: Path) -> LabelledImage:
    [source] = labelme_files(folder, SETTINGS, SEVEN)
    return source.read()


def red_of(labelled: LabelledImage) -> int:
    return labelled.picture.getpixel((0, 0))[0]


def labelled(folder: Path, stem: str, image_path: str | None) -> None:
    """A labelme file without its image."""
    folder.mkdir(parents=True, exist_ok=True)
    write_labelme(folder, stem, SHAPES, imagePath=image_path)
    (folder / f"{stem}.png").unlink()


@pytest.mark.parametrize(
    ("image_path", "file"),
    [
        ("DSC00001.JPG", "IMG_0007.JPG"),  # both renamed, with the camera's suffix
        ("IMG_0007.jpg", "IMG_0007.JPG"),  # as Windows finds it
        ("Photo.JPG", "photo.jpg"),
        ("gone.png", "IMG_0007.jfif"),
        (None, "IMG_0007.Tiff"),
        ("..\\images\\x.png", "../images/x.png"),  # labelme --output
        ("../images/X.PNG", "../images/x.png"),
        ("C:\\Users\\me\\x.png", "IMG_0007.png"),
        ("\u304b\u3099.png", "\u304c.png"),  # decomposed in the one, composed in the other
    ],
)
def test_an_image_is_the_one_that_image_path_names_or_that_of_the_files_stem(tmp_path, image_path, file):
    labelled(tmp_path / "labels", "IMG_0007", image_path)
    colored(tmp_path / "labels" / file, 77)
    assert red_of(read_one(tmp_path)) == 77


def test_image_path_decides_between_images_of_one_stem_and_else_none_does(tmp_path):
    colored(tmp_path / "x.jpg", 1)
    colored(tmp_path / "x.PNG", 2)
    labelled(tmp_path, "x", "x.jpg")
    assert red_of(read_one(tmp_path)) == 1
    labelled(tmp_path, "x", "renamed.jpg")
    with pytest.raises(InvalidLabel, match="^2 images of its name: x.PNG, x.jpg; accepted: one, or the right one in"):
        read_one(tmp_path)


def test_an_image_outside_the_folder_is_not_followed(tmp_path):
    labelled(tmp_path / "labels", "x", "../images/x.png")
    colored(tmp_path / "images/x.png", 1)
    with pytest.raises(InvalidLabel, match=r"imagePath .*, which leads out of .*/labels, nor embedded, nor"):
        read_one(tmp_path / "labels")


def test_what_systems_hide_and_links_name_again_is_no_label_file(tmp_path, caplog):
    write_labelme(tmp_path, "near", SHAPES)
    (tmp_path / "near.json").rename(tmp_path / "near.JSON")
    (tmp_path / "elsewhere/.ipynb_checkpoints").mkdir(parents=True)
    write_labelme(tmp_path / "elsewhere", "far", SHAPES)
    for name in ("._far.json", "._far.png", ".ipynb_checkpoints/far-checkpoint.json"):
        (tmp_path / "elsewhere" / name).write_bytes(b"\x00\x05\x16\x07")
    labels = tmp_path / "labels"
    labels.mkdir()
    for name, target in {"near.JSON": "near.JSON", "near.png": "near.png", "batch2": "elsewhere"}.items():
        (labels / name).symlink_to(tmp_path / target)
    for name in ("again", "elsewhere"):
        (labels / name).symlink_to(tmp_path / "elsewhere")
    (labels / "copy.json").symlink_to("near.JSON")
    with caplog.at_level("INFO", "facemill"):
        sources = labelme_files(labels, SETTINGS, SEVEN)
    assert sorted(source.path.stem for source in sources) == ["copy", "far"]
    assert "left out: 3 hidden, 2 folder read already, 1 link to a file read already" in caplog.text
    assert [source.read().picture.size for source in sources] == [(64, 64)] * 2


def test_a_folder_that_is_not_there_is_called_so(tmp_path):
    with pytest.raises(UserError, match=f"^--labelled {tmp_path}/none: no such folder$"):
        labelme_files(tmp_path / "none", SETTINGS, SEVEN)
    masks = IndexMasksConfig(images=tmp_path / "none", masks=tmp_path)
    with pytest.raises(UserError, match=f"^--mask-images {tmp_path}/none: no such folder$"):
        index_mask_files(masks, INDEXED, SEVEN)


def write_mask(folder: Path, name: str) -> None:
    """A mask whose suffix may have any case."""
    path = folder / "masks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_index_mask(folder / "made", "x", MASK)
    shutil.copy(folder / "made/masks/x.png", path)


def red_of_mask(folder: Path, images: str = "images") -> int:
    config = IndexMasksConfig(images=folder / images, masks=folder / "masks")
    [source] = index_mask_files(config, INDEXED, SEVEN)
    return red_of(source.read())


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "made").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("mask", "images", "expected"),
    [
        ("x.PNG", ["x.png"], 0),
        ("a/x.png", ["a/x.png", "b/x.png"], 0),  # the same subfolder
        ("x.png", ["x.JPG", "b/x.png"], 0),
        ("x.png", ["b/x.jfif"], 0),  # at any depth where there is one alone
        ("train_masks/x.png", ["train/x.png"], 0),
        ("x.png", ["x.webp", ".hidden/x.png", "._x.png"], 0),
        ("x.png", ["X.png", "x.jpg"], 1),
        ("x.jpg.png", ["x.jpg", "y.jpg", "x.png"], 0),  # the image's name, as of x.png.json
        ("x.jpg.PNG", ["a/x.JPG"], 0),
        ("a/x.v2.jpg.png", ["a/x.v2.jpg", "x.v2.jpg", "a/x.v2.png"], 0),
        ("x.jpg.png", ["x.jpg.png"], 0),
        ("x.v2.png", ["x.v2.jpg", "x.jpg"], 0),
    ],
)
def test_a_mask_has_the_image_of_its_subfolder_and_stem(folder, mask, images, expected):
    write_mask(folder, mask)
    for red, name in enumerate(images):
        colored(folder / "images" / name, red)
    (folder / "masks/._x.png").write_bytes(b"\x00\x05\x16\x07")
    assert red_of_mask(folder) == expected


@pytest.mark.parametrize(
    ("mask", "images", "reason"),
    [
        ("x.png", ["a/x.png", "b/x.png"], "fits 2 images: a/x.png, b/x.png; accepted: one, or the same subfolders"),
        ("x.jpg.png", ["x.jpg", "x.jpg.webp"], "fits 2 images: x.jpg.webp, x.jpg; accepted: one"),
        ("x.jpg.png", ["a/x.jpg", "b/x.jpg"], "fits 2 images: a/x.jpg, b/x.jpg; accepted: one, or the same subfolders"),
        ("x.jpg.png", ["x.webp"], "no image named x.jpg in .*/images; accepted: masks named as their images"),
        ("x.png", ["x.jpg", "x.png"], "fits 2 images: x.jpg, x.png; accepted: one"),
        ("a/x.png", ["a/y.png", "b/x.png"], "no image named x in .*/images; accepted: masks named as their images"),
        ("x_mask.png", ["x.png"], "no image named x_mask in .*/images; accepted: masks named as their images"),
    ],
)
def test_a_mask_without_an_image_or_with_several_is_a_fault(folder, mask, images, reason):
    write_mask(folder, mask)
    for name in images:
        colored(folder / "images" / name, 1)
    with pytest.raises(InvalidLabel, match=f"^{reason}"):
        red_of_mask(folder)


@pytest.mark.parametrize("images", [".", "masks"])
def test_masks_among_their_images_are_no_images(folder, images):
    write_mask(folder, "x.png")
    colored(folder / images / "x.jpg", 9)
    shutil.rmtree(folder / "made")
    assert red_of_mask(folder, images) == 9
