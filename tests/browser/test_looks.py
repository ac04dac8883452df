"""How the page looks: three widths, light and dark, forced colors, and as color-blind people see it.

The pictures are kept in the folder that FACEMILL_SCREENSHOTS names, else in pytest's, to be looked at.
"""

import io
import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

WIDTHS = {"wide": (1280, 800), "tablet": (820, 1180), "phone": (400, 800)}
SCHEMES = [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"forced_colors": "active"}, {"contrast": "more"}]
SIGHTS = ["none", "protanopia", "deuteranopia", "tritanopia"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    path = Path(os.environ.get("FACEMILL_SCREENSHOTS") or tmp_path_factory.mktemp("looks"))
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: next(iter(scheme.values())))
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off(studio, open_page, folder, width, scheme):
    size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    editor = open_page(studio, viewport=size, has_touch=width != "wide", is_mobile=width != "wide", **scheme)
    name = next(iter(scheme.values()))
    editor.page.screenshot(path=folder / f"{width}-{name}.png", full_page=True)
    assert editor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for part in ("#mask", "#portrait", "#save", "#size", "#mix", "#attributes", "#collection"):
        box = editor.page.locator(part).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= size["width"] + 1, part
    for part in ("#mask", "#portrait"):  # both are seen at once, without scrolling
        box = editor.page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= size["height"], part
    assert contrast(editor) >= 4.5
    assert editor.errors == []


def contrast(editor) -> float:
    """Of the page's text on its ground (WCAG 2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    colors = editor.page.evaluate(
        "['color', 'backgroundColor'].map(name => getComputedStyle(document.body)[name].match(/[0-9.]+/g).map(Number))"
    )
    channels = np.array([color[:3] for color in colors]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    dark, light = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("sight", SIGHTS)
def test_swatches_are_told_apart(editor, folder, sight):
    client = editor.context.new_cdp_session(editor.page)
    client.send("Emulation.setEmulatedVisionDeficiency", {"type": sight})
    editor.page.mouse.move(1, 1)
    editor.page.screenshot(path=folder / f"{sight}.png", full_page=True)
    colors = []
    for i in range(7):
        label = editor.page.locator(f"#class-{i}").locator("xpath=ancestor::label").locator(".swatch")
        pixels = np.asarray(Image.open(io.BytesIO(label.screenshot())).convert("RGB"))
        height, width = pixels.shape[:2]
        colors.append(np.median(pixels[height // 3 : -height // 3, width // 3 : -width // 3].reshape(-1, 3), axis=0))
    lab = rgb2lab(np.array(colors) / 255)
    assert min(deltaE_ciede2000(a, b) for a, b in combinations(lab, 2)) >= 20
    names = [part["name"] for part in editor.page.evaluate("studio.hello().classes")]
    assert all(name in editor.page.locator("#classes").inner_text() for name in names)


def test_patterns_tell_classes_apart_without_color(editor):
    def mask() -> np.ndarray:
        editor.page.mouse.move(1, 1)
        return np.asarray(Image.open(io.BytesIO(editor.page.locator("#board").screenshot())).convert("L")).astype(int)

    plain = mask()
    editor.page.check("#patterns", force=True)
    assert (abs(mask() - plain) > 10).mean() > 0.02


def test_buttons_for_fingers(studio, open_page, folder):
    """44 px and more (WCAG 2.5.5) where the pointer is coarse."""
    editor = open_page(studio, viewport={"width": 820, "height": 1180}, has_touch=True, is_mobile=True)
    editor.page.screenshot(path=folder / "touch.png", full_page=True)
    for button in ("#undo", "#redo", "#open", "#zoom-in", "#snapshot", "#style-a-dice", "#label", "#hide"):
        box = editor.page.locator(button).bounding_box()
        assert min(box["width"], box["height"]) >= 44, button


def test_the_help_opens_by_its_key(editor, folder):
    editor.press("?")
    editor.page.wait_for_selector("#help-dialog[open]")
    editor.page.screenshot(path=folder / "help.png")
    text = editor.page.locator("#help-dialog").inner_text()
    assert all(word in text for word in ("Ctrl", "Space", "Shift"))
    editor.press("Escape")
    editor.page.wait_for_selector("#help-dialog", state="hidden")
