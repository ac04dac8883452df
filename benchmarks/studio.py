"""From a pointer's event to the frame that shows its portrait: the studio in Chromium, painted on 60 times a second.

    python benchmarks/studio.py --results results/sample

Starts the studio and Chromium, waits until the fast painter is there, and paints long strokes. An event's latency ends
in a task after the next frame's callbacks, when the portrait that has it was drawn. The last line is JSON: milliseconds
of all events (median, 95th percentile, greatest), of the model alone, and how many portraits came for the events. The
bars are a median of 50 ms and a 95th percentile of 100 ms at 128 px on two cores that do nothing else.
"""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from facemill.errors import UserError
from facemill.workflow.command import run

ROOT = Path(__file__).parents[1]
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]

MEASURE = """() => {
    const waiting = [], latencies = [], models = [];
    window.measured = {latencies, models, events: 0};
    addEventListener("pointermove", event => {
        if (event.buttons) { waiting.push(event.timeStamp); window.measured.events++; }
    }, true);
    document.addEventListener("portrait", ({detail}) => {
        models.push(detail.ms);
        const shown = waiting.filter(stamp => stamp <= detail.stamp);
        waiting.splice(0, shown.length);
        requestAnimationFrame(() => {
            const {port1, port2} = new MessageChannel();
            port1.onmessage = () => latencies.push(...shown.map(stamp => performance.now() - stamp));
            port2.postMessage(0);
        });
    });
}"""
AT_REST = "document.body.dataset.rest === 'true' && window.studio?.portrait()"
ALL_SHOWN = "measured.latencies.length >= measured.events"


def wait(page: Page, condition: str) -> None:
    """Waits until a condition holds; Playwright's own way evaluates strings, which the page's policy forbids."""
    poll = f"() => new Promise(done => {{ const look = () => ({condition}) ? done() : setTimeout(look, 5); look(); }})"
    page.evaluate(poll)


@contextmanager
def studio(results: Path, options: Sequence[str]) -> Iterator[str]:
    """The address of a studio that runs as long as the block."""
    with tempfile.TemporaryDirectory() as folder:
        door = [sys.executable, str(ROOT / "scripts/studio.py"), str(results), "--no-browser", "--port", "0"]
        command = [*door, "--out", folder, *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            output = []
            for line in process.stdout:
                output.append(line)
                if address := re.search(r"http://127\.0\.0\.1:\d+/#t=\S+", line):
                    yield address[0]
                    return
            raise UserError(f"the studio did not start: {''.join(output).strip()}")
        finally:
            process.terminate()
            process.wait()


def paint(page: Page, moves: int, rate: float) -> None:
    """A stroke in loops over the mask, with `moves` events at `rate` a second."""
    left, top, width, height = page.locator("#mask").bounding_box().values()

    def place(i: int) -> tuple[float, float]:
        angle = i * 2 * math.pi / 97
        return left + width * (0.5 + 0.3 * math.sin(angle)), top + height * (0.5 + 0.25 * math.sin(1.7 * angle))

    page.mouse.move(*place(0))
    page.mouse.down()
    start = time.perf_counter()
    for i in range(1, moves + 1):
        time.sleep(max(0, start + i / rate - time.perf_counter()))
        page.mouse.move(*place(i))
    page.mouse.up()
    wait(page, AT_REST)


def wait_for_painter(page: Page, seconds: float) -> None:
    """Paints until the portraits no longer come from torch, by which the studio starts; or for so long."""
    end = time.monotonic() + seconds
    while page.evaluate("studio.portrait().backend").startswith("torch") and time.monotonic() < end:
        paint(page, 2, 2)
        page.keyboard.press("Control+z")


def main(
    *,
    results: Path,
    moves: int = 240,
    rate: float = 60,
    compiling: float = 60,
    chromium: Path | None = None,
    threads: int = 1,
) -> None:
    """Measures the latency of painting.

    Args:
        results: a dataset's results with a trained GauGAN.
        moves: pointer events.
        rate: events a second.
        compiling: seconds to wait at most for the fast painter.
        chromium: the browser; /usr/bin/chromium where not given.
        threads: processor threads that paint.
    """
    with studio(results, ["--threads", str(threads)]) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium or CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        wait(page, AT_REST)
        wait_for_painter(page, compiling)
        paint(page, moves // 8, rate)
        page.evaluate(MEASURE)
        paint(page, moves, rate)
        wait(page, ALL_SHOWN)
        measured = page.evaluate("window.measured")
        backend, size = page.evaluate("[studio.portrait().backend, studio.portrait().size]")
        browser.close()
    latencies, models = measured["latencies"], measured["models"]
    median, high = np.percentile(latencies, [50, 95])
    print(f"{backend}, {size[0]} x {size[1]} pixels, load {os.getloadavg()[0]:.1f}")
    numbers = {
        "median_ms": round(median, 1),
        "p95_ms": round(high, 1),
        "greatest_ms": round(max(latencies), 1),
        "model_ms": round(np.median(models), 1),
        "events": len(latencies),
        "portraits": len(models),
    }
    print(json.dumps(numbers | {"backend": backend, "size": size, "load": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    run("studio:main")
