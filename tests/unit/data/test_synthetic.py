import io
import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from facemill.data import png
from facemill.data.film import FilmWriter
from facemill.data.synthetic import (
    VOCABULARY,
    Mark,
    draw_mark,
    film_tags,
    hashes,
    mark_jpeg,
    mark_png,
    read_mark,
    write_claim,
    xmp,
)
from facemill.errors import UserError
from facemill.files import sha256

ROOT = Path(__file__).parents[3]
MARK = Mark(
    "compositeWithTrainedAlgorithmicMedia", {"model.safetensors": "a" * 64}, {'<my> & "own" {0} \x01 ä.mp4': "b" * 64}
)
PIXELS = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)


def encode(kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind, **options)
    return buffer.getvalue()


def decode(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def save(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def film(path: Path, tags: dict[str, str], **options) -> Path:
    with FilmWriter(path, size=(60, 40), rate=Fraction(12), tags=tags, **options) as writer:
        for _ in range(3):
            writer.write(PIXELS)
    return path


@pytest.mark.parametrize("source_type", ["compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia"])
def test_a_mark_comes_back_from_png_jpeg_and_film(source_type: str, tmp_path: Path):
    mark = Mark(source_type, MARK.models, MARK.ingredients)
    assert read_mark(save(tmp_path / "a.png", mark_png(encode("PNG"), mark))) == mark
    assert read_mark(save(tmp_path / "a.jpg", mark_jpeg(encode("JPEG"), mark))) == mark
    assert read_mark(film(tmp_path / "a: {0}.mp4", film_tags(mark))) == mark


def test_a_mark_is_read_by_content_not_by_suffix(tmp_path: Path):
    film(tmp_path / "a.mp4", film_tags(MARK)).rename(tmp_path / "a.png")
    assert read_mark(tmp_path / "a.png") == MARK


@pytest.mark.parametrize("name", ["a.mp4", "a.webp", "a.gif", "frames"])
def test_all_kinds_of_films_have_the_mark(name: str, tmp_path: Path):
    written = film(tmp_path / name, film_tags(MARK))
    files = sorted(written.iterdir()) if written.is_dir() else [written]
    assert [read_mark(file) for file in files] == [MARK] * (3 if written.is_dir() else 1)


def test_a_gif_whose_comment_names_the_source_type(tmp_path: Path):
    content = encode("GIF", comment=film_tags(MARK)["comment"].encode())
    assert read_mark(save(tmp_path / "a.gif", content)) == Mark(MARK.source_type, software=MARK.software)


@pytest.mark.parametrize("name", ["a.webp", "frames"])
def test_other_programs_know_the_xmp_of_previews_and_frames(name: str, tmp_path: Path):
    written = film(tmp_path / name, film_tags(MARK))
    with Image.open(written / "000000.png" if written.is_dir() else written) as picture:
        packet = picture.info["xmp"]
    assert (packet if isinstance(packet, str) else packet.decode()) == xmp(MARK)


def test_marking_changes_no_pixel_and_no_other_metadata():
    info = PngInfo()
    info.add_text("Title", "a title")
    marked = mark_png(encode("PNG", pnginfo=info, icc_profile=b"profile"), MARK)
    with decode(marked) as picture:
        assert (np.asarray(picture) == PIXELS).all()
        assert (picture.info["Title"], picture.info["icc_profile"]) == ("a title", b"profile")
    exif = Image.Exif()
    exif[0x010E] = "a description"
    plain = encode("JPEG", exif=exif, icc_profile=b"profile", dpi=(72, 72))
    with decode(plain) as before, decode(mark_jpeg(plain, MARK)) as after:
        assert (np.asarray(before) == np.asarray(after)).all()
        assert after.getexif()[0x010E] == "a description"
        assert {k: v for k, v in after.info.items() if k != "xmp"} == before.info


def test_a_later_mark_replaces_an_earlier_one(tmp_path: Path):
    other = Mark("trainedAlgorithmicMedia")
    for name, put, kind in (("a.png", mark_png, "PNG"), ("a.jpg", mark_jpeg, "JPEG")):
        twice = put(put(encode(kind), other), MARK)
        assert twice == put(encode(kind), MARK)
        assert read_mark(save(tmp_path / name, twice)) == MARK


def test_pictures_and_films_without_a_mark(tmp_path: Path):
    assert read_mark(save(tmp_path / "a.png", encode("PNG"))) is None
    assert read_mark(save(tmp_path / "a.jpg", encode("JPEG"))) is None
    assert read_mark(film(tmp_path / "a.mp4", {"comment": "a real film"})) is None
    camera = xmp(MARK).replace("compositeWithTrainedAlgorithmicMedia", "digitalCapture")
    assert read_mark(save(tmp_path / "b.jpg", encode("JPEG", xmp=camera.encode()))) is None


FORMS = {
    "attribute": '<rdf:Description rdf:about="" {ns} i:DigitalSourceType="{uri}"/>',
    "element": "<rdf:Description {ns}><i:DigitalSourceType>\n {uri}\n</i:DigitalSourceType></rdf:Description>",
    "resource": '<rdf:Description rdf:about="" {ns}><i:DigitalSourceType rdf:resource="{uri}"/></rdf:Description>',
}


@pytest.mark.parametrize("form", FORMS)
def test_marks_by_other_software(form: str, tmp_path: Path):
    namespace = 'xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    body = FORMS[form].format(ns=namespace, uri=f"{VOCABULARY}trainedAlgorithmicMedia")
    packet = f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{body}</rdf:RDF>'.encode()
    expected = Mark("trainedAlgorithmicMedia", software="")
    assert read_mark(save(tmp_path / "a.jpg", encode("JPEG", xmp=packet))) == expected
    text = b"XML:com.adobe.xmp\0\0\0\0\0" + packet
    chunks = list(png.chunks(encode("PNG")))
    chunks.insert(-1, (b"iTXt", text))  # behind the pixels
    late = png.SIGNATURE + b"".join(png.chunk(*each) for each in chunks)
    assert read_mark(save(tmp_path / "a.png", late)) == expected


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9)
)


@pytest.mark.parametrize("packet", ["", "\0", "<rdf", "no XML", f"{BOMB}]><x>&j;</x>", "<a>" * 5000, "\udcff"])
def test_metadata_that_are_no_xmp(packet: str, tmp_path: Path):
    content = packet.encode("utf-8", "surrogatepass")
    assert read_mark(save(tmp_path / "a.jpg", encode("JPEG", xmp=content))) is None


@pytest.mark.parametrize("value", ["[]", "1", "{", "[" * 100000, '{"a": {"b": 1}}'])
def test_models_that_are_no_hashes_lose_no_mark(value: str, tmp_path: Path):
    packet = xmp(Mark("trainedAlgorithmicMedia")).replace('models="{}"', f"models='{value}'")
    mark = read_mark(save(tmp_path / "a.webp", encode("WEBP", xmp=packet.encode())))
    assert mark and mark.source_type == "trainedAlgorithmicMedia"
    assert all(isinstance(digest, str) for digest in mark.models.values())


def test_a_film_copied_into_another_container_says_that_it_is_synthetic(tmp_path: Path):
    """Without `use_metadata_tags`, as most programs write MP4, the comment alone stays."""
    source = film(tmp_path / "a.mp4", film_tags(MARK))
    for name in ("b.mp4", "b.mkv"):
        with av.open(str(source)) as read, av.open(str(tmp_path / name), "w") as written:
            written.metadata.update(read.metadata)
            stream = written.add_stream_from_template(read.streams.video[0])
            for packet in read.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    written.mux(packet)
    assert read_mark(tmp_path / "b.mp4") == Mark(MARK.source_type, software=MARK.software)
    assert read_mark(tmp_path / "b.mkv") == MARK


def test_files_that_cannot_be_marked():
    with pytest.raises(ValueError, match="not a PNG"):
        mark_png(encode("JPEG"), MARK)
    with pytest.raises(ValueError, match="cut short"):
        mark_png(encode("PNG")[:-5], MARK)
    with pytest.raises(ValueError, match="not a JPEG"):
        mark_jpeg(encode("PNG"), MARK)
    with pytest.raises(ValueError, match="bytes of XMP, accepted: up to 65533 in a JPEG"):
        mark_jpeg(encode("JPEG"), Mark("algorithmicMedia", {str(i): "a" * 64 for i in range(1000)}))


@pytest.mark.parametrize("size", [(256, 256), (64, 64), (32, 64), (720, 1280), (5, 5), (1, 1), (3, 400), (400, 3)])
def test_the_visible_mark_lies_in_a_corner_alone(size: tuple[int, int]):
    for gray in (0, 128, 255):
        pixels = np.full((*size, 3), gray, np.uint8)
        marked = draw_mark(pixels)
        assert (pixels == gray).all() and marked.shape == pixels.shape and marked.dtype == np.uint8
        changed = np.argwhere((marked != pixels).any(axis=2))
        if min(size) >= 32:
            assert len(changed) and changed[:, 0].min() >= size[0] * 0.65 and changed[:, 1].max() <= size[1] * 0.75
            plate = marked[changed[:, 0].min() :, : changed[:, 1].max() + 1]
            assert plate.max() > 180 and plate.min() < 90  # letters and what is behind them


def test_hashes_of_files_and_folders(tmp_path: Path):
    one = save(tmp_path / "one.png", encode("PNG"))
    folder = tmp_path / "frames"
    folder.mkdir()
    before = hashes([one, folder])
    assert before["one.png"] == sha256(one) and before.keys() == {"one.png", "frames"}
    save(folder / "0.png", encode("PNG"))
    assert hashes([folder]) != {"frames": before["frames"]}
    raw = Path(str(tmp_path / "name-\udcff.png"))
    one.rename(raw)
    assert read_mark(save(tmp_path / "b.png", mark_png(encode("PNG"), Mark("algorithmicMedia", hashes([raw])))))


def actions_of(claim: dict) -> list[dict]:
    return claim["assertions"][0]["data"]["actions"]


def test_a_claim_lies_beside_the_film(tmp_path: Path):
    mark = Mark(MARK.source_type, {"model.safetensors": "a" * 64}, {"film.mp4": "b" * 64, "face.png": "c" * 64})
    beside = write_claim(tmp_path / "a.mp4", mark)
    claim = json.loads(beside.read_text())
    assert beside.name == "a.mp4.json" and claim["title"] == "a.mp4" and claim["format"] == "video/mp4"
    parts = [(part["title"], part["relationship"], part["format"]) for part in claim["ingredients"]]
    assert parts == [
        ("film.mp4", "parentOf", "video/mp4"),
        ("face.png", "componentOf", "image/png"),
        ("model.safetensors", "inputTo", "application/octet-stream"),
    ]
    opened, edited = actions_of(claim)
    labels = [part["label"] for part in claim["ingredients"]]
    assert opened == {"action": "c2pa.opened", "parameters": {"ingredientIds": labels[:1]}}
    assert (edited["action"], edited["digitalSourceType"]) == ("c2pa.edited", mark.uri)
    assert edited["parameters"] == {"ingredientIds": labels[1:]}
    assert claim["assertions"][1]["data"] == {"models": mark.models, "ingredients": mark.ingredients}


@pytest.mark.parametrize("source_type", ["compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia"])
def test_what_edits_no_film_is_created(source_type: str, tmp_path: Path):
    claim = json.loads(write_claim(tmp_path / "b.webp", Mark(source_type, {"m": "a"})).read_text())
    (created,) = actions_of(claim)
    assert created["action"] == "c2pa.created" and created["parameters"] == {"ingredientIds": ["0"]}
    (drawn,) = actions_of(json.loads(write_claim(tmp_path / "b.webp", Mark("algorithmicMedia")).read_text()))
    assert "parameters" not in drawn


def test_the_command(tmp_path: Path):
    marked, plain = save(tmp_path / "a.png", mark_png(encode("PNG"), MARK)), save(tmp_path / "b.png", encode("PNG"))

    def command(*files: Path) -> tuple[int, list[str], str]:
        line = [sys.executable, str(ROOT / "scripts/is_synthetic.py"), *map(str, files)]
        done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
        return done.returncode, done.stdout.splitlines(), done.stderr

    code, lines, errors = command(marked)
    assert (code, errors) == (0, "")
    assert lines[0].startswith(f"{marked}: compositeWithTrainedAlgorithmicMedia by Facemill 0.1.0; models model.safet")
    code, lines, errors = command(plain, marked)
    assert (code, lines[0], len(lines)) == (1, f"{plain}: no mark", 2)
    assert errors == f"is_synthetic.py: 1 of 2 files without a mark: {plain}\n"


def test_a_name_that_is_not_utf_8_is_printed(tmp_path: Path):
    path = save(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\x8a.png")), mark_png(encode("PNG"), MARK))
    line = [sys.executable, str(ROOT / "scripts/is_synthetic.py"), str(path)]
    done = subprocess.run(line, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"})
    assert done.returncode == 0 and done.stdout.decode().startswith(f"{tmp_path}/\ufffd.png: composite")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"", "not a film"), (b"text", "not a film"), (encode("PNG")[:99], "cannot be read")],
)
def test_what_is_neither_a_picture_nor_a_film(content: bytes | None, message: str, tmp_path: Path):
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_mark(path)
