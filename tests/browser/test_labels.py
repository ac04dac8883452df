"""A photo comes in, its mask is corrected and becomes a label that the next run trains on; and `review`'s portraits."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.running import ROOT
from helpers.studio_models import SIZE, draw_mask, draw_portrait, settings
from helpers.studio_page import capsules
from PIL import Image

from facemill.data import labelme
from facemill.data.classes import SEVEN
from facemill.data.shards import decode_mask, encode_jpeg, encode_mask, read_rows
from facemill.label.labelled_rows import SCHEMA
from facemill.review.review_portraits import write_labelme
from facemill.segment.predict_masks import predict_masks

SIDE = 200


@pytest.fixture
def photo(tmp_path) -> Path:
    """A square JPEG that lies on its side; its EXIF says so."""
    upright = Image.fromarray(draw_portrait(draw_mask(40, SIDE), "#863dc6"))
    exif = Image.Exif()
    exif[0x0112] = 6  # the first row is the right side, so it was turned to the left
    path = tmp_path / "photos/My phöto (1).jpg"
    path.parent.mkdir()
    upright.transpose(Image.Transpose.ROTATE_90).save(path, quality=95, exif=exif)
    return path


@pytest.fixture
def predicted(photo, results, tmp_path) -> np.ndarray:
    """The mask that `predict_masks` writes for the photo."""
    predict_masks(model=results / "unet/v3", images=photo.parent, out=tmp_path / "predicted")
    return decode_mask((tmp_path / "predicted" / f"{photo.stem}.png").read_bytes())


def load(editor, photo: Path) -> None:
    editor.drop("#board", photo, "image/jpeg")
    editor.wait(f"studio.state().size[0] === {SIDE}")
    editor.rest()


def label(editor) -> Path:
    """Saves the mask as a label; the labelme file."""
    folder = Path(editor.page.evaluate("studio.hello().labelled"))
    before = set(folder.glob("*.json"))
    with editor.page.expect_response("**/label") as response:
        editor.page.click("#label")
    assert response.value.status == 200
    [file] = set(folder.glob("*.json")) - before
    return file


def review(editor, key: str) -> None:
    editor.page.locator("#mask").focus()
    with editor.page.expect_response("**/review"):
        editor.press(key)
    editor.wait("document.body.dataset.rest === 'true'")
    editor.rest()


def drawn(file: Path) -> np.ndarray:
    """The mask in a labelme file, as the workflow draws it."""
    annotation, faults = labelme.read(file)
    assert not faults
    size = (int(annotation.image_height), int(annotation.image_width))
    ids = settings().labels.label_ids(SEVEN)
    problems = labelme.check(annotation, size, ids, settings().labels.tolerance)
    assert not problems.errors and not problems.warnings
    return labelme.draw(annotation.shapes, size, ids)


def test_a_photo_is_masked_as_predict_masks_does(editor, photo, predicted):
    load(editor, photo)
    assert predicted.shape == (SIDE, SIDE) and len(np.unique(predicted)) == 7
    np.testing.assert_array_equal(editor.mask(), predicted)
    assert predicted[:60].tolist().count(6) == 0 and (predicted[-5:] == 6).any()  # it stands upright
    editor.press("Control+z")
    assert editor.state()["size"] == [SIZE, SIZE]


def test_a_corrected_mask_becomes_a_label(editor, studio, photo, predicted, tmp_path):
    load(editor, photo)
    editor.choose(klass=5, size=12)
    points = [(20.3, 30.4), (100.2, 20.1), (180.7, 60.6)]
    editor.stroke(points)
    painted = capsules(predicted, points, 12, 5)
    np.testing.assert_array_equal(editor.mask(), painted)
    file = label(editor)
    assert file.stem == "My_photo_1"
    mask = drawn(file)
    for c in np.unique(painted):
        union, both = ((mask == c) | (painted == c)).sum(), ((mask == c) & (painted == c)).sum()
        assert both / union >= 0.995, c
    picture = np.asarray(Image.open(file.with_suffix(".png")).convert("RGB")).astype(int)
    upright = draw_portrait(draw_mask(40, SIDE), "#863dc6").astype(int)
    assert abs(picture - upright).mean() < 3
    editor.wait(f"document.querySelector('#status').textContent.includes('Saved {file.name}; read back, IoU:')")
    trains_on(studio.labelled, file.stem, painted, tmp_path)
    with editor.page.expect_response("**/unlabel"):
        editor.page.click("#unlabel")
    assert not file.exists() and file.with_name(f"{file.name}.removed").exists()


def trains_on(labelled: Path, stem: str, painted: np.ndarray, folder: Path) -> None:
    """`convert_labels.py` reads the folder, where there are enough other labels."""
    clouds = np.random.default_rng(0).integers(0, 256, (12, 5, 5, 3), np.uint8)  # no near-duplicates of each other
    pairs = [
        {"id": str(i), "image": {"bytes": encode_jpeg(cv2.resize(cloud, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC))}}
        | {"mask": {"bytes": encode_mask(draw_mask(i), SEVEN)}}
        for i, cloud in enumerate(clouds)
    ]
    others = folder / "labelled"
    others.mkdir()
    write_labelme(others, zip(pairs, pairs, strict=True), settings().labels, SEVEN)
    for path in labelled.iterdir():
        (others / path.name).write_bytes(path.read_bytes())
    splits = {name: folder / f"{name}.parquet" for name in ("train", "validation", "test")}
    shares = settings().labels.model_dump(mode="json") | {"validation": 0.3, "test": 0.3}
    options = {"labelled": others, "classes": SEVEN.model_dump_json(), "settings": json.dumps(shares)}
    options |= {"size": SIZE, "seed": 1, "page": folder / "page.html", "picture": folder / "picture.png"} | splits
    command = [sys.executable, str(ROOT / "scripts/convert_labels.py")]
    arguments = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = {row["id"]: row for row in read_rows(list(splits.values()), SCHEMA.names)}
    mask = decode_mask(rows[stem]["mask"]["bytes"], SEVEN)
    step = SIDE / SIZE
    places = ((np.arange(SIZE) + 0.5) * step).astype(int)
    assert (mask == painted[np.ix_(places, places)]).mean() > 0.98


def test_the_same_name_again_gets_a_number(editor, photo, tmp_path):
    other = tmp_path / "other" / photo.name
    other.parent.mkdir()
    Image.fromarray(draw_portrait(draw_mask(41, SIDE), "#863dc6")).save(other, quality=95)
    files = []
    for path in (photo, other):
        load(editor, path)
        editor.choose(klass=3, size=20)
        editor.stroke([(50, 100), (60, 100)])
        files.append(label(editor).stem)
    assert all(re.fullmatch(r"My_photo_1(-\d+)?", file) for file in files)
    with editor.page.expect_response("**/label") as response:  # the same picture twice
        editor.page.click("#label")
    assert response.value.status == 422
    assert "same image" in editor.fault()
    editor.errors.clear()  # Chromium says on the console that the answer was 422


def test_nothing_but_background_is_no_label(editor, photo):
    load(editor, photo)
    editor.choose(klass=0, size=40)
    editor.stroke([(x, y) for x in range(5, 201, 20) for y in ((4, 196) if x % 40 == 5 else (196, 4))])
    assert (editor.mask() == 0).all()
    folder = Path(editor.page.evaluate("studio.hello().labelled"))
    before = sorted(folder.iterdir())
    with editor.page.expect_response("**/label") as response:
        editor.page.click("#label")
    assert response.value.status == 422 and "background" in editor.fault()
    editor.errors.clear()
    assert sorted(folder.iterdir()) == before


def test_portraits_of_review_in_turn(editor, results):
    names = sorted(path.stem for path in (results / "review/labelme").glob("*.json"))
    assert editor.page.evaluate("studio.hello().review") == len(names) == 3
    expected = {name: drawn(results / f"review/labelme/{name}.json") for name in names}
    seen = []
    for key in ("n", "n", "n", "p"):
        review(editor, key)
        seen.append(editor.mask().tobytes())
    assert seen[:3] == [expected[name].tobytes() for name in names] and seen[3] == seen[1]


def test_specks_are_removed(editor, photo, predicted):
    load(editor, photo)
    editor.choose(klass=4, size=1)
    editor.stroke([(5.5, 5.5)])
    assert editor.mask()[5, 5] == 4
    with editor.page.expect_response("**/specks"):
        editor.page.click("#specks")
    editor.wait(f"studio.mask().pixels[{5 * SIDE + 5}] === 0")
    assert "Specks cleared" in editor.page.inner_text("#status")


def test_a_mask_without_specks_is_no_step(editor):
    editor.page.click("#specks")
    editor.wait("document.querySelector('#status').textContent === 'There are no specks'")
    assert editor.page.get_attribute("#undo", "aria-disabled") == "true"


def test_a_labelled_portrait_is_stepped_back_to(editor):
    """It shows the mask that was saved, and can be taken back."""
    review(editor, "n")
    editor.choose(klass=5, size=9)
    editor.stroke([(20.5, 20.5), (40.5, 30.5)])
    mask, file = editor.mask(), label(editor)
    review(editor, "n")
    assert editor.page.is_hidden("#unlabel")
    review(editor, "p")
    np.testing.assert_array_equal(editor.mask(), mask)
    assert file.name in editor.page.inner_text("#status")
    with editor.page.expect_response("**/unlabel"):
        editor.page.click("#unlabel")
    assert not file.exists()


def test_the_photo_lies_under_the_mask(editor, photo):
    """By the slider, and alone while H is held; the unsure pixels over it."""
    load(editor, photo)

    def picture() -> bytes:
        editor.page.mouse.move(1, 1)
        return editor.page.locator("#board").screenshot()

    editor.slide("#opacity", 0)
    mask_alone = picture()
    editor.slide("#opacity", 60)
    both = picture()
    editor.page.locator("#mask").focus()
    editor.page.keyboard.down("h")
    hidden = picture()
    editor.page.keyboard.up("h")
    editor.page.check("#unsure", force=True)
    unsure = picture()
    assert len({mask_alone, both, hidden, unsure}) == 4


def test_what_is_no_photo_changes_nothing(editor, tmp_path):
    (tmp_path / "photo.txt.jpg").write_text("a text")
    before = editor.mask().tobytes(), editor.state()
    editor.drop("#board", tmp_path / "photo.txt.jpg", "image/jpeg")
    assert editor.fault().startswith("photo.txt.jpg: ")
    assert (editor.mask().tobytes(), editor.state()) == before
    editor.errors.clear()  # Chromium says on the console that the answer was 415


def test_a_mask_file_is_taken_at_its_colors(editor, tmp_path):
    mask = draw_mask(9)
    (tmp_path / "ids.png").write_bytes(encode_mask(mask, SEVEN))
    Image.open(tmp_path / "ids.png").convert("RGB").save(tmp_path / "colors.png")
    for name in ("ids.png", "colors.png"):
        editor.page.set_input_files("#mask-file", tmp_path / name)
        editor.wait(f"studio.mask().pixels.filter((c, i) => c === 5).length === {(mask == 5).sum()}")
        np.testing.assert_array_equal(editor.mask(), mask)
        editor.press("Control+z")
