"""The keyboard alone, fingers, pens and finer screens; names of all controls."""

import numpy as np
import pytest
from helpers.studio_page import capsules

CONTROLS = {"button", "checkbox", "radio", "slider", "textbox", "spinbutton", "combobox", "application", "searchbox"}


def focused(editor) -> str:
    return editor.page.evaluate("document.activeElement.id")


def tab_to(editor, element: str) -> None:
    for _ in range(150):
        if focused(editor) == element:
            return
        editor.press("Tab")
    raise AssertionError(f"Tab does not reach {element}")


def test_painting_by_the_keyboard_alone(editor):
    """Space paints at the crosshair; held, it paints on with the arrows."""
    tab_to(editor, "mask")
    editor.press("7", "]", "]")
    size = int(editor.page.input_value("#size"))
    mask = editor.mask()
    editor.press("ArrowRight", "ArrowDown", "Space")
    dot = editor.mask()
    ys, xs = np.nonzero(dot != mask)
    assert len(xs) and len(ys) and (dot[ys, xs] == 6).all() and focused(editor) == "mask"
    center = (float(xs.min() + xs.max() + 1) / 2, float(ys.min() + ys.max() + 1) / 2)
    editor.page.keyboard.down("Space")
    editor.press(*["Shift+ArrowDown"] * 2, *["ArrowRight"] * 3)
    editor.page.keyboard.up("Space")
    x, y = center
    painted = capsules(mask, [(x, y), (x, y + 16), (x + 3, y + 16)], size, 6)
    np.testing.assert_array_equal(editor.mask(), painted)
    before = editor.portrait()
    editor.press("Control+z", "Control+z")
    np.testing.assert_array_equal(editor.mask(), mask)
    assert (editor.portrait() != before).any()


def test_keys_do_nothing_in_text_fields(editor):
    mask, state, size = editor.mask(), editor.state(), editor.page.input_value("#size")
    editor.choose(klass=5)
    editor.page.focus("#style-a-seed")
    editor.press("Space", "h", "r", "x", "]")
    np.testing.assert_array_equal(editor.mask(), mask)
    assert editor.state()["styles"] == state["styles"]
    assert editor.page.is_checked("#class-5") and editor.page.input_value("#size") == size


def test_every_control_has_a_name(editor):
    editor.page.mouse.move(*editor.place(32, 62))
    client = editor.context.new_cdp_session(editor.page)
    nodes = client.send("Accessibility.getFullAXTree")["nodes"]
    controls = [node for node in nodes if not node["ignored"] and node["role"]["value"] in CONTROLS]
    assert len(controls) > 30
    nameless = [node for node in controls if not node.get("name", {}).get("value", "").strip()]
    assert not nameless, nameless
    names = [node["name"]["value"] for node in controls if node["role"]["value"] == "application"]
    assert names == ["Mask, 64 by 64, clothes under the cursor"]


@pytest.mark.parametrize("control", ["mask", "undo", "size", "class-5", "style-a-seed"])
def test_the_focus_is_visible(editor, control):
    if control == "undo":
        editor.stroke([(5, 5)])
    editor.rest()
    editor.page.mouse.move(1, 1)
    box = editor.page.locator(f"#{control}").evaluate(
        "e => { const r = (e.closest('label') || e).getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; }"
    )
    clip = {"x": max(0, box[0] - 6), "y": max(0, box[1] - 6), "width": box[2] + 12, "height": box[3] + 12}
    editor.page.evaluate("document.activeElement.blur()")
    before = editor.page.screenshot(clip=clip)
    assert editor.page.screenshot(clip=clip) == before
    if control == "class-5":
        editor.choose(klass=5)
        editor.page.evaluate("document.activeElement.blur()")
        before = editor.page.screenshot(clip=clip)
    tab_to(editor, control)
    assert editor.page.screenshot(clip=clip) != before


def test_a_finger_draws_and_a_second_one_does_not(studio, open_page):
    editor = open_page(studio, has_touch=True)
    mask = editor.mask()
    editor.choose(klass=6, size=5)
    client = editor.context.new_cdp_session(editor.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [dict(zip("xy", editor.place(*point), strict=True)) | {"id": i} for i, point in enumerate(points)]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", (10, 10))
    touch("touchMove", (30, 12))
    touch("touchStart", (30, 12), (10, 50))
    touch("touchMove", (30, 20), (50, 50))
    touch("touchEnd", (30, 20))
    touch("touchEnd")
    painted = editor.mask()
    assert (painted[40:] == mask[40:]).all()  # where the second finger was
    assert (painted != mask).sum() > 80
    drawn = capsules(mask, [(10, 10), (30, 12), (30, 20)], 5, 6)
    assert (painted[drawn != painted] == mask[drawn != painted]).all()  # nothing outside the first finger's way


def test_a_pen_draws_as_a_mouse(editor):
    mask = editor.mask()
    editor.choose(klass=6, size=5)
    client = editor.context.new_cdp_session(editor.page)
    points = [(10.5, 10.5), (30.5, 20.5), (12.5, 40.5)]
    kinds = ["mousePressed", "mouseMoved", "mouseMoved", "mouseReleased"]
    for kind, point in zip(kinds, [*points, points[-1]], strict=True):
        x, y = editor.place(*point)
        pen = {"type": kind, "x": x, "y": y, "pointerType": "pen", "force": 0.5, "clickCount": 1}
        client.send("Input.dispatchMouseEvent", pen | {"button": "left", "buttons": int(kind != "mouseReleased")})
    np.testing.assert_array_equal(editor.mask(), capsules(mask, points, 5, 6))


@pytest.mark.parametrize("scale", [1.5, 2])
def test_finer_screens_paint_the_same_pixels(studio, open_page, scale):
    editor = open_page(studio, device_scale_factor=scale)
    mask = editor.mask()
    editor.choose(klass=6, size=7)
    points = [(10.3, 10.2), (30.6, 20.1), (12.2, 40.7)]
    editor.stroke(points)
    np.testing.assert_array_equal(editor.mask(), capsules(mask, points, 7, 6))
