"""Masks for images of any size, and the threads around the network."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from facemill.data.classes import CLASSES, HAIR, palette
from facemill.data.shards import decode_mask
from facemill.errors import UserError
from facemill.imaging.figures import colorize
from facemill.inference.segmenter import BATCH, batched, fit, logits_of, map_ahead, predict, segmented, unfit
from facemill.networks.store import device, load_model
from facemill.networks.unet import Unet


def test_logits_are_those_of_the_images_between_0_and_1(painter, scene):
    masks = [scene(seed, 64, 64) for seed in range(3)]
    logits = logits_of(painter, [colorize(mask) for mask in masks])
    assert logits.shape == (3, len(CLASSES), 64, 64)
    assert logits.dtype == torch.float32
    assert (logits.argmax(1).numpy() == masks).all()


def test_a_mirrored_image_has_the_mirrored_logits(models):
    unet = load_model(Unet, models[2])
    images = np.random.default_rng(0).integers(0, 256, (2, unet.size, unet.size, 3), np.uint8)
    assert torch.allclose(logits_of(unet, images[:, :, ::-1]), logits_of(unet, images).flip(3), atol=0.02)
    plain = unet(torch.from_numpy(images).permute(0, 3, 1, 2).to(device()) / 255)
    assert not torch.allclose(plain, logits_of(unet, images), atol=0.02)


def test_segmented_images_are_looked_at_twice_and_keep_their_order(models):
    unet = load_model(Unet, models[2])
    images = np.random.default_rng(0).integers(0, 256, (BATCH + 2, unet.size, unet.size, 3), np.uint8)
    masks = segmented(unet, images)
    assert (masks.dtype, masks.shape) == (np.uint8, images.shape[:3])
    assert (masks == segmented(unet, images[:, :, ::-1])[:, :, ::-1]).mean() > 0.99
    assert (masks[-2:] == segmented(unet, images[-2:])).mean() > 0.99


def test_batched_keeps_everything_in_order():
    assert list(batched(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batched([], 3)) == []


def test_overlapped_keeps_the_order_and_runs_ahead_no_further_than_told():
    taken = []
    release = threading.Event()

    def items():
        for i in range(6):
            taken.append(i)
            yield i

    def slow_first(i: int) -> int:
        return i * 10 if i or release.wait(10) else -1

    with ThreadPoolExecutor(2) as pool:
        results = map_ahead(pool, slow_first, items(), ahead=2)
        timer = threading.Timer(0.05, release.set)
        timer.start()
        assert next(results) == 0
        assert taken == [0, 1, 2]
        assert list(results) == [10, 20, 30, 40, 50]


def test_overlapped_passes_on_what_the_function_raises():
    with ThreadPoolExecutor(2) as pool, pytest.raises(ZeroDivisionError):
        list(map_ahead(pool, lambda i: 1 / i, [2, 1, 0]))


@pytest.mark.parametrize(("width", "height"), [(640, 480), (100, 300), (64, 64), (40, 30), (1000, 20), (1, 1)])
def test_masks_come_back_at_the_pictures_own_size(painter, scene, width, height):
    truth = scene(1, height, width)
    with ThreadPoolExecutor(1) as pool:
        [(name, png)] = predict(painter, ["a"], lambda _: Image.fromarray(colorize(truth)), pool)
    mask = decode_mask(png)
    assert (name, mask.shape) == ("a", (height, width))
    blurred = max(width, height) / 64 * 2 / min(width, height)  # a band along the discs' edges
    assert np.mean(mask == truth) > 1 - max(0.05, blurred)


def test_the_rest_of_the_square_mirrors_the_picture(scene):
    picture = colorize(scene(2, 40, 80))
    square, place = fit(Image.fromarray(picture), 80)
    assert place == (0, 20, 80, 40, 80, 40)
    assert (square[20:60] == picture).all()
    assert (square[:20] == picture[19::-1]).all()
    assert (square[60:] == picture[:19:-1]).all()


def test_logits_are_resized_before_the_argmax():
    logits = torch.randn(1, len(CLASSES), 32, 32, generator=torch.Generator().manual_seed(0))
    _, place = fit(Image.new("RGB", (96, 96)), 32)
    large = torch.nn.functional.interpolate(logits, size=(96, 96), mode="bilinear").argmax(1)[0]
    mask = unfit(logits[0].numpy(), place)
    assert np.mean(mask == large.numpy()) > 0.9999
    assert np.mean(mask == logits[0].argmax(0).numpy().repeat(3, 0).repeat(3, 1)) < 0.99


def test_unreadable_pictures_come_with_their_reason_and_stop_nothing(painter, scene):
    truth = scene(3, 64, 64)

    def read(i: int) -> Image.Image:
        if i % 3 == 0 or 40 <= i < 80:
            raise ValueError(f"broken {i}")
        return Image.fromarray(colorize(truth))

    with ThreadPoolExecutor(2) as pool:
        done = list(predict(painter, range(100), read, pool))
    assert [i for i, _ in done] == list(range(100))
    for i, found in done:
        if i % 3 == 0 or 40 <= i < 80:
            assert str(found) == f"broken {i}"
        else:
            assert (decode_mask(found) == truth).all()


def test_predict_masks_writes_a_mask_for_every_image_and_lists_the_rest(tmp_path, models, script):
    images, out = tmp_path / "images", tmp_path / "images" / "masks"
    (images / "sub").mkdir(parents=True)
    Image.new("RGB", (70, 50), "red").save(images / "a.png")
    Image.new("RGB", (70, 50)).save(images / "a.webp")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (70, 50)).save(images / "sub" / "turned.JPG", exif=turned)
    (images / "broken.png").write_bytes((images / "a.png").read_bytes()[:60])
    (images / "a.json").write_text("{}")
    for _ in range(2):  # the second time the masks lie among the images
        with pytest.raises(SystemExit) as stopped:
            script("predict_masks")(model=models[2].parent, images=images, out=out)
        lines = str(stopped.value.code).splitlines()
        assert lines[0] == "2 of 4 images have no mask:"
        assert lines[1] == f"{images / 'a.webp'}: its mask would replace that of a.png"
        assert lines[2].startswith(f"{images / 'broken.png'}: cannot be read")
        assert sorted(str(p.relative_to(out)) for p in out.rglob("*.*")) == ["a.png", "sub/turned.png"]
    with Image.open(out / "a.png") as mask:
        assert (mask.mode, mask.size, mask.getpalette()[: 3 * HAIR]) == ("P", (70, 50), palette()[: 3 * HAIR])
    with Image.open(out / "sub" / "turned.png") as mask:
        assert mask.size == (50, 70)


def test_predict_masks_refuses_a_folder_without_images_and_its_own(tmp_path, models, script):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UserError, match="no image among 1 files; accepted: .*jpg"):
        script("predict_masks")(model=models[0], images=tmp_path, out=tmp_path / "out")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="is the folder of images"):
        script("predict_masks")(model=models[0], images=tmp_path, out=tmp_path / "." / "")
