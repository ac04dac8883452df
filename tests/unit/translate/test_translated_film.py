"""Translations of films: times, sound, the mark, faces, and how much they flicker."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from helpers.color_unet import COLORS, ColorUnet
from helpers.translators import SIZE, noise, read, save, save_translators, translator

from facemill.data.classes import SEVEN
from facemill.data.film import FilmWriter, about, frames
from facemill.data.synthetic import read_mark
from facemill.errors import UserError
from facemill.inference.segmenter import Segmenter
from facemill.translate.flicker import Flicker
from facemill.translate.test_time_augmentation import translate_augmented
from facemill.translate.translate_images import translate_images


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_translators(tmp_path_factory.mktemp("cyclegan"))


def test_an_augmented_translation_is_the_mean_of_translations_of_moved_images(model):
    class Shifting:
        """Paints a grid of its own over images: what depends on the place, which the mean of all four hides."""

        def translate(self, images):
            assert images.shape[1:] == (SIZE + 4, SIZE + 4, 3)
            rows = 40 * (np.arange(images.shape[1]) % 4)
            return (images // 2 + rows[None, :, None, None]).astype(np.uint8)

    images = noise(SIZE, SIZE)[None]
    steady = translate_augmented(Shifting(), images, 4)
    assert np.abs(steady.astype(int) - (images // 2 + 60)).max() <= 1
    rough = translate_augmented(Shifting(), images, 2).astype(int) - images // 2
    assert np.ptp(rough) > 30
    assert (translate_augmented(translator(model), images, 1) == translator(model).translate(images)).all()


def test_an_augmented_translation_is_less_restless_as_a_picture_moves(model):
    still = np.repeat(np.repeat(noise(16, 16), 4, 0), 4, 1)
    network = translator(model)

    def unrest(tta):
        """Mean change of a translation beside the move of a pixel that its picture makes."""
        a, b = (translate_augmented(network, still[None, :48, x : x + 48], tta)[0].astype(int) for x in (0, 1))
        return np.abs(a[8:-8, 9:-8] - b[8:-8, 8:-9]).mean()

    assert unrest(4) < 0.7 * unrest(1)


def film_of(path, pictures, sound=None):
    with FilmWriter(path, rate=Fraction(12), sound=sound) as writer:
        for pixels in pictures:
            writer.write(pixels)
    return path


def test_a_film_keeps_times_and_sound_and_bears_the_mark(tmp_path, model):
    sound = np.sin(np.arange(24000) / 20).astype(np.float32)
    film = film_of(tmp_path / "in.mp4", [noise(48, 64, seed) for seed in range(6)], sound)
    out = tmp_path / "out.mp4"
    translate_images(model=model, film=film, out=out)
    assert [frame.time for frame in frames(out)] == [frame.time for frame in frames(film)]
    assert about(out).sound and (about(out).width, about(out).height) == (44, 32)
    assert read_mark(out).source_type == "compositeWithTrainedAlgorithmicMedia"
    assert (tmp_path / "out.mp4.json").exists()


def test_a_film_of_a_face_is_the_square_around_it_and_frames_without_pass_untranslated(tmp_path, model, monkeypatch):
    monkeypatch.setattr(Segmenter, "load", lambda path: Segmenter(ColorUnet().eval(), SEVEN))
    unet = tmp_path / "model.safetensors"
    unet.write_bytes(b"weights")
    empty = np.full((120, 200, 3), COLORS[0], np.uint8)
    face = empty.copy()
    cv2.ellipse(face, (140, 60), (20, 26), 0, 0, 360, COLORS[2].tolist(), -1)
    for x in (130, 150):
        cv2.circle(face, (x, 56), 3, COLORS[3].tolist(), -1)
    folder = tmp_path / "in"
    for number, pixels in enumerate([empty, face, face, empty]):
        save(folder / f"{number}.png", pixels)
    translate_images(model=model, film=folder, out=tmp_path / "out", unet=unet, no_mark=True)
    first, seen, _, gone = (read(path) for path in sorted((tmp_path / "out").iterdir()))
    assert first.shape == (SIZE, SIZE, 3)
    assert (first == COLORS[0]).all() and (gone == COLORS[0]).all()
    assert (seen != COLORS[0]).any()
    with pytest.raises(UserError, match="the U-Net sees no face in its 1 frames"):
        (tmp_path / "none").mkdir()
        save(tmp_path / "none/0.png", empty)
        translate_images(model=model, film=tmp_path / "none", out=tmp_path / "never", unet=unet)
    assert not (tmp_path / "never").exists()


def flicker_of(film, translate=lambda images: images):
    """The figures of a film, uint8 RGB (N, H, W, 3), and its translation."""
    flicker = Flicker()
    for pixels, translated in zip(film, translate(film), strict=True):
        flicker.add(pixels, translated)
    return flicker.figures()


def moving_square(count=9, background=100):
    """A square that moves by a pixel a frame over a flat ground."""
    film = np.full((count, SIZE, SIZE, 3), background, np.uint8)
    for number, frame in enumerate(film):
        frame[8:16, 4 + number : 12 + number] = 200
    return film


class Gridded:
    """Paints everything lighter by the place of the square's left edge on a grid of four pixels."""

    def translate(self, images):
        edges = (images[..., 0] == 200).any(1).argmax(1)
        return (images // 2 + 30 * (edges % 4)[:, None, None, None]).astype(np.uint8)


def test_a_steady_film_has_no_flicker_and_a_noisy_one_has_its_noise():
    steady = np.repeat(noise(SIZE, SIZE)[None] // 4 + 64, 8, 0)
    assert flicker_of(steady) == (0, 0, 1)
    rng = np.random.default_rng(0)
    noisy = (steady + rng.integers(0, 4, steady.shape)).astype(np.uint8)
    figures = flicker_of(noisy, lambda images: 2 * (images - 64))
    assert figures == (pytest.approx(1.25, abs=0.05), 2 * figures.film, 1)  # the mean difference of two of 0 to 3


def test_flicker_is_told_where_the_film_is_still():
    film = moving_square()
    assert flicker_of(film) == (0, 0, pytest.approx(1 - 16 / SIZE**2))  # less both edges of the square's eight rows
    everywhere = np.stack([np.full((SIZE, SIZE, 3), 20 * number, np.uint8) for number in range(8)])
    assert flicker_of(everywhere) == (0, 0, 0)
    flicker = Flicker()
    assert str(flicker) == "no pixel is still in neighboring frames, so that flicker cannot be told"


def test_the_augmentation_lowers_the_flicker_of_a_grid_of_four_pixels():
    film = moving_square()
    once, twice, four = (
        flicker_of(film, lambda images, tta=tta: translate_augmented(Gridded(), images, tta)).translation
        for tta in (1, 2, 4)
    )
    assert once == pytest.approx(45)  # the mean of 30, 30, 30 and 90
    assert four == pytest.approx(0, abs=0.5)
    assert four < twice < once


def test_frames_that_are_not_translated_are_no_neighbors():
    flicker = Flicker()
    black, white = (np.full((4, 4, 3), level, np.uint8) for level in (0, 255))
    for translated in (black, None, white, white):
        flicker.add(black, translated)
    assert flicker.figures() == (0, 0, 1)
    flicker.add(black, black)
    assert str(flicker) == "flicker where the film is still (100%): 0.00 in it, 127.50 translated, of 255"


def test_the_flicker_of_a_film_is_in_the_log(tmp_path, model, caplog):
    caplog.set_level("INFO", logger="facemill")
    for number, pixels in enumerate(moving_square(4)):
        save(tmp_path / f"in/{number}.png", pixels)
    translate_images(model=model, film=tmp_path / "in", out=tmp_path / "out", no_mark=True)
    film = [frame.pixels for frame in frames(tmp_path / "in")]
    expected = flicker_of(film, lambda _: [read(path) for path in sorted((tmp_path / "out").iterdir())])
    assert expected.translation > expected.film == 0
    [line] = [message for message in caplog.messages if "flicker where" in message]
    assert line == (
        f"translate_images: flicker where the film is still ({expected.still:.0%}): 0.00 in it, "
        f"{expected.translation:.2f} translated, of 255"
    )
