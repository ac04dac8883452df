import io
import json
import os
from types import SimpleNamespace

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from facemill.data import shards
from facemill.data.classes import IGNORE, SEVEN, Class, ClassTable, parse_classes
from facemill.data.shards import (
    IMAGE,
    ROWS_PER_GROUP,
    count_rows,
    decode_image,
    decode_mask,
    encode_jpeg,
    encode_mask,
    mask_classes,
    open_shard,
    read_images,
    read_rows,
    rows_at,
    shard_of,
    sort_key,
    write_batches,
    write_shard,
)
from facemill.errors import Damaged, UserError

SCHEMA = pa.schema(
    [("id", pa.string()), ("image", IMAGE), ("tags", pa.list_(pa.string())), ("latent", pa.list_(pa.float32()))]
)


def rows(count: int) -> list[dict]:
    def row(i: int) -> dict:
        image = {"bytes": b"x" * 50 + bytes([i % 256]), "path": f"{i}.jpg"}
        return {"id": str(i), "image": image, "tags": ["a"], "latent": [i, 0.5]}

    return [row(i) for i in range(count)]


def test_rows_come_back_in_order(tmp_path):
    write_shard(tmp_path / "a", rows(ROWS_PER_GROUP + 3), SCHEMA)
    write_shard(tmp_path / "b", rows(2), SCHEMA)
    paths = [tmp_path / "a", tmp_path / "b"]
    assert list(read_rows(paths)) == rows(ROWS_PER_GROUP + 3) + rows(2)
    assert [row.keys() for row in read_rows(paths[1:], ["id", "tags"])] == [{"id", "tags"}] * 2
    assert count_rows(paths) == ROWS_PER_GROUP + 5


def test_rows_are_read_by_index_through_shards_and_row_groups(tmp_path):
    write_shard(tmp_path / "a", rows(ROWS_PER_GROUP + 3), SCHEMA)
    write_shard(tmp_path / "b", rows(2), SCHEMA)
    by_index = rows_at([tmp_path / "a", tmp_path / "b"], {0, 255, 258, 260}, ["id"])
    assert {index: row["id"] for index, row in by_index.items()} == {0: "0", 255: "255", 258: "258", 260: "1"}


def test_the_same_rows_give_the_same_bytes_and_other_rows_others(tmp_path):
    for name, count in {"a": 4, "b": 4, "c": 5}.items():
        write_shard(tmp_path / name, rows(count), SCHEMA)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


@pytest.mark.parametrize("count", [0, 5, ROWS_PER_GROUP, 3 * ROWS_PER_GROUP + 7])
@pytest.mark.parametrize("length", [1, 16, 2 * ROWS_PER_GROUP + 1])
def test_batches_of_any_length_give_the_bytes_of_their_rows(tmp_path, count, length):
    write_shard(tmp_path / "rows", rows(count), SCHEMA)
    parts = [rows(count)[start : start + length] for start in range(0, count, length)]
    write_batches(tmp_path / "batches", (pa.RecordBatch.from_pylist(part, SCHEMA) for part in parts), SCHEMA)
    assert (tmp_path / "batches").read_bytes() == (tmp_path / "rows").read_bytes()


def test_rows_of_more_images_than_one_batch_holds(tmp_path, monkeypatch):
    """From 2 GiB of images on Arrow makes chunks of a column; here of any."""
    write_shard(tmp_path / "plain", rows(9), SCHEMA)

    class Table:
        from_batches = pa.Table.from_batches

        @staticmethod
        def from_pylist(rows: list, schema: pa.Schema) -> pa.Table:
            return pa.concat_tables([pa.Table.from_pylist(part, schema) for part in (rows[:5], rows[5:])])

    class Batch:
        @staticmethod
        def from_pylist(rows: list, schema: pa.Schema) -> pa.RecordBatch:
            raise TypeError("Cannot convert pyarrow.lib.ChunkedArray to pyarrow.lib.Array")

    monkeypatch.setattr(shards, "pa", SimpleNamespace(**vars(pa) | {"Table": Table, "RecordBatch": Batch}))
    write_shard(tmp_path / "chunks", rows(9), SCHEMA)
    assert (tmp_path / "chunks").read_bytes() == (tmp_path / "plain").read_bytes()


def test_batches_that_end_in_an_error_leave_no_shard(tmp_path):
    def batches():
        yield pa.RecordBatch.from_pylist(rows(ROWS_PER_GROUP), SCHEMA)
        raise UserError("portrait 17: an image in a shard cannot be decoded")

    with pytest.raises(UserError, match="portrait 17"):
        write_batches(tmp_path / "a.parquet", batches(), SCHEMA)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [0, 1, 2 * ROWS_PER_GROUP + 3])
def test_encoded_images_are_read_in_order_with_their_ids(tmp_path, count):
    write_shard(tmp_path / "a", rows(count), SCHEMA)
    images = [(portrait_id, bytes(image)) for portrait_id, image in read_images(tmp_path / "a")]
    assert images == [(row["id"], row["image"]["bytes"]) for row in rows(count)]


def test_a_damaged_image_is_noticed_as_images_are_read(tmp_path):
    path = tmp_path / "a.parquet"
    write_shard(path, rows(9), SCHEMA)
    path.write_bytes(path.read_bytes().replace(b"x" * 50 + b"\4", b"x" * 50 + b"y"))
    with pytest.raises(Damaged, match="a.parquet"):
        list(read_images(path))


def test_groups_compression_and_the_image_convention(tmp_path):
    write_shard(tmp_path / "a", rows(ROWS_PER_GROUP + 1), SCHEMA)
    file = pq.ParquetFile(tmp_path / "a")
    assert [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)] == [ROWS_PER_GROUP, 1]
    columns = [file.metadata.row_group(0).column(c) for c in range(file.metadata.num_columns)]
    assert {c.path_in_schema: c.compression for c in columns} == {
        "id": "ZSTD",
        "image.bytes": "UNCOMPRESSED",
        "image.path": "ZSTD",
        "tags.list.element": "ZSTD",
        "latent.list.element": "ZSTD",
    }
    features = json.loads(file.schema_arrow.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["latent"] == {"_type": "List", "feature": {"_type": "Value", "dtype": "float32"}}


def test_a_shard_without_rows(tmp_path):
    write_shard(tmp_path / "a", [], SCHEMA)
    assert count_rows([tmp_path / "a"]) == 0 and list(read_rows([tmp_path / "a"])) == []


def test_a_missing_shard_is_named(tmp_path):
    with pytest.raises(UserError, match="none.parquet: no such shard"):
        open_shard(tmp_path / "none.parquet")


def test_a_shard_that_is_cut_short_is_damaged(tmp_path):
    path = tmp_path / "shard-0000.parquet"
    write_shard(path, rows(9), SCHEMA)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(Damaged, match="shard-0000.parquet: damaged"):
        open_shard(path)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
def test_a_flipped_bit_is_noticed_wherever_it_changes_a_row(tmp_path, data):
    path = tmp_path / "shard-0000.parquet"
    write_shard(path, rows(9), SCHEMA)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        assert list(read_rows([path])) == rows(9)
    except (Damaged, AssertionError) as error:
        assert isinstance(error, Damaged), "other rows than were written"


def test_shards_follow_danbooru_s_bucket_rule_for_numbers():
    assert [shard_of(number, 4) for number in ("0", "7", "263123")] == [0, 3, 3]
    named = [shard_of(f"image-{i}", 4) for i in range(400)]
    assert named == [shard_of(f"image-{i}", 4) for i in range(400)]
    assert all(60 < named.count(shard) < 140 for shard in range(4))


def test_numbers_are_sorted_by_value_before_names():
    ids = ["b", "10", "9", "a", "100"]
    assert sorted(ids, key=sort_key) == ["9", "10", "100", "a", "b"]


def test_jpeg_keeps_colors():
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, :16] = (200, 30, 60)
    pixels[:, 16:] = (20, 90, 220)
    decoded = decode_image(encode_jpeg(pixels)).astype(int)
    assert decoded.shape == (32, 32, 3)
    assert np.abs(decoded - pixels).max() <= 6  # chroma at full size: no bleeding at the edge


def test_what_is_no_image_is_refused():
    with pytest.raises(UserError, match="cannot be decoded"):
        decode_image(b"no image")


def test_masks_are_palette_pngs_that_opencv_and_pillow_read_alike():
    mask = np.tile(np.array([*range(len(SEVEN)), IGNORE], np.uint8), (5, 3))
    encoded = encode_mask(mask, SEVEN)
    assert np.array_equal(decode_mask(encoded), mask)
    picture = Image.open(io.BytesIO(encoded))
    assert picture.mode == "P" and parse_classes(picture.text["classes"]) == SEVEN
    by_opencv = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(by_opencv, np.asarray(picture.convert("RGB")))
    assert encode_mask(mask, SEVEN) == encoded


TWO = ClassTable(SEVEN.root[:2])


def test_a_mask_and_a_shard_of_masks_carry_their_table_and_refuse_another(tmp_path):
    encoded = encode_mask(np.zeros((4, 4), np.uint8), TWO)
    assert decode_mask(encoded, TWO).shape == (4, 4)
    with pytest.raises(UserError, match="a mask: has the classes background, skin; accepted: background, skin, face"):
        decode_mask(encoded, SEVEN)
    recolored = ClassTable((SEVEN.root[0], Class(name="skin", color="#000000", role=None)))
    assert decode_mask(encoded, recolored).shape == (4, 4)
    swapped = ClassTable(
        (Class(name="a", color="#d99d25", role="background"), Class(name="b", color="#696900", role=None))
    )
    with pytest.raises(UserError, match="a mask: has the classes a, b; accepted: background, skin, face"):
        decode_mask(encode_mask(np.eye(4, dtype=np.uint8), swapped), SEVEN)  # the skin's color at another index

    schema = pa.schema([("id", pa.string()), ("mask", IMAGE)])
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path, table in zip(paths, (TWO, SEVEN), strict=True):
        write_shard(path, [], schema, table)
    assert mask_classes(paths[:1]) == TWO
    with pytest.raises(UserError, match=r"b.parquet: has the classes .*, face.*; accepted: background, skin$"):
        mask_classes(paths)
    write_shard(paths[0], [], schema)
    with pytest.raises(UserError, match="a.parquet: names no classes; accepted: a shard of masks"):
        mask_classes(paths)


def test_a_damaged_class_table_is_noticed(tmp_path):
    schema = pa.schema([("id", pa.string()), ("mask", IMAGE)]).with_metadata({"classes": SEVEN.model_dump_json()[:-1]})
    pq.write_table(pa.Table.from_pylist([], schema), tmp_path / "a.parquet")
    with pytest.raises(Damaged, match="a.parquet"):
        mask_classes([tmp_path / "a.parquet"])


def test_masks_that_are_not_ours_are_refused():
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    with pytest.raises(UserError, match="mode RGB"):
        decode_mask(file.getvalue())
    with pytest.raises(UserError, match="class id 7; accepted: 0 to 6 and 255"):
        decode_mask(encode_mask(np.full((4, 4), 7, np.uint8), SEVEN))
