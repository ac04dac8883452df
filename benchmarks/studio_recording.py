"""A recording of the studio at work: docs/studio.webp.

    python benchmarks/studio_recording.py --results results/fine --out docs

A session in Chromium on a real studio, a picture after each step; the pointer, which screenshots lack, is drawn.
"""

import colorsys
import io
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from studio import ARGUMENTS, AT_REST, CHROMIUM, studio, wait, wait_for_painter

from facemill.files import atomic_write
from facemill.log import log
from facemill.workflow.command import run

VIEW = {"width": 1280, "height": 800}
WIDTH = 900
"""Of the recording, in pixels."""
PAUSE, STEP = 900, 90
"""Milliseconds that a picture is shown at the end of an action, and within one."""

POINTER = """() => {
    const pointer = document.createElement("div");
    Object.assign(pointer.style, {position: "fixed", zIndex: 99, width: "16px", height: "22px", pointerEvents: "none",
        background: "#fff", filter: "drop-shadow(0 0 1px #000) drop-shadow(0 0 1px #000)", left: "-50px", top: "0",
        clipPath: "polygon(0 0, 0 78%, 24% 62%, 44% 100%, 60% 94%, 42% 58%, 75% 58%)"});
    document.body.append(pointer);
    addEventListener("pointermove", event => {
        pointer.style.left = event.clientX + "px";
        pointer.style.top = event.clientY + "px";
        pointer.style.opacity = event.target.id === "mask" ? 0 : 1;
    }, true);
}"""

Point = tuple[float, float]


class Recording:
    """Pictures of a page, each with the milliseconds that it is shown."""

    def __init__(self, page: Page) -> None:
        self.page, self.pictures, self.durations = page, [], []
        self.at: Point = (0, 0)

    def show(self, duration: int) -> None:
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        height = round(picture.height * WIDTH / picture.width)
        self.pictures.append(picture.resize((WIDTH, height), Image.Resampling.LANCZOS))
        self.durations.append(duration)

    def pause(self, duration: int = PAUSE) -> None:
        wait(self.page, AT_REST)
        self.show(duration)

    def move(self, x: float, y: float, pictures: int = 4) -> None:
        """Moves the pointer there, slower at both ends."""
        (left, top), self.at = self.at, (x, y)
        for i in range(1, pictures + 1):
            share = (1 - math.cos(math.pi * i / pictures)) / 2
            self.page.mouse.move(left + share * (x - left), top + share * (y - top))
            self.show(STEP)

    def stroke(self, points: Sequence[Point]) -> None:
        """Paints along points of the mask, as shares of its width and height."""
        left, top, width, height = self.page.locator("#mask").bounding_box().values()
        places = [(left + x * width, top + y * height) for x, y in points]
        self.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place)
            self.at = place
            self.page.evaluate("new Promise(requestAnimationFrame)")
            self.show(STEP)
        self.page.mouse.up()
        self.pause()

    def click(self, element: str) -> None:
        self.page.locator(element).scroll_into_view_if_needed()
        left, top, width, height = self.page.locator(element).bounding_box().values()
        self.move(left + width / 2, top + height / 2)
        self.page.mouse.click(*self.at)

    def recolor(self, region: str, hues: Sequence[float]) -> None:
        """Moves the pointer to a region's color, and goes through hues in [0, 1], without the browser's own dialog."""
        well = f"#color-{region}"
        left, top, width, height = self.page.locator(well).bounding_box().values()
        self.move(left + width / 2, top + height / 2)
        for hue in hues:
            self.page.fill(well, "#" + bytes(round(255 * value) for value in colorsys.hsv_to_rgb(hue, 0.75, 0.8)).hex())
            wait(self.page, AT_REST)
            self.show(STEP)
        self.pause()

    def save(self, path: Path, quality: int) -> None:
        with atomic_write(path) as tmp:
            first, *others = self.pictures
            options = {"duration": self.durations, "loop": 0, "quality": quality, "method": 6}
            first.save(tmp, "WEBP", save_all=True, append_images=others, minimize_size=True, **options)


def curve(*points: Point, steps: int = 6) -> Iterator[Point]:
    """Points on straight lines from each point to the next."""
    for (ax, ay), (bx, by) in pairwise(points):
        yield from ((ax + (bx - ax) * i / steps, ay + (by - ay) * i / steps) for i in range(steps))
    yield points[-1]


def prepare(page: Page) -> None:
    """A portrait of the sample's collection that smiles, with its mask, as the beginning."""
    page.check("#take-mask", force=True)
    with page.expect_response("**/portrait"):
        page.click("#portrait-29")
    page.uncheck("#take-mask", force=True)
    page.locator("#portrait-0").scroll_into_view_if_needed()
    page.wait_for_timeout(2000)  # the styles' thumbnails are painted at leisure
    wait(page, AT_REST)


def session(recording: Recording) -> None:
    """Longer hair, in other colors, clothes and background too, and styles of the collection."""
    page = recording.page
    recording.pause()
    page.focus("#mask")
    for _ in range(2):
        page.keyboard.press("BracketRight")
    recording.stroke(list(curve((0.24, 0.36), (0.19, 0.6), (0.2, 0.95), steps=7)))
    recording.stroke(list(curve((0.66, 0.38), (0.72, 0.6), (0.71, 0.95), steps=7)))
    recording.recolor("hair", [0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6])
    recording.recolor("clothes", [0.3, 0.2, 0.12, 0.06, 0])
    recording.recolor("background", [0.4, 0.45, 0.5, 0.55])
    recording.click("#snapshot")
    recording.pause()
    recording.click("#regions-reset")
    for portrait in (5, 8):
        recording.click(f"#portrait-{portrait}")
        recording.pause()
    recording.click("#snapshots .snapshot")
    recording.pause()


def main(*, results: Path, out: Path, quality: int = 60, compiling: float = 60, chromium: Path | None = None) -> None:
    """Records a session.

    Args:
        results: a dataset's results with styles by region, best the sample's with fifteen classes.
        out: folder of the recording.
        quality: of the recording, 0 to 100.
        compiling: seconds to wait at most for the fast painter.
        chromium: the browser; /usr/bin/chromium where not given.
    """
    with studio(results, []) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium or CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport=VIEW)
        page.goto(address)
        wait(page, AT_REST)
        wait_for_painter(page, compiling)
        prepare(page)
        page.evaluate(POINTER)
        recording = Recording(page)
        session(recording)
        browser.close()
    recording.save(out / "studio.webp", quality)
    log.info("%s: %.0f kB", out / "studio.webp", (out / "studio.webp").stat().st_size / 1000)


if __name__ == "__main__":
    run("studio_recording:main")
