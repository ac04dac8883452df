"""A client of the studio's server: what its page sends, and what others do in its place."""

import asyncio
import json
import struct
from contextlib import asynccontextmanager
from itertools import pairwise

import aiohttp
import numpy as np

from facemill.studio.messages import pack
from helpers.studio_models import SIZE, draw_mask

TOKEN = "a-token-of-these-tests-0123456789"
HTML = "<!doctype html><style>a { }</style><script>const a = 1;</script>"
STATE = {"styles": [{"seed": 7}], "size": [SIZE, SIZE]}
MASK = draw_mask(0).tobytes()
SLIDER = {"from": "black_hair", "to": "grey_hair", "amount": 1.0}


def read(frame: bytes) -> tuple[dict, bytes]:
    start = 4 + struct.unpack("<I", frame[:4])[0]
    return json.loads(frame[4:start]), frame[start:]


def parts_of(frame: bytes) -> tuple[dict, list[bytes]]:
    header, body = read(frame)
    ends = np.cumsum([0, *header.get("parts", [len(body)])])
    return header, [body[a:b] for a, b in pairwise(ends)]


def state(mask: bytes = MASK, **changes) -> bytes:
    return pack(STATE | {"n": 17} | changes, mask)


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
