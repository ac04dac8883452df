"""What all commands with a finished StyleGAN share: PNGs that are painted again to the byte, and faults."""

import base64
import json

import numpy as np
import pytest
import torch
from helpers.scenes import save_varied_unet
from helpers.stylegan import pixels

from facemill.data import png
from facemill.data.shards import decode_mask
from facemill.inference.sampler import Sampler
from facemill.stylegan.recipes import KEYWORD, Recipe, RecipePainter


def with_text(path, source, text: bytes) -> None:
    """Writes a PNG whose recipe is another text."""
    parts = [png.SIGNATURE]
    for kind, data in png.chunks(source.read_bytes()):
        is_recipe = kind == b"tEXt" and data.startswith(KEYWORD.encode())
        parts.append(png.chunk(kind, KEYWORD.encode() + b"\0" + text if is_recipe else data))
    path.write_bytes(b"".join(parts))


def test_every_command_paints_a_portrait_again_from_its_file(sampled, command, tmp_path):
    model, first = sampled
    for name in ("sample_portraits", "project_portraits"):
        assert command(name, "--model", model, "--images", first, "--out", tmp_path / name) is None
        for path in first.iterdir():
            assert (tmp_path / name / path.name).read_bytes() == path.read_bytes()
    words = ["--rows", "1", "--columns", first / "seed-000002.png", "--layers", "0-7", "--out", tmp_path / "grid.png"]
    assert command("mix_portraits", "--model", model, *words, "--portraits", tmp_path / "mixed") is None
    [mixed] = (tmp_path / "mixed").iterdir()  # in all layers the column's
    assert np.array_equal(pixels(mixed), pixels(first / "seed-000002.png"))
    assert (
        command("sample_portraits", "--model", model, "--images", tmp_path / "mixed", "--out", tmp_path / "b") is None
    )
    assert (tmp_path / "b" / mixed.name).read_bytes() == mixed.read_bytes()


def test_a_file_tells_what_made_it(sampled):
    model, first = sampled
    recipe = Recipe.read(first / "seed-000002.png")
    assert recipe.made == {"seed": 2, "truncation": 0.7}
    assert recipe.model == json.loads((model / "model.json").read_text())["sha256"]
    sampler = Sampler.load(model)
    styles, _ = RecipePainter.load(model).read(first / "seed-000002.png")
    torch.testing.assert_close(styles, sampler.truncated([2], 0.7)[0].cpu())


@pytest.mark.parametrize("change", ["cut", "long", "short", "nan", "model", "text", "none"])
def test_a_file_whose_text_is_none_of_this_model_is_a_plain_image(sampled, command, tmp_path, change):
    model, first = sampled
    source, path = first / "seed-000000.png", tmp_path / "images/x.png"
    recipe = Recipe.read(source)
    nan = base64.b64encode(np.full(8, np.nan, "<f4")).decode()
    texts = {
        "cut": recipe.model_dump_json()[:100],
        "long": recipe.model_dump_json() + " " * (1 << 20),
        "short": recipe.model_copy(update={"styles": recipe.styles[:16]}).model_dump_json(),
        "nan": recipe.model_copy(update={"styles": nan}).model_dump_json(),
        "model": recipe.model_copy(update={"model": "0" * 64}).model_dump_json(),
        "text": "{}",
        "none": "",
    }
    path.parent.mkdir()
    with_text(path, source, texts[change].encode())
    assert np.array_equal(pixels(path), pixels(source))
    assert RecipePainter.load(model).read(source) is not None
    assert RecipePainter.load(model).read(path) is None
    fault = command("sample_portraits", "--model", model, "--images", path.parent, "--out", tmp_path / "out")
    assert "found 1 PNGs, none with styles of this model; accepted: PNGs that a command painted with it" in fault
    words = ["--images", path.parent, "--out", tmp_path / "out", "--steps", 1]
    assert command("project_portraits", "--model", model, *words) is None
    assert Recipe.read(tmp_path / "out/x.png").made["image"] == "x.png"


def test_grids_and_masks_lie_beside_the_portraits_and_are_left_out_afterwards(
    save_generator, command, tmp_path, caplog
):
    model, unet = save_generator(ratio=2), save_varied_unet(tmp_path / "unet.safetensors")
    out = tmp_path / "a"
    words = ["--seeds", "0-6", "--out", out, "--grid", "--masks", "--unet", unet]
    assert command("sample_portraits", "--model", model, *words) is None
    grid = pixels(out / "grid.png")
    assert grid.shape == (2 * 32, 4 * 16, 3)  # seven portraits of 32 x 16 pixels, and a white place
    assert np.array_equal(grid[32:, 16:32], pixels(out / "seed-000005.png")) and (grid[32:, 48:] == 255).all()
    masks = [decode_mask((out / f"masks/seed-00000{seed}.png").read_bytes()) for seed in range(7)]
    assert {mask.shape for mask in masks} == {(32, 16)} and len(np.unique(masks)) > 1
    assert command("sample_portraits", "--model", model, "--images", out, "--out", tmp_path / "b") is None
    assert len(list((tmp_path / "b").iterdir())) == 7 and "left out: 8 without styles" in caplog.text
    words = ["--rows", 1, "--columns", 2, "--layers", 0, "--out", out / "mixed.png"]
    assert command("mix_portraits", "--model", model, *words) is None
    assert command("project_portraits", "--model", model, "--images", out, "--out", tmp_path / "c", "--grid") is None
    assert len(list((tmp_path / "c").rglob("*.png"))) == 8 and "left out: 2 grids, 7 masks, which" in caplog.text
    said = command("project_portraits", "--model", model, "--images", out / "masks", "--out", tmp_path / "d")
    assert said.endswith(f"--images {out / 'masks'}: found grids and masks alone; accepted: images")


def test_the_grid_replaces_no_portrait(sampled, command, tmp_path):
    model, first = sampled
    (first / "seed-000001.png").rename(first / "grid.png")
    words = ["--model", model, "--images", first, "--out", tmp_path / "b", "--grid"]
    fault = f"--grid: it would replace the portrait of {first / 'grid.png'}; accepted: one of another name"
    assert command("sample_portraits", *words) == f"sample_portraits.py: {fault}"
    said = command("project_portraits", *words)
    assert said.splitlines()[0] == "project_portraits.py: 1 of 6 images have no styles:"
    assert "grid.png: the grid would replace its portrait" in said


@pytest.mark.parametrize("name", ["sample_portraits", "project_portraits"])
@pytest.mark.parametrize("below", ["", "x"])
def test_a_file_in_place_of_the_folder_is_told_before_all_work(sampled, command, tmp_path, name, below):
    model, first = sampled
    file = tmp_path / "file"
    file.touch()
    said = command(name, "--model", model, "--images", first, "--out", file / below)
    assert said.endswith(f": {'a file' if not below else f'{file} is a file'}; accepted: a folder")
    assert said.startswith(f"{name}.py: --out {file / below}: ")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("nowhere", "no such folder; accepted: that of a trained StyleGAN"),
        ("stylegan/model.json", "no model; accepted: a safetensors file, or its folder"),
    ],
)
def test_what_is_no_model_is_not_called_damaged(save_generator, command, tmp_path, name, fault):
    save_generator()
    said = command("sample_portraits", "--model", tmp_path / name, "--seeds", 1, "--out", tmp_path / "b")
    assert said == f"sample_portraits.py: --model {tmp_path / name}: {fault}"
