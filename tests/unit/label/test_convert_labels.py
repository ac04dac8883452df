"""From a folder of labelme files to the splits of labelled portraits."""

import re
from typing import Any

import numpy as np
import pytest
from helpers.label_files import HAIR, SETTINGS, box, noise_row, write_labelme

from facemill.config.label import AugmentConfig, LabelsConfig
from facemill.data.classes import SEVEN, ClassTable
from facemill.data.shards import decode_image, decode_mask, mask_classes, read_rows
from facemill.errors import UserError
from facemill.label.augment_labels import augment_labels
from facemill.label.convert_labels import convert_labels, show_labels, split_rows
from facemill.label.labelled_rows import labelled_row

FINE = ClassTable.model_validate(
    [{"name": "background", "color": "#000000", "role": "background"}]
    + [{"name": f"part{i}", "color": f"#{i * 16:02x}8040", "role": None} for i in range(1, 15)]
)
"""A table of 15 classes."""


def alone(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["id"]: row["id"] for row in rows}


def test_adding_portraits_moves_none_to_another_split():
    rows = [{"id": str(i)} for i in range(40)]
    few, many = split_rows(rows[:20], alone(rows), SETTINGS, 1), split_rows(rows, alone(rows), SETTINGS, 1)
    assert sum(map(len, many.values())) == 40
    assert all(row in many[name] for name, members in few.items() for row in members)
    assert split_rows(rows, alone(rows), SETTINGS, 2) != many


def test_near_duplicates_are_in_the_split_of_their_representative():
    rows = [{"id": str(i)} for i in range(42)]
    representatives = alone(rows) | {str(30 + i): str(i) for i in range(12)}
    splits = split_rows(rows, representatives, SETTINGS, 1)
    split = {row["id"]: name for name, members in splits.items() for row in members}
    assert all(split[str(30 + i)] == split[str(i)] for i in range(12))
    assert {split[str(i)] for i in range(12)} == {"train", "validation", "test"}


def test_an_empty_split_is_refused():
    rows = [{"id": str(i)} for i in range(40)]
    with pytest.raises(
        UserError, match=r"labels.validation 0 and labels.test 0.3 leave no portrait for validation"
    ) as e:
        split_rows(rows, alone(rows), SETTINGS.model_copy(update={"validation": 0}), 1)
    assert re.search(r"accepted: such as labels.validation 0\.\d+ and labels.test 0\.\d+$", str(e.value))


def test_the_picture_shows_portrait_mask_and_both():
    rows = [labelled_row(str(i), np.zeros((64, 64, 3), np.uint8), np.full((64, 64), HAIR), SEVEN) for i in range(3)]
    picture = show_labels(rows, SEVEN, examples=2)
    assert len(picture.getcolors(1 << 20)) > 3
    assert picture.width < 12 + 60 + 3 * (128 + 6) and picture.height > 3 * 128


def test_all_splits_are_written_or_none(tmp_path):
    for i in range(12):
        pixels = decode_image(noise_row("", i)["image"]["bytes"])
        write_labelme(tmp_path / "in", str(i), [box("hair", 1, 1, 9, 9)], pixels=pixels)
    arguments = {"labelled": tmp_path / "in", "classes": SEVEN, "settings": SETTINGS, "size": 32, "seed": 1}
    files = {name: f"{name}.parquet" for name in ("train", "validation", "test")}
    files |= {"page": "labels.html", "picture": "labels.png"}
    convert_labels(**arguments, **{name: tmp_path / "out" / file for name, file in files.items()})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(files.values())
    write_labelme(tmp_path / "in", "12", [box("nose", 1, 1, 9, 9)])
    with pytest.raises(UserError):
        convert_labels(**arguments, **{name: tmp_path / "none" / file for name, file in files.items()})
    assert not (tmp_path / "none").exists()


def test_fifteen_classes_go_through_conversion_and_augmentation(tmp_path):
    merge = {name: [name] for name in FINE.names}
    settings = LabelsConfig(merge=merge, validation=0.3, test=0.3)
    for i in range(12):
        pixels = decode_image(noise_row("", i)["image"]["bytes"])
        shapes = [box(name, 4 * c, 0, 4 * c + 3, 63) for c, name in enumerate(FINE.names)]
        write_labelme(tmp_path / "in", str(i), shapes, pixels=pixels)
    splits = {name: tmp_path / f"{name}.parquet" for name in ("train", "validation", "test")}
    others = {"page": tmp_path / "labels.html", "picture": tmp_path / "labels.png"}
    convert_labels(labelled=tmp_path / "in", classes=FINE, settings=settings, size=64, seed=1, **splits, **others)
    assert mask_classes(list(splits.values())) == FINE
    [mask, *_] = [decode_mask(row["mask"]["bytes"], FINE) for row in read_rows([splits["train"]])]
    assert np.unique(mask).tolist() == list(range(15))
    assert "part14: median 6.25%" in others["page"].read_text()

    warps = AugmentConfig(copies=2, rotation=5, scale=0.1, warp=0.02)
    augmented = tmp_path / "augmented.parquet"
    augment_labels(
        labels=splits["train"],
        validation=splits["validation"],
        settings=warps,
        seed=1,
        augmented=augmented,
        augmented_validation=tmp_path / "augmented_validation.parquet",
        picture=tmp_path / "a.png",
    )
    assert mask_classes([augmented, tmp_path / "augmented_validation.parquet"]) == FINE
    copies = [decode_mask(row["mask"]["bytes"], FINE) for row in read_rows([augmented])]
    assert all(np.unique(copy).max() == 14 for copy in copies)
