"""Requests that no page of the studio sends: what is refused, and that the studio paints on after all of them."""

import struct
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType
from helpers.bombs import bomb
from helpers.studio_models import SIZE, draw_mask
from helpers.studio_page import Editor

from facemill.studio.messages import pack

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
STATE: dict[str, Any] = {"n": 1, "styles": [{"seed": 7}], "size": [SIZE, SIZE]}
MASK = draw_mask(0).tobytes()


@pytest.fixture(scope="module")
def bystander(browser, studio):
    """An ordinary page that is open all the while."""
    editor = Editor(browser, studio.address)
    editor.rest()
    yield editor
    assert editor.errors == [] and len(editor.sockets) == 1
    editor.close()


@pytest.fixture(autouse=True)
def paints_on(studio, bystander):
    """During each test and after it an ordinary page paints; no file is written."""
    files = set(studio.folder.rglob("*"))
    yield
    assert set(studio.folder.rglob("*")) == files
    before = bystander.portrait()
    bystander.choose(klass=6 if bystander.mask()[32, 32] == 0 else 0, size=40)
    bystander.stroke([(20, 30), (44, 34)])
    assert (bystander.portrait() != before).any()


def test_another_host(studio):
    """A name that a page elsewhere has bound to 127.0.0.1 (DNS rebinding)."""
    others = ["evil.example", f"evil.example:{studio.port}", "127.0.0.1", f"127.0.0.1:{studio.port + 1}", "", None]
    others += [f"127.0.0.1:{studio.port}.evil.example", f"evil.example@127.0.0.1:{studio.port}"]
    for host in others:
        for method, path, more in (("GET", "/", {}), ("POST", "/portraits", {}), ("GET", "/ws", websocket(studio))):
            assert studio.request(method, path, Host=host, **more)[0] in (400, 403), (host, path)
    assert studio.request("GET", "/", Host=f"localhost:{studio.port}", Origin=None)[0] == 200


def websocket(studio, token: str | None = None) -> dict:
    return UPGRADE | {"Sec_WebSocket_Protocol": f"facemill.{token or studio.token}", "Authorization": None}


def test_another_origin(studio):
    """A page elsewhere, or in a sandboxed frame."""
    others = ["null", "https://evil.example", f"https://{studio.host}", f"http://127.0.0.1:{studio.port + 1}", None]
    others += [f"http://localhost:{studio.port}", f"{studio.origin}.evil.example", f"{studio.origin}/"]
    for origin in others:
        assert studio.request("POST", "/portraits", Origin=origin)[0] == 403, origin
        assert studio.request("GET", "/ws", Origin=origin, **websocket(studio))[0] == 403, origin
    assert studio.request("POST", "/portraits")[0] == 200
    assert studio.request("GET", "/ws", **websocket(studio))[0] == 101


def test_another_token(studio):
    """Another user of this machine."""
    for token in (None, "", "Bearer", "Bearer ", "Bearer wrong", "Bearer é", f"Basic {studio.token}x"):
        for path in ("/portraits", "/photo", "/save", "/label", "/unlabel"):
            status, _, content = studio.request("POST", path, Authorization=token)
            assert status == 403 and b"fault" in content, (path, token)
    for token in ("wrong", studio.token[:-1], studio.token.upper(), f"{studio.token}x"):
        assert studio.request("GET", "/ws", **websocket(studio, token))[0] == 403
    assert studio.request("GET", "/ws", **websocket(studio) | {"Sec_WebSocket_Protocol": None})[0] == 403


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/static/x", "/ws/"]
)
def test_paths_of_files(studio, path):
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        status, headers, content = studio.request(method, path)
        assert status in (403, 404, 405) and b"root:" not in content, method
        assert not any(name.lower().startswith("access-control") for name in headers)
    assert studio.request("GET", path)[0] == 404


def test_headers_of_the_page(studio):
    status, headers, content = studio.request("GET", "/", Origin=None, Authorization=None)
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert status == 200 and studio.token.encode() not in content and "Set-Cookie" not in headers
    assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'"
    assert policy["script-src"].startswith("'sha256-") and "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer" and headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    ("change", "mask", "reason"),
    [
        ({}, b"\xc8" * SIZE**2, "class id 200"),
        ({}, MASK[:-1], "bytes"),
        ({"sliders": {"hair_color": {"from": None, "to": "grey_hair", "amount": 4}}}, MASK, "amount"),
        ({"sliders": {"hair_color": {"from": None, "to": "blond", "amount": 1}}}, MASK, "blond"),
        ({"styles": []}, MASK, "styles"),
        ({"styles": [{"z": [0, 0]}]}, MASK, "8"),
        ({"styles": [{"z": [10**7] * 8}]}, MASK, "z"),
        ({"styles": [{"portrait": 10**6}]}, MASK, "portrait"),
        ({"styles": [{"seed": 10**30}]}, MASK, "seed"),
        ({"mix": 1.5}, MASK, "mix"),
        ({"size": [10**5, 10**4]}, MASK, "size"),
        ({"path": "/etc/passwd"}, MASK, "path"),
    ],
)
def test_values_that_are_not_accepted(studio, change, mask, reason):
    fault = studio.answer_to(pack(STATE | change, mask))["fault"]
    assert reason in fault and "\n" not in fault and "Traceback" not in fault
    status, _, content = studio.request("POST", "/save", pack(STATE | change, mask))
    assert 400 <= status < 500 and reason in msgspec.json.decode(content)["fault"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_has_not(studio, value):
    header = msgspec.json.encode(STATE).replace(b'{"seed":7}', b'{"z":[%s,0,0,0,0,0,0,0]}' % value.encode())
    assert b'"z"' in header
    assert "fault" in studio.answer_to(struct.pack("<I", len(header)) + header + MASK)


@pytest.mark.parametrize("frame", [b"", b"\xff\xff\xff\xff", b"\x02\0\0\0{}", b"\x04\0\0\0null" + MASK, b"[" * 100_000])
def test_broken_frames(studio, frame):
    assert "fault" in studio.answer_to(frame)
    assert 400 <= studio.request("POST", "/save", frame)[0] < 500
    deep = struct.pack("<I", 100_000) + b"[" * 100_000
    assert "fault" in studio.answer_to(deep)


def test_a_frame_of_5_mb_closes_its_connection(studio):
    async def send(socket: ClientWebSocketResponse) -> WSMsgType:
        try:
            await socket.send_bytes(b"\0" * 5_000_000)
        except ConnectionError:
            return WSMsgType.CLOSED
        return (await socket.receive(30)).type

    assert studio.converse(send) in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)


def test_a_request_of_34_mb(studio):
    assert studio.request("POST", "/photo", b"\0" * 34_000_000)[0] == 413


def test_files_that_are_no_images(studio):
    contents = {"bomb.png": bomb(), "text.png": b"a text", "empty.jpg": b"", "none.gif": b"GIF89a"}
    for name, content in contents.items():
        for path in ("/photo", "/mask", "/open"):
            status, _, answer = studio.request("POST", path, content, X_Name=f"..%2F..%2F{name}")
            fault = msgspec.json.decode(answer)["fault"]
            assert status == 415 and "\n" not in fault and "Traceback" not in fault, (path, name, fault)


def test_numbers_of_files_that_are_not_there(studio):
    for number in (10**6, -1, 1.5, "../../etc/passwd", None):
        for path in ("/portrait", "/review"):
            assert 400 <= studio.request("POST", path, pack({"number": number}))[0] < 500
    for file in ("../../../etc/passwd", "/etc/passwd", "x.json", "", ".", "a" * 300, "x\0.json"):
        assert 400 <= studio.request("POST", "/unlabel", pack({"file": file}))[0] < 500
    assert 400 <= studio.request("POST", "/label", pack({"photo": 99, "size": [SIZE, SIZE]}, MASK))[0] < 500


def test_a_ninth_page(studio):
    async def nine(first: ClientWebSocketResponse) -> list[bytes | int]:
        options = {"headers": {"Origin": studio.origin}, "protocols": [f"facemill.{studio.token}"]}
        async with aiohttp.ClientSession() as session:
            sockets = [await session.ws_connect(f"{studio.origin}/ws", **options) for _ in range(8)]
            firsts = [await socket.receive(30) for socket in sockets]
            closed = await sockets[-1].receive(30)
            for socket in sockets:
                await socket.close()
            return [*(message.data for message in firsts), closed.data]

    *hellos, refused, last, code = studio.converse(nine)  # two were open before: the bystander, and the first
    assert b'"fault"' in refused
    assert all(b'"hello"' in hello for hello in hellos) and b'"fault"' in last and code == 1013


ATTACK = """async ([host, token]) => {
    const outcomes = {};
    const options = {method: "POST", headers: {Authorization: "Bearer " + token}};
    outcomes.fetch = await fetch(`http://${host}/portraits`, options).then(() => "came", () => "refused");
    outcomes.simple = await fetch(`http://${host}/portraits`, {method: "POST"}).then(() => "came", () => "refused");
    outcomes.blind = await fetch(`http://${host}/portraits`, {method: "POST", mode: "no-cors"})
        .then(answer => answer.type === "opaque" ? "refused" : "came", () => "refused");
    outcomes.page = await fetch(`http://${host}/`).then(() => "came", () => "refused");
    outcomes.socket = await new Promise(done => {
        const socket = new WebSocket(`ws://${host}/ws`, "facemill." + token);
        socket.onopen = () => done("came");
        socket.onerror = () => done("refused");
    });
    const frame = document.createElement("iframe");
    const loaded = new Promise(done => { frame.onload = done; });
    frame.src = `http://${host}/#t=${token}`;
    document.body.append(frame);
    await loaded;
    try { outcomes.frame = frame.contentWindow.document ? "came" : "refused"; } catch { outcomes.frame = "refused"; }
    return outcomes;
}"""


class Elsewhere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, *_: object) -> None:
        pass


def test_a_page_on_another_port_reaches_nothing(studio, browser):
    """Even one that knows the token."""
    elsewhere = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    Thread(target=elsewhere.serve_forever, daemon=True).start()
    context = browser.new_context()
    page = context.new_page()
    statuses = []
    page.on("response", lambda answer: statuses.append(answer.status) if studio.host in answer.url else None)
    page.goto(f"http://127.0.0.1:{elsewhere.server_port}/")
    outcomes = page.evaluate(ATTACK, [studio.host, studio.token])
    assert set(outcomes.values()) == {"refused"}, outcomes
    assert page.frames[1].url.startswith("chrome-error:")
    with page.expect_navigation():
        page.evaluate(
            """host => {
                const form = document.createElement("form");
                Object.assign(form, {method: "post", action: `http://${host}/save`});
                document.body.append(form);
                form.submit();
            }""",
            studio.host,
        )
    assert statuses[-1] == 403
    context.close()
    elsewhere.shutdown()
    elsewhere.server_close()
