"""Portraits as they are trained on: shrunk by averaging, with the slots of their conditions."""

import numpy as np
import pyarrow as pa
import pytest

from facemill.data.shards import IMAGE, encode_jpeg, write_shard
from facemill.errors import UserError
from facemill.stylegan.conditions import Conditions
from facemill.stylegan.portraits import StylePortraits, aspect_ratio

CONDITIONS = Conditions({"hair_color": ["black_hair", "red_hair"]}, {"0": (1,), "2": (0,)})


@pytest.fixture
def shard(tmp_path):
    """Three portraits of 64 x 32 pixels: dark on the left, bright on the right, the third all gray."""
    images = [np.zeros((64, 32, 3), np.uint8) for _ in range(3)]
    for image in images[:2]:
        image[:, 16:] = 200
    images[2][:] = 90
    rows = [{"id": str(i), "image": {"bytes": encode_jpeg(image, 100)}} for i, image in enumerate(images)]
    write_shard(tmp_path / "shard-0000.parquet", rows, pa.schema([("id", pa.string()), ("image", IMAGE)]))
    return tmp_path / "shard-0000.parquet"


def test_portraits_are_shrunk_by_averaging_and_know_their_slots(shard):
    rows = StylePortraits([shard], 32, CONDITIONS, lambda row_id: row_id != "2")
    assert len(rows) == 2 and aspect_ratio(rows) == 2
    for _ in range(2):  # decoded, and then from memory
        image, slots = rows[0]
        assert image.shape == (3, 32, 16) and slots.tolist() == [1]
        assert image[:, :, 1].max() < 10 and image[:, :, -2].min() > 190
    assert rows[1][1].tolist() == [2]  # no tags: no name
    whole = StylePortraits([shard], 64, CONDITIONS, lambda row_id: row_id == "2")
    assert whole[0][0].shape == (3, 64, 32) and abs(int(whole[0][0][0, 0, 0]) - 90) < 2


@pytest.mark.parametrize("height", [128, 48])
def test_portraits_that_cannot_be_shrunk_so_are_refused(shard, height):
    with pytest.raises(
        UserError, match=f"shard-0000.parquet: portraits of 64 pixels; accepted: a multiple of {height}"
    ):
        StylePortraits([shard], height, CONDITIONS, lambda row_id: True)[0]
