import logging

import numpy as np
import pyarrow as pa
import pytest

from facemill.avatars.cut_regions import cut_regions, decode_crop, encode_crop
from facemill.avatars.describe_collection import describe_collection
from facemill.avatars.matching import descriptors_of
from facemill.avatars.regions import cut_parts
from facemill.avatars.statistics import Statistics
from facemill.data.classes import SEVEN
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, read_table, write_shard
from facemill.errors import UserError
from tests.unit.avatars.test_regions import portrait

LOOKS = 2


def shards(folder, portraits):
    image_rows, mask_rows = [], []
    for i, (image, mask) in enumerate(portraits):
        image_rows.append({"id": str(i), "image": {"bytes": encode_jpeg(image), "path": f"{i}.jpg"}})
        mask_rows.append({"id": str(i), "mask": {"bytes": encode_mask(mask, SEVEN), "path": f"{i}.png"}})
    write_shard(folder / "shard-0000.parquet", image_rows, pa.schema([("id", pa.string()), ("image", IMAGE)]))
    schema = pa.schema([("id", pa.string()), ("mask", IMAGE)])
    write_shard(folder / "masks.parquet", mask_rows, schema, SEVEN)
    return folder / "shard-0000.parquet", folder / "masks.parquet"


@pytest.fixture
def regions(tmp_path, caplog):
    image, mask = portrait(128)
    opened = portrait(128, open_mouth=True)
    portraits, masks = shards(tmp_path, [(image, mask), (image, np.zeros_like(mask)), opened])
    path = tmp_path / "regions.parquet"
    with caplog.at_level(logging.INFO, "facemill"):
        cut_regions(portraits=portraits, pseudo_labels=masks, looks=LOOKS, seed=1, regions=path)
    return path


def test_each_part_of_each_portrait_is_a_row_and_empty_portraits_are_counted(regions, caplog):
    table = read_table(regions)
    assert table["id"].to_pylist() == ["0"] * 6 + ["2"] * 6
    assert table["role"].to_pylist() == ["eyes", "eyebrows", "mouth", "hair", "face", "clothes"] * 2
    assert "1 portraits without face, eyes and hair" in caplog.get_records("setup")[-1].getMessage()
    openness = {(r["id"], r["role"]): r["openness"] for r in table.to_pylist()}
    assert openness["0", "mouth"] < openness["2", "mouth"] and openness["0", "hair"] is None


def test_rows_hold_what_cut_parts_gives(regions):
    image, mask = portrait(128)
    part = cut_parts(image, mask, looks=LOOKS, seed=1)["hair"]
    row = next(row for row in read_table(regions).to_pylist() if row["role"] == "hair")
    assert np.abs(row["descriptor"] - part.descriptor)[: 24 * 24].max() < 1e-5  # the mask is exact, JPEG is not
    np.testing.assert_array_equal(decode_crop(row["crop"]["bytes"])[..., 3], part.crop[..., 3])
    np.testing.assert_allclose(row["lab"], part.lab, atol=3)


def test_a_crop_comes_back_from_its_png():
    crop = np.random.default_rng(0).integers(0, 256, (9, 7, 4)).astype(np.uint8)
    np.testing.assert_array_equal(decode_crop(encode_crop(crop)), crop)


def test_statistics_are_of_all_shards(regions, tmp_path):
    describe_collection(regions=[regions, regions], statistics=tmp_path / "s.safetensors")
    statistics = Statistics.load(tmp_path / "s.safetensors")
    table = read_table(regions)
    eyes = descriptors_of(table.filter(pa.compute.equal(table["role"], "eyes")))
    np.testing.assert_allclose(statistics.means["eyes"], eyes.mean(0), atol=1e-4)
    assert set(statistics.means) == {"eyes", "eyebrows", "mouth", "hair", "face", "clothes"}


def test_a_collection_without_any_part_is_refused(tmp_path):
    image, mask = portrait(128)
    portraits, masks = shards(tmp_path, [(image, np.zeros_like(mask))])
    path = tmp_path / "regions.parquet"
    cut_regions(portraits=portraits, pseudo_labels=masks, looks=LOOKS, seed=1, regions=path)
    with pytest.raises(UserError, match="no portrait has a face"):
        describe_collection(regions=[path], statistics=tmp_path / "s.safetensors")
