"""labelme's own files with the masks that its exporter made, and hand-labelled portraits."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from facemill.config import Labels
from facemill.label.convert import labelled_portraits
from facemill.label.labelme import draw, faults, read
from facemill.shards import decode_mask

DATA = Path(os.environ.get("FACEMILL_REAL_DATA", "../shared/data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")
LABELME = DATA / "labelme"
NAMES = ["2011_000003", "2011_000006", "2011_000025"]


def labels() -> dict[str, int]:
    """labelme's ids: line number less one, so `__ignore__` is -1, and 255 in a mask."""
    lines = (LABELME / "semantic_segmentation" / "labels.txt").read_text().split("\n")
    return {name: (number - 1) % 256 for number, name in enumerate(filter(None, lines))}


def mask_of(path: Path, size: tuple[int, int], ids: dict[str, int]) -> np.ndarray:
    annotation, found = read(path)
    assert not found and not list(faults(annotation, size, ids))
    return draw(annotation.shapes, size, ids)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", ["v4.0.0", "HEAD"])
def test_pixels_are_those_of_labelmes_exporter(name, version):
    folder = LABELME / "semantic_segmentation"
    expected = np.load(folder / "class_masks_npy" / f"{name}.npy") % 256
    for path in folder / "annotated" / f"{name}.json", LABELME / "by-version" / f"{name}.{version}.json":
        differs = np.argwhere(mask_of(path, expected.shape, labels()) != expected).tolist()
        # one pixel of the exporter's, made with Pillow 9, which labelme itself draws otherwise since Pillow 11
        assert differs in ([], [[290, 104]] if name == "2011_000006" else [])


@pytest.mark.parametrize("name", NAMES)
def test_files_of_labelme_3_differ_from_its_masks_on_borders_only(name):
    """Its masks were drawn by a Pillow that rounded the edges of polygons otherwise; ignored pixels are 0 in them."""
    expected = np.array(Image.open(LABELME / "by-version" / f"{name}.v3.0.0.png"))
    found = mask_of(LABELME / "by-version" / f"{name}.v3.0.0.json", expected.shape, labels() | {"__ignore__": 0})
    border = cv2.dilate(found, np.ones((3, 3))) != cv2.erode(found, np.ones((3, 3)))
    differs = found != expected
    assert differs.mean() < 0.003 and not differs[~border].any()


def test_every_kind_of_shape_is_drawn():
    path = LABELME / "primitives" / "primitives.json"
    names = [shape.label for shape in read(path)[0].shapes]
    ids = {name: number for number, name in enumerate(dict.fromkeys(names), 1)}
    found = mask_of(path, (450, 560), ids)
    areas = {name: int((found == id).sum()) for name, id in ids.items()}
    assert areas["rectangle"] == 101 * 101 + 152 * 103
    assert areas["circle"] == pytest.approx(np.pi * 2581, rel=0.02)
    assert areas["octagon"] == 7275
    assert all(areas.values())


def test_hand_labelled_portraits_become_masks_of_all_classes():
    settings = Labels(**yaml.safe_load(Path("config.yaml").read_text())["labels"])
    rows = labelled_portraits(DATA / "anime-portraits" / "labelled", settings, 128)
    assert len(rows) >= 100
    share = np.mean([np.bincount(decode_mask(row["mask"]["bytes"]).ravel(), minlength=7) for row in rows], 0) / 128**2
    low = [0.1, 0.01, 0.05, 0.01, 0.0005, 0.2, 0.03]
    high = [0.5, 0.15, 0.3, 0.08, 0.01, 0.6, 0.3]
    assert (low < share).all() and (share < high).all()
