"""Augmented copies: image and mask together, gentle, and the same for the same seed."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from helpers.label_files import EYE, FACE, HAIR

from facemill.config.label import AugmentConfig
from facemill.data.classes import IGNORE, SEVEN
from facemill.data.shards import decode_image, decode_mask, read_rows, write_shard
from facemill.imaging.figures import colorize
from facemill.label.augment_labels import augment_labels, augment_row, augment_rows, show_copies
from facemill.label.labelled_rows import SCHEMA, labelled_row

SIZE = 64
SETTINGS = AugmentConfig(copies=8, rotation=15, scale=0.15, warp=0.03)
STILL = AugmentConfig(copies=16, rotation=0, scale=0, warp=0)


def portrait(portrait_id: str = "5") -> dict[str, Any]:
    """A lopsided face under hair, its image painted in the colors of its mask."""
    y, x = np.mgrid[:SIZE, :SIZE]
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[np.hypot(x - 32, y - 28) < 24] = HAIR
    mask[np.hypot(x - 30, y - 34) < 15] = FACE
    mask[np.hypot(x - 24, y - 30) < 4] = EYE
    mask[60:, :] = IGNORE
    return labelled_row(portrait_id, colorize(mask, SEVEN), mask, SEVEN)


def augment(row: dict[str, Any], settings: AugmentConfig, seed: int) -> list[dict[str, Any]]:
    return augment_row(row, SEVEN, settings, seed)


def pair(row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    return decode_image(row["image"]["bytes"]), decode_mask(row["mask"]["bytes"], SEVEN)


def test_copies_are_numbered_and_differ():
    rows = augment(portrait(), SETTINGS, seed=1)
    assert [row["id"] for row in rows] == [f"5-{i:02}" for i in range(8)]
    assert len({row["image"]["bytes"] for row in rows}) == len({row["mask"]["bytes"] for row in rows}) == 8


def test_a_copy_depends_on_portrait_seed_and_number_alone():
    rows = augment(portrait(), SETTINGS, seed=1)
    augment(portrait("6"), SETTINGS, seed=1)
    fewer = SETTINGS.model_copy(update={"copies": 3})
    assert augment(portrait(), fewer, seed=1) == rows[:3]
    assert augment(portrait(), SETTINGS, seed=2)[0]["mask"]["bytes"] != rows[0]["mask"]["bytes"]
    assert augment(portrait("6"), SETTINGS, seed=1)[0]["mask"]["bytes"] != rows[0]["mask"]["bytes"]


def test_the_mask_goes_with_the_image():
    for row in augment(portrait(), SETTINGS, seed=1):
        image, mask = pair(row)
        off = np.abs(image.astype(int) - colorize(mask, SEVEN)).max(axis=2) > 100
        assert off.mean() < 0.03


@pytest.mark.parametrize("seed", range(4))
def test_no_class_appears_that_was_not_there(seed):
    for row in augment(portrait(), SETTINGS.model_copy(update={"warp": 0.1, "rotation": 90}), seed):
        assert set(np.unique(pair(row)[1])) <= {0, FACE, EYE, HAIR, IGNORE}


def test_faces_stay_faces():
    before = pair(portrait())[1]
    for row in augment(portrait(), SETTINGS, seed=1):
        mask = pair(row)[1]
        assert 0.6 < (mask == FACE).sum() / (before == FACE).sum() < 1.6
        centers = [np.argwhere(m == EYE).mean(axis=0) for m in (before, before[:, ::-1], mask)]
        assert min(np.abs(center - centers[2]).max() for center in centers[:2]) < 12


def test_borders_are_reflected_not_filled():
    row = labelled_row("1", np.full((SIZE, SIZE, 3), 200, np.uint8), np.full((SIZE, SIZE), HAIR, np.uint8), SEVEN)
    for copy in augment(row, SETTINGS.model_copy(update={"scale": 0.5, "rotation": 45}), seed=1):
        image, mask = pair(copy)
        assert (mask == HAIR).all() and np.abs(image.astype(int) - 200).max() <= 2


def test_without_warps_a_copy_is_the_portrait_or_its_mirror_image():
    mask = pair(portrait())[1]
    masks = [pair(row)[1] for row in augment(portrait(), STILL, seed=1)]
    mirrored = [np.array_equal(m, mask[:, ::-1]) for m in masks]
    assert 3 <= sum(mirrored) <= 13
    assert all(mirror or np.array_equal(m, mask) for mirror, m in zip(mirrored, masks, strict=True))


def test_scaling_keeps_proportions():
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[20:44, 20:44] = HAIR
    for copy in augment(
        labelled_row("1", colorize(mask, SEVEN), mask, SEVEN), STILL.model_copy(update={"scale": 0.3}), seed=1
    ):
        hair = pair(copy)[1] == HAIR
        assert abs(int(hair.any(axis=0).sum()) - int(hair.any(axis=1).sum())) <= 1


def test_colors_change_only_when_asked_and_never_the_mask():
    colored = STILL.model_copy(update={"color": 0.5})
    plain, changed = augment(portrait(), STILL, seed=1), augment(portrait(), colored, seed=1)
    assert [row["mask"] for row in plain] == [row["mask"] for row in changed]
    difference = [np.abs(pair(a)[0].astype(int) - pair(b)[0]).mean() for a, b in zip(plain, changed, strict=True)]
    assert min(difference) > 1 and np.median(difference) > 10


def test_copies_of_every_portrait_are_written(tmp_path):
    originals = {"train": [portrait("5"), portrait("6")], "validation": [portrait("7")]}
    for split, rows in originals.items():
        write_shard(tmp_path / f"{split}.parquet", rows, SCHEMA, SEVEN)
    for name in "ab":
        augment_labels(
            labels=tmp_path / "train.parquet",
            validation=tmp_path / "validation.parquet",
            settings=SETTINGS,
            seed=1,
            augmented=tmp_path / name / "train.parquet",
            augmented_validation=tmp_path / name / "validation.parquet",
            picture=tmp_path / name / "augmented.png",
        )
    for split, rows in originals.items():
        copies = [augment(row, SETTINGS, 1) for row in rows]
        written = list(read_rows([tmp_path / "a" / f"{split}.parquet"]))
        assert written == [copy for turn in zip(*copies, strict=True) for copy in turn]
    for file in "train.parquet", "validation.parquet", "augmented.png":
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_threads_change_no_byte():
    rows = [portrait(str(i)) for i in range(7)]
    settings = SETTINGS.model_copy(update={"color": 0.5})
    assert augment_rows(rows, SEVEN, settings, 1, threads=3) == augment_rows(rows, SEVEN, settings, 1)


def test_the_picture_shows_originals_and_copies():
    originals = [portrait(str(i)) for i in range(4)]
    picture = show_copies(originals, augment_rows(originals, SEVEN, SETTINGS, 1), SEVEN, columns=3, portraits=2)
    assert picture.width < 5 * (128 + 6) and picture.height > 4 * 128
    assert len(SEVEN) < len(picture.getcolors(1 << 20))


def test_no_torch_is_imported():
    code = "import sys, facemill.label.augment_labels; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
