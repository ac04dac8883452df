"""Answers to requests, through the server: what is hostile or broken is refused in words, and all else comes."""

import io
from dataclasses import replace

import numpy as np
import pytest
from helpers.bombs import bomb
from helpers.studio_client import MASK, SLIDER, STATE, parts_of, read, state
from helpers.studio_models import SIZE, draw_mask
from PIL import Image

from facemill.data.classes import SEVEN
from facemill.data.shards import encode_mask
from facemill.studio.messages import pack


@pytest.mark.parametrize("path", ["/photo", "/mask", "/open"])
@pytest.mark.parametrize("content", [bomb(), b"no picture", b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"], ids=range(5))
def test_what_is_no_picture_is_refused_in_words(visit, path, content):
    async def visitor(browser):
        status, fault = await browser.fault(path, content, **{"X-Name": "../../%3Cb%3Ephoto.png"})
        assert status == 415 and fault and "\n" not in fault and "Error" not in fault

    visit(visitor)


@pytest.mark.parametrize(
    ("mask", "words"),
    [(Image.new("RGB", (8, 8), "#787878"), "64 of 64 pixels have others"), (Image.new("L", (8, 8), 7), "class id 7")],
)
def test_a_mask_of_other_classes_or_colors_is_refused_in_words(visit, mask, words):
    file = io.BytesIO()
    mask.save(file, "PNG")

    async def visitor(browser):
        status, fault = await browser.fault("/mask", file.getvalue())
        assert status == 415 and words in fault

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
    looks |= {"mixed": None, "colors": {}}

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
