"""From a folder of labelme files to the parts of labelled portraits."""

import base64
import json

import numpy as np
import pytest
from PIL import ExifTags, Image

from facemill.classes import CLASSES, HAIR, IGNORE, MOUTH, SKIN
from facemill.config import Labels
from facemill.errors import BadInput
from facemill.ingest.portraits import load_portrait
from facemill.label.convert import SCHEMA, class_ids, labelled_portraits, show_labels, split
from facemill.shards import decode_image, decode_mask, encode_jpeg, write_shard
from scripts.convert_labels import main

MERGE = {name: [name] for name in CLASSES} | {"hair": ["hair", "hat"], "skin": ["ear", "neck"]}
SETTINGS = Labels(merge=MERGE, ignore=["__ignore__"], validation=0.3, test=0.3)


def box(label: str, x0: float, y0: float, x1: float, y1: float) -> dict:
    return {"label": label, "points": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]], "shape_type": "polygon"}


def write(folder, name: str, shapes: list[dict], size=(64, 64), pixels: np.ndarray | None = None, **more) -> None:
    folder.mkdir(exist_ok=True)
    picture = Image.new("RGB", size, (9, 90, 200)) if pixels is None else Image.fromarray(pixels)
    picture.save(folder / f"{name}.png")
    content = {"shapes": shapes, "imagePath": f"{name}.png", "imageData": None, **more}
    (folder / f"{name}.json").write_text(json.dumps(content))


def test_every_label_has_the_id_of_its_class():
    ids = class_ids(SETTINGS)
    assert (ids["hat"], ids["neck"], ids["mouth"], ids["__ignore__"]) == (HAIR, SKIN, MOUTH, IGNORE)


def test_fine_labels_become_classes_and_the_rest_is_background(tmp_path):
    shapes = [box("ear", 0, 0, 31, 31), box("hat", 16, 0, 31, 31), box("__ignore__", 40, 40, 50, 50)]
    write(tmp_path, "7", shapes)
    [row] = labelled_portraits(tmp_path, SETTINGS, 64)
    mask = decode_mask(row["mask"]["bytes"])
    expected = np.zeros((64, 64), np.uint8)
    expected[:32, :32] = SKIN
    expected[:32, 16:32] = HAIR
    expected[40:51, 40:51] = IGNORE
    assert np.array_equal(mask, expected)
    assert row["id"] == "7"
    assert np.abs(decode_image(row["image"]["bytes"]).astype(int) - (9, 90, 200)).max() <= 3


def test_image_and_mask_are_cropped_and_resized_alike(tmp_path):
    pixels = np.zeros((60, 100, 3), np.uint8)
    pixels[12:32, 40:70] = 255
    write(tmp_path, "wide", [box("hair", 40, 12, 69, 31)], pixels=pixels)
    [row] = labelled_portraits(tmp_path, SETTINGS, 30)
    mask = decode_mask(row["mask"]["bytes"])
    expected = np.zeros((30, 30), np.uint8)
    expected[6:16, 10:25] = HAIR
    assert np.array_equal(mask, expected)
    bright = decode_image(row["image"]["bytes"])[..., 0] > 127
    assert np.array_equal(bright, expected == HAIR)


def test_labelled_images_are_made_as_portraits_are(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (75, 101, 3), np.uint8)
    write(tmp_path, "1", [box("hair", 1, 1, 9, 9)], pixels=pixels)
    [row] = labelled_portraits(tmp_path, SETTINGS, 32)
    assert row["image"]["bytes"] == encode_jpeg(load_portrait(tmp_path / "1.png", 32))


def test_shapes_lie_on_the_image_as_its_exif_rotation_shows_it(tmp_path):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :20] = 255
    write(tmp_path, "1", [box("hair", 0, 0, 39, 19)], imageHeight=80, imageWidth=40, imagePath="1.jpg")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # shown turned clockwise: the left becomes the top
    Image.fromarray(pixels).save(tmp_path / "1.jpg", exif=exif)
    [row] = labelled_portraits(tmp_path, SETTINGS, 40)
    assert not decode_mask(row["mask"]["bytes"]).any()  # the centred square leaves out the top quarter
    assert decode_image(row["image"]["bytes"])[2:].max() < 30


def test_rows_are_in_the_order_of_ids_and_of_subfolders_too(tmp_path):
    for folder, name in (tmp_path, "b"), (tmp_path / "more", "10"), (tmp_path, "9"):
        write(folder, name, [box("hair", 1, 1, 9, 9)])
    assert [row["id"] for row in labelled_portraits(tmp_path, SETTINGS, 32)] == ["9", "10", "b"]


def test_an_embedded_image_is_enough(tmp_path):
    write(tmp_path, "x", [box("hair", 1, 1, 9, 9)])
    data = base64.b64encode((tmp_path / "x.png").read_bytes()).decode()
    write(tmp_path, "x", [box("hair", 1, 1, 9, 9)], imageData=data, imageHeight=64, imageWidth=64)
    (tmp_path / "x.png").unlink()
    assert len(labelled_portraits(tmp_path, SETTINGS, 32)) == 1


def test_all_faults_of_all_files_are_listed(tmp_path):
    write(tmp_path, "fine", [box("hair", 1, 1, 9, 9)])
    write(tmp_path, "label", [box("nose", 1, 1, 9, 9), box("hair", 1, 1, 9, 99)])
    write(tmp_path, "size", [box("hair", 1, 1, 9, 9)], imageHeight=65)
    write(tmp_path, "lost", [box("hair", 1, 1, 9, 9)])
    (tmp_path / "lost.png").unlink()
    write(tmp_path, "cut", [box("hair", 1, 1, 9, 9)])
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:60])
    write(tmp_path / "more", "fine", [box("hair", 1, 1, 9, 9)])
    write(tmp_path, "text", [box("hair", 1, 1, 9, 9)])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "torn.json").write_text('{"shapes": [')
    with pytest.raises(BadInput) as error:
        labelled_portraits(tmp_path, SETTINGS, 32)
    head, *lines = str(error.value).split("\n  ")
    assert head == f"{tmp_path}: faults in 7 of 8 labelme files"
    expected = {
        "cut.json": ["image cut.png cannot be read"],
        "label.json": ["shape 0 (nose): unknown label", "shape 1 (hair): point (9, 99) outside"],
        "lost.json": ["no image at imagePath 'lost.png'"],
        "more/fine.json": ["id 'fine' is taken by another file"],
        "size.json": ["imageHeight, imageWidth are 65, 64"],
        "text.json": ["image text.png cannot be read"],
        "torn.json": ["not a labelme file"],
    }
    wanted = [f"{file}: {fault}" for file, found in expected.items() for fault in found]
    assert len(lines) == len(wanted)
    assert all(line.startswith(want) for line, want in zip(lines, wanted, strict=True))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(BadInput, match="found no labelme file"):
        labelled_portraits(tmp_path, SETTINGS, 32)


def test_adding_portraits_moves_none_to_another_part():
    rows = [{"id": str(i)} for i in range(40)]
    few, many = split(rows[:20], SETTINGS, 1), split(rows, SETTINGS, 1)
    assert sum(map(len, many.values())) == 40
    assert all(row in many[name] for name, members in few.items() for row in members)
    assert split(rows, SETTINGS, 2) != many


def test_an_empty_part_is_refused():
    with pytest.raises(BadInput, match=r"labels.validation 0 and labels.test 0.3 leave no portrait for validation"):
        split([{"id": str(i)} for i in range(40)], SETTINGS.model_copy(update={"validation": 0}), 1)


def test_the_same_files_give_the_same_bytes(tmp_path):
    write(tmp_path / "in", "1", [box("hair", 1, 1, 9, 9)])
    for name in "ab":
        write_shard(tmp_path / name, labelled_portraits(tmp_path / "in", SETTINGS, 32), SCHEMA)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_picture_shows_portrait_mask_and_both(tmp_path):
    for i in range(3):
        write(tmp_path, str(i), [box("hair", 0, 0, 63, 63)])
    picture = show_labels(labelled_portraits(tmp_path, SETTINGS, 64), examples=2)
    assert len(picture.getcolors(1 << 20)) > 3
    assert picture.width < 12 + 60 + 3 * (128 + 6) and picture.height > 3 * 128


def test_the_command_writes_all_parts_or_none(tmp_path):
    for i in range(12):
        write(tmp_path / "in", str(i), [box("hair", 1, 1, 9, 9)])
    out = {name: tmp_path / "out" / f"{name}.parquet" for name in ("train", "validation", "test")}
    arguments = {"labelled": tmp_path / "in", "settings": SETTINGS, "size": 32, "seed": 1, **out}
    main(**arguments, picture=tmp_path / "out" / "labels.png")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "labels.png", "test.parquet", "train.parquet", "validation.parquet",
    ]  # fmt: skip
    write(tmp_path / "in", "12", [box("nose", 1, 1, 9, 9)])
    again = {name: tmp_path / "none" / f"{name}.parquet" for name in out}
    with pytest.raises(BadInput):
        main(**arguments | again, picture=tmp_path / "none" / "labels.png")
    assert not (tmp_path / "none").exists()
