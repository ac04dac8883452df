"""Tables of faces: what is written is read."""

from dataclasses import replace

import datasets
import numpy as np
import pyarrow as pa
import pytest

from facemill.data.classes import IGNORE, SEVEN
from facemill.data.shards import write_shard
from facemill.errors import UserError
from facemill.swap import faces as module
from facemill.swap.faces import FACES_SCHEMA, Face, face_of, read_faces, row_of


def face(frame, number=0, **changes):
    random = np.random.default_rng(frame)
    mask = random.choice([0, 2, 6, IGNORE], (32, 32)).astype(np.uint8)
    made = Face(
        id=f"a-{frame:06}-{number}",
        frame=frame,
        face=number,
        track=1,
        pts=frame * 5,
        time=frame / 12,
        box=np.array([1, 2, 30, 40], np.float32),
        points=random.uniform(0, 50, (3, 2)).astype(np.float32),
        matrix=random.normal(size=(2, 3)),
        confidence=0.5,
        sharpness=3.0,
        distance=0.25,
        roll=-2.0,
        image=random.integers(0, 256, (32, 32, 3), np.uint8),
        mask=mask,
    )
    return replace(made, **changes)


def write(path, faces):
    write_shard(path, [row_of(face) for face in faces], FACES_SCHEMA, SEVEN)
    return path


def test_a_face_comes_back_as_it_was(tmp_path):
    written = face(3)
    (read,) = read_faces(write(tmp_path / "faces.parquet", [written]))
    for name, value in vars(written).items():
        assert np.array_equal(getattr(read, name), value), name
        assert getattr(getattr(read, name), "dtype", None) == getattr(value, "dtype", None), name


def test_faces_are_chosen_and_in_order_of_frames(tmp_path):
    faces = [face(5), face(2, held_out=True), face(2, number=1, rejected="small"), face(4, held_out=True)]
    path = write(tmp_path / "faces.parquet", faces)

    def chosen(**options):
        return [(f.frame, f.face) for f in read_faces(path, **options)]

    assert chosen() == [(2, 0), (4, 0), (5, 0)]
    assert chosen(usable=False) == [(2, 0), (2, 1), (4, 0), (5, 0)]
    assert chosen(held_out=True) == [(2, 0), (4, 0)]
    assert chosen(held_out=False) == []
    assert chosen(every=2) == [(2, 0), (4, 0)]


def test_faces_that_were_smoothed_with_held_out_ones_are_not_learned_from(tmp_path):
    faces = [face(frame, held_out=5 <= frame < 8, track=int(frame > 8)) for frame in range(12)]
    learned = read_faces(write(tmp_path / "faces.parquet", faces), held_out=False)
    assert [one.frame for one in learned] == [0, 1, 2, 9, 10, 11]


def test_the_images_of_other_faces_are_not_read(tmp_path, monkeypatch):
    write(tmp_path / "faces.parquet", [face(frame, rejected="small") for frame in range(5)])
    read, rows_at = [], module.rows_at
    monkeypatch.setattr(module, "rows_at", lambda paths, *rest: read.append(rest[0]) or rows_at(paths, *rest))
    assert read_faces(tmp_path / "faces.parquet") == []
    assert read == [[]]


def test_the_library_datasets_opens_the_table(tmp_path):
    path = write(tmp_path / "faces.parquet", [face(1)])
    row = datasets.Dataset.from_parquet(str(path), cache_dir=tmp_path)[0]
    assert row["image"].size == row["mask"].size == (32, 32)


def test_other_tables_are_refused(tmp_path):
    write_shard(tmp_path / "other.parquet", [{"id": "1"}], pa.schema([("id", pa.string())]))
    with pytest.raises(UserError, match=r"other\.parquet: has no column box; accepted"):
        read_faces(tmp_path / "other.parquet")
    with pytest.raises(UserError, match="no such shard"):
        read_faces(tmp_path / "none.parquet")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"matrix": [1.0, 2.0, 0.0, 2.0, 4.0, 0.0]}, r"matrix \[\[1.0, .*\]\]; accepted: one that can be inverted"),
        ({"matrix": [np.nan] * 6}, r"matrix .*nan.*; accepted: one that can be inverted"),
        ({"points": [1.0]}, "cannot reshape array .*; accepted: a row that extract_faces wrote"),
        ({"image": {"bytes": b"no image"}}, "an image in a shard cannot be decoded; accepted: .*"),
        ({"image": {"bytes": b""}}, ".*; accepted: .*"),
        ({"image": {"bytes": None}}, ".*; accepted: .*"),
        ({"image": None}, ".*; accepted: .*"),
        ({"mask": {"bytes": b"no mask"}}, "a mask: .*; accepted: .*"),
    ],
)
def test_a_row_that_holds_no_face_is_named(changes, fault):
    with pytest.raises(UserError, match=f"^face a-000003-0: {fault}$"):
        face_of(row_of(face(3)) | changes)
