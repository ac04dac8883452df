import io
import struct
from pathlib import Path

import numpy as np
import pytest
from helpers.bombs import bomb
from PIL import Image

from facemill.data.shards import decode_image
from facemill.ingest.portraits import Box, Unreadable, center_box, crop_portrait, face_box, load_portrait, upright_size


def test_the_middle_square_is_kept(tmp_path: Path):
    pixels = np.zeros((60, 100, 3), np.uint8)
    pixels[:, 20:80] = (0, 255, 0)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    Image.fromarray(pixels.transpose(1, 0, 2)).save(tmp_path / "high.png")
    for name in ("wide", "high"):
        found = load_portrait(tmp_path / f"{name}.png", 30)
        assert found.shape == (30, 30, 3) and found.dtype == np.uint8
        assert np.abs(found[1:-1, 1:-1].astype(int) - (0, 255, 0)).max() <= 2


def test_shrinking_averages(tmp_path: Path):
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(checks).save(tmp_path / "checks.png")
    assert np.abs(load_portrait(tmp_path / "checks.png", 16).astype(int) - 127).max() < 12


def test_small_images_are_enlarged(tmp_path: Path):
    Image.new("RGB", (20, 10), "red").save(tmp_path / "small.png")
    assert (load_portrait(tmp_path / "small.png", 64) == (255, 0, 0)).all()


def test_exif_orientation_is_applied(tmp_path: Path):
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:20] = 255  # white above
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif)
    found = load_portrait(tmp_path / "turned.jpg", 40)
    assert found[5].max() < 20 and found[35].min() > 235


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str):
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    image.paste((10, 10, 10, 255), (0, 0, 20, 10))
    image.convert(mode).save(tmp_path / "clear.png")
    found = load_portrait(tmp_path / "clear.png", 20)
    assert found[2].max() < 20 and found[17].min() > 250


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str):
    left, right = np.full((20, 10), 51, np.uint8), np.full((20, 10), 204, np.uint8)
    gray = np.hstack([left, right])
    image = Image.fromarray(gray * np.uint16(257)) if mode == "I;16" else Image.fromarray(gray).convert("RGB")
    image = image if mode == "I;16" else image.convert(mode, dither=Image.Dither.NONE)
    image.save(tmp_path / "gray.tif")
    found = load_portrait(tmp_path / "gray.tif", 20).astype(int)
    assert found.shape == (20, 20, 3)
    assert np.abs(found - np.repeat((gray // 128 * 255 if mode == "1" else gray)[..., None], 3, 2)).max() <= 1


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_files_cut_short_are_unreadable(tmp_path: Path, kind: str):
    path = tmp_path / f"cut.{kind}"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    load_portrait(path, 32)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Unreadable, match="truncated"):
        load_portrait(path, 32)


def test_missing_and_other_files_are_unreadable(tmp_path: Path):
    (tmp_path / "text.jpg").write_text("no image")
    for name, reason in {"text.jpg": "cannot identify", "missing.jpg": "missing.jpg"}.items():
        with pytest.raises(Unreadable, match=reason):
            load_portrait(tmp_path / name, 32)


def encoded(image: Image.Image, kind: str, **settings) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_animations_the_first_frame_is_taken(kind: str):
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    moving = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    assert np.abs(decode_image(crop_portrait(moving, None, 20, 20)[0]).astype(int) - (255, 0, 0)).max() < 4


def test_a_box_of_the_portrait_s_size_in_a_larger_image_is_cut_out():
    image = Image.new("RGB", (40, 40), "red")
    image.paste("blue", (0, 0, 20, 20))
    pixels = decode_image(crop_portrait(encoded(image, "PNG"), Box(0, 0, 0.5, 0.5), 20, 20)[0])
    assert pixels.shape == (20, 20, 3) and np.abs(pixels.astype(int) - (0, 0, 255)).max() < 4


HOSTILE = {
    "decompression bomb": (bomb(), "decompression bomb"),
    "half a JPEG": (encoded(noise(64, 64), "JPEG")[:1500], "truncated"),
    "half a PNG": (encoded(noise(64, 64), "PNG")[:3000], "truncated|broken"),
    "half a WebP": (encoded(noise(64, 64), "WEBP")[:1500], "cannot be read"),
    "half a GIF": (encoded(noise(64, 64), "GIF")[:1500], "truncated|cannot be read"),
    "a head alone": (b"\xff\xd8\xff\xe0", "cannot"),
    "damaged PNG": (encoded(noise(64, 64), "PNG").replace(b"IDAT", b"IDAT\xff\xff", 1), "cannot be read"),
    "32-bit floats": (encoded(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"), "pixels of mode F"),
}


@pytest.mark.parametrize(("content", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_rejected_with_a_reason(content: bytes, reason: str):
    with pytest.raises(Unreadable, match=f"(?i){reason}"):
        crop_portrait(content, None, 32, 32)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_does_not_matter():
    content = encoded(noise(64, 64), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xff" + bytes(5))
    assert decode_image(crop_portrait(content, None, 32, 32)[0]).shape == (32, 32, 3)


def test_adobe_s_cmyk_keeps_its_colors():
    content = encoded(Image.new("RGB", (32, 32), (200, 60, 20)).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(decode_image(crop_portrait(content, None, 16, 16)[0]).astype(int) - (200, 60, 20)).max() < 6


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", ".jpg"), ("PNG", ".png")])
def test_a_file_with_nothing_to_change_is_kept(kind: str, suffix: str):
    content = encoded(noise(64, 64), kind)
    assert crop_portrait(content, None, 64, 64) == (content, suffix)
    assert crop_portrait(content, Box(0, 0, 1, 1), 64, 64) == (content, suffix)
    for other in (encoded(noise(64, 64).convert("CMYK"), "JPEG"), encoded(noise(64, 64), "WEBP", lossless=True)):
        assert crop_portrait(other, None, 64, 64)[0] != other
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = encoded(noise(64, 64), "JPEG", exif=exif)
    assert crop_portrait(turned, None, 64, 64)[0] != turned
    assert crop_portrait(content, Box(0, 0, 0.5, 0.5), 64, 64)[0] != content


def test_a_large_jpeg_is_decoded_smaller_and_differs_little():
    waves = (np.sin(np.indices((512, 512)).sum(0) / 30) * 100 + 128).astype(np.uint8)
    image = Image.fromarray(waves).convert("RGB")
    fast = decode_image(crop_portrait(encoded(image, "JPEG", quality=95), None, 100, 100)[0]).astype(int)
    exact = decode_image(crop_portrait(encoded(image, "PNG"), None, 100, 100)[0]).astype(int)
    assert np.abs(fast - exact).mean() < 1.5


def test_half_body_portraits():
    assert center_box(100, 400, 2) == Box(0, 0.25, 1, 0.75)
    assert center_box(400, 100, 2) == Box(0.4375, 0, 0.5625, 1)
    content = encoded(noise(100, 400), "PNG")
    assert decode_image(crop_portrait(content, None, 32, 64)[0]).shape == (64, 32, 3)


def pixels(box: Box, width: int, height: int) -> list[int]:
    return [round(v) for v in (box.left * width, box.top * height, box.right * width, box.bottom * height)]


def test_a_box_around_a_face():
    assert pixels(face_box((400, 300, 100, 100), 1000, 1000, 1, 0.5), 1000, 1000) == [350, 250, 550, 450]
    assert pixels(face_box((400, 300, 100, 100), 1000, 1000, 2, 0.5), 1000, 1000) == [350, 250, 550, 650]  # body below
    assert pixels(face_box((0, 0, 100, 100), 1000, 1000, 1, 0.5), 1000, 1000) == [0, 0, 200, 200]  # moved inside
    assert pixels(face_box((50, 20, 100, 100), 200, 150, 1, 0.5), 200, 150) == [25, 0, 175, 150]  # made smaller
    assert pixels(face_box((50, 20, 100, 100), 200, 150, 2, 0.5), 200, 150) == [62, 0, 138, 150]


def test_the_size_as_people_see_it():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert upright_size(encoded(noise(20, 10), "JPEG", exif=exif)) == (10, 20)
    assert upright_size(encoded(noise(20, 10), "PNG")) == (20, 10)
    for kind in (2, 7):  # text and bytes, which are passed over, as by `read_rgb`
        wrong = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHI4s", 0x0112, kind, 1, b"6") + bytes(4)
        assert upright_size(encoded(noise(20, 10), "JPEG", exif=wrong)) == (20, 10)
    with pytest.raises(Unreadable):
        upright_size(b"no image")


def test_a_bomb_is_not_decoded_for_its_size(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # as labelme does
    with pytest.raises(Unreadable, match="decompression bomb"):
        upright_size(bomb())
