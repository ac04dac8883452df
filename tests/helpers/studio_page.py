"""The studio's page in Chromium, as a person uses it: strokes in pixels of the mask, and what the page then holds."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from playwright.sync_api import Browser, Dialog, Page, WebSocket

from facemill.inference.painter import Painter
from facemill.networks.vae import to_pixels

Point = tuple[float, float]
"""x and y in pixels of the mask; the first pixel's center is (0.5, 0.5)."""

VIEWPORT = {"width": 1280, "height": 800}

AT_REST = "document.body.dataset.rest === 'true' && window.studio?.portrait()"

TO_BASE64 = "bytes => { let s = ''; for (const b of bytes) s += String.fromCharCode(b); return btoa(s); }"

WAIT = """async seconds => {
    const end = performance.now() + 1000 * seconds;
    while (!await (CONDITION)) {
        if (performance.now() > end) throw Error("waited in vain");
        await new Promise(again => setTimeout(again, 5));
    }
}"""
"""Playwright's own wait evaluates strings, which the page's Content-Security-Policy forbids."""

DROP = """([target, name, type, content]) => {
    const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, {type}));
    const place = document.querySelector(target);
    for (const kind of ["dragenter", "dragover", "drop"])
        place.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


class Editor:
    """A page that is open at a studio's address; what it says on its console and asks of the network is noted."""

    def __init__(self, browser: Browser, address: str, *, script: str = "", **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": VIEWPORT, "accept_downloads": True} | context)
        self.context.add_init_script(script)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.sockets: list[WebSocket] = []
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.listen(self.page)
        self.page.goto(address)

    def listen(self, page: Page) -> None:
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", self.dismiss)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", self.follow)

    def dismiss(self, dialog: Dialog) -> None:
        self.errors.append(f"{dialog.type}: {dialog.message}")
        dialog.dismiss()

    def follow(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        self.requests.append(socket.url)
        socket.on("framesent", lambda frame: self.sent.append(as_bytes(frame)))
        socket.on("framereceived", lambda frame: self.received.append(as_bytes(frame)))

    def close(self) -> None:
        self.context.close()

    # what the page holds

    def rest(self) -> None:
        """Waits until the portrait of the newest state is shown."""
        self.wait(AT_REST)

    def wait(self, condition: str, seconds: float = 30) -> None:
        """Waits until a condition holds in the page."""
        wait(self.page, condition, seconds)

    def mask(self) -> np.ndarray:
        """Class ids, uint8 (H, W)."""
        height, width = self.state()["size"]
        return self.bytes_of("studio.mask().pixels").reshape(height, width)

    def state(self) -> dict:
        return self.page.evaluate("studio.state()")

    def portrait(self) -> np.ndarray:
        """The portrait that the page holds, uint8 RGB (H, W, 3), when it has come to rest."""
        self.rest()
        height, width = self.page.evaluate("studio.portrait().size")
        return self.bytes_of("studio.portrait().pixels").reshape(height, width, 4)[:, :, :3]

    def shown(self, canvas: str = "#portrait") -> np.ndarray:
        """What a canvas shows, uint8 RGB (H, W, 3)."""
        self.rest()
        canvas = f"document.querySelector('{canvas}')"
        height, width = self.page.evaluate(f"[{canvas}.height, {canvas}.width]")
        pixels = self.bytes_of(f"{canvas}.getContext('2d').getImageData(0, 0, {width}, {height}).data")
        return pixels.reshape(height, width, 4)[:, :, :3]

    def z(self) -> np.ndarray:
        self.rest()
        return np.float32(self.page.evaluate("studio.portrait().z"))

    def bytes_of(self, expression: str) -> np.ndarray:
        return np.frombuffer(base64.b64decode(self.page.evaluate(f"({TO_BASE64})({expression})")), np.uint8)

    def fault(self) -> str:
        """The text of the alert, once it is shown."""
        text = self.page.locator("#fault-text")
        text.wait_for(state="visible")  # `inner_text` waits for the element alone, and is empty while it is hidden
        return text.inner_text().strip()

    # what a person does

    def place(self, x: float, y: float) -> Point:
        """A point of the mask as one of the window."""
        left, top, width, height = self.page.evaluate(
            "(() => { const r = document.querySelector('#mask').getBoundingClientRect();"
            " return [r.left, r.top, r.width, r.height]; })()"
        )
        rows, columns = self.state()["size"]
        return left + x * width / columns, top + y * height / rows

    def stroke(self, points: Sequence[Point], *, release: bool = True) -> None:
        """Pushes the mouse along points of the mask."""
        self.page.mouse.move(*self.place(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.place(*point))
        if release:
            self.page.mouse.up()

    def choose(self, *, klass: int | None = None, tool: str | None = None, size: int | None = None) -> None:
        if klass is not None:
            self.page.check(f"#class-{klass}", force=True)
        if tool is not None:
            self.page.check(f"#tool-{tool}", force=True)
        if size is not None:
            self.slide("#size", size)

    def slide(self, slider: str, value: float) -> None:
        """Sets a slider as a person does who presses, moves and lets go."""
        self.page.locator(slider).evaluate(
            """(input, value) => {
                input.dispatchEvent(new PointerEvent("pointerdown", {bubbles: true}));
                input.value = value;
                input.dispatchEvent(new Event("input", {bubbles: true}));
                input.dispatchEvent(new Event("change", {bubbles: true}));
                input.dispatchEvent(new PointerEvent("pointerup", {bubbles: true}));
            }""",
            str(value),
        )

    def drop(self, target: str, path: Path, kind: str = "image/png") -> None:
        """Drops a file on a part of the page."""
        content = base64.b64encode(path.read_bytes()).decode()
        self.page.evaluate(DROP, [target, path.name, kind, content])

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


def wait(page: Page, condition: str, seconds: float = 30) -> None:
    """Waits until a condition holds in a page."""
    page.evaluate(WAIT.replace("CONDITION", condition), seconds)


@torch.inference_mode()
def painted(painter: Painter, editor: Editor) -> np.ndarray:
    """What the library's generator paints in float32 of the page's mask and style code, int (H, W, 3)."""
    masks = torch.from_numpy(editor.mask().copy())[None]
    return to_pixels(painter.generator(masks, torch.from_numpy(editor.z())[None]))[0].astype(int)


def as_bytes(frame: str | bytes) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


def capsules(mask: np.ndarray, points: Sequence[Point], size: float, klass: int) -> np.ndarray:
    """A mask after a stroke: all pixels whose center is at most half the size from a segment are of the class."""
    height, width = mask.shape
    xs, ys = np.arange(width)[None] + 0.5, np.arange(height)[:, None] + 0.5
    painted = mask.copy()
    for (ax, ay), (bx, by) in zip([points[0], *points], points, strict=False):
        dx, dy = bx - ax, by - ay
        length = dx * dx + dy * dy
        t = np.clip(((xs - ax) * dx + (ys - ay) * dy) / length, 0, 1) if length else 0.0
        painted[(xs - ax - t * dx) ** 2 + (ys - ay - t * dy) ** 2 <= (size / 2) ** 2] = klass
    return painted
