"""From selected posts to shards of portraits, by the rules' scripts."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers.tagger_files import write_brightness_tagger

from facemill.config.ingest import PersonConfig, PortraitsConfig
from facemill.data.shards import decode_image, encode_jpeg, read_rows, shard_of
from facemill.errors import UserError
from facemill.ingest.drawing import draw
from facemill.ingest.posts import Collection

SHARDS = 2


@pytest.fixture
def make(tmp_path: Path, script):
    """A function that makes the shards of twelve drawings, of which 20 repeats 3 smaller and 21 is damaged."""
    from facemill.config.ingest import FilterConfig
    from facemill.ingest.filter_posts import select
    from facemill.ingest.selected import write_selected

    drawings = {id: decode_image(draw(id, 1).image(128)) for id in range(12)}
    drawings[20] = np.ascontiguousarray(decode_image(draw(3, 1).image(96)))
    for id, pixels in drawings.items():
        (tmp_path / f"{id}.jpg").write_bytes(encode_jpeg(pixels))
    (tmp_path / "21.jpg").write_bytes((tmp_path / "4.jpg").read_bytes()[:900])
    ids = [str(id) for id in [*drawings, 21]]
    columns = {"id": ids, "path": [str(tmp_path / f"{id}.jpg") for id in ids], "split": ["train"] * len(ids)}
    columns["attributes"] = [{"Even": int(id) % 2 == 0} for id in ids]
    columns["tags_general"], columns["tags_meta"] = [["solo"]] * len(ids), [[id] for id in ids]
    with Collection(tmp_path / "posts.parquet", tmp_path / "none.parquet", ("Even",)) as collection:
        collection.add(columns, len(ids))
    kept, _ = select(tmp_path / "posts.parquet", FilterConfig(), 1)
    selected = tmp_path / "selected.parquet"
    write_selected(kept.to_arrow(), SHARDS, selected)

    def made(**settings) -> tuple[list[dict], dict[str, str]]:
        given = PortraitsConfig(size=64, shards=SHARDS, **settings)
        candidates = [tmp_path / f"candidates-{shard}.parquet" for shard in range(SHARDS)]
        portraits = [tmp_path / f"portraits-{shard}.parquet" for shard in range(SHARDS)]
        rejects = [tmp_path / f"rejects-{shard}.parquet" for shard in range(SHARDS)]
        found: list[dict] = [{}] * SHARDS
        if given.duplicates is not None:
            for shard, path in enumerate(candidates):
                script("find_portraits")(
                    selected=selected, settings=given, shard=shard, out=path, rejects=rejects[shard]
                )
            duplicates = tmp_path / "duplicates.parquet"
            script("find_duplicates")(
                candidates=candidates, distance=given.duplicates, out=duplicates, table=tmp_path / "duplicates.csv"
            )
            found = [{"candidates": path, "duplicates": duplicates} for path in candidates]
        first = {} if given.duplicates is None else dict(pl.read_parquet(rejects).select("id", "reason").rows())
        for shard, path in enumerate(portraits):
            crop = {"settings": given, "shard": shard, "out": path, "rejects": rejects[shard]}
            script("crop_portraits")(selected=selected, **crop, **found[shard])
        for shard, path in enumerate(portraits):
            assert {shard_of(row["id"], SHARDS) for row in read_rows([path])} == {shard}
        return list(read_rows(portraits)), first | dict(pl.read_parquet(rejects).select("id", "reason").rows())

    return made


def test_whole_images(make):
    rows, rejects = make()
    assert {row["id"] for row in rows} == {str(id) for id in [*range(12), 20]}
    assert list(rejects) == ["21"] and "truncated" in rejects["21"]
    assert all(row["tags"] == ["solo", row["id"]] and row["split"] == "train" for row in rows)
    assert all(row["attributes"] == {"Even": int(row["id"]) % 2 == 0} for row in rows)
    assert {decode_image(row["image"]["bytes"]).shape for row in rows} == {(64, 64, 3)}


def test_of_near_duplicates_the_larger_is_kept(make, tmp_path: Path):
    rows, rejects = make(duplicates=4)
    assert {row["id"] for row in rows} == {str(id) for id in range(12)} and list(rejects) == ["21"]
    listed = pl.read_csv(tmp_path / "duplicates.csv")
    assert listed.select("id", "repeats").rows() == [(20, 3)] and listed["distance"][0] <= 4


def test_rejected_ids_are_left_out_and_said_to_be(make, tmp_path: Path):
    (tmp_path / "rejected-0000.txt").write_text("2\n7\n")
    rows, rejects = make(rejected_ids=[tmp_path / "rejected-0000.txt"])
    assert not {"2", "7"} & {row["id"] for row in rows} and len(rows) == 11
    assert rejects["2"] == rejects["7"] == "rejected by hand"
    with pytest.raises(UserError, match="portraits.rejected_ids: .*none.txt"):
        make(rejected_ids=[tmp_path / "none.txt"])


def test_images_in_which_a_tagger_sees_nobody_are_listed(make, tmp_path: Path):
    brightness = {row["id"]: decode_image(row["image"]["bytes"]).mean() for row in make()[0]}
    least = np.median(list(brightness.values()))
    files = write_brightness_tagger(tmp_path / "wd14", least)
    rows, rejects = make(
        duplicates=0, person=PersonConfig(tagger="wd14", files=files, tags=["blue_hair"], threshold=0.5)
    )
    assert rejects.pop("21") and all(reason.startswith("no person seen (blue_hair: ") for reason in rejects.values())
    assert {row["id"] for row in rows} | rejects.keys() == brightness.keys() and 4 <= len(rows) <= 8
    assert max(brightness[id] for id in rejects) < min(brightness[row["id"]] for row in rows) + 2


def test_half_body(make):
    rows, _ = make(ratio=2)
    assert {decode_image(row["image"]["bytes"]).shape for row in rows} == {(64, 32, 3)}
