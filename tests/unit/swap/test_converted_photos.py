"""Photos with other faces: those of a folder, a single one, names, and tables that do not fit."""

from pathlib import Path

import numpy as np
import pytest
from helpers.films import picture
from helpers.swapped import draw_face, points_at, write_faces
from PIL import Image

from facemill.data.image_files import read_rgb
from facemill.data.synthetic import read_mark
from facemill.errors import UserError
from facemill.swap.convert_faces import convert_faces
from facemill.swap.converted_photos import png_names
from facemill.swap.find_faces import read_pictures

pytestmark = pytest.mark.usefixtures("in_a_folder")


def test_a_folder_of_photos_of_several_sizes(model, caplog):
    folder, places = Path("in"), {0: points_at(44, 34, 40), 1: points_at(60, 60, 60)}
    folder.mkdir()
    for name, pixels in (("1.png", picture(0, 128, 96)), ("2.png", picture(1, 111, 121)), ("10.png", picture(2))):
        Image.fromarray(pixels).save(folder / name)
    (folder / "3.png").write_bytes(b"no picture")
    table = write_faces(Path("faces.parquet"), read_pictures(folder), places)
    convert_faces(model=model, input=folder, direction="a2b", out=Path("out"), faces=table, no_mark=True)
    assert "1 of 4 photos cannot be read, and are left out:\n  in/3.png: " in caplog.text
    assert sorted(path.name for path in Path("out").iterdir()) == ["1.png", "10.png", "2.png"]
    changes = {}
    for path in Path("out").iterdir():
        before, after = (np.asarray(read_rgb(each)).astype(int) for each in (folder / path.name, path))
        assert before.shape == after.shape
        changes[path.name] = np.abs(before - after).max()
        assert read_mark(path).ingredients.keys() == {path.name}
    assert changes["10.png"] == 0 and min(changes["1.png"], changes["2.png"]) > 40


def test_a_photo(model):
    photo, points = Path("in.png"), points_at(60, 50, 50)
    Image.fromarray(draw_face(picture(0, 121, 95), points)).save(photo)
    table = write_faces(Path("faces.parquet"), read_pictures(photo), {0: points})
    convert_faces(model=model, input=photo, direction="a2b", out=Path("new/out.png"), faces=table)
    assert np.asarray(read_rgb(Path("new/out.png"))).shape == (95, 121, 3)
    assert read_mark(Path("new/out.png")).source_type == "compositeWithTrainedAlgorithmicMedia"


def test_photos_of_one_name_do_not_replace_each_other(model):
    folder, points = Path("in"), points_at(60, 50, 50)
    folder.mkdir()
    for name in ("a.png", "a.bmp", "b.bmp"):
        Image.fromarray(draw_face(picture(0, 121, 95), points)).save(folder / name)
    table = write_faces(Path("faces.parquet"), read_pictures(folder), dict.fromkeys(range(3), points))
    convert_faces(model=model, input=folder, direction="a2b", out=Path("out"), faces=table)
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.bmp.png", "a.png.png", "b.png"]
    assert read_mark(Path("out/a.bmp.png")).ingredients.keys() == {"a.bmp"}


def test_names_of_pngs_are_all_different():
    assert png_names(["x/a.jpg", "x/a.jpg.bmp", "x/a.png", "y/a.jpg"]) == {
        "x/a.jpg": "x/a.jpg.png",
        "x/a.jpg.bmp": "x/a.jpg.bmp.png",
        "x/a.png": "x/a.png.png",
        "y/a.jpg": "y/a.png",
    }


@pytest.fixture
def photos():
    """A folder of four photos and the table of their faces."""
    folder, places = Path("in"), {number: points_at(44 + 3 * number, 40, 40) for number in range(4)}
    folder.mkdir()
    for number, points in places.items():
        Image.fromarray(draw_face(picture(number), points)).save(folder / f"{number}.png")
    return folder, write_faces(Path("photos/faces.parquet"), read_pictures(folder), places)


def test_photos_that_follow_one_that_was_replaced_are_not_written_with_faces_of_others(model, photos):
    folder, table = photos
    Image.fromarray(255 - picture(2)).save(folder / "2.png")
    with pytest.raises(UserError, match=r"photos/faces.parquet: has another picture of frame 2; accepted"):
        convert_faces(model=model, input=folder, direction="a2b", out=Path("out"), faces=table)
    assert not Path("out").exists()


def test_a_folder_without_a_readable_photo(model, photos):
    folder, table = photos
    for path in folder.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(UserError, match="in: not a single image can be read"):
        convert_faces(model=model, input=folder, direction="a2b", out=Path("out"), faces=table)
    assert not Path("out").exists()
