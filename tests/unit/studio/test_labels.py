"""Masks saved as labels: what is written, what is refused before, and what the next run makes of it."""

import json
import resource
from dataclasses import replace

import numpy as np
import pytest
from helpers.scenes import THREE
from helpers.studio_models import draw_mask, settings
from PIL import Image

from facemill.config.label import LabelsConfig
from facemill.data import labelme
from facemill.data.classes import IGNORE, SEVEN
from facemill.data.shards import decode_mask, encode_jpeg, read_rows
from facemill.errors import UserError
from facemill.imaging.polygons import MIN_IOU
from facemill.label.convert_labels import convert_labels
from facemill.studio.labels import Labels, safe_stem
from facemill.studio.photos import Photo

LABELS = settings().labels.model_copy(update={"validation": 0.3, "test": 0.3})


def photo(seed: int, stem: str = "photo", size: int = 64) -> Photo:
    """Smooth noise, unlike that of other seeds."""
    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC))
    return Photo(seed, f"{stem}.jpg", stem, pixels, np.zeros((size, size), np.uint8), None, None)


@pytest.fixture
def labels(tmp_path):
    return Labels(tmp_path / "labelled", LABELS, SEVEN)


def names(labels: Labels) -> list[str]:
    return sorted(path.relative_to(labels.folder).as_posix() for path in labels.folder.rglob("*") if path.is_file())


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return min(((a == c) & (b == c)).sum() / ((a == c) | (b == c)).sum() for c in np.union1d(a, b))


def test_labels_become_labelled_portraits_of_the_next_run(labels, tmp_path):
    masks = {}
    for seed in range(24):
        result = labels.save(photo(seed, "IMG_1", size=256), mask := draw_mask(seed, 256))
        masks[result.file.removesuffix(".json")] = mask
        assert set(result.iou) == set(SEVEN.names)
        assert min(result.iou.values()) >= MIN_IOU
        assert result.warnings == []
    assert list(masks)[:3] == ["IMG_1", "IMG_1-2", "IMG_1-3"]
    outputs = {name: tmp_path / f"{name}.parquet" for name in ("train", "validation", "test")}
    pictures = {"page": tmp_path / "labels.html", "picture": tmp_path / "labels.png"}
    convert_labels(labelled=labels.folder, classes=SEVEN, settings=LABELS, size=256, seed=1, **outputs, **pictures)
    rows = list(read_rows(list(outputs.values())))
    assert {row["id"] for row in rows} == set(masks)
    assert all(iou(decode_mask(row["mask"]["bytes"], SEVEN), masks[row["id"]]) >= MIN_IOU for row in rows)


def test_what_is_written_is_the_photo_and_a_labelme_file_of_first_labels(labels):
    labels.save(photo(1, "a"), draw_mask(1))
    assert names(labels) == ["a.json", "a.png"]
    with Image.open(labels.folder / "a.png") as picture:
        assert (np.asarray(picture) == photo(1).picture).all()
    annotation, _ = labelme.read(labels.folder / "a.json")
    assert {shape.label for shape in annotation.shapes} == {"body", "face", "eye", "mouth", "hair", "clothes"}
    assert (annotation.image_path, annotation.image_height, annotation.image_width) == ("a.png", 64, 64)


def test_without_settings_labels_are_the_classes_names(tmp_path):
    mask = draw_mask(1) % 3
    result = Labels(tmp_path, None, THREE).save(photo(1, "a"), mask)
    annotation, _ = labelme.read(tmp_path / "a.json")
    assert {"head", "hat"} <= {shape.label for shape in annotation.shapes} <= set(THREE.names)
    assert min(result.iou.values()) >= MIN_IOU


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Mädchen mit Hut (2).v1.JPG", "Madchen_mit_Hut_2_v1"),
        ("..\\..\\etc/passwd", "passwd"),
        ("-rf_.png", "rf"),
        ("顔.png", "photo"),
        ("con.png", "photo"),
        (".png", "photo"),
        ("a" * 99 + ".png", "a" * 64),
    ],
)
def test_names_of_files_have_few_letters(name, stem):
    assert safe_stem(name) == stem


def test_names_that_are_taken_get_a_number(labels):
    (labels.folder / "sub").mkdir(parents=True)
    for taken in ("A.jpg", "sub/a-2.json", "a-3.json.removed"):
        (labels.folder / taken).write_text("")
    assert labels.save(photo(1, "a"), draw_mask(1)).file == "a-4.json"
    long = "b" * 64
    assert [labels.save(photo(seed, long), draw_mask(seed)).file for seed in (2, 3)] == [
        f"{long}.json",
        f"{long[:62]}-2.json",
    ]


def test_a_portrait_of_review_has_its_id_as_label_so_that_it_is_not_chosen_again(labels, tmp_path):
    for seed in range(24):
        labels.save(photo(seed, f"a%2F{seed}.x"), draw_mask(seed))
    outputs = {name: tmp_path / f"{name}.parquet" for name in ("train", "validation", "test")}
    pictures = {"page": tmp_path / "labels.html", "picture": tmp_path / "labels.png"}
    convert_labels(labelled=labels.folder, classes=SEVEN, settings=LABELS, size=64, seed=1, **outputs, **pictures)
    assert "a/3.x" in {row["id"] for row in read_rows(list(outputs.values()))}


@pytest.mark.parametrize(
    ("mask", "fault"),
    [
        (np.zeros((64, 64), np.uint8), "nothing but background in it; accepted: at least one part"),
        (np.full((64, 64), IGNORE, np.uint8), "nothing but background in it"),
        (draw_mask(1, 32), "a mask of 32 x 32 pixels for a photo of 64 x 64"),
    ],
)
def test_what_the_next_run_would_refuse_is_refused_and_nothing_written(labels, mask, fault):
    with pytest.raises(UserError, match=fault):
        labels.save(photo(1), mask)
    assert not labels.folder.exists()


def test_the_same_image_is_refused_in_the_next_runs_words(labels, tmp_path):
    (labels.folder / "sub").mkdir(parents=True)
    (labels.folder / "sub/a.jpg").write_bytes(encode_jpeg(photo(1).picture))
    with Image.open(labels.folder / "sub/a.jpg") as picture:
        same = replace(photo(2), picture=np.asarray(picture))
    assert labels.save(same, draw_mask(1)).file == "photo.json"  # an image without labels is none of the run's
    labels.remove("photo.json")
    box = {"label": "hair", "points": [[1, 1], [40, 40]], "shape_type": "rectangle"}
    (labels.folder / "sub/a.json").write_text(json.dumps({"shapes": [box], "imagePath": "a.jpg"}))
    before = names(labels)
    for _ in range(2):
        with pytest.raises(UserError) as refused:
            labels.save(same, draw_mask(1))
        assert names(labels) == before
    Image.fromarray(same.picture).save(labels.folder / "b.png")
    (labels.folder / "b.json").write_text(json.dumps({"shapes": [box], "imagePath": "b.png"}))
    nowhere = dict.fromkeys(("train", "validation", "test", "page", "picture"), tmp_path / "nowhere")
    with pytest.raises(UserError) as by_run:
        convert_labels(labelled=labels.folder, classes=SEVEN, settings=LABELS, size=64, seed=1, **nowhere)
    said = str(refused.value).replace("sub/a.json", "b.json")  # the run reads b.json first
    assert said in str(by_run.value)
    assert "the same image as that of" in said


def test_unlabelled_pixels_get_the_label_that_is_ignored(labels):
    mask = draw_mask(1)
    mask[:9] = IGNORE
    labels.save(photo(1, "a"), mask)
    annotation, _ = labelme.read(labels.folder / "a.json")
    ids = LABELS.label_ids(SEVEN)
    assert iou(labelme.draw(annotation.shapes, (64, 64), ids), mask) >= MIN_IOU
    with pytest.raises(UserError, match=r"unlabelled pixels \(255\) in it; accepted: classes, or a label in labels.ig"):
        Labels(labels.folder, LABELS.model_copy(update={"ignore": []}), SEVEN).save(photo(2, "b"), mask)
    assert names(labels) == ["a.json", "a.png"]


def test_narrow_background_is_no_gap_between_labels(labels):
    mask = np.full((64, 64), 5, np.uint8)
    mask[:, 30:33] = 0
    labels.gap = 5
    result = labels.save(photo(1), mask)
    assert result.iou == {"background": 1, "hair": 1}


def test_what_the_settings_change_afterwards_is_said(tmp_path):
    merge = {name: [name] for name in SEVEN.names} | {"background": []}
    without = Labels(tmp_path, LabelsConfig(merge=merge, fill_gaps=5, validation=0.3, test=0.3), SEVEN)
    mask = np.full((64, 64), 5, np.uint8)
    mask[:, 30:33] = 0
    result = without.save(photo(1), mask)
    assert result.iou == {"background": 0, "hair": round(61 / 64, 4)}
    assert [warning.partition(" ")[0] for warning in result.warnings] == ["background", "hair"]
    mask = draw_mask(1)
    mask[30, 30] = 0
    with pytest.raises(UserError, match="unknown label 'background'; accepted, in labels.merge and labels.ignore"):
        without.save(photo(2), mask)
    assert names(without) == ["photo.json", "photo.png"]


def test_a_label_is_taken_back_with_its_image_and_nothing_is_lost(labels):
    for seed in (1, 2):
        assert labels.save(photo(seed, "a"), draw_mask(seed)).file == ("a.json" if seed == 1 else "a-2.json")
    assert labels.remove("a.json") == "a.json.removed"
    assert names(labels) == ["a-2.json", "a-2.png", "a.json.removed", "a.png.removed"]
    for file in ("a.json", "../a-2.json", "b.json"):
        with pytest.raises(UserError, match="no label that was saved here"):
            labels.remove(file)
    assert labels.save(photo(1, "a"), draw_mask(1)).file == "a-3.json"


@pytest.mark.parametrize("refused", ["a.json.removed", "a.png.removed"])
def test_a_label_that_the_disk_holds_back_can_be_taken_back_later(labels, refused):
    labels.save(photo(1, "a"), draw_mask(1))
    (labels.folder / refused).mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        labels.remove("a.json")
    (labels.folder / refused).rmdir()
    assert labels.remove("a.json") == "a.json.removed"
    assert names(labels) == ["a.json.removed", "a.png.removed"]


def test_only_labels_of_this_studio_are_taken_back(labels):
    labels.save(photo(1, "a"), draw_mask(1))
    with pytest.raises(UserError, match="a.json: no label that was saved here"):
        Labels(labels.folder, LABELS, SEVEN).remove("a.json")
    assert names(labels) == ["a.json", "a.png"]


@pytest.mark.parametrize("most", [200, 4000])
def test_a_full_disk_leaves_nothing_and_is_named(labels, most):
    """Of 200 bytes the image has more, of 4,000 the labelme file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    flat = replace(photo(1), picture=np.zeros((64, 64, 3), np.uint8))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            labels.save(flat if most == 4000 else photo(1), draw_mask(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(labels.folder / f"photo.{'json' if most == 4000 else 'png'}")
    assert names(labels) == []
    assert labels.save(photo(1), draw_mask(1)).file == "photo.json"


def test_a_folder_that_is_a_file_is_named(labels):
    labels.folder.write_text("")
    with pytest.raises(OSError, match="Not a directory") as caught:
        labels.save(photo(1), draw_mask(1))
    assert caught.value.filename == str(labels.folder)
