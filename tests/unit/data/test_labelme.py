"""labelme's files: what is read, which errors are named, which pixels are drawn."""

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelme import LabelFile
from labelme.utils import img_b64_to_arr, shapes_to_label
from PIL import Image

from facemill.data.labelme import POINTS, Annotation, Problems, Shape, as_labelme, check, draw, read
from facemill.data.labelme_image import find_image
from facemill.data.pairs import Names
from facemill.data.walk import Walk
from facemill.files import write_json

LABELS = {"a": 1, "b": 2, "c": 255}
SIZE = (40, 60)
TOLERANCE = 1.5


def problems_of(*shapes: Shape, **sizes: int) -> Problems:
    return check(Annotation(list(shapes), **sizes), SIZE, LABELS, TOLERANCE)


def png(mask: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def shape(kind: str, *points: tuple[float, float], mask: str | None = None) -> Shape:
    return Shape("a", list(points), kind, mask)


def pixels_of(*shapes: Shape) -> np.ndarray:
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
    annotation, errors = read(path)
    assert errors == []
    assert [s.shape_type for s in annotation.shapes] == [None, "linestrip", None]
    assert not check(annotation, SIZE, LABELS, 0).errors
    assert annotation.shapes[0].points == [(1, 2), (3.5, 4), (5, 6)]
    assert (annotation.image_path, annotation.image_height) == ("x.png", None)


def test_sizes_may_be_written_as_floats(tmp_path):
    annotation, errors = read(write(tmp_path / "x.json", shapes=[], imageHeight=48.0, imageWidth=SIZE[1]))
    assert not errors
    assert check(annotation, SIZE, LABELS, 0).errors[0].startswith(f"imageHeight, imageWidth are 48, {SIZE[1]}; the")


def test_an_empty_file_is_called_so(tmp_path):
    (tmp_path / "x.json").write_text("\n")
    assert read(tmp_path / "x.json") == (None, ["not a labelme file: an empty file"])


def test_names_every_shape_that_cannot_be_read(tmp_path):
    good = {"label": "a", "points": [[0, 0]], "shape_type": "point"}
    bad = [{"label": "a"}, {**good, "shape_type": "blob"}, {**good, "points": [[0, 0, 0]]}, {**good, "label": 7}, []]
    annotation, errors = read(write(tmp_path / "x.json", shapes=[good, *bad]))
    assert annotation is None
    assert [error.split(":")[0] for error in errors] == [f"shape {i}" for i in range(1, 6)]
    assert "points" in errors[0] and "shape_type 'blob'; accepted: polygon, rectangle," in errors[1]


DEEP = b"[" * 9999 + b"]" * 9999


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"{}", b'{"shapes": 3}', b'{"shapes": [\xff]}', b'{"shapes": %b}' % DEEP, b'{"a": %b}' % DEEP],
    ids=range(7),
)
def test_other_files_are_an_error(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    annotation, errors = read(path)
    assert annotation is None and len(errors) == 1 and errors[0].startswith("not a labelme file: ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"shapes": [{"label": "a", "points": [[1, 2], [NaN, 3]]}]}', "shapes[0].points[1][0] is NaN"),
        ('{"shapes": [{"label": "a", "points": []}], "flags": {"x": -Infinity}}', "flags.x is -Infinity"),
        ('{"shapes":\n  [,]}', "malformed JSON (Expecting value: line 2 column 4"),
    ],
)
def test_what_is_no_json_is_named_by_its_key_or_place(tmp_path, content, words):
    (tmp_path / "x.json").write_text(content)
    assert words in read(tmp_path / "x.json")[1][0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_are_read_by_their_byte_order_mark(tmp_path, encoding):
    content = {"shapes": [{"label": "\u9aea", "points": []}]}
    (tmp_path / "x.json").write_text(json.dumps(content, ensure_ascii=False), encoding)
    assert read(tmp_path / "x.json")[0].shapes[0].label == "\u9aea"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (shape("rectangle", (1, 1), (9, 1), (9, 9)), "3 points; a rectangle has 2"),
        (shape("rectangle", (1, 4), (9, 1), (12, 9), (4, 12)), "4 points that are no corners of an upright box"),
        (shape("rotation", (1, 1), (9, 1), (9, 9)), "3 points; a rotation has 4"),
        (shape("polygon", (1, 1), (2, 2)), "2 points; a polygon has 3 or more"),
        (shape("circle", (1, 1)), "1 points; a circle has 2"),
        (shape("point", (1, 1), (2, 2)), "2 points; a point has 1"),
        (shape("line", (0, 0), (62.5, 3)), "point (62.5, 3) outside the image of 60 x 40 pixels"),
        (shape("line", (0, 0), (3, -1.6)), "point (3, -1.6) outside"),
        (shape("line", (-1.6, 0), (3, 1)), "point (-1.6, 0) outside the image of 60 x 40 pixels; accepted: up to 1.5"),
        (shape("mask", (0, 0), (1, 1)), "its mask is not a PNG of one channel in base64"),
        (shape("mask", (0, 0), (1, 1), mask="!"), "its mask is not a PNG of one channel in base64"),
        (shape("mask", (0, 0), (1, 1), mask=png(np.ones((2, 2, 3), np.uint8))), "its mask is not a PNG of one channel"),
        (shape("mask", (0, 0), (1, 1), mask=png(np.ones((3, 2), bool))), "mask of 2 x 3 pixels in a box of 2 x 2"),
    ],
)
def test_errors_name_the_shape_and_the_reason(wrong, words):
    problems = problems_of(shape("point", (60, 40)), wrong)
    assert len(problems.errors) == 1 and not problems.warnings
    assert problems.errors[0].startswith("shape 1 (") and words in problems.errors[0]


def test_all_errors_of_a_file_are_listed():
    wrong = shape("line", (1, 1)), Shape("nose", [(0, 0), (70, 0), (0, 1)])
    assert len(problems_of(*wrong, image_height=60, image_width=40).errors) == 4


def test_each_unknown_label_is_named_once_in_quotes():
    unknown = [Shape(label, [(1, 1), (2, 2), (3, 1)]) for label in ("nose", "a ", "nose", "a")]
    accepted = "accepted, in labels.merge and labels.ignore: a, b, c"
    assert problems_of(*unknown).errors == [f"unknown label 'nose'; {accepted}", f"unknown label 'a '; {accepted}"]


def test_points_just_outside_are_warned_of_and_clipped():
    near = shape("polygon", (-1.5, 0), (30, -1), (61.5, 20))
    assert problems_of(shape("point", (60, 40)), near) == (
        [],
        ["shape 1 ('a'): point (-1.5, 0) outside the image of 60 x 40 pixels, clipped"],
    )
    assert problems_of(shape("point", (0, 0)), shape("point", (60, 40))) == ([], [])
    assert pixels_of(near).any()


def test_errors_of_the_whole_file():
    [error] = problems_of(shape("point", (1, 1)), image_height=60, image_width=40).errors
    assert error == "imageHeight, imageWidth are 60, 40; the image's are 40, 60"
    assert "no shape" in problems_of().errors[0]


def test_borders_belong_to_polygons_and_rectangles():
    expected = np.zeros(SIZE, np.uint8)
    expected[5:11, 10:31] = 1
    assert np.array_equal(pixels_of(shape("rectangle", (30, 10), (10, 5))), expected)
    assert np.array_equal(pixels_of(shape("polygon", (10, 5), (30, 5), (30, 10), (10, 10))), expected)
    assert np.array_equal(pixels_of(shape("oriented_rectangle", (10, 5), (30, 5), (30, 10), (10, 10))), expected)


def test_boxes_of_four_corners_rotated_boxes_and_quadrilaterals_are_drawn():
    """X-AnyLabeling's shapes."""
    corners = [(10, 5), (30, 5), (30, 10), (10, 10)]
    expected = pixels_of(shape("rectangle", (30, 10), (10, 5)))
    for points in (corners, corners[::-1], [corners[i] for i in (3, 0, 1, 2)]):
        assert problems_of(shape("rectangle", *points)) == ([], [])
        assert np.array_equal(pixels_of(shape("rectangle", *points)), expected)
    tilted = [(10, 15), (30, 5), (35, 15), (15, 25)]
    for kind in ("rotation", "quadrilateral"):
        assert problems_of(shape(kind, *tilted)) == ([], [])
        assert np.array_equal(pixels_of(shape(kind, *tilted)), pixels_of(shape("polygon", *tilted)))


def test_circles_and_points_are_discs():
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    radius = np.hypot(x - 30, y - 20)
    for disc, size in (shape("circle", (30, 20), (33, 24)), 5), (shape("point", (30, 20)), 5):
        pixels = pixels_of(disc)
        assert pixels[radius <= size - 0.5].all() and not pixels[radius > size + 0.5].any()


def test_lines_are_ten_pixels_wide():
    pixels = pixels_of(shape("linestrip", (10, 20), (50, 20), (50, 35)))
    assert pixels[:, 30].sum() == 10 and pixels[30, :].sum() == 10
    assert np.array_equal(
        pixels_of(shape("line", (10, 20), (50, 20))), pixels_of(shape("linestrip", (10, 20), (50, 20)))
    )


@pytest.mark.parametrize("foreground", [True, 1, 255])
def test_masks_fill_their_box(foreground):
    pattern = np.random.default_rng(1).random((7, 11)) > 0.5
    expected = np.zeros(SIZE, np.uint8)
    expected[4:11, 3:14] = pattern
    values = pattern if foreground is True else pattern.astype(np.uint8) * foreground
    assert np.array_equal(pixels_of(shape("mask", (3.6, 4.2), (13, 10.9), mask=png(values))), expected)


@st.composite
def random_shapes(draw_from):
    kind = draw_from(st.sampled_from(list(POINTS)))
    label = draw_from(st.sampled_from(list(LABELS)))
    x, y = st.floats(-2, SIZE[1] + 2), st.floats(-2, SIZE[0] + 2)
    if kind == "mask":  # labelme cuts no mask at the image's edge
        left, top = draw_from(st.floats(0, 50)), draw_from(st.floats(0, 30))
        width, height = draw_from(st.integers(1, 9)), draw_from(st.integers(1, 9))
        bits = draw_from(st.lists(st.booleans(), min_size=width * height, max_size=width * height))
        corner = (int(left) + width - 1 + 0.5, int(top) + height - 1 + 0.5)
        return Shape(label, [(left, top), corner], kind, png(np.reshape(bits, (height, width))))
    least, most = POINTS[kind]
    points = st.lists(st.tuples(x, y), min_size=least, max_size=int(min(most, 8)))
    return Shape(label, draw_from(points), draw_from(st.sampled_from([kind, None])) if kind == "polygon" else kind)


def labelme_pixels(shapes: list[Shape]) -> np.ndarray:
    """The pixels to which labelme rasterizes the shapes."""
    dicts = [
        {
            "label": each.label,
            "points": [list(point) for point in each.points],
            "shape_type": each.shape_type,
            "mask": img_b64_to_arr(each.mask).astype(bool) if each.mask else None,
        }
        for each in shapes
    ]
    return shapes_to_label(SIZE, dicts, LABELS)[0]


@settings(max_examples=1000, deadline=None)
@given(st.lists(random_shapes(), min_size=1, max_size=6))
def test_the_pixels_are_those_of_labelme(shapes):
    assert not check(Annotation(shapes), SIZE, LABELS, tolerance=2).errors
    assert np.array_equal(draw(shapes, SIZE, LABELS), labelme_pixels(shapes))


@pytest.mark.parametrize("kind", POINTS)
def test_every_kind_of_shape_is_drawn_as_by_labelme(kind):
    random = np.random.default_rng(list(POINTS).index(kind))
    for _ in range(50):
        least, most = POINTS[kind]
        number = int(min(most, random.integers(least, 12)))
        points = [tuple(p) for p in (random.random((number, 2)) * (SIZE[1], SIZE[0])).tolist()]
        random_shape = Shape("a", points, kind)
        if kind == "mask":
            random_shape = Shape("a", [(3, 4), (12, 9)], kind, png(random.random((6, 10)) > 0.5))
        pixels = pixels_of(random_shape)
        assert np.array_equal(pixels, labelme_pixels([random_shape])) and pixels.any()


def test_labelme_opens_what_is_written(tmp_path):
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "x.png")
    triangle = np.array([[1, 2], [30, 4], [5, 20]])
    write_json(tmp_path / "x.json", as_labelme("x.png", SIZE, [("a", triangle), ("b", triangle + 1)]))
    opened = LabelFile(str(tmp_path / "x.json"))
    assert [each["label"] for each in opened.shapes] == ["a", "b"]
    assert (opened.image_path, opened.shapes[0]["points"]) == ("x.png", triangle.tolist())
    annotation, errors = read(tmp_path / "x.json")
    assert not errors and check(annotation, SIZE, LABELS, 0) == ([], [])
    expected, _ = shapes_to_label(SIZE, opened.shapes, LABELS)
    assert np.array_equal(draw(annotation.shapes, SIZE, LABELS), expected)


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
    in_lines = base64.encodebytes(b"png" * 99).decode()
    for text in (in_lines, f"data:image/png;base64,{in_lines}"):
        assert find_image(path, Annotation([], image_data=text)) == b"png" * 99
    with pytest.raises(ValueError, match="imageData is not base64"):
        find_image(path, Annotation([], image_data="?"))
    assert find_image(tmp_path / "x.jpg.json", Annotation([], image_path="gone.png")) == tmp_path / "x.jpg"
    assert find_image(tmp_path / "images/y.png.json", Annotation([]), Names(tmp_path, Walk([".png"]).files(tmp_path)))
