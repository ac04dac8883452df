"""Generation from a folder of masks: by a style image, by a seed, and what is refused."""

import shutil

import numpy as np
import pytest
import torch
from helpers.faces import faces_at, write_cascade
from helpers.masks import save_mask_generator
from helpers.studio_models import make_unet
from PIL import Image

from facemill.config.ingest import DetectorConfig
from facemill.data.classes import SEVEN, Class, ClassTable
from facemill.data.shards import encode_mask
from facemill.errors import UserError
from facemill.inference.mask_sampler import TRUNCATION, MaskSampler
from facemill.inference.painter import Painter
from facemill.ingest.crop_place import portrait_finder
from facemill.ingest.faces import face_detector
from facemill.ingest.portraits import Box, face_box, load_portrait
from facemill.networks.region_styles import CODE
from facemill.networks.spade import Generator
from facemill.networks.store import load_model, save_model
from facemill.networks.vae import Vae
from facemill.synthesize.generate_portraits import (
    generate_portraits,
    load_painter,
    read_mask,
    read_style,
    style_finder,
)

TWO = ClassTable(
    (Class(name="around", color="#000000", role="background"), Class(name="head", color="#ff0000", role="face"))
)


ARGUMENTS = {"size": 32, "z_dim": 4, "ngf": 4, "nhidden": 4}


def save_gaugan(folder, classes=SEVEN, settings=None, **changes):
    arguments = ARGUMENTS | {"classes": len(classes)} | changes
    save_model(folder / "gaugan/model.safetensors", Generator(**arguments), arguments, settings or {}, classes)


def write_masks(folder, classes=SEVEN):
    (folder / "masks/deep").mkdir(parents=True, exist_ok=True)
    mask = np.random.default_rng(0).integers(0, len(classes), (40, 40), np.uint8)
    for name in ("a.png", "deep/b.png"):
        (folder / "masks" / name).write_bytes(encode_mask(mask, classes))


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_gaugan(tmp_path)
    encoder = {"size": 32, "z_dim": 4, "width": 4}
    save_model(tmp_path / "gaugan/style_encoder.safetensors", Vae(**encoder), encoder, {})
    write_masks(tmp_path)
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8)).save(tmp_path / "style.jpg")
    return tmp_path


@pytest.fixture
def generate(folder):
    def generated(out, **style):
        generate_portraits(model=folder / "gaugan", masks=folder / "masks", out=folder / out, **style)
        return [np.asarray(Image.open(folder / out / name)) for name in ("a.png", "deep/b.png")]

    return generated


def test_a_seed_gives_another_style_to_each_mask(generate):
    first, second = generate("seeded", seed=7)
    assert first.shape == (32, 32, 3) and not np.array_equal(first, second)
    assert np.array_equal(first, generate("again", seed=7)[0])
    assert not np.array_equal(first, generate("other", seed=8)[0])


def test_an_image_gives_one_style_to_all(folder, generate):
    first, second = generate("styled", style=folder / "style.jpg")
    assert np.array_equal(first, second)


@pytest.fixture
def by_region(folder):
    """Style codes by region, and the U-Net that says where the regions are: it names pixels by their class's color."""
    torch.manual_seed(0)
    save_gaugan(folder, z="regions", z_dim=7 * CODE)
    unet, arguments = make_unet()
    save_model(folder / "gaugan/style_encoder.safetensors", unet, arguments, {}, SEVEN)
    for name, color in {"blonde": (240, 220, 130), "dark": (30, 30, 40)}.items():
        Image.fromarray(np.full((64, 64, 3), color, np.uint8)).save(folder / f"{name}.png")
    return folder


def test_a_class_takes_its_style_from_another_image(by_region, generate):
    """The other image's code of this class, and of no other."""
    style, other = by_region / "style.jpg", by_region / "dark.png"
    painter = load_painter(by_region / "gaugan", reads=True, by_region=True)
    find = style_finder(by_region / "gaugan", painter)
    z, hair = read_style(style, painter, find), painter.numbers_of("hair")
    z = z.index_copy(1, hair, read_style(other, painter, find)[:, hair])
    painted = generate("mixed", style=style, style_of=[f"hair={other}"])
    mask = read_mask(by_region / "masks/a.png", painter)
    assert np.array_equal(painted[0], painter.generate(mask, z)[0])
    assert not np.array_equal(painted[0], generate("plain", style=style)[0])


def test_the_other_classes_are_random_without_a_style(by_region, generate):
    first, second = generate("random", style_of=[f"hair={by_region / 'dark.png'}"])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("pair", ["beard=dark.png", "hair", "hair="])
def test_a_class_that_is_not_there_or_no_image_is_refused(by_region, generate, pair):
    with pytest.raises(UserError, match="--style-of: found '.*'; accepted: CLASS=IMAGE, of background, skin,"):
        generate("refused", style_of=[pair])


def test_styles_of_classes_need_a_model_with_codes_by_region(folder, generate):
    with pytest.raises(UserError, match="--style-of: .* was trained with z: encoder; accepted: z: regions"):
        generate("refused", style_of=["hair=style.jpg"])


def test_a_style_is_read_from_the_pixels_that_training_saw(folder):
    """A file of the portraits' shape is itself the portrait; the encoder resizes it, the part below the square too."""
    save_gaugan(folder, size=128, ratio=2)
    painter = Painter.load(folder / "gaugan", style_encoder=folder / "gaugan/style_encoder.safetensors")
    pixels = np.random.default_rng(1).integers(0, 256, (128, 64, 3), np.uint8)
    pixels[80:] = (255, 0, 0)
    Image.fromarray(pixels).save(folder / "style.png")
    expected = painter.encode_styles(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    assert torch.equal(read_style(folder / "style.png", painter), expected)


@pytest.mark.parametrize(
    ("settings", "has_detector", "part"),
    [
        ({}, False, (0, 150, 100, 250)),  # a model of older versions
        ({"crop": "middle", "detector": None}, False, (0, 150, 100, 250)),
        ({"crop": "top", "detector": None}, False, (0, 0, 100, 100)),
        ({"crop": "face"}, True, "largest"),
        ({"crop": "middle"}, True, "around"),
    ],
)
def test_a_style_is_cropped_as_the_models_collection_was(folder, settings, has_detector, part):
    cascade = DetectorConfig(kind="cascade", cascade=write_cascade(folder), min_face=30, margin=0.25, faces=1)
    picture = Image.fromarray(faces_at((20, 200, 60), width=100, height=400))
    picture.paste((200, 30, 30), (0, 0, 9, 9))
    picture.save(folder / "style.png")
    if has_detector:
        settings = settings | {"detector": cascade.model_dump(mode="json")}
        [(x, y, w, h)] = face_detector(cascade)(np.asarray(picture))
        part = (0, y - h / 4, 100, y - h / 4 + 100) if part == "largest" else face_box((x, y, w, h), 100, 400, 1, 0.25)
    if isinstance(part, Box):
        part = (part.left * 100, part.top * 400, part.right * 100, part.bottom * 400)
    save_gaugan(folder, settings=settings)
    painter = Painter.load(folder / "gaugan", style_encoder=folder / "gaugan/style_encoder.safetensors")
    find = style_finder(folder / "gaugan", painter)
    picture.resize((32, 32), Image.Resampling.LANCZOS, part).save(folder / "portrait.png")
    expected = read_style(folder / "portrait.png", painter, find)  # of the generator's size: as it is
    torch.testing.assert_close(read_style(folder / "style.png", painter, find), expected, rtol=0, atol=1e-3)


def test_images_without_a_face_have_their_largest_box_as_style(folder):
    cascade = DetectorConfig(kind="cascade", cascade=write_cascade(folder), min_face=30)
    picture = Image.fromarray(faces_at(width=100, height=400))
    picture.paste((255, 200, 200), (0, 0, 100, 99))
    picture.save(folder / "style.png")
    for crop, part in {"face": (0, 0, 100, 100), "top": (0, 0, 100, 100), "middle": (0, 150, 100, 250)}.items():
        find = portrait_finder(crop, 1, cascade)
        expected = np.asarray(picture.resize((32, 32), Image.Resampling.LANCZOS, part))
        assert np.array_equal(load_portrait(folder / "style.png", 32, find=find), expected)


def test_generation_crops_the_style_as_the_model_says(folder, generate):
    Image.fromarray(np.linspace(0, 255, 4800, dtype=np.uint8).reshape(100, 16, 3)).save(folder / "style.png")
    middle = generate("older", style=folder / "style.png")[0]
    torch.manual_seed(0)  # the same weights
    save_gaugan(folder, settings={"crop": "top", "detector": None})
    assert not np.array_equal(generate("top", style=folder / "style.png")[0], middle)
    torch.manual_seed(0)
    save_gaugan(folder, settings={"crop": "middle", "detector": None})
    assert np.array_equal(generate("middle", style=folder / "style.png")[0], middle)


def test_a_model_whose_detector_is_not_there_takes_portraits_alone_as_styles(folder, generate):
    detector = {"kind": "cascade", "cascade": "gone.xml"}
    save_gaugan(folder, settings={"crop": "face", "detector": detector})
    with pytest.raises(UserError, match=r"^--style: portraits.detector.cascade: gone.xml: .*, or an image of 32 x 32 "):
        generate("refused", style=folder / "style.jpg")
    Image.new("RGB", (32, 32), "red").save(folder / "portrait.png")
    generate("styled", style=folder / "portrait.png")


def test_random_styles_are_distributed_as_those_of_the_training(folder, generate):
    first, second = generate("standard", seed=7)
    generator = load_model(Generator, folder / "gaugan")
    generator.style_mean.fill_(2)
    generator.style_scale.zero_()  # every draw is the mean
    save_model(folder / "gaugan/model.safetensors", generator, ARGUMENTS | {"classes": 7}, {}, SEVEN)
    narrow = generate("narrow", seed=7)
    assert not np.array_equal(first, second) and np.array_equal(*narrow)


def test_a_model_without_styles_of_images_takes_none(folder, generate):
    save_gaugan(folder, z_dim=0, z="none")
    first, second = generate("seeded", seed=7)
    assert np.array_equal(first, second) and first.shape == (32, 32, 3)  # the two masks are the same
    with pytest.raises(UserError, match="was trained with z: none; accepted: z: regions, or z: encoder"):
        generate("styled", style=folder / "style.jpg")


def test_a_file_that_is_no_mask_is_named_and_the_others_are_used(folder, generate):
    Image.new("RGB", (40, 40)).save(folder / "masks/photo.png")
    with pytest.raises(UserError, match="1 of 3 masks"):
        generate("out", seed=1)
    assert (folder / "out/a.png").exists() and not (folder / "out/photo.png").exists()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "reordered"])
def test_masks_saved_by_other_programs_are_painted_by_their_colors(folder, generate, mode):
    expected = generate("as_written", seed=7)[0]
    with Image.open(folder / "masks/a.png") as mask:
        colors = mask.convert("RGB")
    saved = colors.quantize(7, dither=Image.Dither.NONE) if mode == "reordered" else colors.convert(mode)
    assert mode != "reordered" or not np.array_equal(np.asarray(saved), np.asarray(mask))
    saved.save(folder / "masks/a.png")
    assert np.array_equal(generate("edited", seed=7)[0], expected)


def test_masks_of_other_colors_are_named(folder, generate, caplog):
    mask = Image.fromarray(np.eye(40, dtype=np.uint8) * 3)
    mask.save(folder / "masks/a.png")
    generate("gray", seed=7)
    assert "colors" not in caplog.text
    mask.putpalette([200, 10, 10, 0, 0, 0, 0, 0, 0, 10, 10, 200])
    mask.save(folder / "masks/a.png")
    generate("colored", seed=7)
    assert "1 of 2 masks show none of the classes' colors, and are painted by index: a.png" in caplog.text


def test_a_mask_of_0_and_255_alone_is_refused(folder, generate):
    Image.fromarray(np.eye(40, dtype=np.uint8) * 255).save(folder / "masks/a.png")
    with pytest.raises(UserError, match="1 of 2 masks") as caught:
        generate("out", seed=1)
    assert "a.png: only 0 and 255 in it; accepted: class ids, 0 to 6" in str(caught.value)


def test_the_masks_have_the_models_class_table(folder, generate):
    save_gaugan(folder, TWO)
    with pytest.raises(UserError, match="2 of 2 masks") as caught:
        generate("refused", seed=1)
    assert "  2 times: a mask: has the classes background, skin, face" in str(caught.value)
    assert "accepted: around, head" in str(caught.value)
    write_masks(folder, TWO)
    assert generate("accepted", seed=1)[0].shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("style", "message"),
    [({"style": "style.jpg", "seed": 1}, "exclude each other"), ({"style": "none.jpg"}, "--style: .*none.jpg")],
)
def test_unusable_styles(folder, generate, style, message):
    style["style"] = folder / style["style"]
    with pytest.raises(UserError, match=message):
        generate("out", **style)


def test_nothing_that_is_read_is_replaced(folder, generate):
    shutil.copytree(folder / "masks", folder / "masks/portraits")
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    for out, reason in {
        "masks": "is --masks .*; accepted: another, so that no file is replaced",
        "masks/portraits": "lies in --masks",
        "masks/new": "lies in --masks",
    }.items():
        with pytest.raises(UserError, match=reason):
            generate(out, seed=1)
    Image.new("RGB", (32, 32)).save(folder / "a.png")
    with pytest.raises(UserError, match="a.png would be replaced, which is read"):
        generate("", style=folder / "a.png")
    (folder / "a.png").unlink()
    assert {path: path.read_bytes() for path in folder.rglob("*.png")} == before


def test_masks_are_found_as_images_are(folder, generate):
    (folder / "masks/deep/b.png").rename(folder / "masks/deep/b.PNG")
    (folder / "masks/._a.png").write_bytes(b"\x00\x05\x16\x07")
    generate("out", seed=1)
    (folder / "masks/a.PNG").write_bytes((folder / "masks/a.png").read_bytes())
    with pytest.raises(UserError, match="1 of 3 masks") as caught:
        generate("out", seed=1)
    assert "a.png: its portrait would replace that of a.PNG" in str(caught.value)
    for name, reason in {"none": "no such folder", "style.jpg": "a file; accepted: a folder"}.items():
        with pytest.raises(UserError, match=f"--masks {folder / name}: {reason}"):
            generate_portraits(model=folder / "gaugan", masks=folder / name, out=folder / "x")


@pytest.fixture
def drawing(folder):
    """Beside GauGAN a generator of masks."""
    save_mask_generator(folder / "mask_generator")
    return folder


def test_random_masks_are_painted_and_kept(drawing):
    generate_portraits(model=drawing / "gaugan", out=drawing / "out", random=3, seed=5)
    names = [f"seed-00000{seed}.png" for seed in (5, 6, 7)]
    assert sorted(path.name for path in (drawing / "out").glob("*.png")) == names
    painter, sampler = Painter.load(drawing / "gaugan"), MaskSampler.load(drawing / "mask_generator")
    z = painter.random_styles(3, 5)
    for index, name in enumerate(names):
        mask = read_mask(drawing / "out/masks" / name, painter)
        assert (mask.numpy() == sampler.masks([5 + index], TRUNCATION, 32)).mean() > 0.99
        assert np.array_equal(np.asarray(Image.open(drawing / "out" / name)), painter.generate(mask, z[[index]])[0])
    generate_portraits(model=drawing / "gaugan", out=drawing / "mean", random=2, truncation=0)
    first, second = (np.asarray(Image.open(path)) for path in sorted((drawing / "mean/masks").iterdir()))
    assert np.array_equal(first, second)


def test_random_masks_take_a_style_and_a_seed(drawing):
    style = {"style": drawing / "style.jpg", "seed": 9}
    generate_portraits(model=drawing / "gaugan", out=drawing / "out", random=2, **style)
    assert (drawing / "out/seed-000009.png").exists() and (drawing / "out/seed-000010.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--masks, --random: found neither; accepted: one of them"),
        ({"masks": "masks", "random": 1}, "--masks, --random: found both; accepted: one of them"),
        ({"random": 0}, "--random 0; accepted: 1 to 100000"),
        ({"random": 1, "seed": -1}, "--seed -1; accepted with --random: 0 to 42948"),
        ({"random": 1, "truncation": 2}, r"--truncation 2; accepted: 0 \(the mean mask\) to 1.5"),
        ({"masks": "masks", "truncation": 1}, "--mask-generator, --truncation: accepted with --random alone"),
        ({"random": 1, "mask_generator": "nowhere"}, "nowhere.*: no such model"),
        ({"random": 1, "mask_generator": "tall"}, "tall draws masks of 16 x 32; accepted: the shape of GauGAN's, 32"),
        ({"random": 1, "mask_generator": "two"}, "classes"),
    ],
)
def test_what_random_masks_cannot_be_asked_for_is_refused(drawing, options, message):
    save_mask_generator(drawing / "tall", ratio=2)
    save_mask_generator(drawing / "two", classes=TWO)
    options = {key: drawing / value if isinstance(value, str) else value for key, value in options.items()}
    with pytest.raises(UserError, match=message):
        generate_portraits(model=drawing / "gaugan", out=drawing / "out", **options)
    assert not list((drawing / "out").rglob("*.png"))
