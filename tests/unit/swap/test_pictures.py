"""Films, folders and photos as frames."""

import numpy as np
import pytest
from helpers.films import PICTURES, write_film
from PIL import ExifTags, Image

from facemill.errors import UserError
from facemill.swap.pictures import are_photos, read_pictures


def save(path, *shape):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8)).save(path)


def test_a_film_is_read_as_films_are(tmp_path):
    film = write_film(tmp_path / "film.mp4", PICTURES[:3])
    assert [frame.number for frame in read_pictures(film)] == [0, 1, 2]


def test_photos_of_several_sizes_are_read_in_natural_order_and_unreadable_ones_named(tmp_path, caplog):
    for number, shape in ((10, (20, 30, 3)), (2, (40, 30)), (1, (5, 5, 3))):
        save(tmp_path / f"photo{number}.png", *shape)
    (tmp_path / "photo3.jpg").write_bytes(b"no image")
    (tmp_path / "notes.txt").write_text("no image")
    frames = list(read_pictures(tmp_path))
    assert [frame.pixels.shape for frame in frames] == [(5, 5, 3), (40, 30, 3), (20, 30, 3)]
    assert [(frame.number, frame.pts) for frame in frames] == [(0, 0), (1, 1), (2, 3)]
    assert "skipped 1 images: photo3.jpg cannot be read" in caplog.text
    caplog.clear()
    assert len(list(read_pictures(tmp_path, quiet=True))) == 3
    assert "photo3" not in caplog.text


def test_one_photo_is_one_frame_and_an_animation_a_film(tmp_path):
    save(tmp_path / "photo.png", 20, 30, 3)
    (frame,) = read_pictures(tmp_path / "photo.png")
    assert frame.pixels.shape == (20, 30, 3)
    images = [Image.fromarray(pixels) for pixels in PICTURES[:4]]
    images[0].save(tmp_path / "film.gif", save_all=True, append_images=images[1:], duration=100)
    assert len(list(read_pictures(tmp_path / "film.gif"))) == 4


def test_a_photo_and_images_of_several_sizes_are_photos_and_those_of_one_size_a_film(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(3):
        save(folder / f"{number}.png", 20, 30, 3)
    (folder / "broken.png").write_bytes(b"no image")
    assert not are_photos(folder)
    assert are_photos(folder / "0.png")
    assert not are_photos(write_film(tmp_path / "film.mp4", PICTURES[:3]))
    on_its_side = Image.Exif()
    on_its_side[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (30, 20)).save(folder / "turned.jpg", exif=on_its_side)
    assert are_photos(folder)


def test_what_shows_nothing_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"none\.mp4: no such film or folder"):
        list(read_pictures(tmp_path / "none.mp4"))
    (tmp_path / "film.mp4").write_text("no film")
    with pytest.raises(UserError, match=r"film\.mp4: not a film"):
        list(read_pictures(tmp_path / "film.mp4"))
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(UserError, match="no image among 0 files"):
        list(read_pictures(folder))
    (folder / "a.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="not a single image can be read"):
        list(read_pictures(folder))
