"""The server's requests: what another page, name or user of the machine sends is refused; its headers and limits."""

import base64
import hashlib

import aiohttp
import pytest
from helpers.studio_client import HTML, TOKEN

from facemill.studio.server import MAX_BYTES, content_policy


def assert_refused(visit, *, origin: str | None = None, host: str | None = None, without: str = "") -> None:
    """Asserts that a POST and a WebSocket with these headers are refused."""
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
    assert_refused(visit, host=host)
    assert_refused(visit, host=host, origin=f"http://{host}")

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
    assert_refused(visit, origin=origin)

    async def visitor(browser):
        headers = {"Origin": origin.format(port=browser.port)}
        async with browser.session.get(browser.address, headers=headers) as answer:
            assert answer.status == 403
            assert not [name for name in answer.headers if name.startswith("Access-Control")]

    visit(visitor)


def test_a_post_and_a_websocket_need_an_origin(visit):
    assert_refused(visit, without="Origin")


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
            assert headers["X-Frame-Options"] == "DENY" and headers["Server"] == "facemill"
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
