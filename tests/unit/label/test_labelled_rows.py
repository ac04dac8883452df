"""Label files to rows of labelled portraits: one size, all errors at once, near-duplicates grouped."""

import base64
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.label_files import HAIR, SETTINGS, box, noise_row, write_index_mask, write_labelme
from PIL import Image

from facemill.data.classes import SEVEN, ClassTable
from facemill.data.shards import decode_image, decode_mask, encode_jpeg, encode_mask, write_shard
from facemill.errors import UserError
from facemill.ingest.crop_place import placing
from facemill.ingest.portraits import MIDDLE, TOP, crop_portrait, load_portrait
from facemill.label.label_files import index_mask_files, labelme_files
from facemill.label.labelled_rows import SCHEMA, duplicate_groups, labelled_rows


def convert(folder: Path, size: int, **options: Any) -> list[dict[str, Any]]:
    return labelled_rows(labelme_files(folder, SETTINGS, SEVEN), SEVEN, size, **options)[0]


def test_a_row_has_the_stem_as_id_and_the_image(tmp_path):
    write_labelme(tmp_path, "7", [box("hair", 0, 0, 31, 31)])
    [row] = convert(tmp_path, 64)
    assert row["id"] == "7" and (decode_mask(row["mask"]["bytes"], SEVEN)[:32, :32] == HAIR).all()
    assert np.abs(decode_image(row["image"]["bytes"])[8:].astype(int) - (9, 90, 200)).max() <= 3


def test_portraits_twice_as_high_as_wide_are_cut_from_the_middle(tmp_path):
    write_labelme(tmp_path, "square", [box("hair", 20, 0, 31, 63)])
    [row] = convert(tmp_path, 64, ratio=2)
    expected = np.zeros((64, 32), np.uint8)
    expected[:, 4:16] = HAIR  # the left quarter is gone
    assert np.array_equal(decode_mask(row["mask"]["bytes"]), expected)
    assert decode_image(row["image"]["bytes"]).shape == (64, 32, 3)


def test_image_and_mask_are_cropped_and_resized_alike(tmp_path):
    pixels = np.zeros((60, 100, 3), np.uint8)
    pixels[12:32, 40:70] = 255
    write_labelme(tmp_path, "wide", [box("hair", 40, 12, 69, 31)], pixels=pixels)
    [row] = convert(tmp_path, 30)
    expected = np.zeros((30, 30), np.uint8)
    expected[6:16, 10:25] = HAIR
    assert np.array_equal(decode_mask(row["mask"]["bytes"]), expected)
    bright = decode_image(row["image"]["bytes"])[..., 0] > 127
    assert np.array_equal(bright, expected == HAIR)


def test_labelled_images_are_made_as_portraits_are(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (75, 101, 3), np.uint8)
    write_labelme(tmp_path, "1", [box("hair", 21, 1, 29, 9)], pixels=pixels)
    [row] = convert(tmp_path, 32)
    assert row["image"]["bytes"] == encode_jpeg(load_portrait(tmp_path / "1.png", 32))


def test_names_of_other_systems_become_ids(tmp_path):
    """Raw bytes of Shift-JIS, which Parquet refuses, a Mac's decomposed letters, and names that `review` wrote."""
    for seed, name in enumerate((b"\x82\xa0", "e\u0301".encode(), b"a%2Fcat.png", b"my%20cat")):
        pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
        write_labelme(tmp_path, "x", [box("hair", 0, 0, 31, 31)], pixels=pixels)
        for suffix in (".png", ".json"):
            (tmp_path / f"x{suffix}").rename(tmp_path / os.fsdecode(name + suffix.encode()))
    rows = convert(tmp_path, 64)
    write_shard(tmp_path / "rows.parquet", rows, SCHEMA, SEVEN)
    assert {row["id"] for row in rows} == {r"\x82\xa0", "\xe9", "a/cat.png", "my%20cat"}


def test_rows_are_in_the_order_of_ids_and_of_subfolders_too(tmp_path):
    for folder, name in (tmp_path, "b"), (tmp_path / "more", "10"), (tmp_path, "9"):
        write_labelme(folder, name, [box("hair", 1, 1, 9, 9)])
    assert [row["id"] for row in convert(tmp_path, 32)] == ["9", "10", "b"]


def test_an_embedded_image_is_enough(tmp_path):
    write_labelme(tmp_path, "x", [box("hair", 1, 1, 9, 9)])
    data = base64.b64encode((tmp_path / "x.png").read_bytes()).decode()
    write_labelme(tmp_path, "x", [box("hair", 1, 1, 9, 9)], imageData=data, imageHeight=64, imageWidth=64)
    (tmp_path / "x.png").unlink()
    assert len(convert(tmp_path, 32)) == 1


def test_all_errors_of_all_files_are_listed(tmp_path):
    write_labelme(tmp_path, "fine", [box("hair", 1, 1, 9, 9)])
    write_labelme(tmp_path, "label", [box("nose", 1, 1, 9, 9), box("hair", 1, 1, 9, 99)])
    write_labelme(tmp_path, "size", [box("hair", 1, 1, 9, 9)], imageHeight=65)
    write_labelme(tmp_path, "lost", [box("hair", 1, 1, 9, 9)])
    (tmp_path / "lost.png").unlink()
    write_labelme(tmp_path, "cut", [box("hair", 1, 1, 9, 9)])
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:60])
    write_labelme(tmp_path / "more", "fine", [box("hair", 1, 1, 9, 9)])
    write_labelme(tmp_path, "text", [box("hair", 1, 1, 9, 9)])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "torn.json").write_text('{"shapes": [')
    write_labelme(tmp_path, "twice", [box("hair", 1, 1, 9, 9)], imagePath="fine.png")
    write_labelme(tmp_path, "bare", [box("background", 1, 1, 9, 9)])
    write_labelme(tmp_path, "data", [box("hair", 1, 1, 9, 9)], imageData="?")
    with pytest.raises(UserError) as error:
        convert(tmp_path, 32)
    head, *lines = str(error.value).split("\n  ")
    assert head == "errors in 10 of 11 labelled portraits"
    expected = {
        "bare.json": ["nothing but background in it"],
        "cut.json": ["image cut.png cannot be read"],
        "data.json": ["imageData is not base64"],
        "label.json": ["unknown label 'nose'; accepted, in labels.merge", "shape 1 ('hair'): point (9, 99) outside"],
        "lost.json": ["no image at imagePath 'lost.png'"],
        "more/fine.json": ["id 'fine' is taken by another file"],
        "size.json": ["imageHeight, imageWidth are 65, 64"],
        "text.json": ["image text.png cannot be read"],
        "torn.json": ["not a labelme file"],
    }
    starts = [f"{tmp_path}/{file}: {message}" for file, messages in expected.items() for message in messages]
    starts.insert(7, f"2 times: the same image as that of {tmp_path}/fine.json: ")
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))


def test_errors_of_index_masks_are_listed_with_the_others(tmp_path):
    settings = SETTINGS.model_copy(update={"index_names": ["background", "hair"]})
    eye = np.eye(32, dtype=np.uint8)
    write_index_mask(tmp_path, "good", eye)
    masks = write_index_mask(tmp_path, "empty", eye * 0)
    write_labelme(tmp_path / "labelme", "good", [box("nose", 1, 1, 9, 9)])
    sources = labelme_files(tmp_path / "labelme", settings, SEVEN) + index_mask_files(masks, settings, SEVEN)
    with pytest.raises(UserError, match="^errors in 3 of 3 labelled portraits") as error:
        labelled_rows(sources, SEVEN, 32)
    for line in (
        "labelme/good.json: unknown label 'nose'",
        "empty.png: nothing but background",
        "good.png: id 'good' is taken by another file",
    ):
        assert line in str(error.value)


def test_files_that_are_called_after_their_images_have_these_images_ids(tmp_path):
    """Otherwise a labelled portrait would be learned from as an unlabelled one of the collection."""
    settings = SETTINGS.model_copy(update={"index_names": ["background", "hair"]})
    masks = write_index_mask(tmp_path, "x", np.eye(32, dtype=np.uint8))
    (tmp_path / "masks/x.png").rename(tmp_path / "masks/x.JPG.png")
    write_labelme(tmp_path / "labelme", "y", [box("hair", 1, 1, 9, 9)])
    (tmp_path / "labelme/y.json").rename(tmp_path / "labelme/y.png.json")
    write_labelme(tmp_path / "labelme", "a%2Fz.png", [box("hair", 1, 1, 9, 9)])  # an id of kind folder, from review
    sources = labelme_files(tmp_path / "labelme", settings, SEVEN) + index_mask_files(masks, settings, SEVEN)
    assert [row["id"] for row in labelled_rows(sources, SEVEN, 32)[0]] == ["a/z.png", "x", "y"]


def test_two_masks_of_an_image_are_an_error(tmp_path):
    settings = SETTINGS.model_copy(update={"index_names": ["background", "hair"]})
    masks = write_index_mask(tmp_path, "x", np.eye(32, dtype=np.uint8))
    (tmp_path / "masks/x.jpg.png").write_bytes((tmp_path / "masks/x.png").read_bytes())
    with pytest.raises(UserError, match="masks/x.png: id 'x' is taken by another file"):
        labelled_rows(index_mask_files(masks, settings, SEVEN), SEVEN, 32)


def test_masks_of_other_colors_than_the_classes_are_named_once(tmp_path, caplog):
    """Gray ones, those of the classes' colors and those with a class table are not: their indices are as written."""
    settings = SETTINGS.model_copy(update={"index_names": ["background", "hair"]})
    mask = np.eye(32, dtype=np.uint8)
    others = bytes([9, 90, 190, 190, 90, 9])
    for number, palette in enumerate([SEVEN.palette, None, bytes([0, 0, 0, 99, 99, 99]), others, others]):
        masks = write_index_mask(tmp_path, name := "m" * (number + 1), mask, mode="P" if palette else "L")
        with Image.open(path := tmp_path / f"masks/{name}.png") as picture:
            if palette:
                picture.putpalette(palette)
            picture.save(path)
    older = ClassTable(tuple(c.model_copy(update={"color": f"#01020{i}"}) for i, c in enumerate(SEVEN.root)))
    write_index_mask(tmp_path, "with table", mask)
    (tmp_path / "masks/with table.png").write_bytes(encode_mask(mask, older))
    _, warnings = labelled_rows(index_mask_files(masks, settings, SEVEN), SEVEN, 32)
    [said] = [message for message in caplog.messages if "colors" in message]
    assert said == (
        "warning: masks of 2 of 6 labelled portraits show none of the classes' colors, and are read by index, "
        "as labels.index_names names them: "
        f"{tmp_path}/masks/mmmm.png, {tmp_path}/masks/mmmmm.png"
    )
    assert not warnings


def test_a_color_at_two_indices_is_an_error(tmp_path):
    """Colors of none of the classes say no index; but where a color has two, an editor sorted a palette."""
    settings = SETTINGS.model_copy(update={"index_names": ["background", "hair", "ear", "neck"]})
    eye = np.eye(32, dtype=np.uint8)
    black, red, blue, other = (0, 0, 0), (250, 0, 0), (0, 0, 250), (1, 2, 3)
    palettes = {
        "a": [black, red, blue],
        "bb": [black, other, blue, red],  # red is not in the mask
        "ccc": [black, other, red, red],  # the same color for two indices says nothing
    }

    def convert(palettes):
        for name, palette in palettes.items():
            masks = write_index_mask(tmp_path, name, eye + eye[::-1] * 2)
            with Image.open(tmp_path / f"masks/{name}.png") as picture:
                picture.putpalette([level for color in palette for level in color])
                picture.save(tmp_path / f"masks/{name}.png")
        return labelled_rows(index_mask_files(masks, settings, SEVEN), SEVEN, 32)[0]

    assert len(convert(palettes)) == 3
    with pytest.raises(
        UserError, match=r"^errors in 1 of 4 .*\n.*/dddd.png: #0000fa is index 1 in it and 2 in .*/a.png"
    ):
        convert({"dddd": [black, blue, red]})


def test_a_mask_of_classes_with_the_role_background_alone_is_an_error(tmp_path):
    """Which classes are background says the role, not the name or the id."""
    roles = ["background", "background", "hair"]
    classes = ClassTable.model_validate(
        [{"name": f"c{i}", "color": f"#{i:06x}", "role": role} for i, role in enumerate(roles)]
    )
    settings = SETTINGS.model_copy(update={"merge": {"c0": [], "c1": ["wall"], "c2": ["hair"]}})
    write_labelme(tmp_path, "x", [box("wall", 1, 1, 9, 9)])
    with pytest.raises(UserError, match="nothing but background"):
        labelled_rows(labelme_files(tmp_path, settings, classes), classes, 32)


def test_warnings_are_logged_and_returned_by_id(tmp_path, caplog):
    write_labelme(tmp_path, "x", [box("hair", -1, 0, 9, 64.5)])
    _, warnings = labelled_rows(labelme_files(tmp_path, SETTINGS, SEVEN), SEVEN, 64)
    assert list(warnings) == ["x"] and "point (-1, 0) outside" in warnings["x"][0]
    assert f"{tmp_path}/x.json: shape 0 ('hair'): point (-1, 0)" in caplog.text


def test_what_is_wrong_in_many_files_is_one_line(tmp_path):
    for i in range(12):
        write_labelme(tmp_path, f"{i:02}", [box("hair_front", 1, 1, 9, 9), box("hair_front", 1, 1, 9, 9)])
    with pytest.raises(UserError) as error:
        convert(tmp_path, 32)
    head, line = str(error.value).split("\n  ")
    assert head == "errors in 12 of 12 labelled portraits"
    assert line.startswith(f"12 times: unknown label 'hair_front': {tmp_path}/00.json, ")
    assert "09.json and 2 more; accepted, in labels.merge and labels.ignore: background, " in line


TALL = np.random.default_rng(1).integers(0, 256, (90, 40, 3), np.uint8)


def test_labels_outside_the_part_that_is_kept_are_an_error(tmp_path):
    """They were in the image, and its portrait would be all background."""
    write_labelme(tmp_path, "tall", [box("hair", 0, 0, 39, 20)], pixels=TALL)
    with pytest.raises(UserError, match="nothing but background in the part that is kept, 40 x 40 of 40 x 90 pixels"):
        convert(tmp_path, 32)
    mask = np.zeros((90, 40), np.uint8)
    mask[:20] = 1
    (tmp_path / "indexed").mkdir()
    masks = write_index_mask(tmp_path / "indexed", "x", mask, (40, 90))
    settings = SETTINGS.model_copy(update={"index_names": ["background", "hair"]})
    with pytest.raises(UserError, match="nothing but background in the part that is kept"):
        labelled_rows(index_mask_files(masks, settings, SEVEN), SEVEN, 32)


def test_labels_lost_at_the_portrait_s_size_are_an_error(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (320, 320, 3), np.uint8)
    write_labelme(tmp_path, "x", [box("hair", 2, 2, 3, 3)], pixels=pixels)
    with pytest.raises(UserError, match="nothing but background in the part that is kept, 320 x 320 of 320 x 320"):
        convert(tmp_path, 32)


def test_the_share_of_labels_that_is_cut_off_is_warned_of(tmp_path, caplog):
    write_labelme(tmp_path, "tall", [box("hair", 0, 15, 39, 34)], pixels=TALL)
    write_labelme(tmp_path, "square", [box("hair", 0, 0, 39, 34)], pixels=TALL[:40])
    _, warnings = labelled_rows(labelme_files(tmp_path, SETTINGS, SEVEN), SEVEN, 32)
    assert warnings == {"tall": ["50% of its labelled pixels are cut off"]}
    assert "cut off, as portraits.crop and portraits.ratio say, of tall (50%)" in caplog.text


@pytest.mark.parametrize(("place", "top"), [("middle", 25), ("top", 0)])
def test_labelled_portraits_are_cut_where_the_collection_is(tmp_path, place, top):
    write_labelme(tmp_path, "tall", [box("hair", 0, 20, 39, 29)], pixels=TALL)
    [row] = convert(tmp_path, 40, place=placing(place, 1))
    expected = np.zeros((40, 40), np.uint8)
    expected[max(20 - top, 0) : 30 - top] = HAIR
    assert np.array_equal(decode_mask(row["mask"]["bytes"]), expected)
    content = (tmp_path / "tall.png").read_bytes()
    collected = crop_portrait(content, None, 40, 40, {"middle": MIDDLE, "top": TOP}[place])[0]
    assert row["image"]["bytes"] == collected


def test_threads_change_nothing(tmp_path):
    for i in range(9):
        write_labelme(tmp_path, f"n{i}", [box("hair", i, 1, 20, 9)])
    assert convert(tmp_path, 32, threads=3) == convert(tmp_path, 32)


def test_the_same_files_give_the_same_bytes(tmp_path):
    write_labelme(tmp_path / "in", "1", [box("hair", 1, 1, 9, 9)])
    for name in "ab":
        write_shard(tmp_path / name, convert(tmp_path / "in", 32), SCHEMA, SEVEN)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_near_duplicates_have_the_first_as_representative():
    rows = [noise_row(str(i), i) for i in range(30)]
    copies = []
    for i in range(12):
        pixels = decode_image(rows[i]["image"]["bytes"])
        changed = pixels[:, ::-1] if i % 2 else (pixels * 0.95 + 5).astype(np.uint8)
        copies.append(noise_row(f"{100 + i}", 0, changed))
    assert duplicate_groups(rows + copies) == (
        {str(i): str(i) for i in range(30)} | {f"{100 + i}": str(i) for i in range(12)}
    )


def test_portraits_of_an_image_are_one_group():
    rows = [noise_row(row_id, i) for i, row_id in enumerate(["3", "8", "3#2", "8#2"])]
    assert duplicate_groups(rows) == {"3": "3", "8": "8", "3#2": "3", "8#2": "8"}
