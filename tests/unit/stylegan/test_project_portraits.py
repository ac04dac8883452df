"""Portraits projected by the command line: images of any size, grids, and bad input."""

import numpy as np
import pytest
from helpers.stylegan import pixels
from PIL import Image

from facemill.stylegan.recipes import RecipePainter


def test_images_of_any_size_are_projected_and_the_rest_are_listed(save_generator, command, tmp_path):
    model, images = save_generator(ratio=2), tmp_path / "images"
    (images / "deep").mkdir(parents=True)
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[:, 25:75] = 200, 40, 40  # what a portrait of 2 : 1 shows
    Image.fromarray(picture).save(images / "deep/red.jpg")
    Image.new("L", (5, 9), 90).save(images / "small.png")
    (images / "bad.png").write_bytes(b"no image")
    Image.new("RGB", (9, 9)).save(images / "small.webp")
    for space, shape in {"w": (8,), "w+": (6, 8)}.items():
        out = tmp_path / space
        words = ["--images", images, "--out", out, "--steps", 30, "--grid", "--space", space]
        said = command("project_portraits", "--model", model, *words)
        assert said.splitlines()[0] == "project_portraits.py: 2 of 4 images have no styles:"
        assert "bad.png: cannot be read" in said and "small.webp: its portrait would replace that of small.png" in said
        assert sorted(str(p.relative_to(out)) for p in out.rglob("*.png")) == ["deep/red.png", "grid.png", "small.png"]
        assert pixels(out / "grid.png").shape == (64, 32, 3)
        assert (pixels(out / "grid.png")[:32, :16] > 30).all()  # cropped in the middle
        assert RecipePainter.load(model).read(out / "deep/red.png")[0].shape == shape
    said = command("project_portraits", "--model", model, "--images", images, "--out", images / "x")
    assert "lies in --images" in said
    said = command("project_portraits", "--model", model, "--images", images, "--out", tmp_path / "x", "--steps", 0)
    assert said == "project_portraits.py: --steps 0; accepted: 1 to 10000"


def test_a_grid_shows_every_image_in_the_order_of_names(sampled, command, tmp_path):
    """Those that are painted again from their styles, too, and those alone."""
    model, images = sampled
    for name in ("all", "some"):
        words = ["--model", model, "--images", images, "--out", tmp_path / name, "--grid", "--steps", 1]
        assert command("project_portraits", *words) is None
        grid, files = pixels(tmp_path / name / "grid.png"), sorted(images.iterdir())
        columns = grid.shape[1] // 32
        for index, path in enumerate(files):
            top, left = 64 * (index // columns), 32 * (index % columns)
            cell = grid[top : top + 64, left : left + 32]
            assert np.array_equal(cell, np.concatenate([pixels(path), pixels(tmp_path / name / path.name)]))
        Image.fromarray(pixels(files[1])).save(files[1])  # without its styles


def test_weights_of_lpips_are_named_by_the_option(sampled, command, tmp_path):
    model, images = sampled
    words = ["--model", model, "--images", images, "--out", tmp_path / "b", "--vgg-weights"]
    fault = f"--vgg-weights {tmp_path / 'x'}: no such file; accepted: a safetensors file of LPIPS"
    assert command("project_portraits", *words, tmp_path / "x") == f"project_portraits.py: {fault}"
    other = model / "model.safetensors"
    said = command("project_portraits", *words, other)
    assert said.startswith(f"project_portraits.py: --vgg-weights: {other} lacks ") and "\n" not in said


def test_images_that_are_enlarged_or_of_another_model_are_told(sampled, save_generator, command, tmp_path, caplog):
    _, images = sampled
    for number in range(5):
        (images / f"seed-00000{number}.png").unlink()
    Image.new("RGB", (9, 40)).save(images / "narrow.png")
    words = ["--model", save_generator("other", seed=1), "--images", images, "--out", tmp_path / "b", "--steps", 1]
    caplog.set_level("INFO", "facemill")
    assert command("project_portraits", *words) is None
    assert "enlarged to 32 x 32 pixels: narrow.png\n" in caplog.text
    assert "painted by another model, and so searched like other images: seed-000005.png\n" in caplog.text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("portraits: {size: 77}", "portraits.size: found 77 (Input should be 32, 64, 128, 256 or 512)"),
        ("dataset: x", "found no section portraits"),
        ("", "found no section portraits"),
        ("portraits: [", "while parsing a flow node"),
    ],
)
def test_settings_around_a_model_that_cannot_be_read(sampled, command, tmp_path, text, fault):
    model, images = sampled
    (tmp_path / "config.yaml").write_text(text)
    said = command("project_portraits", "--model", model, "--images", images, "--out", tmp_path / "b")
    assert said.startswith(f"project_portraits.py: {tmp_path / 'config.yaml'}: {fault}") and "\n" not in said
