"""What is saved comes back: files, the PNG dropped on a fresh page, a reload, a link; and links of strangers."""

import base64
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.studio_models import write_results
from helpers.studio_page import AT_REST, wait
from PIL import Image

from facemill.data.classes import SEVEN
from facemill.data.shards import decode_mask
from facemill.synthesize.generate_portraits import generate_portraits

pytestmark = pytest.mark.usefixtures("compiled")


def edit(editor) -> None:
    """A stroke, a style and a slider."""
    editor.choose(klass=6, size=9)
    editor.stroke([(10.5, 10.5), (50.5, 30.5), (20.5, 60.5)])
    editor.page.click("#style-a-dice")
    editor.page.select_option("#to-hair_color", "grey_hair")
    editor.slide("#amount-hair_color", 60)
    editor.rest()


def save(editor, studio) -> list[Path]:
    """The portrait, its mask and its JSON."""
    before = set(studio.out.glob("*"))
    with editor.page.expect_response("**/save") as response:
        editor.press("Control+s")
    assert response.value.status == 200
    new = {path.name.partition(".")[2]: path for path in set(studio.out.glob("*")) - before}
    assert len(new) == 3
    return [new[suffix] for suffix in ("png", "mask.png", "json")]


def test_three_files_are_saved(editor, studio, results, painter, tmp_path):
    edit(editor)
    portrait, mask, about = save(editor, studio)
    pixels = np.asarray(Image.open(portrait))
    difference = abs(pixels.astype(int) - editor.portrait())
    assert difference.max() <= 10  # the library computes in bfloat16 where that is fast
    np.testing.assert_array_equal(decode_mask(mask.read_bytes(), SEVEN), editor.mask())
    content = json.loads(about.read_text())
    np.testing.assert_allclose(content["z"], editor.z(), atol=1e-5)
    assert content["facemill"] and content["sha256"]
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/a.png").write_bytes(mask.read_bytes())
    generate_portraits(model=results / "gaugan", masks=tmp_path / "masks", out=tmp_path / "out", seed=1)
    assert Image.open(tmp_path / "out/a.png").size == (64, 64)
    again = painter.generate(torch.from_numpy(editor.mask().copy())[None], torch.tensor([content["z"]]))
    np.testing.assert_array_equal(pixels, again[0])


def test_a_saved_portrait_brings_everything_back(editor, studio, open_page, tmp_path):
    edit(editor)
    mask, portrait, state = editor.mask().tobytes(), editor.portrait().tobytes(), editor.state()
    file, *_ = save(editor, studio)
    with editor.page.expect_download() as download:
        editor.page.click("#download")
    download.value.save_as(tmp_path / "down.png")
    for path in (file, tmp_path / "down.png"):
        fresh = open_page(studio)
        assert fresh.mask().tobytes() != mask
        fresh.drop("#board", path)
        fresh.wait(f"studio.state().sliders.hair_color?.amount === {0.6}")
        assert (fresh.mask().tobytes(), fresh.portrait().tobytes()) == (mask, portrait)
        assert fresh.state()["sliders"] == state["sliders"] and fresh.errors == []
        fresh.press("Control+z")
        assert fresh.mask().tobytes() != mask


def test_a_reload_keeps_the_work(editor):
    edit(editor)
    mask, portrait, state = editor.mask().tobytes(), editor.portrait().tobytes(), editor.state()
    editor.page.reload()
    editor.rest()
    assert (editor.mask().tobytes(), editor.portrait().tobytes(), editor.state()) == (mask, portrait, state)


def test_a_second_tab_is_offered_the_last_work(editor, studio):
    edit(editor)
    mask = editor.mask().tobytes()
    for answer, expected in (("#resume-no", False), ("#resume-yes", True)):
        page = editor.context.new_page()
        editor.listen(page)
        page.goto(studio.address)
        page.locator(answer).click()
        wait(page, AT_REST)
        restored = bytes(page.evaluate("Array.from(studio.mask().pixels)")) == mask
        assert restored == expected, answer
        page.close()


def copied_link(editor) -> str:
    editor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    editor.page.click("#link")
    editor.wait("navigator.clipboard.readText().then(text => text.includes('#'))")
    return editor.page.evaluate("navigator.clipboard.readText()")


def test_a_copied_link_gives_the_same_portrait(editor, studio, open_page):
    edit(editor)
    mask, portrait, state = editor.mask().tobytes(), editor.portrait().tobytes(), editor.state()
    link = copied_link(editor)
    assert link.startswith(f"{studio.origin}/#") and "s=" in link and len(link) < 4000
    other = open_page(studio, with_token(link, studio))
    assert (other.mask().tobytes(), other.portrait().tobytes(), other.state()) == (mask, portrait, state)
    assert other.errors == [] and not any("s=" in url for url in other.requests)


def with_token(link: str, studio) -> str:
    """A link does not hold the token, which is the sender's alone: in another browser it is added by hand."""
    assert studio.token not in link
    return f"{link}&t={studio.token}"


HEADER = {"styles": [{"seed": 7}], "mix": 0, "truncation": 1, "sliders": {}, "size": [64, 64]}


def parts_of(link: str) -> bytes:
    """The deflated content of a link, inflated."""
    text = link.partition("s=")[2].partition("&")[0]
    return zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), -15)


def packed(content: bytes) -> str:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.urlsafe_b64encode(deflate.compress(content) + deflate.flush()).decode().rstrip("=")


CHANGES = {
    "class 200": lambda content: content[: -64 * 64] + b"\xc8" * 64 * 64,
    "too short": lambda content: content[:-1],
    "NaN": lambda content: content.replace(b'"mix":0', b'"mix":NaN'),
    "text for a number": lambda content: content.replace(b'"mix":0', b'"mix":"<img src=x onerror=alert(1)>"'),
    "a million rows": lambda content: content.replace(b"[64,64]", b"[1000000000,1]"),
    "10^9 pixels": lambda content: content.replace(b"[64,64]", b"[100000,10000]"),
    "no style": lambda content: content.replace(b'"styles"', b'"stiles"'),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_hostile_link(editor, studio, open_page, kind):
    """One sentence, and a fresh portrait."""
    editor.wait("document.body.dataset.rest === 'true'")
    content = parts_of(copied_link(editor))
    changed = CHANGES[kind](content)
    assert changed != content
    assert_refused(studio, open_page, packed(changed))


@pytest.mark.parametrize("text", ["AAAA", "%%%", packed(b""), packed(b"\0" * 300_000_000)])
def test_a_broken_link(studio, open_page, text):
    assert_refused(studio, open_page, text)


def test_an_empty_link_is_none(studio, open_page):
    assert open_page(studio, f"{studio.address}&s=").page.is_hidden("#fault")


def assert_refused(studio, open_page, text: str) -> None:
    editor = open_page(studio, f"{studio.address}&s={text}")
    assert re.fullmatch(r"The link cannot be opened: [^\n]+\. Here is a fresh portrait\.", editor.fault())
    assert editor.state()["size"] == [64, 64] and editor.mask().max() <= 6
    before = editor.portrait()
    editor.choose(klass=6, size=30)
    editor.stroke([(10, 10), (50, 50)])
    assert (editor.portrait() != before).any() and editor.errors == []


def test_a_link_to_a_model_of_other_styles(editor, start, open_page, tmp_path):
    """Styles of portraits are refused by a model that reads none; seeds are taken, with the mask."""
    editor.choose(klass=6, size=9)
    editor.stroke([(10, 10), (50, 50)])
    other = start(write_results(tmp_path / "other", "normal"))
    page = open_page(other, f"{other.address}&{copied_link(editor).partition('#')[2]}")
    assert "styles are not this model's: a seed or 8 numbers" in page.fault()
    assert page.mask().tobytes() != editor.mask().tobytes()
    editor.press("r")
    editor.rest()
    page = open_page(other, f"{other.address}&{copied_link(editor).partition('#')[2]}")
    assert page.page.is_hidden("#fault")
    assert page.mask().tobytes() == editor.mask().tobytes() and page.state() == editor.state()


def test_clear_forgets_what_is_stored(editor):
    stored = "'facemill.state' in localStorage && 'facemill.state' in sessionStorage"
    edit(editor)
    editor.wait(stored)
    editor.page.click("#help")
    editor.page.click("#clear")
    assert not editor.page.evaluate(stored.replace("&&", "||"))
