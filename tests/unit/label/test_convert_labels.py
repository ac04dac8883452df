"""From a folder of labelme files to the parts of labelled portraits."""

import base64
import json

import numpy as np
import pytest
from PIL import ExifTags, Image

from facemill.config.ingest import IndexMasksConfig
from facemill.config.label import LabelsConfig
from facemill.data.classes import CLASSES, EYE, FACE, HAIR, IGNORE, MOUTH, SKIN, palette
from facemill.data.shards import decode_image, decode_mask, encode_jpeg, write_shard
from facemill.errors import UserError
from facemill.ingest.portraits import load_portrait
from facemill.label import convert_labels as convert
from facemill.label.convert_labels import (
    SCHEMA,
    class_ids,
    labelme_files,
    mask_files,
    near_duplicates_of,
    show_labels,
    split,
)
from scripts.convert_labels import main

MERGE = {name: [name] for name in CLASSES} | {"hair": ["hair", "hat"], "skin": ["ear", "neck"]}
SETTINGS = LabelsConfig(merge=MERGE, ignore=["__ignore__"], validation=0.3, test=0.3)


def labelled_portraits(folder, settings: LabelsConfig, size: int) -> list[dict]:
    return convert.labelled_portraits(labelme_files(folder, settings), size)[0]


def box(label: str, x0: float, y0: float, x1: float, y1: float) -> dict:
    return {"label": label, "points": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]], "shape_type": "polygon"}


def write(folder, name: str, shapes: list[dict], size=(64, 64), pixels: np.ndarray | None = None, **more) -> None:
    folder.mkdir(exist_ok=True)
    if pixels is None:  # one color, and in a corner another for each name, so that no two images are the same
        pixels = np.full((size[1], size[0], 3), (9, 90, 200), np.uint8)
        pixels[0, 0] = [*name.encode()[:3].ljust(3)]
    picture = Image.fromarray(pixels)
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
    assert np.abs(decode_image(row["image"]["bytes"])[8:].astype(int) - (9, 90, 200)).max() <= 3


def test_portraits_twice_as_high_as_wide_are_cut_from_the_middle(tmp_path):
    write(tmp_path, "square", [box("hair", 20, 0, 31, 63)])
    [row] = convert.labelled_portraits(labelme_files(tmp_path, SETTINGS), 64, ratio=2)[0]
    mask = decode_mask(row["mask"]["bytes"])
    expected = np.zeros((64, 32), np.uint8)
    expected[:, 4:16] = HAIR  # the left quarter is gone
    assert np.array_equal(mask, expected)
    assert decode_image(row["image"]["bytes"]).shape == (64, 32, 3)


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
    assert not decode_mask(row["mask"]["bytes"]).any()  # the centered square leaves out the top quarter
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
    write(tmp_path, "twice", [box("hair", 1, 1, 9, 9)], imagePath="fine.png")
    write(tmp_path, "bare", [box("background", 1, 1, 9, 9)])
    write(tmp_path, "data", [box("hair", 1, 1, 9, 9)], imageData="?")
    with pytest.raises(UserError) as error:
        labelled_portraits(tmp_path, SETTINGS, 32)
    head, *lines = str(error.value).split("\n  ")
    assert head == "faults in 10 of 11 labelled portraits"
    expected = {
        "bare.json": ["nothing but background in it"],
        "cut.json": ["image cut.png cannot be read"],
        "data.json": ["imageData is not base64"],
        "label.json": ["shape 0 (nose): unknown label", "shape 1 (hair): point (9, 99) outside"],
        "lost.json": ["no image at imagePath 'lost.png'"],
        "more/fine.json": ["id 'fine' is taken by another file", "the same image as that of"],
        "size.json": ["imageHeight, imageWidth are 65, 64"],
        "text.json": ["image text.png cannot be read"],
        "torn.json": ["not a labelme file"],
        "twice.json": [f"the same image as that of {tmp_path}/fine.json"],
    }
    wanted = [f"{tmp_path}/{file}: {fault}" for file, found in expected.items() for fault in found]
    assert len(lines) == len(wanted)
    assert all(line.startswith(want) for line, want in zip(lines, wanted, strict=True))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="found no labelme file"):
        labelled_portraits(tmp_path, SETTINGS, 32)


def test_points_just_outside_are_clipped_with_a_warning(tmp_path, caplog):
    write(tmp_path, "x", [box("hair", -1, 0, 9, 64.5)])
    rows, warnings = convert.labelled_portraits(labelme_files(tmp_path, SETTINGS), 64)
    assert decode_mask(rows[0]["mask"]["bytes"])[:, :10].all()
    assert list(warnings) == ["x"] and "point (-1, 0) outside" in warnings["x"][0]
    assert f"{tmp_path}/x.json: shape 0 (hair): point (-1, 0)" in caplog.text
    strict = SETTINGS.model_copy(update={"tolerance": 0.5})
    with pytest.raises(UserError, match="outside the image of 64 x 64 pixels; accepted: up to 0.5"):
        labelled_portraits(tmp_path, strict, 64)


def test_cracks_between_shapes_are_background_unless_they_shall_be_filled(tmp_path):
    shapes = [box("hair", 0, 0, 30, 63), box("mouth", 33, 0, 50, 63), box("background", 10, 10, 10, 40)]
    write(tmp_path, "x", shapes)
    [plain] = labelled_portraits(tmp_path, SETTINGS, 64)
    [filled] = labelled_portraits(tmp_path, SETTINGS.model_copy(update={"fill_gaps": 3}), 64)
    before, after = (decode_mask(row["mask"]["bytes"]).copy() for row in (plain, filled))
    assert not before[:, 31:33].any() and (after[:, 31] == HAIR).all() and (after[:, 32] == MOUTH).all()
    after[:, 31:33] = 0  # all else is as it was: the wide background and that which was drawn
    assert np.array_equal(before, after)


CELEBA = LabelsConfig(
    merge=MERGE | {"face": ["face", "nose"], "eye": ["l_eye"]},
    index_names=["background", "nose", "l_eye"],
    validation=0.3,
    test=0.3,
)


def write_mask(folder, name: str, numbers: np.ndarray, image_size=(64, 64), mode: str = "P") -> IndexMasksConfig:
    for kind in ("images", "masks"):
        (folder / kind).mkdir(exist_ok=True)
    random = np.random.default_rng(len(name))
    Image.fromarray(random.integers(0, 255, (*image_size[::-1], 3), np.uint8)).save(folder / f"images/{name}.jpg")
    mask = Image.fromarray(numbers, "L")
    mask.putpalette(palette()) if mode == "P" else None
    (mask if mode in ("P", "L") else mask.convert(mode)).save(folder / f"masks/{name}.png")
    return IndexMasksConfig(images=folder / "images", masks=folder / "masks")


@pytest.mark.parametrize("mode", ["P", "L"])
def test_ready_made_masks_are_merged_by_the_same_table(tmp_path, mode):
    numbers = np.zeros((32, 32), np.uint8)
    numbers[4:8], numbers[8:12], numbers[12:16] = 1, 2, IGNORE
    masks = write_mask(tmp_path, "a", numbers, mode=mode)
    [row], warnings = convert.labelled_portraits(mask_files(masks, CELEBA), 32)
    expected = np.select([numbers == 1, numbers == 2, numbers == IGNORE], [FACE, EYE, IGNORE], 0)
    assert np.array_equal(decode_mask(row["mask"]["bytes"]), expected)
    assert (row["id"], warnings) == ("a", {})


def test_faults_of_ready_made_masks_are_listed_with_the_others(tmp_path):
    good = np.eye(32, dtype=np.uint8)
    write_mask(tmp_path, "good", good)
    write_mask(tmp_path, "wide", good, (64, 60))
    write_mask(tmp_path, "color", good, mode="RGB")
    write_mask(tmp_path, "number", good * 3)
    write_mask(tmp_path, "torn1234", good)
    (tmp_path / "masks/torn1234.png").write_bytes(b"no png")
    write_mask(tmp_path, "alone12345", good)
    (tmp_path / "images/alone12345.jpg").unlink()
    masks = write_mask(tmp_path, "empty1234567", good * 0)
    write(tmp_path / "labelme", "good", [box("nose", 1, 1, 9, 9)])
    with pytest.raises(UserError) as error:
        convert.labelled_portraits(labelme_files(tmp_path / "labelme", SETTINGS) + mask_files(masks, CELEBA), 32)
    for line in (
        "labelme/good.json: shape 0 (nose): unknown label",
        "alone12345.png: no image named alone12345",
        "color.png: mode RGB; accepted: single-channel",
        "empty1234567.png: nothing but background",
        "good.png: id 'good' is taken by another file",
        "number.png: number 3 in it; accepted: 0 to 2, as labels.index_names names them, and 255",
        "torn1234.png: cannot be read",
        "wide.png: 32 x 32 pixels on an image of 64 x 60",
    ):
        assert line in str(error.value)
    assert str(error.value).startswith("faults in 8 of 8 labelled portraits")


def test_threads_change_nothing(tmp_path):
    for i in range(9):
        write(tmp_path, f"n{i}", [box("hair", i, 1, 20, 9)])
    files = labelme_files(tmp_path, SETTINGS)
    assert convert.labelled_portraits(files, 32, threads=3) == convert.labelled_portraits(files, 32)


def pictured(id: str, seed: int, pixels: np.ndarray | None = None) -> dict:
    """A row with an image of smooth noise, unlike those of other seeds."""
    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(noise).resize((64, 64), 3)) if pixels is None else pixels
    return convert.labelled_row(id, pixels, np.zeros((64, 64), np.uint8))


def alone(rows: list[dict]) -> dict[str, str]:
    return {row["id"]: row["id"] for row in rows}


def test_adding_portraits_moves_none_to_another_part():
    rows = [{"id": str(i)} for i in range(40)]
    few, many = split(rows[:20], alone(rows), SETTINGS, 1), split(rows, alone(rows), SETTINGS, 1)
    assert sum(map(len, many.values())) == 40
    assert all(row in many[name] for name, members in few.items() for row in members)
    assert split(rows, alone(rows), SETTINGS, 2) != many


def test_near_duplicates_stay_on_the_side_of_the_first():
    rows = [pictured(str(i), i) for i in range(30)]
    again = []
    for i in range(12):
        pixels = decode_image(rows[i]["image"]["bytes"])
        changed = pixels[:, ::-1] if i % 2 else (pixels * 0.95 + 5).astype(np.uint8)
        again.append(pictured(f"{100 + i}", 0, changed))
    before = split(rows, near_duplicates_of(rows), SETTINGS, 1)
    leaders = near_duplicates_of(rows + again)
    assert leaders == alone(rows) | {f"{100 + i}": str(i) for i in range(12)}
    after = {row["id"]: name for name, members in split(rows + again, leaders, SETTINGS, 1).items() for row in members}
    assert all(after[row["id"]] == name for name, members in before.items() for row in members)
    assert all(after[f"{100 + i}"] == after[str(i)] for i in range(12))
    assert {after[str(i)] for i in range(12)} == {"train", "validation", "test"}


def test_an_empty_part_is_refused():
    rows = [{"id": str(i)} for i in range(40)]
    with pytest.raises(UserError, match=r"labels.validation 0 and labels.test 0.3 leave no portrait for validation"):
        split(rows, alone(rows), SETTINGS.model_copy(update={"validation": 0}), 1)


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
        pixels = decode_image(pictured("", i)["image"]["bytes"])
        write(tmp_path / "in", str(i), [box("hair", 1, 1, 9, 9)], pixels=pixels)
    out = {name: tmp_path / "out" / f"{name}.parquet" for name in ("train", "validation", "test")}
    arguments = {"labelled": tmp_path / "in", "settings": SETTINGS, "size": 32, "seed": 1, **out}
    main(**arguments, page=tmp_path / "out" / "labels.html", picture=tmp_path / "out" / "labels.png")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "labels.html", "labels.png", "test.parquet", "train.parquet", "validation.parquet",
    ]  # fmt: skip
    write(tmp_path / "in", "12", [box("nose", 1, 1, 9, 9)])
    again = {name: tmp_path / "none" / f"{name}.parquet" for name in out}
    with pytest.raises(UserError):
        main(**arguments | again, page=tmp_path / "none" / "labels.html", picture=tmp_path / "none" / "labels.png")
    assert not (tmp_path / "none").exists()
