"""The studio as one file: opened from the disk, with the network off, it paints as the library does."""

import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.running import ROOT
from helpers.studio_models import write_results
from helpers.studio_page import Editor, capsules
from PIL import Image

from facemill.data.classes import SEVEN
from facemill.errors import UserError
from facemill.networks.vae import to_pixels
from facemill.studio.export_page import PORTRAITS, export_page
from facemill.studio.messages import Look, Slider, Style
from facemill.studio.onnxruntime_web import NOTICE, onnxruntime_web
from facemill.studio.painting import Studio
from facemill.studio.paths import find_paths
from facemill.studio.saving import open_saved
from facemill.studio.studio import PAGE

COUNT = """() => {
    const {postMessage} = Worker.prototype;
    Object.assign(window, {paintings: 0, portraits: 0});
    document.addEventListener("portrait", () => { window.portraits++; });
    Worker.prototype.postMessage = function (...message) {
        window.paintings++;
        return postMessage.apply(this, message);
    };
}"""

THUMBNAILS = "document.querySelector('#thumb-a')?.dataset.key && document.querySelector('#thumb-b').dataset.key"

FAST_CLOCK = "(() => { const now = performance.now.bind(performance); performance.now = () => 1000 * now(); })()"

VIOLATION = """() => new Promise((done) => {
    document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
    fetch("https://example.org/").catch(() => {});
})"""


@pytest.fixture(scope="module")
def runtime():
    try:
        onnxruntime_web()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def exported(runtime, results, tmp_path_factory) -> SimpleNamespace:
    """The page, and the studio whose models are in it."""
    page = tmp_path_factory.mktemp("exported") / "page.html"
    command = [sys.executable, str(ROOT / "scripts/studio.py"), str(results), "--export", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=page.parent)
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(page=page, studio=Studio.load(find_paths(results)))


@pytest.fixture
def editor(browser, exported):
    """The page from the disk, without a network; at its end it has asked for nothing and said nothing."""
    editor = Editor(browser, exported.page.as_uri(), offline=True)
    editor.rest()
    yield editor
    editor.close()
    assert editor.errors == []
    assert [address for address in editor.requests if not address.startswith("blob:")] == [exported.page.as_uri()]


@torch.inference_mode()
def assert_painted(editor: Editor, studio: Studio) -> None:
    """What is shown is what the generator paints in float32 of the page's mask and style code."""
    mask, z = torch.from_numpy(editor.mask().copy())[None], torch.from_numpy(editor.z())[None]
    expected = to_pixels(studio.painter.generator(mask, z))[0]
    assert np.abs(editor.portrait().astype(int) - expected).max() <= 1


def test_a_stroke_is_painted_as_by_the_library(editor, exported):
    assert_painted(editor, exported.studio)
    before, mask = editor.portrait(), editor.mask()
    points = [(20.3, 20.2), (40.8, 22.1), (30.2, 44.4)]
    editor.choose(klass=4, size=9)
    editor.stroke(points)
    assert np.array_equal(editor.mask(), capsules(mask, points, 9, 4))
    assert_painted(editor, exported.studio)
    assert (editor.portrait() != before).any()


def test_a_seed_is_the_style_of_that_seed(editor, exported):
    for seed in ("7", "4000000000"):
        editor.page.fill("#style-a-seed", seed)
        editor.press("Enter")
        editor.rest()
        expected = exported.studio.painter.random_styles(1, int(seed))[0].numpy()
        np.testing.assert_allclose(editor.z(), expected, atol=1e-5)
    assert_painted(editor, exported.studio)


def test_mixing_truncation_and_sliders_give_the_style_that_they_give_in_the_studio(editor, exported):
    editor.page.fill("#style-b-seed", "3")
    editor.press("Enter")
    editor.slide("#mix", 30)
    editor.slide("#truncation", 80)
    editor.page.select_option("#to-hair_color", "grey_hair")
    editor.slide("#amount-hair_color", 60)
    editor.slide("#amount-open_mouth", 40)
    sliders = {"hair_color": Slider("grey_hair", 0.6), "open_mouth": Slider("open_mouth", 0.4)}
    styles = [Style(z=exported.studio.portrait(0).z), Style(seed=3)]
    look = Look(styles=styles, mix=0.3, truncation=0.8, sliders=sliders, size=(64, 64))
    z, seen = exported.studio.code(look, editor.mask())
    assert editor.page.evaluate("studio.portrait().seen") == seen and seen["hair_color"] is not None
    np.testing.assert_allclose(editor.z(), z, atol=1e-5)
    assert_painted(editor, exported.studio)


def test_a_portrait_of_the_collection_is_in_it_without_its_picture(editor, exported, results):
    assert editor.page.evaluate("studio.hello().portraits") == PORTRAITS
    editor.page.check("#take-mask")
    editor.page.click("#portrait-5")
    portrait = exported.studio.portrait(5)
    editor.wait("JSON.stringify(studio.state().styles[0]) === '{\"portrait\":5}'")
    assert np.array_equal(editor.mask(), portrait.mask)
    np.testing.assert_allclose(editor.z(), portrait.z, atol=1e-5)
    page = exported.page.read_text()
    assert portrait.name not in page and str(results) not in page
    assert NOTICE in page


def test_a_download_opens_in_the_studio(editor, tmp_path):
    editor.page.fill("#style-a-seed", "7")
    editor.press("Enter")
    editor.rest()
    with editor.page.expect_download() as download:
        editor.page.click("#download")
    content = Path(download.value.path()).read_bytes()
    state, mask = open_saved(content, SEVEN)
    assert state.styles[0] == Style(seed=7) and np.array_equal(mask, editor.mask())
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), editor.portrait())


def test_the_page_forbids_itself_the_network(editor):
    assert editor.page.evaluate(VIOLATION) == "connect-src"
    editor.errors.clear()  # the browser says so, too


def test_without_palettes_a_moved_slider_is_one_painting(runtime, browser, tmp_path):
    """No names can be seen, so nothing is painted for them."""
    folder, page = write_results(tmp_path / "results"), tmp_path / "page.html"
    (folder / "config.yaml").unlink()
    export_page(find_paths(folder), PAGE.read_text("utf-8"), page)
    editor = Editor(browser, page.as_uri(), offline=True)
    editor.wait(THUMBNAILS)
    editor.page.evaluate(COUNT)
    editor.slide("#amount-hair_color", 60)
    editor.rest()
    assert editor.page.evaluate("paintings") == editor.page.evaluate("portraits") > 0
    assert editor.page.evaluate("studio.portrait().seen") == {"hair_color": None}
    editor.close()


def test_pictures_of_the_styles_of_a_slow_model(browser, exported):
    editor = Editor(browser, exported.page.as_uri(), offline=True, script=FAST_CLOCK)
    editor.wait(THUMBNAILS, 30_000)  # by the fast clock
    assert editor.page.evaluate("studio.portrait().ms") > 250
    np.testing.assert_array_equal(editor.shown("#thumb-a"), editor.portrait())
    assert (editor.shown("#thumb-b") != editor.portrait()).any()
    editor.close()


def test_regions_are_mixed_and_colored_as_in_the_studio(runtime, browser, tmp_path):
    paths, page = find_paths(write_results(tmp_path / "results", "regions")), tmp_path / "page.html"
    export_page(paths, PAGE.read_text("utf-8"), page)
    studio, editor = Studio.load(paths), Editor(browser, page.as_uri(), offline=True)
    for slot in "ab":
        editor.page.fill(f"#style-{slot}-seed", "7" if slot == "a" else "8")
        editor.press("Enter")
    editor.slide("#mix", 60)
    editor.page.uncheck("#mixes-hair")
    editor.page.fill("#color-clothes", "#20c040")
    editor.rest()
    mixed = [name for name in SEVEN.names if name != "hair"]
    styles, colors = [Style(seed=7), Style(seed=8)], {"clothes": "#20c040"}
    z, _ = studio.code(Look(styles=styles, mix=0.6, mixed=mixed, colors=colors, size=(64, 64)), editor.mask())
    np.testing.assert_allclose(editor.z(), z, atol=1e-5)
    assert_painted(editor, studio)
    assert editor.errors == []
    editor.close()


def test_a_model_without_styles(runtime, browser, tmp_path):
    paths, page = find_paths(write_results(tmp_path / "results", "none")), tmp_path / "page.html"
    export_page(paths, PAGE.read_text("utf-8"), page)
    editor = Editor(browser, page.as_uri(), offline=True)
    editor.choose(klass=4, size=9)
    editor.rest()
    editor.stroke([(20, 20), (40, 22)])
    assert_painted(editor, Studio.load(paths))
    assert editor.errors == []
    editor.close()
