"""Commands with a finished StyleGAN, by the command line: PNGs that are painted again to the byte, and bad input."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.scenes import save_varied_unet
from PIL import Image

from facemill.data import png
from facemill.data.shards import decode_mask, write_shard
from facemill.inference.sampler import Sampler
from facemill.stylegan.recipes import KEYWORD, Recipe, RecipePainter

CONDITIONS = {"hair_color": ["black_hair", "red_hair"], "smile": ["smile"]}


def pixels(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def with_text(path, source, text: bytes) -> None:
    """Writes a PNG whose recipe is another text."""
    parts = [png.SIGNATURE]
    for kind, data in png.chunks(source.read_bytes()):
        is_recipe = kind == b"tEXt" and data.startswith(KEYWORD.encode())
        parts.append(png.chunk(kind, KEYWORD.encode() + b"\0" + text if is_recipe else data))
    path.write_bytes(b"".join(parts))


@pytest.fixture
def sampled(save_generator, command, tmp_path):
    """A model, and a folder of the portraits of seeds 0 to 5."""
    model = save_generator()
    assert command("sample_portraits", "--model", model, "--seeds", "0-3", "4,5", "--out", tmp_path / "a") is None
    return model, tmp_path / "a"


def test_a_seeds_portrait_does_not_depend_on_the_others(sampled, command, tmp_path):
    model, first = sampled
    assert sorted(path.name for path in first.iterdir()) == [f"seed-00000{seed}.png" for seed in range(6)]
    assert (
        command("sample_portraits", "--model", model / "model.safetensors", "--seeds", "4", "--out", tmp_path) is None
    )
    assert (tmp_path / "seed-000004.png").read_bytes() == (first / "seed-000004.png").read_bytes()
    assert len({path.read_bytes() for path in first.iterdir()}) == 6
    sampler = Sampler.load(model)
    expected = sampler.generate(sampler.truncated([4], 0.7))[0]
    assert np.abs(pixels(tmp_path / "seed-000004.png").astype(int) - expected).max() <= 1


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


def test_truncation_leads_to_the_center(save_generator, command, tmp_path, caplog):
    model = save_generator(conditions=CONDITIONS)
    painter = RecipePainter.load(model)
    for name, words in {
        "mean": ["--truncation", 0, "--condition", "red_hair", "smile=none"],
        "same": ["--truncation", 1, "--center", "black_hair", "--condition", "red_hair", "smile=none"],
        "other": ["--truncation", 0, "--center", "black_hair", "--condition", "red_hair", "smile=none"],
    }.items():
        assert command("sample_portraits", "--model", model, "--seeds", "3,8", *words, "--out", tmp_path / name) is None
    styles = {
        name: torch.stack([painter.read(tmp_path / name / f"seed-00000{seed}.png")[0] for seed in (3, 8)])
        for name in ("mean", "same", "other")
    }
    centers = painter.sampler.centers(torch.tensor([[1, 1], [0, 1]]))
    torch.testing.assert_close(styles["mean"], centers[[0, 0]])
    torch.testing.assert_close(styles["other"], centers[[1, 1]])
    slots = torch.tensor([[1, 1], [1, 1]])
    torch.testing.assert_close(styles["same"], painter.sampler.styles(painter.sampler.codes([3, 8]), slots).cpu())
    assert "drawn for each seed" not in caplog.text
    assert command("sample_portraits", "--model", model, "--seeds", 1, "--truncation", 1.8, "--out", tmp_path) is None
    assert "hair_color, smile: drawn for each seed" in caplog.text and "--truncation 1.8: styles beyond" in caplog.text
    names = Recipe.read(tmp_path / "seed-000001.png").made["condition"]
    assert names in ({"hair_color": "black_hair", "smile": "smile"}, {"hair_color": "red_hair", "smile": "none"})


@pytest.fixture
def tagged(save_generator, tmp_path):
    """A function that writes six generated portraits, with their tags, beside a model; returns the model."""

    def write(generator: str = "stylegan", rejected: int = 0) -> Path:
        """Of the portraits of a generator the first are rejected; all have red hair, seeds 0 to 2 a smile."""
        model, other = save_generator(), save_generator(generator, seed=0 if generator == "stylegan" else 1)
        styles = Sampler.load(other).truncated(range(6), 0.7).numpy()
        rows = [{"id": f"seed-{i:06}", "seed": i, "w": w, "rejected": None} for i, w in enumerate(styles)]
        for row in rows[:rejected]:
            row["rejected"] = "unsure"
        groups = {"hair_color": "red_hair", "skin_color": None, "eye_color": None}
        tags = [{"id": row["id"], "tags": ["smile"] if i < 3 else []} | groups for i, row in enumerate(rows)]
        text = pa.string()
        columns = [("id", text), ("seed", pa.int64()), ("w", pa.list_(pa.float32())), ("rejected", text)]
        of_tags = pa.schema([("id", text), ("tags", pa.list_(text)), *((group, text) for group in groups)])
        write_shard(tmp_path / "generated/shard-0000.parquet", rows, pa.schema(columns))
        write_shard(tmp_path / "generated_tags/shard-0000.parquet", tags, of_tags)
        return model

    return write


def test_a_model_without_conditions_has_the_centers_of_accepted_generated_portraits(tagged, command, tmp_path):
    model = tagged(rejected=1)
    sampler = Sampler.load(model)
    for name, seeds in {"smile": [1, 2], "red_hair": range(1, 6)}.items():
        words = ["--seeds", 3, "--truncation", 0, "--center", name, "--out", tmp_path / name]
        assert command("sample_portraits", "--model", model, *words) is None
        styles, made = RecipePainter.load(model).read(tmp_path / name / "seed-000003.png")
        torch.testing.assert_close(styles, sampler.truncated(seeds, 1).mean(0))  # not the mean of the truncated ones
        assert made["center"] == name
    said = command("sample_portraits", "--model", model, "--seeds", 3, "--center", "x", "--out", tmp_path / "x")
    assert said == f"sample_portraits.py: --center x; accepted, of {tmp_path / 'generated'}: red_hair, smile"


def test_centers_are_only_those_of_this_models_portraits(tagged, command, tmp_path):
    words = ["--model", tagged("another"), "--seeds", 3, "--center", "smile", "--out", tmp_path / "out"]
    said = command("sample_portraits", *words)
    assert said.startswith("sample_portraits.py: --center smile: another model generated the portraits in ")
    assert "\n" not in said and not (tmp_path / "out").exists()


@pytest.mark.parametrize("count", [3, 6])
def test_names_of_rejected_portraits_are_no_centers(tagged, command, tmp_path, count):
    words = ["--model", tagged(rejected=count), "--seeds", 3, "--center", "smile", "--out", tmp_path / "out"]
    known = {3: "red_hair", 6: "none has any"}[count]
    assert command("sample_portraits", *words).endswith(f"accepted, of {tmp_path / 'generated'}: {known}")


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--seeds", "5-2"], "--seeds 5-2: found '5-2'; accepted: 0 to .*, as 1,5,9 or 0-7"),
        (["--seeds", "-1"], "--seeds -1: found '-1'; accepted: 0 to"),
        (["--seeds", "1,x"], "--seeds 1,x: found 'x'; accepted: 0 to"),
        (["--seeds", "1,"], "--seeds 1,: found ''; accepted: 0 to"),
        (["--seeds", 2**32], "found '4294967296'; accepted: 0 to 4294967295"),
        (["--seeds", "0-10000000"], "--seeds 0-10000000: more than 100000 numbers; accepted: 100000 at once"),
        (["--seeds", "0-99999", "100000"], "more than 100000 numbers"),
        (["--seeds", "1", "--truncation", "-1"], r"--truncation -1; accepted: 0 \(the mean portrait\) to 2"),
        (["--seeds", "1", "--truncation", "5"], "--truncation 5; accepted"),
        (["--seeds", "1", "--truncation", "nan"], "--truncation nan; accepted"),
        (
            ["--seeds", "1", "--condition", "blue_hair"],
            "--condition blue_hair; accepted: a model that was trained with",
        ),
        (
            ["--seeds", "1", "--center", "blue_hair"],
            "--center blue_hair: found no .*/generated or .*/generated_tags; accepted: a model that was trained with",
        ),
        (["--seeds", "1", "--masks"], "--masks, --unet: found --masks alone; accepted: both"),
        (["--seeds", "0-2500", "--grid"], "--grid: found 2501 portraits; accepted: 2500 at most"),
        ([], "--seeds, --images: found neither; accepted: one of them"),
        (["--seeds", "1", "--condition"], "--condition: found nothing; accepted: names, such as hair_color=blue_hair"),
        (["--images", ".", "--truncation", "1"], "--truncation, --condition, --center: accepted with --seeds alone"),
    ],
)
def test_what_cannot_be_sampled_is_one_line(save_generator, command, tmp_path, words, fault):
    said = command("sample_portraits", "--model", save_generator(), "--out", tmp_path / "out", *words)
    assert said and "\n" not in said
    assert re.search(fault, said), said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (
            ["--condition", "blue_hair"],
            "--condition blue_hair; accepted: hair_color=black_hair|red_hair|none, smile=smile|none",
        ),
        (["--condition", "smile=red_hair"], "--condition smile=red_hair; accepted: hair_color=black_hair"),
        (["--condition", "none"], "--condition none; accepted: hair_color=black_hair"),
        (["--condition", "red_hair", "black_hair"], "--condition red_hair black_hair: two names of one group"),
        (["--center", "x"], "--center x; accepted: hair_color=black_hair"),
    ],
)
def test_names_that_the_model_does_not_know_are_refused_with_those_it_knows(
    save_generator, command, tmp_path, words, fault
):
    model = save_generator(conditions=CONDITIONS)
    said = command("sample_portraits", "--model", model, "--seeds", 1, "--out", tmp_path / "out", *words)
    assert said.startswith(f"sample_portraits.py: {fault}") and "\n" not in said


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


def test_the_grid_has_the_order_of_the_command_line(sampled, command, tmp_path):
    model, first = sampled
    words = ["--rows", first / "seed-000002.png", "5,1", "--columns", 0, "--layers", 0, "--out", tmp_path / "grid.png"]
    assert command("mix_portraits", "--model", model, *words) is None
    gap = (pixels(tmp_path / "grid.png").shape[0] - 4 * 128) // 5
    for row, seed in enumerate((2, 5, 1), 1):
        top = gap + row * (128 + gap)
        cell = pixels(tmp_path / "grid.png")[top : top + 128 : 4, gap : gap + 128 : 4]
        assert np.array_equal(cell, pixels(first / f"seed-00000{seed}.png"))


@pytest.mark.parametrize("name", ["sample_portraits", "project_portraits"])
@pytest.mark.parametrize("below", ["", "x"])
def test_a_file_in_place_of_the_folder_is_told_before_all_work(sampled, command, tmp_path, name, below):
    model, first = sampled
    file = tmp_path / "file"
    file.touch()
    said = command(name, "--model", model, "--images", first, "--out", file / below)
    assert said.endswith(f": {'a file' if not below else f'{file} is a file'}; accepted: a folder")
    assert said.startswith(f"{name}.py: --out {file / below}: ")


def test_files_that_cannot_be_painted_again_are_listed(sampled, command, tmp_path):
    model, images = sampled
    content = (images / "seed-000000.png").read_bytes()
    (images / "seed-000001.PNG").write_bytes(content)  # beside seed-000001.png
    (images / "cut.png").write_bytes(content[:-20])
    (images / "text.png").write_bytes(b"no image")
    said = command("sample_portraits", "--model", model, "--images", images, "--out", tmp_path / "b")
    assert said.splitlines()[0] == "sample_portraits.py: 3 PNGs are not painted again:"
    assert "seed-000001.png: its portrait would replace that of seed-000001.png" in said
    assert (
        "cut.png: cannot be read (a PNG that is cut short)" in said and "text.png: cannot be read (not a PNG)" in said
    )
    assert (tmp_path / "b/seed-000001.png").read_bytes() == content
    assert len(list((tmp_path / "b").iterdir())) == 6


def test_weights_of_lpips_are_named_by_the_option(sampled, command, tmp_path):
    model, images = sampled
    words = ["--model", model, "--images", images, "--out", tmp_path / "b", "--vgg-weights"]
    fault = f"--vgg-weights {tmp_path / 'x'}: no such file; accepted: a safetensors file of LPIPS"
    assert command("project_portraits", *words, tmp_path / "x") == f"project_portraits.py: {fault}"
    other = model / "model.safetensors"
    said = command("project_portraits", *words, other)
    assert said.startswith(f"project_portraits.py: --vgg-weights: {other} lacks ") and "\n" not in said


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
