from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemill.ingest.portraits import Unreadable, load_portrait


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
    for name in ("text.jpg", "missing.jpg"):
        with pytest.raises(Unreadable, match=name):
            load_portrait(tmp_path / name, 32)
