"""Mixed portraits by the command line: their order, no file replaced, and bad input."""

from pathlib import Path

import numpy as np
import pytest
from helpers.stylegan import pixels
from PIL import Image

from facemill.inference.sampler import Sampler
from facemill.stylegan.recipes import RecipePainter


def test_the_grid_has_the_order_of_the_command_line(sampled, command, tmp_path):
    model, first = sampled
    words = ["--rows", first / "seed-000002.png", "5,1", "--columns", 0, "--layers", 0, "--out", tmp_path / "grid.png"]
    assert command("mix_portraits", "--model", model, *words) is None
    gap = (pixels(tmp_path / "grid.png").shape[0] - 4 * 128) // 5
    for row, seed in enumerate((2, 5, 1), 1):
        top = gap + row * (128 + gap)
        cell = pixels(tmp_path / "grid.png")[top : top + 128 : 4, gap : gap + 128 : 4]
        assert np.array_equal(cell, pixels(first / f"seed-00000{seed}.png"))


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--rows", 1, "--columns", 2, "--layers", "0-8"], "--layers 0-8: found '0-8'; accepted: 0 to 7, as"),
        (["--rows", 1, "--columns", "a.png", "--layers", 0], "--columns a.png: No such file or directory; accepted:"),
        (
            ["--rows", "stylegan.png", "photo.jpg", "--columns", 1, "--layers", 0],
            "--rows: found photo.jpg; accepted: seeds, such as 1,5,9 or 0-3, and PNGs that a command painted with this",
        ),
        (["--rows", "plain.png", "--columns", 1, "--layers", 0], "--rows plain.png: holds no styles of this model"),
        (["--rows", "0-64", "--columns", 1, "--layers", 0], "--rows: found 65 portraits; accepted: 64 at most"),
        (["--columns", 1, "--layers", 0, "--rows"], "--rows: found nothing; accepted: seeds, such as"),
        (["--rows", 1, "--columns", 1, "--layers", 0, "--condition"], "--condition: found nothing; accepted: names"),
        (
            ["--rows", "a.png", "--columns", "b.png", "--layers", 0, "--truncation", 1],
            "--truncation, --condition: accepted with seeds alone",
        ),
        (
            ["--rows", 1, "--columns", 1, "--layers", 0, "--out", "plain.png/x.png"],
            "--out plain.png: a file; accepted:",
        ),
        (["--rows", 1, "--columns", 1, "--layers", 0, "--out", "stylegan.png"], "--out stylegan.png: a folder; accep"),
        (
            ["--rows", 1, "--columns", 1, "--layers", 0, "--portraits", "plain.png"],
            "--portraits plain.png: a file; accepted: a folder",
        ),
        (["--rows", 1, "--columns", 1, "--layers", 0, "--out", "x.jpg"], "--out x.jpg; accepted: a name that ends in"),
    ],
)
def test_what_cannot_be_mixed_is_one_line(save_generator, command, tmp_path, monkeypatch, words, fault):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (32, 32)).save("plain.png")
    Path("stylegan.png").mkdir()
    out = [] if "--out" in words else ["--out", "grid.png"]
    said = command("mix_portraits", "--model", save_generator(), *words, *out)
    assert said.startswith(f"mix_portraits.py: {fault}") and "\n" not in said
    assert not (tmp_path / "grid.png").exists()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (
            ["--rows", "a/x.png", "b/x.png", "--columns", 1],
            "--portraits b: x-seed-000001.png would be written more than once; accepted: rows of different names",
        ),
        (
            ["--rows", "a/x.png", "a/x-y.png", "--columns", "a/y-x.png", "a/x.png"],  # x-y-x is both
            "--portraits b: x-y-x.png would be written more than once",
        ),
        (["--rows", "a/x.png", "--columns", 1, "--out", "a/x.png"], "--out a/x.png: a/x.png would be replaced, which"),
        (["--rows", "b/x.png", "b/x-x.png", "--columns", "b/x.png"], "--portraits b: b/x-x.png would be replaced"),
        (["--rows", "a/x.png", "--columns", 1, "--out", "b/x-seed-000001.png"], "--out b/x-seed-000001.png: one of"),
    ],
)
def test_mixing_replaces_no_file(save_generator, command, tmp_path, monkeypatch, words, fault):
    monkeypatch.chdir(tmp_path)
    model = save_generator()
    for seed, name in enumerate(("a/x.png", "a/x-y.png", "a/y-x.png", "b/x.png", "b/x-x.png")):
        RecipePainter.load(model).save(tmp_path / name, Sampler.load(model).truncated([seed], 1)[0], {})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    out = [] if "--out" in words else ["--out", "grid.png"]
    said = command("mix_portraits", "--model", model, "--layers", 0, *words, *out, "--portraits", "b")
    assert said.startswith(f"mix_portraits.py: {fault}") and "\n" not in said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.png")} == before
