"""The portraits on which translations are measured: which they are, their masks, and whose portraits they are."""

import numpy as np
import pyarrow as pa
import pytest
from helpers.color_unet import ColorUnet
from helpers.translate import write_portraits

from facemill.data.classes import IGNORE, SEVEN, Class, ClassTable
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, write_shard
from facemill.data.splits import hash_fraction, held_out, in_choice
from facemill.errors import UserError
from facemill.inference.segmenter import Segmenter
from facemill.translate import sides
from facemill.translate.sides import read_collection, read_side, sexes_of, unet_size

KINDS = {"paired": False, "other": False, "choices": False}


def write_tags(path, **tags: list[str] | None):
    schema = pa.schema([("id", pa.string()), ("tags", pa.list_(pa.string()))])
    write_shard(path, [{"id": row_id, "tags": names} for row_id, names in tags.items()], schema)
    return [path]


def test_whose_a_danbooru_portrait_is_tell_its_tags(tmp_path):
    shards = write_tags(tmp_path / "a.parquet", a=["1girl"], b=["1boy", "solo"], c=["1girl", "1boy"], d=[], e=None)
    assert sexes_of(shards) == {"a": "women", "b": "men", "c": "", "d": "", "e": ""}


def test_who_is_not_male_in_celeba_is_a_woman(tmp_path):
    shards = write_tags(tmp_path / "a.parquet", a=["Male", "Young"], b=["Young"], c=[])
    assert sexes_of(shards) == {"a": "men", "b": "women", "c": "women"}


def test_portraits_without_tags_are_nobodys(tmp_path):
    write_shard(tmp_path / "a.parquet", [{"id": "1"}], pa.schema([("id", pa.string())]))
    assert sexes_of([tmp_path / "a.parquet"]) == {"1": ""}


def test_settings_are_chosen_by_other_portraits_than_those_that_are_reported(tmp_path):
    shards = [write_portraits(tmp_path / "a.parquet", 20, portraits=120)]
    chosen, reported = (
        read_collection(shards, [], None, 32, 0.4, **KINDS | {"choices": choices}) for choices in (True, False)
    )
    ids = {str(i) for i in range(120)}
    unseen = {row_id for row_id in ids if held_out(row_id, 0.4)}
    assert set(chosen.side.ids) == {row_id for row_id in unseen if in_choice(row_id)}
    assert set(reported.side.ids) == unseen - set(chosen.side.ids)
    assert len(reported.training) == len(chosen.training) == len(ids - unseen)
    assert reported.training.shape[1:] == reported.side.images.shape[1:] == (32, 32, 3), "shrunk"


def test_of_pairs_each_collection_learned_from_portraits_of_its_own(tmp_path):
    shards = [write_portraits(tmp_path / "a.parquet", 20, portraits=120)]
    parts = [read_collection(shards, [], None, 32, 0.4, paired=True, other=o, choices=True) for o in (False, True)]
    learned = [str(i) for i in range(120) if not held_out(str(i), 0.4)]
    of_other = sum(hash_fraction(row_id, "other") < 0.5 for row_id in learned)
    assert [len(part.training) for part in parts] == [len(learned) - of_other, of_other]


def test_too_few_held_out_portraits_are_refused(tmp_path):
    shards = [write_portraits(tmp_path / "a.parquet", 20, portraits=60)]
    with pytest.raises(UserError, match=r"holdout: found 0.05, which holds out \d portraits of .*; accepted: a share"):
        read_collection(shards, [], None, 32, 0.05, **KINDS)


def test_masks_are_those_of_the_shards_by_role(tmp_path):
    classes = ClassTable((Class(name="nothing", color="#000000", role="background"), *SEVEN.root[1:3], EXTRA))
    rows, mask = [], np.full((64, 64), 3, np.uint8)
    mask[:8], mask[8:16] = 2, 0
    for number in range(3):
        image = np.full((64, 64, 3), 40 * number, np.uint8)
        row = {"id": str(number), "image": {"bytes": encode_jpeg(image)}, "mask": {"bytes": encode_mask(mask, classes)}}
        rows.append(row)
    schema = pa.schema([("id", pa.string()), ("image", IMAGE), ("mask", IMAGE)])
    write_shard(tmp_path / "a.parquet", rows, schema, classes)
    side = read_side([tmp_path / "a.parquet"], [], 32, lambda row_id: row_id != "1", None)
    assert side.ids == ["0", "2"] and (side.images[1] == 80).all()
    assert side.masks.shape == (2, 64, 64)
    assert [side.masks[0, y, 0] for y in (0, 8, 16)] == [2, 0, IGNORE]


EXTRA = Class(name="ribbon", color="#ffffff")


def test_without_shards_of_masks_the_unet_draws_them_at_the_portraits_own_size(tmp_path, monkeypatch):
    monkeypatch.setattr(sides, "MOST", 5)
    shards = [write_portraits(tmp_path / "a.parquet", 20)]
    assert read_side(shards, [], 32, lambda row_id: True, None).masks is None
    side = read_side(shards, [], 32, lambda row_id: True, Segmenter(ColorUnet(), SEVEN))
    assert side.masks.shape == (5, 64, 64) and len(side) == 5
    known = ColorUnet().colors.detach().numpy() * 255
    nearest = np.abs(known - side.images[3, 0, 0]).astype(float)
    assert side.masks[3, 0, 0] == np.square(nearest).sum(1).argmin()


def test_a_unet_sees_portraits_at_its_own_height():
    segmenter = Segmenter(ColorUnet(), SEVEN)
    assert unet_size(segmenter, np.empty((1, 64, 64, 3))) == (128, 128)
    assert unet_size(segmenter, np.empty((1, 64, 32, 3))) == (128, 64)
