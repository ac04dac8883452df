"""The page opens, a stroke is exact in the mask and in the portrait, which follows the pen; and the other tools."""

import io
import signal

import cv2
import numpy as np
import pytest
from helpers.studio_page import capsules, painted
from helpers.studio_process import header_of
from PIL import Image

from facemill.data.classes import SEVEN

STROKE = [(12.3 + 2 * i, 14.7 + i + 9 * (i % 3)) for i in range(21)]
"""Twenty moves in a zigzag, through hair and face."""


def test_opens(studio, editor, results):
    assert "Facemill" in editor.page.title()
    assert "gaugan" in editor.page.locator("#model").text_content()
    assert editor.page.locator("#classes input").count() == 7
    assert editor.page.evaluate("studio.hello().size") == [64, 64]
    assert editor.page.locator("#fault").is_hidden() and editor.page.locator("#connection").is_hidden()
    editor.choose(klass=6)
    editor.stroke([(3, 3), (60, 60)])
    editor.rest()
    ours = (f"{studio.origin}/", f"ws://{studio.host}/", "blob:", "data:")
    assert editor.requests and all(url.startswith(ours) for url in editor.requests), editor.requests
    assert studio.token not in "".join(editor.requests)


def test_a_stroke_is_exact(editor, painter):
    mask, portrait = editor.mask(), editor.portrait().astype(int)
    editor.choose(klass=6, size=7)
    editor.stroke(STROKE)
    expected = capsules(mask, STROKE, 7, 6)
    assert (expected != mask).sum() > 200
    np.testing.assert_array_equal(editor.mask(), expected)
    after = editor.portrait().astype(int)
    assert abs(after - painted(painter, editor)).max() <= 1
    np.testing.assert_array_equal(editor.shown(), after)
    changed = abs(after - portrait).mean(2)
    inside = cv2.dilate(np.uint8(expected != mask), np.ones((7, 7), np.uint8)).astype(bool)
    assert changed[inside].mean() > 3 * changed[~inside].mean()


def test_sizes_of_the_brush(editor):
    editor.choose(klass=6)
    for size in (1, 2, 5, int(editor.page.get_attribute("#size", "max"))):
        mask = editor.mask()
        editor.choose(size=size)
        editor.stroke([(31.4, 20.6), (33.4, 41.3)])
        expected = capsules(mask, [(31.4, 20.6), (33.4, 41.3)], size, 6)
        if size == 1:  # no pixel's center may be within half a pixel of a point
            expected[20, 31] = expected[41, 33] = 6
        np.testing.assert_array_equal(editor.mask(), expected, err_msg=f"size {size}")
        editor.press("Control+z")
        np.testing.assert_array_equal(editor.mask(), mask)


def test_a_stroke_beyond_the_edge(editor):
    """The pointer may leave the canvas and return, and the parts outside are cut off."""
    mask = editor.mask()
    editor.choose(klass=6, size=9)
    points = [(30, 30), (-20, 40), (-20, -15), (50, -10), (80, 90), (40, 50)]
    editor.stroke(points)
    np.testing.assert_array_equal(editor.mask(), capsules(mask, points, 9, 6))


def test_the_corners_are_seen_and_painted(editor):
    editor.choose(klass=6, size=1)
    corners = [(0.5, 0.5), (63.5, 0.5), (0.5, 63.5), (63.5, 63.5)]
    for corner in corners:
        editor.stroke([corner])
    assert (editor.mask()[[0, 0, -1, -1], [0, -1, 0, -1]] == 6).all()
    editor.page.mouse.move(1, 1)
    board = np.asarray(Image.open(io.BytesIO(editor.page.locator("#mask").screenshot())).convert("RGB"))
    assert (board[[1, 1, -2, -2], [1, -2, 1, -2]] == SEVEN.colors[6]).all()


def test_portraits_come_while_the_pen_is_down(editor):
    """Never more than one is asked for, and the last is of the last state."""
    editor.rest()
    before = len(editor.received)
    editor.choose(klass=6, size=9)
    editor.page.evaluate("document.addEventListener('portrait', () => { window.shown = (window.shown || 0) + 1 })")
    editor.stroke(STROKE[:4], release=False)
    editor.wait("window.shown >= 1")
    for point in STROKE[4:]:
        editor.page.mouse.move(*editor.place(*point))
    editor.wait("window.shown >= 2")
    assert editor.page.evaluate("document.body.dataset.rest") == "false"  # a gesture is open
    assert editor.page.evaluate("studio.undo().undo") == 0
    editor.page.mouse.up()
    editor.rest()
    assert editor.page.evaluate("studio.undo().undo") == 1
    answers = editor.received[before:]
    assert 2 <= len(answers) <= len(STROKE) + 3
    assert editor.page.evaluate("studio.portrait().n") == header_of(answers[-1])["n"]
    np.testing.assert_array_equal(np.frombuffer(states(editor)[-1], np.uint8)[-64 * 64 :], editor.mask().ravel())


def states(editor) -> list[bytes]:
    """The states that the page has sent, without those for the pictures of its two styles."""
    return [frame for frame in editor.sent if len(header_of(frame)["styles"]) == 2]


def test_a_slow_server_gets_the_newest_state_alone(editor, studio, painter):
    editor.rest()
    editor.choose(klass=6, size=9)
    mask, before = editor.mask(), len(states(editor))
    studio.process.send_signal(signal.SIGSTOP)
    try:
        editor.stroke(STROKE)
        assert len(states(editor)) - before == 1  # of the first of 21 points, but the mask has them all
        np.testing.assert_array_equal(editor.mask(), capsules(mask, STROKE, 9, 6))
    finally:
        studio.process.send_signal(signal.SIGCONT)
    editor.rest()
    assert len(states(editor)) - before == 2
    assert abs(editor.portrait().astype(int) - painted(painter, editor)).max() <= 1


def test_bucket(editor):
    """The 4-connected region under the pointer is filled, and no other."""
    editor.choose(klass=6, size=3)
    editor.stroke([(0.5, 10), (40, 64)])
    mask = editor.mask()
    editor.choose(klass=4, tool="bucket")
    editor.stroke([(60.5, 2.5)])
    _, regions = cv2.connectedComponents(np.uint8(mask == mask[2, 60]), connectivity=4)
    expected = np.where(regions == regions[2, 60], 4, mask)
    assert 100 < (expected != mask).sum() < (mask == mask[2, 60]).sum()
    np.testing.assert_array_equal(editor.mask(), expected)


def test_shift_draws_a_straight_line(editor):
    mask = editor.mask()
    editor.choose(klass=6, size=4)
    editor.stroke([(8.5, 8.5)])
    editor.page.keyboard.down("Shift")
    editor.stroke([(50.5, 20.5)])
    editor.page.keyboard.up("Shift")
    np.testing.assert_array_equal(editor.mask(), capsules(mask, [(8.5, 8.5), (50.5, 20.5)], 4, 6))


@pytest.mark.parametrize("way", ["tool", "Alt"])
def test_pick(editor, way):
    mask = editor.mask()
    ys, xs = np.nonzero(mask == 5)
    editor.choose(klass=1)
    if way == "Alt":
        editor.page.keyboard.down("Alt")
    else:
        editor.choose(tool="pick")
    editor.stroke([(xs[0] + 0.5, ys[0] + 0.5)])
    editor.page.keyboard.up("Alt")
    assert editor.page.is_checked("#class-5")
    np.testing.assert_array_equal(editor.mask(), mask)


def test_sizes_by_brackets_on_a_czech_keyboard(editor):
    """Where the key of `[` gives ú, and that of `]` gives a parenthesis."""
    client = editor.context.new_cdp_session(editor.page)
    editor.choose(size=8)
    sizes = []
    for code, key in (("BracketRight", ")"), ("BracketRight", ")"), ("BracketLeft", "ú"), ("BracketLeft", "ú")):
        for kind in ("keyDown", "keyUp"):
            client.send("Input.dispatchKeyEvent", {"type": kind, "code": code, "key": key})
        sizes.append(int(editor.page.input_value("#size")))
    assert 8 < sizes[0] < sizes[1] > sizes[2] > sizes[3] == 8


def test_keys_of_classes_and_tools(editor):
    for i in range(7):
        editor.press(str(i + 1))
        assert editor.page.is_checked(f"#class-{i}")
    editor.press("1", "x")
    assert editor.page.is_checked("#class-6")
    for key, tool in {"g": "bucket", "i": "pick", "b": "brush"}.items():
        editor.press(key)
        assert editor.page.is_checked(f"#tool-{tool}")
    editor.page.focus("#style-a-seed")
    editor.press("1", "2", "g")
    assert editor.page.is_checked("#class-6") and editor.page.is_checked("#tool-brush")


def test_zoom_does_not_change_what_is_painted(editor):
    mask = editor.mask()
    editor.choose(klass=6, size=5)
    editor.page.mouse.move(*editor.place(32, 32))
    before = editor.place(33, 32)[0] - editor.place(32, 32)[0]
    editor.page.keyboard.down("Control")
    editor.page.mouse.wheel(0, -400)
    editor.page.keyboard.up("Control")
    assert editor.place(33, 32)[0] - editor.place(32, 32)[0] > 1.2 * before
    points = [(28.3, 30.2), (36.7, 35.1), (30.1, 36.6)]
    editor.stroke(points)
    np.testing.assert_array_equal(editor.mask(), capsules(mask, points, 5, 6))
    editor.press("0")
    assert editor.place(33, 32)[0] - editor.place(32, 32)[0] == pytest.approx(before)
