"""Portraits edited by files, vectors and both, on the command line."""

import json

import numpy as np
import pytest
import torch
from helpers.scenes import save_varied_unet
from helpers.stylegan import pixels
from PIL import Image

from facemill.data.classes import SEVEN
from facemill.inference.segmenter import Segmenter
from facemill.inference.vectors import Vectors
from facemill.networks.style_edits import reach, shrunk
from facemill.stylegan.edit_portraits import KEYWORD
from facemill.stylegan.edit_scores import at_size
from facemill.stylegan.edits import EditRegion
from facemill.stylegan.masks import resized
from facemill.stylegan.recipes import Recipe, RecipePainter


@pytest.fixture
def setting(sampled, tmp_path):
    """A model with vectors, the portraits of seeds 0 to 5, a U-Net, a class that is in all masks, an edit of it."""
    model, first = sampled
    unet = save_varied_unet(tmp_path / "unet.safetensors")
    vector = np.full(8, 2, np.float32)
    pairs = {("black_hair", "red_hair"): vector, ("red_hair", "black_hair"): -vector}
    vectors = Vectors({"hair_color": ["black_hair", "red_hair"]}, pairs, {"smile": vector})
    vectors.save(model / "vectors.safetensors", dict.fromkeys(vectors.names(), 9), {})
    segmenter = Segmenter.load(unet)
    images = np.stack([pixels(first / f"seed-00000{seed}.png") for seed in range(6)])
    masks = at_size(segmenter.masks(resized(images, 64)), images)
    everywhere = [name for i, name in enumerate(SEVEN.names) if (masks == i).any((1, 2)).all() and (masks != i).sum()]
    region = {"class": everywhere[0], "grow": 1}
    content = {"name": "x", "model": RecipePainter.load(model).model, "layer": 4, "channels": {"1": 6.0, "5": -6.0}}
    (tmp_path / "edit.json").write_text(json.dumps(content | {"region": region}))
    return {"model": model, "images": first, "unet": unet, "region": region, "edit": tmp_path / "edit.json"}


def words(setting: dict, out, *more: object) -> list[object]:
    return ["--model", setting["model"], "--unet", setting["unet"], "--out", out, *more]


def test_an_edit_changes_seeds_and_portraits_of_files_alike_within_its_reach(setting, command, tmp_path):
    edit = ["--edit", setting["edit"]]
    assert command("edit_portraits", *words(setting, tmp_path / "s", "--seeds", "0-5", *edit)) is None
    assert command("edit_portraits", *words(setting, tmp_path / "i", "--images", setting["images"], *edit)) is None
    generator = RecipePainter.load(setting["model"]).sampler.generator
    for seed in range(6):
        name = f"seed-{seed:06}.png"
        assert (tmp_path / "s" / name).read_bytes() == (tmp_path / "i" / name).read_bytes()
        before, after = pixels(setting["images"] / name), pixels(tmp_path / "s" / name)
        mask = at_size(Segmenter.load(setting["unet"]).masks(resized(before[None], 64)), before[None])
        region = EditRegion.model_validate(setting["region"]).of(mask, SEVEN)
        changed = (before != after).any(2)
        reached = reach(generator, 4, shrunk(torch.from_numpy(region[:, None]).float(), 16))[0, 0].numpy()
        assert changed.any() and not (changed & ~reached).any()
    with Image.open(tmp_path / "s/seed-000003.png") as picture:
        told = json.loads(picture.text[KEYWORD])
    assert told["edited"]["edits"] == [str(setting["edit"])] and told["from"] == {"seed": 3, "truncation": 0.7}
    assert Recipe.read(tmp_path / "s/seed-000003.png") is None, "its styles alone would paint another portrait"


def test_strength_zero_leaves_the_portrait_and_the_reverse_is_another(setting, command, tmp_path):
    edit = ["--seeds", 1, "--edit", setting["edit"], "--strength"]
    for strength in (0, 1, -1):
        assert command("edit_portraits", *words(setting, tmp_path / str(strength), *edit, strength)) is None
    none, more, less = (pixels(tmp_path / f"{strength}/seed-000001.png") for strength in (0, 1, -1))
    assert np.array_equal(none, pixels(setting["images"] / "seed-000001.png"))
    assert (more != none).any() and (less != none).any() and (more != less).any()


def test_a_locked_vector_changes_no_pixel_outside_its_class(setting, command, tmp_path):
    vector = ["--images", setting["images"], "--vector", "red_hair.black_hair"]
    lock = ["--lock", setting["region"]["class"]]
    assert command("edit_portraits", *words(setting, tmp_path / "free", *vector)) is None
    assert command("edit_portraits", *words(setting, tmp_path / "locked", *vector, *lock)) is None
    for path in sorted(setting["images"].iterdir()):
        before, free, locked = (
            pixels(p) for p in (path, tmp_path / "free" / path.name, tmp_path / "locked" / path.name)
        )
        mask = at_size(Segmenter.load(setting["unet"]).masks(resized(before[None], 64)), before[None])
        region = EditRegion.model_validate(setting["region"] | {"grow": 2}).of(mask, SEVEN)[0]
        assert np.array_equal(locked[~region], before[~region]) and (locked[region] != before[region]).any()
        assert region.all() or (free[~region] != before[~region]).any()
    again = ["--model", setting["model"], "--images", tmp_path / "free", "--out", tmp_path / "again"]
    assert command("sample_portraits", *again) is None  # what styles tell alone is painted again
    for path in (tmp_path / "free").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_an_animation_goes_from_the_portrait_to_the_edited_one(setting, command, tmp_path):
    more = ["--seeds", "0-1", "--edit", setting["edit"], "--animate"]
    assert command("edit_portraits", *words(setting, tmp_path / "a", *more)) is None
    with Image.open(tmp_path / "a/seed-000000.webp") as animation:
        assert animation.n_frames > 12


def test_portraits_without_the_class_stay_as_they_are_and_are_counted(setting, command, tmp_path, caplog):
    content = json.loads(setting["edit"].read_text())
    masks = Segmenter.load(setting["unet"]).masks(resized(pixels(setting["images"] / "seed-000000.png")[None], 64))
    absent = [name for i, name in enumerate(SEVEN.names) if not (masks == i).any()]
    assert absent
    setting["edit"].write_text(json.dumps(content | {"region": {"class": absent[0]}}))
    assert command("edit_portraits", *words(setting, tmp_path / "a", "--seeds", 0, "--edit", setting["edit"])) is None
    assert (tmp_path / "a/seed-000000.png").read_bytes() == (setting["images"] / "seed-000000.png").read_bytes()
    assert "as they were, since the class was not seen in them: 1 (seed-000000)" in caplog.text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--edit", "EDIT"], "--seeds, --images: found neither; accepted: one of them"),
        (["--seeds", 1], "--edit, --vector: found neither; accepted: edit files, a vector, or both"),
        (["--seeds", 1, "--vector", "smile", "--strength", 100], "--strength 100; accepted: -20 to 20"),
        (["--seeds", 1, "--vector", "smile", "--strength", "nan"], "--strength nan; accepted: -20 to 20"),
        (["--seeds", 1, "--vector", "hat"], "--vector hat; accepted, of "),
        (["--seeds", 1, "--vector", "smile", "--lock", "nose"], "--lock: found 'nose'; accepted: background, skin"),
        (["--images", "IMAGES", "--truncation", 1, "--vector", "smile"], "--truncation: accepted with --seeds alone"),
        (["--seeds", "2-1", "--vector", "smile"], "--seeds 2-1: found '2-1'; accepted: 0 to "),
        (["--seeds", 1, "--edit", "nowhere.json"], "nowhere.json: No such file or directory; accepted: an edit file"),
    ],
)
def test_what_cannot_be_edited_is_told_in_one_line(setting, command, tmp_path, more, said):
    names = {"EDIT": setting["edit"], "IMAGES": setting["images"]}
    fault = command("edit_portraits", *words(setting, tmp_path / "out", *(names.get(word, word) for word in more)))
    assert fault.startswith(f"edit_portraits.py: {said}") and "\n" not in fault


def test_other_images_are_refused_with_the_command_that_finds_their_styles(setting, command, tmp_path):
    (tmp_path / "plain").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "plain/x.png")
    more = ["--images", tmp_path / "plain", "--vector", "smile"]
    fault = command("edit_portraits", *words(setting, tmp_path / "out", *more))
    assert "none with styles of this model; accepted: " in fault and "project_portraits finds styles" in fault


def test_without_a_unet_an_edit_has_no_place(setting, command, tmp_path):
    more = ["--model", setting["model"], "--out", tmp_path / "out", "--seeds", 1, "--edit", setting["edit"]]
    fault = command("edit_portraits", *more)
    assert f"--unet: found nothing, and no {tmp_path}/unet/v3; accepted: a U-Net, whose masks tell where" in fault
