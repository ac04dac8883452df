"""A real server process on tiny models, and Debian's Chromium through Playwright."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.studio_models import write_results
from helpers.studio_page import Editor
from helpers.studio_process import StudioProcess
from playwright.sync_api import Browser, sync_playwright

from facemill.inference.painter import Painter

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",  # which refuses root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser here: {CHROMIUM} is missing, Debian's package chromium has it")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    return write_results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="session")
def painter(results) -> Painter:
    """The library's painter of the same model, with its style encoder."""
    return Painter.load(results / "gaugan", style_encoder=results / "gaugan/style_encoder.safetensors")


@pytest.fixture
def start(results, tmp_path) -> Iterator[Callable[..., StudioProcess]]:
    """Starts studios of a test's own."""
    started = []

    def start(folder: Path = results, *options: str, **more: Any) -> StudioProcess:
        started.append(StudioProcess(folder, tmp_path / f"studio-{len(started)}", *options, **more))
        return started[-1]

    yield start
    for studio in started:
        studio.stop()


@pytest.fixture(scope="session")
def studio(results, tmp_path_factory) -> Iterator[StudioProcess]:
    """One studio for all tests that need none of their own; it computes in float32, as the library does."""
    process = StudioProcess(results, tmp_path_factory.mktemp("studio"))
    yield process
    process.stop()


@pytest.fixture(scope="session")
def compiled(studio) -> None:
    """The studio paints by OpenVINO, which takes a while: from now on the same state gives the same bytes."""
    studio.wait_until_compiled()


@pytest.fixture
def open_page(browser) -> Iterator[Callable[..., Editor]]:
    """Opens pages in contexts of their own, and waits for their first portrait."""
    opened = []

    def open_page(studio: StudioProcess, address: str | None = None, **context: Any) -> Editor:
        opened.append(Editor(browser, address or studio.address, **context))
        opened[-1].rest()
        return opened[-1]

    yield open_page
    for editor in opened:
        editor.close()


@pytest.fixture
def editor(studio, open_page) -> Iterator[Editor]:
    """A fresh page; at its end it has said nothing on its console."""
    editor = open_page(studio)
    yield editor
    assert editor.errors == []
