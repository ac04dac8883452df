"""From selected posts to shards of portraits, by the functions of the rules."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers.tagger_files import write_brightness_tagger

from facemill.config.ingest import FilterConfig, PersonConfig, PortraitsConfig
from facemill.data.shards import decode_image, encode_jpeg, read_rows, shard_of
from facemill.errors import UserError
from facemill.ingest.crop_portraits import crop_portraits
from facemill.ingest.drawing import draw
from facemill.ingest.filter_posts import filter_posts
from facemill.ingest.find_duplicates import find_duplicates
from facemill.ingest.find_portraits import find_portraits
from facemill.ingest.posts import Collection

SHARDS = 2


@pytest.fixture
def make(tmp_path: Path):
    """A function that makes the shards of twelve drawings, of which 20 repeats 3 smaller and 21 is damaged."""
    drawings = {i: decode_image(draw(i, 1).image(128)) for i in range(12)}
    drawings[20] = np.ascontiguousarray(decode_image(draw(3, 1).image(96)))
    for i, pixels in drawings.items():
        (tmp_path / f"{i}.jpg").write_bytes(encode_jpeg(pixels))
    (tmp_path / "21.jpg").write_bytes((tmp_path / "4.jpg").read_bytes()[:900])
    ids = [str(i) for i in [*drawings, 21]]
    columns = {"id": ids, "path": [str(tmp_path / f"{i}.jpg") for i in ids], "split": ["train"] * len(ids)}
    columns["attributes"] = [{"Even": int(i) % 2 == 0} for i in ids]
    columns["tags_general"], columns["tags_meta"] = [["solo"]] * len(ids), [[i] for i in ids]
    posts, selected = tmp_path / "posts.parquet", tmp_path / "selected.parquet"
    with Collection(posts, tmp_path / "none.parquet", ("Even",)) as collection:
        collection.add(columns, len(ids))
    files = {"selected": selected, "funnel": tmp_path / "funnel.csv", "picture": tmp_path / "funnel.png"}
    filter_posts(posts=posts, settings=FilterConfig(), seed=1, shards=SHARDS, **files)

    def make_shards(rejected_ids: list[Path] | None = None, **options) -> tuple[list[dict], dict[str, str]]:
        settings = PortraitsConfig(size=64, shards=SHARDS, **options)
        candidates = [tmp_path / f"candidates-{shard}.parquet" for shard in range(SHARDS)]
        portraits = [tmp_path / f"portraits-{shard}.parquet" for shard in range(SHARDS)]
        rejects = [tmp_path / f"rejects-{shard}.parquet" for shard in range(SHARDS)]
        boxes: list[dict] = [{}] * SHARDS
        reasons: dict[str, str] = {}
        if settings.duplicates is not None:
            for shard, path in enumerate(candidates):
                files = {"selected": selected, "candidates": path, "rejects": rejects[shard]}
                find_portraits(settings=settings, shard=shard, **files)
            duplicates, table = tmp_path / "duplicates.parquet", tmp_path / "duplicates.csv"
            find_duplicates(candidates=candidates, distance=settings.duplicates, duplicates=duplicates, table=table)
            boxes = [{"candidates": path, "duplicates": duplicates} for path in candidates]
            reasons = dict(pl.read_parquet(rejects).select("id", "reason").rows())
        for shard, path in enumerate(portraits):
            files = {"selected": selected, "portraits": path, "rejects": rejects[shard], **boxes[shard]}
            crop_portraits(settings=settings, shard=shard, rejected_ids=rejected_ids or [], **files)
            assert {shard_of(row["id"], SHARDS) for row in read_rows([path])} == {shard}
        return list(read_rows(portraits)), reasons | dict(pl.read_parquet(rejects).select("id", "reason").rows())

    return make_shards


def test_whole_images(make):
    rows, rejects = make()
    assert {row["id"] for row in rows} == {str(i) for i in [*range(12), 20]}
    assert list(rejects) == ["21"] and "truncated" in rejects["21"]
    assert all(row["tags"] == ["solo", row["id"]] and row["split"] == "train" for row in rows)
    assert all(row["attributes"] == {"Even": int(row["id"]) % 2 == 0} for row in rows)
    assert {decode_image(row["image"]["bytes"]).shape for row in rows} == {(64, 64, 3)}


def test_of_near_duplicates_the_larger_is_kept(make, tmp_path: Path):
    rows, rejects = make(duplicates=4)
    assert {row["id"] for row in rows} == {str(i) for i in range(12)} and list(rejects) == ["21"]
    listed = pl.read_csv(tmp_path / "duplicates.csv")
    assert listed.select("id", "repeats").rows() == [(20, 3)] and listed["distance"][0] <= 4


def test_rejected_ids_are_left_out_with_a_reason(make, tmp_path: Path):
    (tmp_path / "rejected-0000.txt").write_text("2\n7\n")
    rows, rejects = make(rejected_ids=[tmp_path / "rejected-0000.txt"])
    assert not {"2", "7"} & {row["id"] for row in rows} and len(rows) == 11
    assert rejects["2"] == rejects["7"] == "rejected by hand"
    with pytest.raises(UserError, match="portraits.rejected_ids: .*none.txt"):
        make(rejected_ids=[tmp_path / "none.txt"])


def test_rejects_are_counted_by_reason_in_the_log(make, tmp_path: Path, caplog):
    (tmp_path / "rejected.txt").write_text("".join(f"{number}\n" for number in range(9)))
    caplog.set_level("INFO", "facemill")
    make(rejected_ids=[tmp_path / "rejected.txt"])
    lines = [line for record in caplog.records for line in record.getMessage().splitlines()]
    by_hand = [line for line in lines if line.startswith("  ") and "rejected by hand" in line]
    assert len(by_hand) == SHARDS and sum(int(line.split(" times:")[0]) for line in by_hand) == 9
    assert sum(line.startswith("  21: cannot be read") for line in lines) == 1


def test_rejected_ids_that_name_no_portrait_are_said_once(make, tmp_path: Path, caplog):
    (tmp_path / "rejected.txt").write_text("2\n7.jpg\n400\n21\n")
    make(rejected_ids=[tmp_path / "rejected.txt"])
    said = sorted(record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert said == [f"portraits.rejected_ids: no portrait has 1 of the ids: {name}" for name in ("400", "7.jpg")]


def test_images_in_which_a_tagger_sees_nobody_are_listed(make, tmp_path: Path):
    brightness = {row["id"]: decode_image(row["image"]["bytes"]).mean() for row in make()[0]}
    least = np.median(list(brightness.values()))
    files = write_brightness_tagger(tmp_path / "wd14", least)
    rows, rejects = make(
        duplicates=0, person=PersonConfig(tagger="wd14", files=files, tags=["blue_hair"], threshold=0.5)
    )
    assert rejects.pop("21") and all(reason.startswith("no person (blue_hair: ") for reason in rejects.values())
    assert {row["id"] for row in rows} | rejects.keys() == brightness.keys() and 4 <= len(rows) <= 8
    assert max(brightness[i] for i in rejects) < min(brightness[row["id"]] for row in rows) + 2


def test_half_body(make):
    rows, _ = make(ratio=2)
    assert {decode_image(row["image"]["bytes"]).shape for row in rows} == {(64, 32, 3)}


@pytest.mark.parametrize("duplicates", [None, 0])
def test_the_top_is_taken_with_candidates_and_without(make, tmp_path: Path, caplog, duplicates: int | None):
    tall = decode_image((tmp_path / "0.jpg").read_bytes())
    tall = np.concatenate([tall, np.zeros_like(tall)])
    (tmp_path / "0.jpg").write_bytes(encode_jpeg(tall))
    middle, _ = make(duplicates=duplicates)
    assert "of 1 of " in caplog.text and "are cut off at the top, where heads are" in caplog.text
    caplog.clear()
    top, _ = make(duplicates=duplicates, crop="top")
    assert "cut off" not in caplog.text
    middle, top = ({row["id"]: decode_image(row["image"]["bytes"]) for row in rows} for rows in (middle, top))
    assert top["0"][40:].max() > 60 and middle["0"][40:].max() < 20
    assert all(np.array_equal(top[key], middle[key]) for key in middle if key != "0")
