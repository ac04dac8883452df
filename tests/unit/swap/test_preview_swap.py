"""Sheets of all settings."""

from pathlib import Path

import numpy as np
import pytest
from helpers.films import picture, write_film
from helpers.swapped import draw_face, points_at, save_network, write_faces
from PIL import Image

from facemill.data.film import frames
from facemill.data.image_files import read_rgb
from facemill.data.synthetic import draw_mark, read_mark
from facemill.errors import UserError
from facemill.imaging.figures import image_grid
from facemill.swap.converter import Converter
from facemill.swap.preview_swap import preview_swap


def test_a_row_for_each_setting_and_a_column_for_each_of_eight_frames(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = {number: points_at(50 + number, 44, 50) for number in range(1, 20)}
    shown = [draw_face(picture(i, 128, 96), places[i]) if i in places else picture(i, 128, 96) for i in range(20)]
    film = write_film(tmp_path / "in.mp4", shown)
    table = write_faces(tmp_path / "faces.parquet", frames(film), places)
    sheets, made, drawn, grid, draw = [], [], [], image_grid, Converter.draw

    def noted(rows, *labels, **options):
        """The grid, noted."""
        sheets.append((rows, *labels))
        made.append(grid(rows, *labels, **options))
        return made[0]

    def counted(converter, pixels, faces):
        """What is drawn, counted."""
        drawn.append(len(faces))
        return draw(converter, pixels, faces)

    monkeypatch.setattr("facemill.swap.preview_swap.image_grid", noted)
    monkeypatch.setattr(Converter, "draw", counted)
    options = {"model": save_network(tmp_path / "swap"), "input": film, "faces": table}
    preview_swap(**options, direction="a2b", picture=Path("sheet.png"))
    [(rows, columns, labels)] = sheets
    assert len(columns) == 8 and {len(row) for row in rows} == {8}
    assert labels[0] == "input" and len(set(labels)) == len(rows) == 19
    assert {"lab, alpha, 0.06", "none, poisson, 0.12"} < set(labels)
    first = [row[0].astype(int) for row in rows]
    assert all(np.abs(converted - first[0]).max() > 30 for converted in first[1:])
    assert len({converted.tobytes() for converted in first}) == 19
    assert np.asarray(read_rgb(Path("sheet.png"))).shape[1] > 8 * 144
    corner = np.asarray(read_rgb(Path("sheet.png")))[-20:, :60]
    assert (corner == draw_mark(np.asarray(made[0]))[-20:, :60]).all()
    assert drawn == [8]
    assert read_mark(Path("sheet.png")).source_type == "compositeWithTrainedAlgorithmicMedia"
    with pytest.raises(UserError, match="holds a-000001-0; accepted: faces of b"):
        preview_swap(**options, direction="b2a", picture=Path("sheet.png"))


@pytest.mark.parametrize(
    ("picture", "fault"),
    [
        ("sheet.jpg", "--picture sheet.jpg: accepted: a .png"),
        ("in/1.png", "--picture in/1.png: in/1.png would be replaced, which is read"),
        ("in/1.png/sheet.png", "--picture in/1.png: a file; accepted: a folder"),
    ],
)
def test_where_the_sheet_goes_is_checked_first(tmp_path, monkeypatch, picture, fault):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Image.new("RGB", (96, 72)).save("in/1.png")
    with pytest.raises(UserError) as error:
        preview_swap(model=Path("none"), input=Path("in"), direction="a2b", picture=Path(picture))
    assert str(error.value).startswith(fault)
