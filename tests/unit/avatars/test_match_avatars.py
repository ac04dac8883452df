"""Avatars of a shard of portraits."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from facemill.avatars.cut_regions import cut_regions
from facemill.avatars.describe_collection import describe_collection
from facemill.avatars.match_avatars import SCHEMA, match_avatars
from facemill.avatars.part_maps import over, picture, seven_mask
from facemill.avatars.render_parts import render_parts
from facemill.avatars.styles import DrawingStyle, random_options
from facemill.data.classes import SEVEN
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, open_shard, read_rows, write_shard

COUNT = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Portraits that the style emoji draws, the last one without a figure, with their masks, regions and avatars."""
    folder = tmp_path_factory.mktemp("avatars")
    style, rng = DrawingStyle.load("emoji"), np.random.default_rng(2)
    portraits, masks = [], []
    for i in range(COUNT):
        options, _ = random_options(style, rng)
        svg = style.svg(options)
        image, mask = over(picture(svg, 128)), seven_mask(svg, style, 128)
        if i == COUNT - 1:
            image, mask = np.full_like(image, 255), np.zeros_like(mask)
        portraits.append({"id": str(i), "image": {"bytes": encode_jpeg(image), "path": f"{i}.jpg"}})
        masks.append({"id": str(i), "mask": {"bytes": encode_mask(mask, SEVEN), "path": f"{i}.png"}})
    image_schema, mask_schema = (pa.schema([("id", pa.string()), (name, IMAGE)]) for name in ("image", "mask"))
    write_shard(folder / "portraits.parquet", portraits, image_schema)
    write_shard(folder / "masks.parquet", masks, mask_schema, SEVEN)
    cut_regions(
        portraits=folder / "portraits.parquet",
        pseudo_labels=folder / "masks.parquet",
        looks=1,
        seed=1,
        regions=folder / "regions.parquet",
    )
    describe_collection(regions=[folder / "regions.parquet"], statistics=folder / "statistics.safetensors")
    products = {"parts": folder / "emoji.parquet", "about": folder / "emoji.json"}
    render_parts(style="emoji", size=64, looks=1, seed=1, sheet=folder / "emoji.png", **products)
    inputs = {"regions": folder / "regions.parquet", "statistics": folder / "statistics.safetensors", **products}
    for name in ("avatars", "again"):
        match_avatars(**inputs, size=48, avatars=folder / f"{name}.parquet")
    return folder


def test_each_portrait_with_parts_has_an_avatar_in_order(folder):
    assert [row["id"] for row in read_rows([folder / "avatars.parquet"])] == [str(i) for i in range(COUNT - 1)]
    assert open_shard(folder / "avatars.parquet").schema_arrow.equals(SCHEMA)


def test_the_options_of_a_row_draw_its_svg_again(folder):
    style = DrawingStyle.load("emoji")
    for row in read_rows([folder / "avatars.parquet"]):
        assert style.svg(json.loads(row["options"])) == row["svg"]
        assert Image.open(io.BytesIO(row["image"]["bytes"])).size == (48, 48)


def test_roles_have_variants_and_what_a_style_lacks_is_null(folder):
    style = DrawingStyle.load("emoji")
    for row in read_rows([folder / "avatars.parquet"]):
        for role, candidates in style.candidates.items():
            if row[role]:
                assert json.loads(row[role]["variants"]) in candidates
                assert row[role]["distance"] >= 0 and 0 <= row[role]["margin"] <= 1
        assert row["clothes"] is None
        assert set(json.loads(row["colors"])) <= set(style.color_options)


def test_the_same_shard_gives_the_same_bytes(folder):
    assert (folder / "avatars.parquet").read_bytes() == (folder / "again.parquet").read_bytes()


def test_a_shard_without_parts_has_no_avatars(folder, tmp_path):
    schema = open_shard(folder / "regions.parquet").schema_arrow
    write_shard(tmp_path / "none.parquet", [], schema)
    match_avatars(
        regions=tmp_path / "none.parquet",
        statistics=folder / "statistics.safetensors",
        parts=folder / "emoji.parquet",
        about=folder / "emoji.json",
        size=48,
        avatars=tmp_path / "avatars.parquet",
    )
    assert not list(read_rows([tmp_path / "avatars.parquet"]))
