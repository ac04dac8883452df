"""The server: what a hostile page, file or neighbor sends is refused, and the studio's page still gets its portrait."""

import asyncio
import base64
import hashlib
import io
import json
import struct
import threading
import zlib
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import aiohttp
import numpy as np
import pytest
from aiohttp import WSMsgType
from aiohttp.test_utils import TestServer
from helpers.studio_models import SIZE, draw_mask, write_results
from PIL import Image

from facemill.data.classes import SEVEN
from facemill.data.shards import encode_mask
from facemill.studio.answers import Answers
from facemill.studio.labels import Labels
from facemill.studio.messages import pack
from facemill.studio.painting import Studio
from facemill.studio.paths import find_paths
from facemill.studio.photos import Photos
from facemill.studio.server import GOODBYE, MAX_BYTES, MAX_MESSAGE, MAX_PAGES, content_policy, make_app

TOKEN = "a-token-of-these-tests-0123456789"
HTML = "<!doctype html><style>a { }</style><script>const a = 1;</script>"
STATE = {"styles": [{"seed": 7}], "size": [SIZE, SIZE]}
MASK = draw_mask(0).tobytes()


def read(frame: bytes) -> tuple[dict, bytes]:
    start = 4 + struct.unpack("<I", frame[:4])[0]
    return json.loads(frame[4:start]), frame[start:]


def parts_of(frame: bytes) -> tuple[dict, list[bytes]]:
    header, body = read(frame)
    ends = np.cumsum([0, *header.get("parts", [len(body)])])
    return header, [body[a:b] for a, b in pairwise(ends)]


class Browser:
    """What the studio's page sends, and what others do in its place."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self.session, self.port, self.address = session, port, f"http://127.0.0.1:{port}"
        self.headers = {"Origin": self.address, "Authorization": f"Bearer {TOKEN}"}

    def post(self, path: str, body: bytes = b"", without: str = "", **headers: str):
        sent = {key: value for key, value in (self.headers | headers).items() if key != without}
        return self.session.post(self.address + path, data=body, headers=sent)

    async def answer(self, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        async with self.post(path, body, **headers) as answer:
            return answer.status, await answer.read()

    async def fault(self, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        status, content = await self.answer(path, body, **headers)
        return status, json.loads(content)["fault"]

    @asynccontextmanager
    async def connected(self, token: str = TOKEN, **headers: str):
        sent = {"Origin": self.address} | headers
        protocols = [f"facemill.{token}"] if token else []
        async with self.session.ws_connect(self.address + "/ws", protocols=protocols, headers=sent) as socket:
            yield socket

    async def raw(self, request: str) -> int:
        """The status of a request that is sent as it is written, `{port}` being the server's."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request.replace("\n", "\r\n").replace("{port}", str(self.port)).encode())
        line = await reader.readline()
        writer.close()
        return int(line.split()[1])

    async def paints(self) -> None:
        """An ordinary page: it is greeted, and its state becomes a portrait."""
        async with self.connected() as socket:
            assert read((await socket.receive()).data)[0]["hello"] == 1
            await socket.send_bytes(pack(STATE | {"n": 3}, MASK))
            header, body = read((await socket.receive()).data)
            assert header["n"] == 3 and header["kind"] == "rgba"
            assert len(body) == 4 * SIZE * SIZE and len(set(body)) > 10


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio")
    paths = find_paths(write_results(folder / "results"), out=folder / "edits", labelled=folder / "labelled")
    studio = Studio.load(paths)
    return Answers(studio, Photos(studio), Labels(paths.labelled, studio.labels, studio.classes))


@pytest.fixture
def visit(answers):
    """A function that lets a visitor do what it does to a server, after which an ordinary page still paints."""

    def run(visitor):
        async def main():
            async with TestServer(make_app(answers, TOKEN, HTML)) as server, aiohttp.ClientSession() as session:
                browser = Browser(session, server.port)
                async with asyncio.timeout(100):
                    await visitor(browser)
                    await browser.paints()

        asyncio.run(main())

    return run


def refused(visit, *, origin: str | None = None, host: str | None = None, without: str = "") -> None:
    """A POST and a WebSocket with these headers are refused."""
    headers = {"Origin": origin, "Host": host}

    async def visitor(browser):
        sent = {key: value.format(port=browser.port) for key, value in headers.items() if value}
        assert (await browser.answer("/portraits", without=without, **sent))[0] == 403
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            async with browser.session.ws_connect(
                f"{browser.address}/ws",
                protocols=[f"facemill.{TOKEN}"],
                headers={key: value for key, value in ({"Origin": browser.address} | sent).items() if key != without},
            ):
                pass

    visit(visitor)


HOSTS = ["studio.example:{port}", "127.0.0.1", "localhost", "127.0.0.1:1", "127.0.0.1:{port}.example", "[::1]:{port}"]


@pytest.mark.parametrize("host", HOSTS)
def test_another_host_is_refused(visit, host):
    """A name that is bound to this machine by the page's owner (DNS rebinding), with its own origin, too."""
    refused(visit, host=host)
    refused(visit, host=host, origin=f"http://{host}")

    async def visitor(browser):
        for path in ("/", "/no-such"):
            headers = {"Host": host.format(port=browser.port)}
            async with browser.session.get(browser.address + path, headers=headers) as answer:
                assert answer.status == 403 and "Host" in (await answer.json())["fault"]

    visit(visitor)


@pytest.mark.parametrize(
    "request_lines",
    ["GET / HTTP/1.1\nHost: 127.0.0.1:{port}\nHost: studio.example\n\n", "GET / HTTP/1.0\n\n"],
    ids=["two hosts", "no host"],
)
def test_hosts_are_one(visit, request_lines):
    async def visitor(browser):
        assert await browser.raw(request_lines) in (400, 403)

    visit(visitor)


ORIGINS = ["http://studio.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:{port}", "http://localhost:{port}"]


@pytest.mark.parametrize("origin", [*ORIGINS, "http://127.0.0.1:{port}.example", "http://127.0.0.1:{port}/"])
def test_another_origin_is_refused(visit, origin):
    refused(visit, origin=origin)

    async def visitor(browser):
        headers = {"Origin": origin.format(port=browser.port)}
        async with browser.session.get(browser.address, headers=headers) as answer:
            assert answer.status == 403
            assert not [name for name in answer.headers if name.startswith("Access-Control")]

    visit(visitor)


def test_a_post_and_a_websocket_need_an_origin(visit):
    refused(visit, without="Origin")


def test_both_names_of_this_machine_are_taken(visit):
    async def visitor(browser):
        name = f"localhost:{browser.port}"
        assert (await browser.answer("/portraits", Host=name, Origin=f"http://{name}"))[0] == 200

    visit(visitor)


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper()])
def test_another_token_is_refused(visit, token):
    async def visitor(browser):
        assert (await browser.answer("/portraits", Authorization=f"Bearer {token}"))[0] == 403
        assert (await browser.answer(f"/portraits?t={TOKEN}", without="Authorization", Cookie=f"t={TOKEN}"))[0] == 403
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            async with browser.connected(token):
                pass

    visit(visitor)


def test_a_token_of_other_characters_is_refused(visit):
    async def visitor(browser):
        head = "POST /portraits HTTP/1.1\nHost: 127.0.0.1:{port}\nOrigin: http://127.0.0.1:{port}\nContent-Length: 0\n"
        assert await browser.raw(f"{head}Authorization: Bearer \xe9\u20ac\n\n") in (400, 403)

    visit(visitor)


TRAVERSALS = [
    "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/..%5c..%5cetc/passwd", "/page.html",
    "/static/../../etc/passwd", "/%00", "/portraits/../../../etc/passwd", "/index.html", "/favicon.ico",
]  # fmt: skip


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_to_a_file(visit, path):
    async def visitor(browser):
        assert await browser.raw(f"GET {path} HTTP/1.1\nHost: 127.0.0.1:{{port}}\n\n") == 404

    visit(visitor)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_other_methods_are_refused(visit, method):
    async def visitor(browser):
        for path in ("/", "/ws", "/save"):
            headers = {"Origin": "http://studio.example", "Access-Control-Request-Method": "POST"}
            for sent in (headers, browser.headers):
                async with browser.session.request(method, browser.address + path, headers=sent) as answer:
                    assert answer.status in (403, 405)
                    assert not [name for name in answer.headers if name.startswith("Access-Control")]

    visit(visitor)


def test_every_answer_has_the_headers_of_safety(visit):
    async def visitor(browser):
        for path, status in {"/": 200, "/no-such": 404, "/save": 405, "/ws": 403}.items():
            async with browser.session.get(browser.address + path) as answer:
                assert answer.status == status
                headers = answer.headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cache-Control"] == "no-store"
            assert headers["Cross-Origin-Resource-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
            policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
            assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
            assert policy["connect-src"] == f"'self' ws://127.0.0.1:{browser.port} ws://localhost:{browser.port}"
            assert "Set-Cookie" not in headers

    visit(visitor)


def test_the_policy_names_the_pages_own_script_and_style():
    policy = content_policy('<style>\na</style><script type="module">b\n</script>')
    for tag, text in {"style": "\na", "script": "b\n"}.items():
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert "script-src 'none'" in content_policy("<p>")


def test_the_page_is_shown_without_a_token(visit):
    async def visitor(browser):
        async with browser.session.get(browser.address) as answer:
            assert await answer.text() == HTML and answer.content_type == "text/html"

    visit(visitor)


@pytest.mark.parametrize("kind", ["known length", "in parts"])
def test_a_request_above_the_limit_is_refused(visit, kind):
    body = b"x" * (MAX_BYTES + 2**20)

    async def in_parts():
        for start in range(0, len(body), 2**20):
            yield body[start : start + 2**20]

    async def visitor(browser):
        assert (await browser.fault("/photo", body if kind == "known length" else in_parts()))[0] == 413

    visit(visitor)


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


def state(mask: bytes = MASK, **changes) -> bytes:
    return pack(STATE | {"n": 17} | changes, mask)


SLIDER = {"from": "black_hair", "to": "grey_hair", "amount": 1.0}
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
        connected = [browser.connected() for _ in range(MAX_PAGES)]
        sockets = [await page.__aenter__() for page in connected]
        async with browser.connected() as ninth:
            assert "8 pages" in read((await ninth.receive()).data)[0]["fault"]
            assert (await ninth.receive()).type == WSMsgType.CLOSE
        for socket in sockets:
            await socket.close()
        await asyncio.sleep(0.1)

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


def bomb() -> bytes:
    """A PNG of a few hundred bytes that claims 40,000 x 40,000 pixels."""
    file = io.BytesIO()
    Image.new("1", (8, 8)).save(file, "PNG")
    content = bytearray(file.getvalue())
    content[16:24] = (40000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize("path", ["/photo", "/mask", "/open"])
@pytest.mark.parametrize("content", [bomb(), b"no picture", b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"], ids=range(5))
def test_what_is_no_picture_is_refused_in_words(visit, path, content):
    async def visitor(browser):
        status, fault = await browser.fault(path, content, **{"X-Name": "../../%3Cb%3Ephoto.png"})
        assert status == 415 and fault and "\n" not in fault and "Error" not in fault

    visit(visitor)


REQUESTS = {
    "/portrait": {"number": 10**6},
    "/review": {"number": 10**6},
    "/specks": {"size": [8, 9]},
    "/save": STATE | {"size": [8, 9]},
    "/label": {"photo": 10**6, "size": [8, 8]},
    "/unlabel": {"file": "../../etc/passwd"},
}


@pytest.mark.parametrize("path", REQUESTS)
def test_a_request_that_is_wrong_is_answered_in_words(visit, path):
    async def visitor(browser):
        for frame in (pack(REQUESTS[path], b"\0" * 64), b"", b"\0\0\0\0", pack({}), pack({"path": "/etc/passwd"})):
            status, fault = await browser.fault(path, frame)
            assert status in (404, 422) and fault and "Error" not in fault

    visit(visitor)


def test_a_fault_of_the_disk_is_answered_in_words(visit, answers, tmp_path, monkeypatch):
    out = tmp_path / "edits"
    out.write_text("a file where the folder should be")
    monkeypatch.setattr(answers.studio, "paths", replace(answers.studio.paths, out=out))

    async def visitor(browser):
        assert await browser.fault("/save", state()) == (500, f"{out}: File exists")

    visit(visitor)


def test_a_fault_of_ours_ends_nothing(visit, answers, monkeypatch, caplog):
    async def visitor(browser):
        with monkeypatch.context() as broken:
            broken.setattr(answers.studio, "paint", lambda *_: 1 / 0)
            broken.setattr(answers.studio, "thumbnails", lambda *_: 1 / 0)
            async with browser.connected() as socket:
                await socket.receive()
                await socket.send_bytes(state())
                header, _ = read((await socket.receive()).data)
                assert header == {"n": 17, "fault": "ZeroDivisionError in the studio itself; the terminal shows where"}
            assert (await browser.fault("/portraits"))[0] == 500
        assert "1 / 0" in caplog.text

    visit(visitor)


def test_portraits_of_the_collection(visit):
    async def visitor(browser):
        _, frame = await browser.answer("/portraits")
        header, [sheet] = parts_of(frame)
        rows = -(-header["count"] // header["columns"])
        assert header["count"] == 24
        assert Image.open(io.BytesIO(sheet)).height == rows * header["size"][0]
        header, [mask, picture] = parts_of((await browser.answer("/portrait", pack({"number": 3})))[1])
        assert header["size"] == [SIZE, SIZE] and len(header["z"]) == 8
        assert set(mask) <= set(range(7)) and Image.open(io.BytesIO(picture)).size == (SIZE, SIZE)

    visit(visitor)


def test_what_is_saved_opens_again(visit, answers):
    out = answers.studio.paths.out
    looks = {"styles": [{"seed": 7}, {"seed": 8}], "mix": 0.25, "truncation": 0.5, "sliders": {"hair_color": SLIDER}}

    async def visitor(browser):
        header, [png] = parts_of((await browser.answer("/save", state(**looks)))[1])
        assert sorted(path.name for path in out.iterdir()) == sorted(header["files"])
        assert (out / header["files"][0]).read_bytes() == png
        header, [mask] = parts_of((await browser.answer("/open", png))[1])
        assert header["state"] == STATE | looks and mask == MASK

    visit(visitor)


def test_masks_of_files(visit):
    large = np.kron(draw_mask(0), np.ones((32, 32), np.uint8))

    async def visitor(browser):
        for mask, size in ((draw_mask(0), SIZE), (large, 1024)):
            header, [ids] = parts_of((await browser.answer("/mask", encode_mask(mask, SEVEN)))[1])
            assert header["size"] == [size, size]
            assert np.array_equal(
                np.frombuffer(ids, np.uint8).reshape(size, size)[:: size // SIZE, :: size // SIZE], draw_mask(0)
            )

    visit(visitor)


def test_a_photo_becomes_a_label_and_is_taken_back(visit, answers):
    labelled = answers.labels.folder

    async def visitor(browser):
        _, [_, picture] = parts_of((await browser.answer("/portrait", pack({"number": 0})))[1])
        headers = {"X-Name": "a%20portrait.jpg"}
        header, [mask, unsure, jpeg] = parts_of((await browser.answer("/photo", picture, **headers))[1])
        assert header["name"] == "a portrait.jpg" and len(mask) == len(unsure) == SIZE * SIZE
        assert Image.open(io.BytesIO(jpeg)).size == (SIZE, SIZE)
        request = pack({"photo": header["photo"], "size": header["size"]}, mask)
        saved, _ = read((await browser.answer("/label", request))[1])
        assert (labelled / saved["file"]).exists() and min(saved["iou"].values()) > 0.99
        removed, _ = read((await browser.answer("/unlabel", pack({"file": saved["file"]})))[1])
        assert removed["file"] == f"{saved['file']}.removed"
        assert not (labelled / saved["file"]).exists()

    visit(visitor)


def test_portraits_of_review(visit):
    async def visitor(browser):
        header, [mask, _, _] = parts_of((await browser.answer("/review", pack({"number": 1})))[1])
        assert header["size"] == [SIZE, SIZE] and len(set(mask)) > 3

    visit(visitor)


def test_specks_go(visit):
    mask = np.kron(draw_mask(0), np.ones((4, 4), np.uint8))
    speckled = mask.copy()
    speckled[4, 4] = 4

    async def visitor(browser):
        request = pack({"size": mask.shape}, speckled.tobytes())
        header, [ids] = parts_of((await browser.answer("/specks", request))[1])
        assert header["size"] == list(mask.shape) and ids == mask.tobytes()

    visit(visitor)
