"""The studio's server: a page on the loopback, a WebSocket that paints, and requests for all else.

The page owns what is edited; the server owns nothing but models. Whatever reaches them runs on one thread, so that the
pages take turns, and each has a mailbox of one: a portrait is always of its newest state.
"""

import asyncio
import hmac
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import unquote

from aiohttp import WSCloseCode, WSMsgType, web

from facemill.studio.answers import Answer, Answers, fault_frame, fault_of
from facemill.studio.policy import inline_sources

MAX_BYTES = 32 << 20
"""Bytes of a request: a photo."""
MAX_MESSAGE = 4 << 20
"""Bytes of a message: a mask of 1,024 x 1,024 and its header."""
MAX_PAGES = 8
"""Pages that are connected at a time."""
HEARTBEAT = 5.0
"""Seconds after which a silent page is asked whether it is there."""
GOODBYE = 2.0
"""Seconds that the pages have to read that the studio ends."""
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "facemill",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def make_app(answers: Answers, token: str, page: str) -> web.Application:
    """The server's application; it answers for the port that it is bound to, and to this machine's browser alone.

    Args:
        answers: the models.
        token: what a page proves by that it was opened at the address that was printed.
        page: the HTML.
    """
    server = Server(answers, token, page)
    app = web.Application(middlewares=[server.guard], client_max_size=MAX_BYTES)
    app.on_response_prepare.append(server.add_headers)
    app.on_shutdown.append(server.close_pages)
    app.on_cleanup.append(server.end)
    app.router.add_get("/", server.show_page, allow_head=False)
    app.router.add_get("/ws", server.converse, allow_head=False)
    for path, (status, answer) in answers.posts().items():
        app.router.add_post(path, partial(server.answer, answer, status))
    return app


class Server:
    """The thread that the models run on, and the pages that are connected."""

    def __init__(self, answers: Answers, token: str, page: str) -> None:
        self.answers, self.token, self.page = answers, token, page
        self.hello = answers.hello()
        self.policy = content_policy(page)
        self.thread = ThreadPoolExecutor(1, "painter")
        self.pages: set[web.WebSocketResponse] = set()

    @web.middleware
    async def guard(self, request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]) -> web.StreamResponse:
        """Refuses what does not come from the studio's page in this machine's browser; words for all that is refused.

        Another name for this machine could have been bound to it by a page elsewhere (DNS rebinding); another origin is
        a page elsewhere (cross-site requests); another token, or none, another user of this machine.
        """
        try:
            if fault := self.refusal(request):
                return refuse(403, fault)
            return await handler(request)
        except web.HTTPRequestEntityTooLarge:
            return refuse(413, f"more than {MAX_BYTES >> 20} MB; accepted: less")
        except web.HTTPException as error:
            return refuse(error.status, f"{request.method} {error.reason}")

    def refusal(self, request: web.Request) -> str | None:
        """Why a request is refused, before anything of it but its head is read; None where it is not."""
        port = port_of(request)
        hosts, origins = request.headers.getall("Host", []), request.headers.getall("Origin", [])
        if hosts not in ([f"127.0.0.1:{port}"], [f"localhost:{port}"]):
            return f"another Host; accepted: 127.0.0.1:{port}, and localhost:{port} (with ssh -L the same port there)"
        if any(origin != f"http://{hosts[0]}" for origin in origins):
            return "another Origin; accepted: the studio's page"
        match = request.match_info
        if request.method == "GET" and (match.http_exception or match.handler == self.show_page):
            return None
        if not origins:
            return "no Origin; accepted: the studio's page"
        name, proof = "Authorization", f"Bearer {self.token}"
        if request.method == "GET":  # of a WebSocket, for which a page can set no other header
            name, proof = "Sec-WebSocket-Protocol", f"facemill.{self.token}"
        if not hmac.compare_digest(request.headers.get(name, "").encode(errors="surrogateescape"), proof.encode()):
            return "another token, or none; accepted: the address that studio.py printed when it was started"
        return None

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(HEADERS)
        response.headers["Content-Security-Policy"] = self.policy.format(port=port_of(request))

    async def close_pages(self, app: web.Application) -> None:
        """Says goodbye to the pages; to one that does not read, as of a browser that was stopped, in vain."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await asyncio.gather(*(page.close(code=WSCloseCode.GOING_AWAY) for page in self.pages))

    async def end(self, app: web.Application) -> None:
        """Drops what waits for the thread, whose last portrait is not waited for."""
        self.thread.shutdown(wait=False, cancel_futures=True)

    async def show_page(self, request: web.Request) -> web.Response:
        return web.Response(text=self.page, content_type="text/html", charset="utf-8")

    async def converse(self, request: web.Request) -> web.WebSocketResponse:
        """A page's WebSocket: states come, portraits go, never more than one state waits."""
        page = web.WebSocketResponse(
            protocols=[f"facemill.{self.token}"], heartbeat=HEARTBEAT, compress=False, max_msg_size=MAX_MESSAGE
        )
        await page.prepare(request)
        if len(self.pages) >= MAX_PAGES:
            await page.send_bytes(fault_frame(0, f"{MAX_PAGES} pages are open; accepted: one more when one is closed"))
            await page.close(code=WSCloseCode.TRY_AGAIN_LATER)
            return page
        self.pages.add(page)
        mailbox: deque[bytes] = deque(maxlen=1)
        arrived = asyncio.Event()
        painting = asyncio.create_task(self.paint_newest(page, mailbox, arrived))
        try:
            await page.send_bytes(self.hello)
            async for message in page:
                if message.type != WSMsgType.BINARY:
                    await page.close(code=WSCloseCode.UNSUPPORTED_DATA)
                    break
                mailbox.append(message.data)
                arrived.set()
        except ConnectionError:
            pass  # it has gone
        finally:
            painting.cancel()
            self.pages.discard(page)
        return page

    async def paint_newest(self, page: web.WebSocketResponse, mailbox: deque[bytes], arrived: asyncio.Event) -> None:
        """Paints what is in the mailbox at the page's turn; a page that does not read keeps no other waiting."""
        with suppress(ConnectionError):
            while not page.closed:
                await arrived.wait()
                arrived.clear()
                if answer := await asyncio.get_running_loop().run_in_executor(self.thread, self.paint, mailbox):
                    await page.send_bytes(answer)

    def paint(self, mailbox: deque[bytes]) -> bytes | None:
        """The portrait of the newest state; None when it was painted already."""
        return self.answers.paint(mailbox.popleft()) if mailbox else None  # no other thread takes any

    async def answer(self, answer: Answer, status: int, request: web.Request) -> web.Response:
        """Reads a request and answers it on the models' thread; `status` is that of its faults."""
        body, name = await request.read(), unquote(request.headers.get("X-Name", ""))
        try:
            frame = await asyncio.get_running_loop().run_in_executor(self.thread, answer, body, name)
        except Exception as error:
            return refuse(*fault_of(error, status))
        return web.Response(body=frame, content_type="application/octet-stream")


def port_of(request: web.Request) -> int:
    """The port that a request came to, whatever it says."""
    return int((request.get_extra_info("sockname") or ("", 0))[1])


def refuse(status: int, fault: str) -> web.Response:
    return web.json_response({"fault": fault}, status=status)


def content_policy(page: str) -> str:
    """The Content-Security-Policy of a page, with `{port}` for its own: its scripts and styles alone."""
    return (
        f"default-src 'none'; script-src {inline_sources(page, 'script')}; style-src {inline_sources(page, 'style')}; "
        "img-src blob: data:; connect-src 'self' ws://127.0.0.1:{port} ws://localhost:{port}; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
