"""labelme's files: what is read, which faults are found, which pixels are drawn."""

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facemill.label.labelme import POINTS, Annotation, Shape, draw, faults, find_image, read

LABELS = {"a": 1, "b": 2, "c": 255}
SIZE = (40, 60)


def png(mask: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def shape(kind: str, *points: tuple[float, float], mask: str | None = None) -> Shape:
    return Shape("a", list(points), kind, mask)


def drawn(*shapes: Shape) -> np.ndarray:
    return draw(shapes, SIZE, LABELS)


def write(path, **content):
    path.write_text(json.dumps(content))
    return path


def test_reads_files_of_labelme_3_and_of_today(tmp_path):
    points = [[1, 2], [3.5, 4], [5, 6]]
    old = {"label": "a", "points": points, "line_color": None, "fill_color": None}
    new = {"label": "a", "points": points, "shape_type": "linestrip", "group_id": None, "flags": {}, "mask": None}
    null = {"label": "a", "points": points, "shape_type": None}
    path = write(tmp_path / "x.json", shapes=[old, new, null], imagePath="x.png", imageData=None, lineColor=[0, 0, 0])
    annotation, found = read(path)
    assert found == []
    assert [s.shape_type for s in annotation.shapes] == ["polygon", "linestrip", "polygon"]
    assert annotation.shapes[0].points == [(1, 2), (3.5, 4), (5, 6)]
    assert (annotation.image_path, annotation.image_height) == ("x.png", None)


def test_names_every_shape_that_cannot_be_read(tmp_path):
    good = {"label": "a", "points": [[0, 0]], "shape_type": "point"}
    bad = [{"label": "a"}, {**good, "shape_type": "blob"}, {**good, "points": [[0, 0, 0]]}, {**good, "label": 7}, []]
    annotation, found = read(write(tmp_path / "x.json", shapes=[good, *bad]))
    assert annotation is None
    assert [fault.split(":")[0] for fault in found] == [f"shape {i}" for i in range(1, 6)]
    assert "points" in found[0] and "blob" in found[1]


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"shapes": 3}', b'{"shapes": [\xff]}'])
def test_other_files_are_a_fault(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    annotation, found = read(path)
    assert annotation is None and len(found) == 1 and found[0].startswith("not a labelme file: ")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Shape("nose", [(1, 1), (2, 2), (3, 1)]), "(nose): unknown label; accepted: a, b, c"),
        (shape("polygon", (1, 1), (2, 2)), "2 points; a polygon has 3 or more"),
        (shape("circle", (1, 1)), "1 points; a circle has 2"),
        (shape("point", (1, 1), (2, 2)), "2 points; a point has 1"),
        (shape("line", (0, 0), (61.5, 3)), "point (61.5, 3) outside the image of 60 x 40 pixels"),
        (shape("line", (0, 0), (3, -1.5)), "point (3, -1.5) outside"),
        (shape("mask", (0, 0), (1, 1)), "its mask is not a PNG in base64"),
        (shape("mask", (0, 0), (1, 1), mask=png(np.ones((3, 2), bool))), "mask of 2 x 3 pixels in a box of 2 x 2"),
    ],
)
def test_faults_name_the_shape_and_the_reason(wrong, words):
    good = shape("point", (60, 40))
    [fault] = faults(Annotation([good, wrong]), SIZE, LABELS)
    assert fault.startswith("shape 1 (") and words in fault


def test_faults_of_the_whole_file():
    [fault] = faults(Annotation([shape("point", (1, 1))], image_height=60, image_width=40), SIZE, LABELS)
    assert fault == "imageHeight, imageWidth are 60, 40; the image's are 40, 60"
    [fault] = faults(Annotation([]), SIZE, LABELS)
    assert "no shape" in fault


def test_borders_belong_to_polygons_and_rectangles():
    expected = np.zeros(SIZE, np.uint8)
    expected[5:11, 10:31] = 1
    assert np.array_equal(drawn(shape("rectangle", (30, 10), (10, 5))), expected)
    assert np.array_equal(drawn(shape("polygon", (10, 5), (30, 5), (30, 10), (10, 10))), expected)
    assert np.array_equal(drawn(shape("oriented_rectangle", (10, 5), (30, 5), (30, 10), (10, 10))), expected)


def test_circles_and_points_are_discs():
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    radius = np.hypot(x - 30, y - 20)
    for disc, size in (shape("circle", (30, 20), (33, 24)), 5), (shape("point", (30, 20)), 5):
        pixels = drawn(disc)
        assert pixels[radius <= size - 0.5].all() and not pixels[radius > size + 0.5].any()


def test_lines_are_ten_pixels_wide():
    pixels = drawn(shape("linestrip", (10, 20), (50, 20), (50, 35)))
    assert pixels[:, 30].sum() == 10 and pixels[30, :].sum() == 10
    assert np.array_equal(drawn(shape("line", (10, 20), (50, 20))), drawn(shape("linestrip", (10, 20), (50, 20))))


@pytest.mark.parametrize("foreground", [True, 1, 255])
def test_masks_fill_their_box(foreground):
    pattern = np.random.default_rng(1).random((7, 11)) > 0.5
    expected = np.zeros(SIZE, np.uint8)
    expected[4:11, 3:14] = pattern
    values = pattern if foreground is True else pattern.astype(np.uint8) * foreground
    assert np.array_equal(drawn(shape("mask", (3.6, 4.2), (13, 10.9), mask=png(values))), expected)


@st.composite
def random_shapes(draw_from):
    kind = draw_from(st.sampled_from([kind for kind in POINTS if kind != "mask"]))
    least, most = POINTS[kind]
    x, y = st.floats(-1, SIZE[1] + 1), st.floats(-1, SIZE[0] + 1)
    points = st.lists(st.tuples(x, y), min_size=least, max_size=int(min(most, 8)))
    return Shape(draw_from(st.sampled_from(list(LABELS))), draw_from(points), kind)


@settings(max_examples=150, deadline=None)
@given(st.lists(random_shapes(), min_size=1, max_size=6))
def test_one_canvas_gives_the_pixels_of_a_mask_for_each_shape(shapes):
    assert not list(faults(Annotation(shapes), SIZE, LABELS))
    expected = np.zeros(SIZE, np.uint8)
    for each in shapes:
        expected[draw([each], SIZE, dict.fromkeys(LABELS, 1)) == 1] = LABELS[each.label]
    assert np.array_equal(draw(shapes, SIZE, LABELS), expected)


def test_the_image_is_embedded_or_at_its_path_or_under_the_same_name(tmp_path):
    path = tmp_path / "x.json"
    assert find_image(path, Annotation([], image_path="gone.png")) is None
    (tmp_path / "x.jpg").touch()
    assert find_image(path, Annotation([], image_path="gone.png")) == tmp_path / "x.jpg"
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "y.png").touch()
    assert find_image(path, Annotation([], image_path="images\\y.png")) == tmp_path / "images" / "y.png"
    embedded = Annotation([], image_path="images/y.png", image_data=base64.b64encode(b"png").decode())
    assert find_image(path, embedded) == b"png"
