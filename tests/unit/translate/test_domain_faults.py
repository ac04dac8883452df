"""Collections that do not suit each other."""

import logging

import cv2
import numpy as np
import pyarrow as pa
import pytest
from helpers.heads import head

from facemill.data.classes import SEVEN
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, write_shard
from facemill.errors import UserError
from facemill.translate.domain_faults import check_domains, chroma, face_width
from facemill.translate.domains import Domain


def pictures(seed, count=30, gray=False):
    """Smooth colored pictures of 64 x 64 pixels."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (count, 9, 9, 3)).astype(np.uint8)
    large = np.stack([cv2.resize(image, (64, 64), interpolation=cv2.INTER_CUBIC) for image in small])
    return large[..., :1].repeat(3, 3) if gray else large


def domain(folder, images, mask=None):
    """The domain of a shard of images, all with one mask where it is given."""
    columns = [("id", pa.string()), ("image", IMAGE)] + ([("mask", IMAGE)] if mask is not None else [])
    rows = [{"id": str(i), "image": {"bytes": encode_jpeg(image), "path": None}} for i, image in enumerate(images)]
    for row in rows if mask is not None else ():
        row["mask"] = {"bytes": encode_mask(mask, SEVEN), "path": None}
    path = folder / "portraits/shard-0000.parquet"
    write_shard(path, rows, pa.schema(columns), SEVEN if mask is not None else None)
    return Domain([path], [], 64, mask is not None)


def test_the_same_collection_twice_is_refused_and_the_samples_hands_are_not(tmp_path):
    a, b = domain(tmp_path / "a", pictures(0)), domain(tmp_path / "b", pictures(0))
    with pytest.raises(UserError, match=r"cyclegan\.other: .*b/portraits holds 100% of the portraits in .*a/portraits"):
        check_domains(a, b)
    many, few = pictures(0, 700), pictures(1, 40)
    a, b = domain(tmp_path / "c", many), domain(tmp_path / "d", np.concatenate([few, many[::-1][:60]]))
    with pytest.raises(UserError, match=r"d/portraits holds 60% of the portraits in .*c/portraits"):
        check_domains(a, b)  # in another order, and among others
    check_domains(a, b, paired=True)


def test_two_collections_are_taken_without_a_word(tmp_path, caplog):
    few = np.concatenate([pictures(0, 10), pictures(1, 20)])
    with caplog.at_level(logging.WARNING, "facemill"):
        check_domains(domain(tmp_path / "a", pictures(0)), domain(tmp_path / "b", few))
    assert not caplog.records


def test_a_gray_collection_is_named(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "facemill"):
        check_domains(domain(tmp_path / "a", pictures(0)), domain(tmp_path / "b", pictures(1, gray=True)))
    assert [record.getMessage() for record in caplog.records] == [
        f"cyclegan: 100% of the portraits in {tmp_path}/b/portraits are gray: their colors are guessed"
    ]


@pytest.mark.parametrize(("width", "warns"), [(96, True), (56, False), (24, True)])
def test_faces_of_another_size_are_named(tmp_path, caplog, width, warns):
    other = head(face=(64 - width // 2, 40, width, 64), apart=8)
    a, b = domain(tmp_path / "a", pictures(0), head()), domain(tmp_path / "b", pictures(1), other)
    assert (face_width(a), face_width(b)) == (48 / 128, width / 128)
    with caplog.at_level(logging.WARNING, "facemill"):
        check_domains(a, b)
    assert bool(caplog.records) == warns
    if warns:
        assert f"a/portraits are 38% of a portrait wide, those in {tmp_path}/b/portraits" in caplog.text


def test_chroma_is_that_of_cielab():
    assert chroma(np.full((4, 4, 3), 90, np.uint8)) == pytest.approx(0, abs=0.1)
    assert chroma(np.tile(np.array([255, 0, 0], np.uint8), (4, 4, 1))) == pytest.approx(104.6, abs=0.5)
