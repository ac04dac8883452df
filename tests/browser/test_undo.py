"""Undo and redo, exact to the byte of mask and portrait; one entry a gesture."""

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("compiled")


def snapshot(editor) -> tuple[bytes, dict, bytes]:
    """All that a person sees: mask, state and portrait."""
    portrait = editor.portrait().tobytes()
    return editor.mask().tobytes(), editor.state(), portrait


def depth(editor) -> dict:
    return editor.page.evaluate("studio.undo()")


def edits(editor):
    """Nine edits, one after another."""
    for i in range(5):
        editor.choose(klass=i + 1, size=3 + 2 * i)
        editor.stroke([(5 + 9 * i, 8), (12 + 9 * i, 55), (3, 30 + 5 * i)])
        yield
    editor.choose(klass=1, tool="bucket")
    editor.stroke([(62.5, 1.5)])
    yield
    editor.page.click("#style-a-dice")
    yield
    editor.page.select_option("#to-hair_color", "grey_hair")
    editor.slide("#amount-hair_color", 115)
    yield
    editor.slide("#mix", 40)
    yield


def test_undo_and_redo_of_everything(editor):
    states = [snapshot(editor)]
    for _ in edits(editor):
        states.append(snapshot(editor))
    assert len({mask for mask, _, _ in states}) >= 7 and len({portrait for _, _, portrait in states}) >= 9
    assert depth(editor)["undo"] >= len(states) - 1
    back = [snapshot(editor)]
    while depth(editor)["undo"]:
        editor.press("Control+z")
        back.append(snapshot(editor))
    assert back[0] == states[-1] and back[-1] == states[0]
    assert all(state in back for state in states)
    assert editor.page.get_attribute("#undo", "aria-disabled") == "true"
    forth = [snapshot(editor)]
    while depth(editor)["redo"]:
        editor.press("Control+Shift+z" if len(forth) % 2 else "Control+y")
        forth.append(snapshot(editor))
    assert forth == back[::-1]


def test_buttons_do_as_the_keys(editor):
    before = snapshot(editor)
    editor.choose(klass=6, size=9)
    editor.stroke([(10, 10), (50, 50)])
    after = snapshot(editor)
    editor.page.click("#undo")
    assert snapshot(editor) == before
    editor.page.click("#redo")
    assert snapshot(editor) == after


def test_a_new_edit_ends_what_could_be_redone(editor):
    editor.choose(klass=6, size=9)
    editor.stroke([(10, 10), (50, 10)])
    editor.press("Control+z")
    editor.stroke([(10, 50), (50, 50)])
    assert depth(editor)["redo"] == 0
    after = snapshot(editor)
    editor.press("Control+y")
    assert snapshot(editor) == after


def test_a_slider_is_one_entry_from_press_to_release(editor):
    editor.rest()
    editor.page.select_option("#to-hair_color", "grey_hair")
    entries = depth(editor)["undo"]
    left, top, width, height = editor.page.locator("#amount-hair_color").bounding_box().values()
    editor.page.mouse.move(left + width * 0.3, top + height / 2)
    editor.page.mouse.down()
    for share in (0.4, 0.5, 0.6, 0.7, 0.8):
        editor.page.mouse.move(left + width * share, top + height / 2)
    editor.page.mouse.up()
    editor.rest()
    assert depth(editor)["undo"] == entries + 1
    assert editor.state()["sliders"]["hair_color"]["amount"] > 0.8


def test_an_interrupted_stroke_is_one_entry(studio, open_page):
    """The system took the pointer away, as for a gesture of its own."""
    editor = open_page(studio, has_touch=True)
    before = snapshot(editor)
    editor.choose(klass=6, size=9)
    client = editor.context.new_cdp_session(editor.page)
    x, y = editor.place(20, 20)
    client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    client.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x + 60, "y": y + 60}]})
    client.send("Input.dispatchTouchEvent", {"type": "touchCancel", "touchPoints": []})
    after = snapshot(editor)
    assert (np.frombuffer(after[0], np.uint8) != np.frombuffer(before[0], np.uint8)).sum() > 50
    assert depth(editor)["undo"] == 1
    editor.press("Control+z")
    assert snapshot(editor) == before
    editor.press("Control+y")
    assert snapshot(editor) == after


DOTS = """count => {
    const mask = document.querySelector("#mask"), after = [];
    const key = (kind, key, code) =>
        mask.dispatchEvent(new KeyboardEvent(kind, {key, code, bubbles: true, cancelable: true}));
    mask.focus();
    for (let i = 0; i < count; i++) {
        const arrow = i % 20 === 0 ? "ArrowDown" : Math.floor(i / 20) % 2 ? "ArrowLeft" : "ArrowRight";
        key("keydown", arrow, arrow);
        for (const kind of ["keydown", "keyup"]) key(kind, " ", "Space");
        after.push(Array.from(studio.mask().pixels));
    }
    return after;
}"""
"""Dots in rows from the middle, by the keyboard; the mask after each."""


def test_a_depth_of_200(editor):
    editor.choose(klass=1, size=1)
    masks = editor.page.evaluate(DOTS, 203)
    assert len(set(map(bytes, masks))) == 203
    assert depth(editor)["undo"] == 200
    editor.page.evaluate("for (let i = 0; i < 210; i++) document.querySelector('#undo').click()")
    assert editor.mask().tobytes() == bytes(masks[2])
    editor.page.evaluate("for (let i = 0; i < 210; i++) document.querySelector('#redo').click()")
    assert editor.mask().tobytes() == bytes(masks[-1])
