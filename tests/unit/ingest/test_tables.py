"""The tables between the steps of ingest: what is read is what was written, or the table is damaged."""

import re
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import facemill
from facemill.config.ingest import FilterConfig, PortraitsConfig
from facemill.data.shards import read_table, write_table
from facemill.errors import Damaged
from facemill.ingest.crop_portraits import crop_portraits
from facemill.ingest.filter_posts import select
from facemill.ingest.find_duplicates import find_duplicates
from facemill.ingest.find_portraits import find_portraits
from facemill.ingest.posts import Collection
from facemill.ingest.selected import read_selected, write_selected


@pytest.fixture
def tables(tmp_path, picture) -> dict[str, Path]:
    """The posts of an image, the selected ones, their candidates and the duplicates among these."""
    paths = {name: tmp_path / f"{name}.parquet" for name in ("posts", "selected", "candidates", "duplicates")}
    image = picture(tmp_path / "1.png", (64, 64))
    with Collection(paths["posts"], tmp_path / "rejects.parquet") as collection:
        for post_id in ("1", "2"):
            collection.add({"id": [post_id], "path": [str(image)], "width": [64], "height": [64]}, 1)
    write_selected(select(paths["posts"], FilterConfig(), 0)[0].to_arrow(), 1, paths["selected"])
    shard = {"settings": PortraitsConfig(size=32, shards=1), "shard": 0, "rejects": tmp_path / "r.parquet"}
    find_portraits(selected=paths["selected"], candidates=paths["candidates"], **shard)
    find_duplicates(
        candidates=[paths["candidates"]], distance=0, duplicates=paths["duplicates"], table=tmp_path / "duplicates.csv"
    )
    return paths


def crop(paths: dict[str, Path], folder: Path) -> list[str]:
    """The ids of the portraits cropped from tables."""
    inputs = {name: paths[name] for name in ("selected", "candidates", "duplicates")}
    settings, out = PortraitsConfig(size=32, shards=1), folder / "portraits.parquet"
    crop_portraits(**inputs, settings=settings, shard=0, portraits=out, rejects=folder / "r.parquet")
    return pl.read_parquet(out)["id"].to_list()


@pytest.mark.parametrize("name", ["posts", "selected", "candidates", "duplicates"])
def test_a_damaged_table_is_named(tmp_path, tables, name):
    assert crop(tables, tmp_path) == ["1"]
    content = bytearray(tables[name].read_bytes())
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    ends = [i for i in range(4, footer) if bytes(content[i : i + 4]) == b"\x28\xb5\x2f\xfd"] or [footer // 2]
    content[ends[0] + 12] ^= 1
    tables[name].write_bytes(content)
    with pytest.raises(Damaged, match=f"{name}.parquet: damaged"):
        if name == "posts":
            select(tables["posts"], FilterConfig(), 0)
        crop(tables, tmp_path)


def test_a_shard_s_posts_are_those_of_all_row_groups(tmp_path):
    ids = [str(number) for number in range(2500)]
    write_selected(pa.table({"id": ids, "name": ids}), 3, tmp_path / "selected.parquet")
    for shard in range(4):
        expected = [post_id for post_id in ids if int(post_id) % 3 == shard]
        assert [post["id"] for post in read_selected(tmp_path / "selected.parquet", shard)] == expected


def test_a_table_of_no_rows_keeps_its_columns(tmp_path):
    empty = pa.table({"id": pa.array([], pa.string()), "pixels": pa.array([], pa.float64())})
    write_table(tmp_path / "a.parquet", empty)
    assert read_table(tmp_path / "a.parquet") == empty


def test_no_other_module_reads_parquet_files_past_the_checksums():
    root = Path(facemill.__file__).parent
    past = r"pq\.(read|write|ParquetFile|ParquetDataset)|\.(read|scan|write|sink)_parquet\(|ds\.dataset\("
    modules = {path.relative_to(root).as_posix() for path in root.rglob("*.py") if re.search(past, path.read_text())}
    assert modules == {"data/shards.py"}
