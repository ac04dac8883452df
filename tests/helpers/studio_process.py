"""The studio as its user starts it: `scripts/studio.py` in a process of its own."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession, ClientWebSocketResponse

from facemill.studio.messages import pack
from helpers.running import ROOT, wait_for
from helpers.studio_models import SIZE

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/#t=([\w-]+)")
TOKEN = "a-token-of-the-tests-that-nobody-else-has"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class StudioProcess:
    """A server on a port of 127.0.0.1; `out` and `labelled` are its folders for what is saved."""

    def __init__(self, results: Path, folder: Path, *options: str, precision: str = "float32") -> None:
        self.results, self.folder, self.options = results, folder, (*options, "--precision", precision)
        self.out, self.labelled, self.port = folder / "edits", folder / "labelled", free_port()
        self.labelled.mkdir(parents=True, exist_ok=True)
        self.output = ""
        self.start()

    def command(self) -> Sequence[str]:
        folders = ["--out", str(self.out), "--labelled", str(self.labelled)]
        door = [sys.executable, str(ROOT / "scripts/studio.py"), str(self.results), "--no-browser"]
        return [*door, "--port", str(self.port), *folders, *self.options]

    def start(self, token: str = TOKEN) -> None:
        """Starts it, and waits until it says its address."""
        environment = os.environ | {"FACEMILL_STUDIO_TOKEN": token}
        self.process = subprocess.Popen(
            self.command(),
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        wait_for(lambda: ADDRESS.search(self.output) or self.process.poll() is not None, 120)
        assert self.process.poll() is None, self.output
        self.port, self.token = int(ADDRESS.search(self.output)[1]), ADDRESS.search(self.output)[2]

    def _read(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            self.output += line

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def origin(self) -> str:
        return f"http://{self.host}"

    @property
    def address(self) -> str:
        return f"{self.origin}/#t={self.token}"

    def kill(self) -> None:
        """Ends it as a lack of memory would: no farewell."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(120)  # as long as it may take to start: the painter may still be compiled

    def converse(self, talk: Callable[[ClientWebSocketResponse], Awaitable[Any]]) -> Any:
        """What `talk` returns on a socket with the right token; on a thread, since Playwright has this one's loop."""

        async def connected() -> Any:
            options = {"headers": {"Origin": self.origin}, "protocols": [f"facemill.{self.token}"], "max_msg_size": 0}
            async with ClientSession() as session, session.ws_connect(f"{self.origin}/ws", **options) as socket:
                await socket.receive()  # hello
                return await talk(socket)

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, connected()).result(60)

    def answer_to(self, frame: bytes) -> dict:
        """The header of the answer to a frame."""

        async def ask(socket: ClientWebSocketResponse) -> bytes:
            await socket.send_bytes(frame)
            return (await socket.receive(30)).data

        return header_of(self.converse(ask))

    def wait_until_compiled(self) -> None:
        """Waits until portraits no longer come from torch, so that all have the same rounding."""
        frame = pack({"n": 1, "styles": [{"seed": 7}], "size": [SIZE, SIZE]}, bytes(SIZE * SIZE))
        wait_for(lambda: self.answer_to(frame)["backend"].startswith("openvino"))

    def request(self, method: str, path: str, body: bytes = b"", **headers: str | None) -> tuple[int, dict, bytes]:
        """Status, headers and body of an answer. `Host`, `Origin` and the token are right unless given; None: unsent.

        In names of headers `_` stands for `-`; a body may be cut short by a server that refuses it.
        """
        known = {"Host": self.host, "Origin": self.origin, "Authorization": f"Bearer {self.token}"}
        sent = known | {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        if "Content-Length" not in sent:
            connection.putheader("Content-Length", str(len(body)))
        with suppress(ConnectionError):
            connection.endheaders(body or None)
        answer = connection.getresponse()
        content = b"" if answer.status == 101 else answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), content


def header_of(frame: bytes) -> dict:
    """The header of a frame."""
    return msgspec.json.decode(frame[4 : 4 + int.from_bytes(frame[:4], "little")])
