"""Masks for a folder of images."""

import numpy as np
import pytest
from helpers.scenes import THREE, save_unet, save_varied_unet
from PIL import Image

from facemill.data.classes import SEVEN
from facemill.data.controlnet import CONTROLNET_COLORS
from facemill.errors import UserError
from facemill.imaging.figures import colorize
from facemill.segment.predict_masks import predict_masks


def test_every_image_gets_a_mask_and_the_rest_are_listed(tmp_path, models):
    images, out = tmp_path / "images", tmp_path / "masks"
    (images / "sub").mkdir(parents=True)
    Image.new("RGB", (70, 50), "red").save(images / "a.png")
    Image.new("RGB", (70, 50)).save(images / "a.webp")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (70, 50)).save(images / "sub" / "turned.JPG", exif=turned)
    (images / "broken.png").write_bytes((images / "a.png").read_bytes()[:60])
    (images / "a.json").write_text("{}")
    for hidden in ("._y.png", ".ipynb_checkpoints/a-checkpoint.png"):
        (images / hidden).parent.mkdir(exist_ok=True)
        (images / hidden).write_bytes((images / "a.png").read_bytes())
    for _ in range(2):  # the second time over its masks
        with pytest.raises(UserError) as raised:
            predict_masks(model=models[2].parent, images=images, out=out)
        lines = str(raised.value).splitlines()
        assert lines[0] == "2 of 4 images have no mask:"
        assert lines[1] == f"  {images / 'a.webp'}: its mask would replace that of a.png"
        assert lines[2].startswith(f"  {images / 'broken.png'}: cannot be read")
        assert sorted(str(p.relative_to(out)) for p in out.rglob("*.*")) == ["a.png", "sub/turned.png"]
    with Image.open(out / "a.png") as mask:
        assert (mask.mode, mask.size, bytes(mask.getpalette()[:21])) == ("P", (70, 50), SEVEN.palette[:21])
    with Image.open(out / "sub" / "turned.png") as mask:
        assert mask.size == (50, 70)


def test_masks_carry_the_models_table(tmp_path):
    model = save_unet(tmp_path / "model.safetensors", THREE)
    (tmp_path / "images").mkdir()
    Image.new("RGB", (80, 80), "red").save(tmp_path / "images" / "a.png")
    predict_masks(model=model, images=tmp_path / "images", out=tmp_path / "masks")
    with Image.open(tmp_path / "masks" / "a.png") as mask:
        assert '"hat"' in mask.info["classes"] and mask.getextrema()[1] < 3


def test_masks_in_the_colors_of_controlnet_show_the_same_classes(tmp_path, scene):
    model = save_varied_unet(tmp_path / "model.safetensors")
    (tmp_path / "images").mkdir()
    Image.fromarray(colorize(scene(1, 50, 70), SEVEN)).save(tmp_path / "images" / "a.jpg")
    for colors in ("classes", "controlnet"):
        predict_masks(model=model, images=tmp_path / "images", out=tmp_path / colors, colors=colors)
    with Image.open(tmp_path / "classes" / "a.png") as mask, Image.open(tmp_path / "controlnet" / "a.png") as shown:
        ids, pixels = np.asarray(mask), np.asarray(shown)
        assert (mask.mode, shown.mode, shown.format) == ("P", "RGB", "PNG")
    expected = np.array([CONTROLNET_COLORS[SEVEN.root[i].role] for i in ids.ravel()]).reshape(50, 70, 3)
    assert len(np.unique(ids)) > 3
    assert (pixels == expected).all()


def test_classes_without_a_role_have_no_color_of_controlnet(tmp_path):
    model = save_unet(tmp_path / "model.safetensors", THREE)
    (tmp_path / "images").mkdir()
    Image.new("RGB", (80, 80)).save(tmp_path / "images" / "a.png")
    with pytest.raises(UserError, match="found no role of hat"):
        predict_masks(model=model, images=tmp_path / "images", out=tmp_path / "masks", colors="controlnet")
    assert not (tmp_path / "masks").exists()


def test_what_is_no_folder_of_images_is_called_so(tmp_path, models):
    (tmp_path / "notes.txt").write_text("")
    for name, reason in {
        "": "no image among 1 files; accepted: .*jpg",
        "notes.txt": "a file; accepted: a folder",
        "none": "no such folder",
    }.items():
        with pytest.raises(UserError, match=f"--images {tmp_path / name}: {reason}"):
            predict_masks(model=models[0], images=tmp_path / name, out=tmp_path / "out")


def test_no_image_is_replaced(tmp_path, models):
    images = tmp_path / "all" / "new"
    (images / "new").mkdir(parents=True)
    for name in ("a.png", "new/a.png"):
        Image.new("RGB", (64, 64), "red").save(images / name)
    for out, reason in {
        "all/new": "is --images",
        "all/new/new": "lies in --images",
        "all": "all/new/a.png would be replaced, which is read",
    }.items():
        with pytest.raises(UserError, match=f"--out {tmp_path / out}: .*{reason}"):
            predict_masks(model=models[0], images=images, out=tmp_path / out)
    assert {Image.open(path).mode for path in images.rglob("*.png")} == {"RGB"}


def test_images_of_one_fault_are_counted_and_the_first_named(tmp_path):
    model = save_unet(tmp_path / "model.safetensors", THREE)
    images = tmp_path / "images"
    images.mkdir()
    for number in range(30):
        (images / f"{number:02}.png").write_text("no image")
    with pytest.raises(UserError, match="^30 of 30 images have no mask:") as caught:
        predict_masks(model=model, images=images, out=tmp_path / "masks")
    [_, line] = str(caught.value).splitlines()
    assert line.startswith("  30 times: cannot be read") and line.endswith(f"{images / '09.png'} and 20 more")
