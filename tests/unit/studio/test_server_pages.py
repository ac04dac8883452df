"""The server's WebSocket: hostile states are answered in words, pages take turns, and none holds up another."""

import asyncio
import struct
import threading
from contextlib import AsyncExitStack, suppress
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import WSMsgType
from aiohttp.test_utils import TestServer
from helpers.studio_client import HTML, MASK, SLIDER, STATE, TOKEN, Browser, parts_of, read, state

from facemill.studio.messages import pack
from facemill.studio.server import GOODBYE, MAX_MESSAGE, MAX_PAGES, make_app


def test_a_message_above_the_limit_ends_the_connection(visit):
    async def visitor(browser):
        async with browser.connected() as socket:
            await socket.receive()
            with suppress(ConnectionError):  # the server may close while the message is sent
                await socket.send_bytes(pack(STATE, b"\0" * (MAX_MESSAGE + 2**20)))
            assert (await socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)

    visit(visitor)


def test_a_message_of_text_ends_the_connection(visit):
    async def visitor(browser):
        async with browser.connected() as socket:
            await socket.receive()
            await socket.send_str("{}")
            message = await socket.receive()
            assert message.type == WSMsgType.CLOSE and message.data == 1003

    visit(visitor)


HOSTILE = {
    "class 200": (state(b"\xc8" + MASK[1:]), 17),
    "bytes": (state(MASK[1:]), 17),
    "no mask": (state(b""), 17),
    "size": (state(size=[10**9, 10**9]), 17),
    "size below one": (state(b"", size=[0, 0]), 17),
    "NaN": (struct.pack("<I", 61) + b'{"n":17,"styles":[{"seed":7}],"size":[64,64],"mix":NaN      }', 0),
    "amount": (state(sliders={"hair_color": SLIDER | {"amount": 1e300}}), 17),
    "group": (state(sliders={"no_such": SLIDER}), 17),
    "name": (state(sliders={"hair_color": SLIDER | {"to": "../grey_hair"}}), 17),
    "z": (state(styles=[{"z": [1e9] * 8}]), 17),
    "numbers of z": (state(styles=[{"z": [0.0] * 7}]), 17),
    "portrait": (state(styles=[{"portrait": 10**6}]), 17),
    "styles": (state(styles=[{"seed": 1}] * 3), 17),
    "no styles": (state(styles=[]), 17),
    "two styles in one": (state(styles=[{"seed": 1, "portrait": 1}]), 17),
    "unknown field": (state(path="/etc/passwd"), 17),
    "n": (state(n=2**70), 0),
    "empty": (b"", 0),
    "length": (b"\xff\xff\xff\xff{}", 0),
    "UTF-8": (struct.pack("<I", 4) + b"\xff\xfe\xff\xfe", 0),
    "nesting": (struct.pack("<I", 10**6) + b"[" * 10**6, 0),
    "no object": (struct.pack("<I", 2) + b"17", 0),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_state_that_is_wrong_is_answered_in_words(visit, what):
    frame, number = HOSTILE[what]

    async def visitor(browser):
        async with browser.connected() as socket:
            await socket.receive()
            await socket.send_bytes(frame)
            header, body = read((await socket.receive()).data)
            assert header["n"] == number and header["fault"] and not body
            assert "Error" not in header["fault"]  # no words of Python's
            await socket.send_bytes(state())  # the same page goes on
            assert "ms" in read((await socket.receive()).data)[0]

    visit(visitor)


def test_a_ninth_page_is_told_so_and_gets_in_when_another_has_gone(visit):
    async def visitor(browser):
        async with AsyncExitStack() as pages:
            eight = [await pages.enter_async_context(browser.connected()) for _ in range(MAX_PAGES)]
            async with browser.connected() as ninth:
                assert "8 pages" in read((await ninth.receive()).data)[0]["fault"]
                assert (await ninth.receive()).type == WSMsgType.CLOSE
            await eight[0].close()
            greeting: dict = {}
            while "hello" not in greeting:  # the server may learn of it a little later
                async with browser.connected() as page:
                    greeting = read((await page.receive()).data)[0]

    visit(visitor)


def test_a_page_that_does_not_read_does_not_hold_up_the_end(answers, monkeypatch):
    """Nor one whose browser was stopped while portraits came, as many as fit into the sockets."""
    large = SimpleNamespace(header={}, body=bytes(MAX_MESSAGE // 2))
    monkeypatch.setattr(answers.studio, "paint", lambda *_: large)

    async def main():
        server = TestServer(make_app(answers, TOKEN, HTML))
        await server.start_server(shutdown_timeout=GOODBYE)  # as the studio
        async with aiohttp.ClientSession() as session:
            browser = Browser(session, server.port)
            with suppress(ConnectionError):  # of the clients, which have gone when they say goodbye
                async with browser.connected() as socket, browser.connected() as other:
                    await socket.receive()
                    await other.receive()
                    socket._response.connection.transport.pause_reading()
                    for _ in range(8):
                        await socket.send_bytes(state())
                        await other.send_bytes(state())  # its portrait comes after the first page's
                        await other.receive()
                    async with asyncio.timeout(5 * GOODBYE):
                        await server.close()
                    closed.append(server.closed)

    closed: list[bool] = []
    asyncio.run(main())
    assert closed == [True]


def test_the_newest_state_wins(visit):
    async def visitor(browser):
        async with browser.connected() as socket:
            await socket.receive()
            for n in range(200):
                await socket.send_bytes(state(n=n))
            numbers = [0]
            while numbers[-1] < 199:
                numbers.append(read((await socket.receive()).data)[0]["n"])
            assert numbers == sorted(numbers) and len(numbers) < 100

    visit(visitor)


def test_pages_take_turns(visit):
    """One that never stops sending does not keep another waiting; nor does one that does not read its portraits."""

    async def visitor(browser):
        async with browser.connected() as busy, browser.connected() as calm:

            async def flood():
                while True:
                    await busy.send_bytes(state())
                    await asyncio.sleep(0)

            flooding = asyncio.create_task(flood())
            await calm.receive()
            for n in range(10):
                await calm.send_bytes(state(n=n))
                assert read((await calm.receive()).data)[0]["n"] == n
            flooding.cancel()

    visit(visitor)


def test_the_models_do_one_thing_at_a_time(visit, answers, monkeypatch):
    busy, paint, style_of = threading.Lock(), answers.studio.paint, answers.studio.style_of
    clashes = []

    def alone(work):
        def run(*args):
            free = busy.acquire(blocking=False)
            clashes.append(not free)
            try:
                return work(*args)
            finally:
                if free:
                    busy.release()

        return run

    monkeypatch.setattr(answers.studio, "paint", alone(paint))
    monkeypatch.setattr(answers.studio, "style_of", alone(style_of))

    async def visitor(browser):
        _, [_, picture] = parts_of((await browser.answer("/portrait", pack({"number": 0})))[1])
        await asyncio.gather(
            *(browser.paints() for _ in range(5)), *(browser.answer("/photo", picture) for _ in range(5))
        )

    visit(visitor)
    assert len(clashes) > 10 and not any(clashes)
