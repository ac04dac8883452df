import numpy as np
from PIL import Image

from facemill.data.classes import IGNORE, SEVEN
from facemill.imaging.figures import CAPTION, PAPER, colorize, image_grid, overlay, plot, save_animation, save_picture

[HAIR] = SEVEN.role_ids("hair")


def flat(color: tuple[int, int, int], size: int = 8) -> np.ndarray:
    return np.full((size, size, 3), color, np.uint8)


def test_masks_show_their_classes_colors_and_white_where_ignored():
    shown = colorize(np.array([[0, HAIR, IGNORE]], np.uint8), SEVEN)
    assert [tuple(pixel) for pixel in shown[0]] == [SEVEN.colors[0], SEVEN.colors[HAIR], (255, 255, 255)]


def test_an_overlay_mixes_and_leaves_ignored_pixels():
    mask = np.array([[HAIR, IGNORE]], np.uint8)
    shown = overlay(np.zeros((1, 2, 3), np.uint8), mask, SEVEN, opacity=0.5)
    assert tuple(shown[0, 0]) == tuple(c // 2 for c in SEVEN.colors[HAIR])
    assert tuple(shown[0, 1]) == (0, 0, 0)


def test_a_grid_puts_each_image_into_its_cell():
    red, blue = (255, 0, 0), (0, 0, 255)
    grid = np.asarray(image_grid([[flat(red), None], [flat(blue), flat(red, 64)]], cell=32, gap=4))
    assert grid.shape == (4 + 2 * 36, 4 + 2 * 36, 3)
    centers = [tuple(grid[4 + 16 + 36 * y, 4 + 16 + 36 * x]) for y in (0, 1) for x in (0, 1)]
    assert centers == [red, PAPER, blue, red]
    assert tuple(grid[3, 20]) == PAPER and tuple(grid[4, 20]) == red


def test_captions_make_room_for_themselves():
    plain = image_grid([[flat((0, 0, 0))]], cell=32)
    named = image_grid([[flat((0, 0, 0))]], ["column"], ["a long caption"], cell=32)
    assert named.width > plain.width + 60 and named.height >= plain.height + CAPTION
    assert (np.asarray(named)[: CAPTION + 10] < 128).any()  # the column's name is there


def test_images_that_are_not_square_keep_their_shape():
    wide = np.zeros((10, 40, 3), np.uint8)
    grid = np.asarray(image_grid([[wide]], cell=32, gap=0))
    assert (grid[:8] == 0).all() and (grid[8:] == 255).all()


def test_pictures_and_plots_are_written_atomically_and_the_same_each_time(tmp_path):
    for name in "ab":
        save_picture(Image.new("RGB", (4, 4)), tmp_path / f"{name}.png")
        with plot(tmp_path / f"{name}-plot.png", 2, 2) as (_, axes):
            axes.plot([1, 2], [3, 4])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a-plot.png").read_bytes() == (tmp_path / "b-plot.png").read_bytes()
    assert Image.open(tmp_path / "a-plot.png").size == (240, 240)
    assert len(list(tmp_path.iterdir())) == 4


def test_an_animation_plays_there_and_back(tmp_path):
    shades = [flat((value, 0, 0)) for value in (0, 90, 180, 255)]
    save_animation([shades, shades[::-1]], tmp_path / "a.webp", columns=2, cell=32)
    with Image.open(tmp_path / "a.webp") as animation:
        assert animation.n_frames == 6 and animation.size == (6 + 2 * 38, 6 + 38)
        shown = []
        for frame in range(6):
            animation.seek(frame)
            shown.append([animation.convert("RGB").getpixel((6 + 16 + 38 * x, 22))[0] for x in (0, 1)])
    expected = [(0, 255), (90, 180), (180, 90), (255, 0), (180, 90), (90, 180)]
    assert np.abs(np.array(shown) - expected).max() < 12


def test_titles_stand_above_an_animation_each_at_its_time(tmp_path):
    save_animation([[flat((0, 0, 0))] * 3] * 2, tmp_path / "a.webp", cell=64, titles=["", "black hair", "red"])
    with Image.open(tmp_path / "a.webp") as animation:
        ink = []
        for frame in range(animation.n_frames):
            animation.seek(frame)
            ink.append(int((np.asarray(animation.convert("L"))[: CAPTION + 10] < 128).sum()))
    assert ink[0] == 0 < ink[2] < ink[1] == ink[3] and len(ink) == 4
