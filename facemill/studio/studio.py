"""The studio: a local page that paints portraits from the mask under a brush, outside the workflow."""

import asyncio
import errno
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from aiohttp import web

from facemill.errors import UserError
from facemill.log import log
from facemill.studio.answers import Answers
from facemill.studio.labels import Labels
from facemill.studio.painting import Studio
from facemill.studio.paths import find_paths
from facemill.studio.photos import Photos
from facemill.studio.server import make_app

PAGE = Path(__file__).with_name("page.html")
PORTS = 100
"""Ports that are tried, one after another."""
TOKEN = "FACEMILL_STUDIO_TOKEN"
"""The environment variable by which a studio that is started again has the same address."""


def studio(
    results: Path | None = None,
    *,
    model: Path | None = None,
    unet: Path | None = None,
    vectors: Path | None = None,
    config: Path | None = None,
    labelled: Path | None = None,
    out: Path | None = None,
    port: int = 8765,
    threads: int = 1,
    precision: Literal["auto", "bfloat16", "float32"] = "auto",
    no_browser: bool = False,
    export: Path | None = None,
) -> None:
    """Opens a local page that paints portraits from the mask under a brush, until Ctrl-C.

    Args:
        results: a dataset's results, such as results/sample, with at least gaugan/.
        model: GauGAN's folder or its model.safetensors, in place of that of the results; what lies beside it is used.
        unet: the U-Net that masks photos, in place of the best of the results: its folder or safetensors file.
        vectors: attribute vectors (safetensors), in place of those of the results.
        config: settings whose section `labels` names the labels, in place of those of the results.
        labelled: folder that takes corrected masks of photos as labels, with the photos; without it none are written.
        out: folder of what is saved; edits where not given.
        port: the page's port on this machine; where it is taken, the next free one.
        threads: processor threads that paint; more than are free make it slower.
        precision: of the painting; auto is bfloat16 where the processor is fast in it, else float32.
        no_browser: prints the address and opens no browser.
        export: writes a page that paints without Python or network, in place of opening one.
    """
    paths = find_paths(results, model=model, unet=unet, vectors=vectors, config=config, labelled=labelled, out=out)
    if export:
        from facemill.studio.export_page import export_page  # which imports onnx

        export_page(paths, PAGE.read_text("utf-8"), export)
        return
    if threads < 1:
        raise UserError(f"--threads {threads}; accepted: 1 or more")
    token = read_token()
    with listen(port) as listener:
        models = Studio.load(paths, threads=threads)
        labels = Labels(paths.labelled, models.labels, models.classes) if paths.labelled else None
        app = make_app(Answers(models, Photos(models), labels), token, PAGE.read_text("utf-8"))
        models.painter.accelerate(threads=threads, precision=precision)  # last: a fault above ends the process at once
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/#t={token}"
        asyncio.run(serve(app, listener, address, None if no_browser else paths.out))


def read_token() -> str:
    """The token of the environment, else a random one. Raises `UserError` when that of the environment is short."""
    token = os.environ.get(TOKEN) or secrets.token_urlsafe(24)
    if not re.fullmatch(r"[A-Za-z0-9_-]{24,}", token):
        raise UserError(f"{TOKEN}: short, or of other characters; accepted: 24 or more of A-Z, a-z, 0-9, - and _")
    return token


def listen(port: int) -> socket.socket:
    """A socket of this machine alone, on a port or the next that is free; 0 is any. Raises `UserError` when none is."""
    for candidate in range(port, min(port + PORTS, 2**16)) if port >= 0 else ():
        try:
            return socket.create_server(("127.0.0.1", candidate))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    raise UserError(f"--port {port}: no port from there on is free; accepted: 0 to 65535, better above 1023")


async def serve(app: web.Application, listener: socket.socket, address: str, folder: Path | None) -> None:
    """Serves until SIGINT or SIGTERM.

    Args:
        app: the server.
        listener: its socket.
        address: the page's, with the token.
        folder: takes a file that leads the browser to the address; None opens no browser.
    """
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        log.info("studio: %s (Ctrl-C ends it)", address)
        with ExitStack() as files:
            if folder and has_display():
                try:
                    file = files.enter_context(redirect_file(address, folder))
                except OSError as error:  # the studio paints, and says so again when something is saved
                    log.warning("studio: no browser is opened (%s)", error)
                else:  # some browsers only return when they are closed
                    threading.Thread(target=webbrowser.open, args=[file.as_uri()], daemon=True).start()
            await ended.wait()
    finally:
        await runner.cleanup()


def has_display() -> bool:
    """Whether a browser would open a window; elsewhere one of text would take the terminal."""
    named = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    return named or not sys.platform.startswith("linux")


@contextmanager
def redirect_file(address: str, folder: Path) -> Iterator[Path]:
    """A file that leads a browser to an address, so that other users do not see its token among the processes.

    None but this user may read it. It is not in the folder of temporary files, which browsers in a sandbox do not see.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", prefix=".studio-", suffix=".html", dir=folder) as file:
        file.write(
            f'<!doctype html><meta http-equiv="refresh" content="0; url={address}"><a href="{address}">Studio</a>'
        )
        file.flush()
        yield Path(file.name).absolute()
