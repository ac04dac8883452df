"""Films and photos to tables of faces."""

import hashlib
import re

import cv2
import numpy as np
import pytest
from helpers.color_unet import COLORS
from helpers.films import write_film
from helpers.painted_faces import draw, empty, points_of
from PIL import Image

from facemill.data.classes import IGNORE, ROLES
from facemill.data.shards import read_rows
from facemill.errors import UserError
from facemill.swap import find_faces as module
from facemill.swap.alignment import POINTS, crop
from facemill.swap.cull_faces import cull_faces
from facemill.swap.extract_faces import extract_faces
from facemill.swap.faces import face_of, read_faces
from facemill.swap.find_faces import find_faces, look_of_photo


@pytest.fixture(autouse=True)
def _painted(monkeypatch, segmenter):
    monkeypatch.setattr(module.Segmenter, "load", lambda path: segmenter)


@pytest.fixture
def film(tmp_path):
    """Seven frames with a face, one without, one black, two with the face and a smaller one."""
    frames = [draw(empty(180, 320), 120 + 3 * i, 90, 80) for i in range(7)]
    frames += [empty(180, 320), np.zeros((180, 320, 3), np.uint8)]
    frames += [draw(draw(empty(180, 320), 150 + i, 90, 80), 270, 110, 48) for i in range(2)]
    return folder_of(tmp_path / "film", frames)


def folder_of(folder, pictures):
    folder.mkdir()
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def extract(tmp_path, film, **options):
    out = tmp_path / "out/swap/a"
    options = {"side": "a", "size": 32, "holdout": 0.2} | options
    extract_faces(film=film, unet=tmp_path, faces=out / "faces.parquet", frames=out / "frames.parquet", **options)
    return out


def test_a_film_becomes_two_tables_and_a_picture(film, tmp_path, caplog):
    out = extract(tmp_path, film, picture=tmp_path / "faces.png")
    faces = read_faces(out / "faces.parquet")
    assert [face.id for face in faces] == [f"a-{number:06}-0" for number in (*range(7), 9, 10)]
    assert [face.held_out for face in faces] == [False] * 7 + [True] * 2
    assert {face.image.shape for face in faces} == {(64, 64, 3)}
    for face in faces:
        center = 120 + 3 * face.frame if face.frame < 7 else 141 + face.frame
        assert np.allclose(face.points, points_of(center, 90, 80), atol=1.5)
        assert np.allclose(cv2.transform(face.points[None].astype(float), face.matrix)[0], POINTS, atol=0.05)
        eyes = np.argwhere(face.mask == ROLES.index("eye"))[:, ::-1].mean(0)
        assert np.allclose(eyes, 64 * POINTS[:2].mean(0), atol=3)
        assert abs(face.roll) < 2
    assert "2 faces are held out; figures of so few tell little" in caplog.text
    others = [face for face in read_faces(out / "faces.parquet", usable=False) if face.rejected]
    assert {face.rejected for face in others} == {"another person"}
    assert {face.frame for face in others} == {9, 10}
    table = list(read_rows([out / "frames.parquet"]))
    assert [row["faces"] for row in table] == [1] * 7 + [0, 0, 1, 1]
    assert [row["reason"] for row in table] == [None] * 7 + ["no face"] * 2 + [None] * 2
    assert Image.open(tmp_path / "faces.png").width > 8 * 128


def test_the_same_film_gives_the_same_bytes(film, tmp_path):
    digests = set()
    for _ in range(2):
        out = extract(tmp_path, film, picture=tmp_path / "faces.png")
        files = (out / "faces.parquet", out / "frames.parquet", tmp_path / "faces.png")
        digests.add(tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files))
    assert len(digests) == 1


def test_the_mask_covers_the_crop_of_a_turned_face(finder, tmp_path):
    pixels = draw(empty(300, 300), 150, 150, 120)
    matrix = cv2.getRotationMatrix2D((150, 150), 44, 1)
    turned = cv2.warpAffine(pixels, matrix, (300, 300), flags=cv2.INTER_NEAREST)
    Image.fromarray(turned).save(tmp_path / "photo.png")
    ((row,), _) = find_faces(tmp_path / "photo.png", finder, side="b", size=64)
    assert row["roll"] == pytest.approx(-44, abs=2)
    face = face_of(row)
    assert (face.mask != IGNORE).all()
    true = crop(class_ids(turned), face.matrix, 128, nearest=True)
    assert (true == face.mask).mean() > 0.95


def class_ids(pixels):
    return np.abs(pixels[..., None, :].astype(int) - COLORS).sum(-1).argmin(-1).astype(np.uint8)


def test_photos_of_several_sizes_are_tracks_of_their_own(tmp_path):
    photos = [
        draw(draw(empty(200, 200), 70, 90, 80), 165, 90, 50),
        draw(empty(300, 240), 120, 140, 110),
        np.full((120, 160, 3), 200, np.uint8),
        cv2.cvtColor(cv2.cvtColor(draw(empty(200, 200), 100, 90, 80), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
        np.zeros((5, 5, 3), np.uint8),
    ]
    out = extract(tmp_path, folder_of(tmp_path / "photos", photos))
    faces = read_faces(out / "faces.parquet")
    assert [face.frame for face in faces] == [0, 1]
    assert len({face.track for face in faces}) == 2
    assert [face.held_out for face in faces] == [False, True]
    assert np.allclose(faces[0].points, points_of(70, 90, 80), atol=2)
    assert [row["reason"] for row in read_rows([out / "frames.parquet"])][2:] == ["no face"] * 3


def test_photos_of_one_scene_stand_for_themselves(tmp_path):
    pictures = [draw(empty(180, 320 + i), 120 + 5 * (i % 2), 90, 80) for i in range(6)]
    photos = folder_of(tmp_path / "photos", pictures)
    faces = read_faces(extract(tmp_path, photos) / "faces.parquet")
    assert len({face.track for face in faces}) == 6
    for face in faces:
        assert np.allclose(face.points, points_of(120 + 5 * (face.frame % 2), 90, 80), atol=1)
    same_size = folder_of(tmp_path / "frames", [pixels[:, :320] for pixels in pictures])
    assert len({face.track for face in read_faces(extract(tmp_path, same_size) / "faces.parquet")}) == 1


def test_a_film_of_two_frames_is_enough(tmp_path):
    pictures = [draw(empty(180, 320), 120 + i, 90, 80) for i in range(2)]
    film = write_film(tmp_path / "film.mp4", pictures, options={"crf": "1"})
    assert len(read_faces(extract(tmp_path, film) / "faces.parquet")) == 2


def test_like_chooses_the_smaller_person(film, finder, tmp_path):
    other = draw(empty(180, 320), 90, 90, 90)
    both = draw(other.copy(), 240, 100, 60)
    hair = (class_ids(both) == ROLES.index("hair")) & (np.arange(320) > 170)
    both[hair] = (20, 130, 20)
    photos = folder_of(tmp_path / "both", [both])
    assert [face.points[0, 0] < 160 for face in read_faces(extract(tmp_path, photos) / "faces.parquet")] == [True]
    Image.fromarray(both[:, 170:]).save(tmp_path / "like.png")
    out = extract(tmp_path, photos, like=tmp_path / "like.png")
    assert [face.points[0, 0] > 160 for face in read_faces(out / "faces.parquet")] == [True]
    other = both[:, :170].copy()
    other[class_ids(other) == ROLES.index("hair")] = (60, 180, 60)
    Image.fromarray(other).save(tmp_path / "other.png")
    with pytest.raises(UserError, match=r"^--like .*other\.png: nobody in .*both looks like it; accepted"):
        extract(tmp_path, photos, like=tmp_path / "other.png")
    Image.fromarray(empty(90, 90)).save(tmp_path / "nobody.png")
    with pytest.raises(UserError, match=r"nobody\.png: no face is found in it"):
        look_of_photo(tmp_path / "nobody.png", finder)


def test_faces_are_rejected_by_hand_and_shown_on_the_page(film, tmp_path, caplog):
    (tmp_path / "rejected.txt").write_text("a-000002-0\nb-000002-0\na-009999-0\n")
    out = extract(tmp_path, film, rejected=[tmp_path / "rejected.txt"])
    assert 2 not in [face.frame for face in read_faces(out / "faces.parquet")]
    assert list(read_rows([out / "frames.parquet"]))[2]["reason"] == "by hand"
    assert "1 ids name no face, the first: a-009999-0" in caplog.text
    cull_faces(faces=out / "faces.parquet", page=tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<figure data-id=") == 9
    assert 'given = ["a-000002-0"]' in page
    assert "out, faces of a" in page
    assert "rejected-faces-a.txt" in page
    assert "Click a face to reject it" in page


def test_the_browser_tells_the_clicks_of_two_films_apart(film, tmp_path):
    def key(source, **options):
        """By which the browser stores the clicks."""
        cull_faces(faces=extract(tmp_path, source, **options) / "faces.parquet", page=tmp_path / "page.html")
        return re.search(r'const key = ("[^"]*")', (tmp_path / "page.html").read_text()).group(1)

    (tmp_path / "rejected.txt").write_text("a-000002-0\n")
    other = folder_of(tmp_path / "other", [draw(empty(180, 320), 124 + 3 * i, 90, 80) for i in range(7)])
    keys = [key(film), key(film, rejected=[tmp_path / "rejected.txt"]), key(other)]
    assert keys[0] == keys[1] != keys[2]


def test_lists_and_films_that_cannot_be_used_are_refused(film, tmp_path):
    (tmp_path / "rejected.txt").write_text('{"a": 1}, x\n')
    with pytest.raises(UserError, match=r"^swap\.rejected_faces: .*rejected\.txt: found"):
        extract(tmp_path, film, rejected=[tmp_path / "rejected.txt"])
    nobody = folder_of(tmp_path / "nobody", [empty(90, 160)] * 3)
    with pytest.raises(UserError, match="nobody: no face in any of its 3 frames"):
        extract(tmp_path, nobody)
    with pytest.raises(UserError, match=r"none of its 11 faces can be used \(.*9 small.*\); accepted"):
        extract(tmp_path, film, size=400)
    with pytest.raises(UserError, match="holdout 1, size 32; accepted"):
        extract(tmp_path, film, holdout=1.0)
    for size in (0, 8, 40):
        with pytest.raises(UserError, match=f"size {size}; accepted: 0 to below 1, and a multiple of 16 pixels"):
            extract(tmp_path, film, size=size)
    assert not (tmp_path / "out").exists()


def test_outputs_are_looked_at_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(module.Segmenter, "load", lambda path: pytest.fail("it works"))
    photo = tmp_path / "photo.png"
    Image.fromarray(empty(90, 90)).save(photo)
    with pytest.raises(UserError, match=r"^--picture .*photo\.png: .* would be replaced, which is read"):
        extract(tmp_path, photo, picture=photo)
    with pytest.raises(UserError, match=r"^--picture .*photo\.png: a file; accepted: a folder"):
        extract(tmp_path, photo, picture=photo / "faces.png")
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match=r"^--faces .*out is a file; accepted: a folder"):
        extract(tmp_path, photo)
