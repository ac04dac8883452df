"""labelme's own files with the masks that its exporter made, and hand-labelled portraits."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from labelme.utils import img_b64_to_arr, shapes_to_label
from PIL import Image

from facemill.config.ingest import IndexMasksConfig
from facemill.config.label import LabelsConfig
from facemill.data.classes import SEVEN
from facemill.data.labelme import check, draw, read
from facemill.data.shards import decode_mask
from facemill.imaging.polygons import MIN_IOU, polygons, rasterize
from facemill.label.label_files import index_mask_files, labelme_files, read_labelme
from facemill.label.labelled_rows import SCHEMA, labelled_rows
from facemill.metrics.segmentation import confusion, iou

DATA = Path(os.environ.get("FACEMILL_REAL_DATA", "../shared/data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")
LABELME, PORTRAITS = DATA / "labelme", DATA / "anime-portraits" / "labelled"
NAMES = ["2011_000003", "2011_000006", "2011_000025"]


def labels() -> dict[str, int]:
    """labelme's ids: line number less one, so `__ignore__` is -1, and 255 in a mask."""
    lines = (LABELME / "semantic_segmentation" / "labels.txt").read_text().split("\n")
    return {name: (number - 1) % 256 for number, name in enumerate(filter(None, lines))}


def mask_of(path: Path, size: tuple[int, int], ids: dict[str, int]) -> np.ndarray:
    annotation, errors = read(path)
    assert not errors and not check(annotation, size, ids, tolerance=1).errors
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
    """They are of a Pillow that rounded the edges of polygons otherwise; ignored pixels are 0 in them."""
    expected = np.array(Image.open(LABELME / "by-version" / f"{name}.v3.0.0.png"))
    mask = mask_of(LABELME / "by-version" / f"{name}.v3.0.0.json", expected.shape, labels() | {"__ignore__": 0})
    border = cv2.dilate(mask, np.ones((3, 3))) != cv2.erode(mask, np.ones((3, 3)))
    differs = mask != expected
    assert differs.mean() < 0.003 and not differs[~border].any()


# one of them holds the path of another file and no JSON
FILES = [path for path in sorted(LABELME.rglob("*.json")) if path.read_bytes().startswith(b"{")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_of_labelmes_is_drawn_as_by_labelme(path):
    annotation, errors = read(path)
    ids = {label: number for number, label in enumerate({shape.label for shape in annotation.shapes}, 1)}
    size = (int(annotation.image_height or 375), int(annotation.image_width or 500))
    shapes = [
        {
            "label": shape.label,
            "points": [list(point) for point in shape.points],
            "shape_type": shape.shape_type,
            "mask": img_b64_to_arr(shape.mask).astype(bool) if shape.mask else None,
        }
        for shape in annotation.shapes
    ]
    assert not errors and np.array_equal(mask_of(path, size, ids), shapes_to_label(size, shapes, ids)[0])


def test_every_kind_of_shape_is_drawn():
    path = LABELME / "primitives" / "primitives.json"
    names = [shape.label for shape in read(path)[0].shapes]
    ids = {name: number for number, name in enumerate(dict.fromkeys(names), 1)}
    mask = mask_of(path, (450, 560), ids)
    areas = {name: int((mask == value).sum()) for name, value in ids.items()}
    assert areas["rectangle"] == 101 * 101 + 152 * 103
    assert areas["circle"] == pytest.approx(np.pi * 2581, rel=0.02)
    assert areas["octagon"] == 7275
    assert all(areas.values())


def settings(**more) -> LabelsConfig:
    return LabelsConfig(**yaml.safe_load(Path("config/config.yaml").read_text())["labels"] | more)


def test_hand_labelled_portraits_become_masks_of_all_classes():
    rows, warnings = labelled_rows(labelme_files(PORTRAITS, settings(), SEVEN), SEVEN, 128, threads=2)
    assert len(rows) >= 100 and not warnings
    share = np.mean([np.bincount(decode_mask(row["mask"]["bytes"]).ravel(), minlength=7) for row in rows], 0) / 128**2
    low = [0.1, 0.01, 0.05, 0.01, 0.0005, 0.2, 0.03]
    high = [0.5, 0.15, 0.3, 0.08, 0.01, 0.6, 0.3]
    assert (low < share).all() and (share < high).all()


def test_hand_drawn_masks_become_polygons_and_masks_again():
    ids = settings().label_ids(SEVEN)
    for path in sorted(PORTRAITS.glob("*.json")):
        mask = read_labelme(path, ids, tolerance=1).mask
        again = np.zeros_like(mask)
        for value, outline in polygons(mask):
            again[rasterize(outline, mask.shape) > 0] = value
        assert np.nanmin(iou(confusion(again, mask, len(SEVEN)))) >= MIN_IOU, path


def test_celebamask_hq_is_merged_into_the_classes():
    overlay = yaml.safe_load(Path("config/celeba.yaml").read_text())["labels"]
    merge = settings().merge | overlay["merge"]
    files = IndexMasksConfig(images=DATA / "celebamask-hq/images", masks=DATA / "celebamask-hq/masks")
    sources = index_mask_files(files, settings(merge=merge, index_names=overlay["index_names"]), SEVEN)
    assert len(sources) == 200
    rows, _ = labelled_rows(sources[:40], SEVEN, 128, threads=2)
    masks = np.stack([decode_mask(row["mask"]["bytes"]) for row in rows])
    assert [row["mask"]["path"] for row in rows[:1]] and set(rows[0]) == set(SCHEMA.names)
    share = np.bincount(masks.ravel(), minlength=len(SEVEN)) / masks.size
    assert (share > [0.1, 0.03, 0.15, 0.002, 0.005, 0.1, 0.005]).all() and share[2] > share[1]
    heights = [np.argwhere(masks == c)[:, 1].mean() for c in (5, 3, 4, 6)]  # hair, eyes, mouth, clothes
    assert heights == sorted(heights)
