"""Two pages at once, a server that is killed and comes back, and starts that fail."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from helpers.running import ROOT, wait_for
from helpers.studio_models import write_results
from helpers.studio_page import capsules, painted, wait

STROKE = [(10.5 + 4 * i, 12.5 + 20 * (i % 2)) for i in range(11)]


def test_two_pages_paint_at_once(studio, open_page, painter):
    """Neither sees the other's mask, and the server takes them in turn."""
    pages = [open_page(studio), open_page(studio)]
    for page, klass in zip(pages, (5, 6), strict=True):
        page.choose(klass=klass, size=9)
        page.page.evaluate("document.addEventListener('portrait', () => { window.shown = (window.shown || 0) + 1 })")
    start = [page.mask() for page in pages]
    for page in pages:
        page.stroke(STROKE[:1], release=False)
    for point in STROKE[1:]:
        for page in pages:
            page.page.mouse.move(*page.place(*point))
    for page in pages:
        page.page.mouse.up()
        page.rest()
    for page, mask, klass in zip(pages, start, (5, 6), strict=True):
        np.testing.assert_array_equal(page.mask(), capsules(mask, STROKE, 9, klass))
        assert abs(page.portrait().astype(int) - painted(painter, page)).max() <= 1
    few, many = sorted(page.page.evaluate("window.shown") for page in pages)
    assert many <= 3 * few


def test_a_killed_server_comes_back(start, open_page, painter):
    studio = start()
    editor = open_page(studio)
    mask = editor.mask()
    studio.kill()
    editor.page.wait_for_selector("#connection:visible", timeout=6_000)
    assert "your work is kept" in editor.page.locator("#connection").text_content()
    editor.choose(klass=6, size=9)
    editor.stroke(STROKE)
    np.testing.assert_array_equal(editor.mask(), capsules(mask, STROKE, 9, 6))
    studio.start()
    editor.page.wait_for_selector("#connection", state="hidden", timeout=60_000)
    assert abs(editor.portrait().astype(int) - painted(painter, editor)).max() <= 1
    assert all("ERR_CONNECTION" in error or "WebSocket" in error for error in editor.errors), editor.errors


def test_a_server_with_another_token(start, open_page):
    studio = start()
    editor = open_page(studio)
    studio.kill()
    studio.start("another-token-of-24-letters-or-more")
    editor.wait("document.querySelector('#connection').textContent.includes('Open the new address')", 60)
    mask = editor.mask().tobytes()
    with editor.page.expect_event("load"):
        editor.page.goto(studio.address)  # in the same tab
    editor.rest()
    assert editor.mask().tobytes() == mask


def test_a_wrong_address(studio, browser):
    """Without the token the page says so, and shows nothing of the models."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{studio.origin}/")
    wait(page, "document.querySelector('#connection').textContent.startsWith('Open the address')")
    assert page.evaluate("studio.portrait()") is None
    context.close()


@pytest.mark.parametrize("fault", ["nothing", "no model", "a U-Net", "damaged", "no U-Net"])
def test_a_wrong_start(results, tmp_path, fault):
    """One line, and the exit status 1."""
    folder = tmp_path / "results"
    shutil.copytree(results, folder)
    options: list[object] = []
    match fault:
        case "nothing":
            folder = tmp_path / "none"
        case "no model":
            shutil.rmtree(folder / "gaugan")
        case "a U-Net":
            options = ["--model", folder / "unet/v3"]
        case "damaged":
            content = bytearray((folder / "gaugan/model.safetensors").read_bytes())
            content[-1] ^= 255
            (folder / "gaugan/model.safetensors").write_bytes(content)
        case "no U-Net":
            options = ["--unet", tmp_path / "none"]
    command = [sys.executable, ROOT / "scripts/studio.py", folder, "--no-browser", *options]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    lines = (done.stdout + done.stderr).strip().splitlines()
    assert done.returncode == 1 and len(lines) == 1 and lines[0].startswith("studio.py: "), lines


def test_a_model_alone(start, open_page, tmp_path):
    """Tools for which something is missing are grayed out, say why, and can still be reached by the keyboard."""
    folder = write_results(tmp_path / "results")
    for name in ("unet", "attributes", "portraits", "review", "latents", "pseudo_labels", "labels"):
        shutil.rmtree(folder / name)
    (folder / "config.yaml").unlink()
    editor = open_page(start(folder))
    for tool, reason in {"unsure": "No U-Net beside the model", "label": "Load a photo first"}.items():
        assert editor.page.get_attribute(f"#{tool}", "aria-disabled") == "true", tool
        assert reason in editor.page.get_attribute(f"#{tool}", "title"), tool
        editor.page.focus(f"#{tool}")
        assert editor.page.evaluate("document.activeElement.id") == tool
    before = editor.portrait()
    editor.choose(klass=6, size=30)
    editor.stroke([(10, 10), (50, 50)])
    assert (editor.portrait() != before).any() and editor.errors == []


def test_a_port_that_is_taken(start):
    first = start()
    second = start()
    second.stop()
    second.port = first.port
    second.start()
    assert second.port > first.port
    wait_for(lambda: second.request("GET", "/", Origin=None)[0] == 200, 10)
