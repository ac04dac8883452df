"""The summary: counts of rows, and the metrics of all stages under their names."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from facemill.data.shards import write_shard
from facemill.files import write_json
from facemill.report.summarize import summarize


def table(path: Path, rows: int) -> Path:
    write_shard(path, [{"id": str(i)} for i in range(rows)], pa.schema([("id", pa.string())]))
    return path


@pytest.fixture
def inputs(tmp_path) -> dict:
    """The inputs of a dataset without labels: 9 posts, of which 4 + 3 portraits, and two files of metrics."""
    metrics = [tmp_path / name for name in ("vae.json", "tsne.json")]
    for number, path in enumerate(metrics):
        write_json(path, {"value": number})
    return {
        "posts": table(tmp_path / "posts.parquet", 9),
        "selected": table(tmp_path / "selected.parquet", 8),
        "portraits": [table(tmp_path / f"portraits-{rows}.parquet", rows) for rows in (4, 3)],
        "rejects": [table(tmp_path / f"rejects-{rows}.parquet", rows) for rows in (1, 0)],
        "names": ["vae", "tsne"],
        "metrics": metrics,
        "summary": tmp_path / "summary.json",
        "page": tmp_path / "summary.html",
    }


def test_rows_are_counted_and_metrics_stand_under_their_names(inputs):
    summarize(**inputs)
    assert json.loads(inputs["summary"].read_text()) == {
        "posts": 9,
        "selected": 8,
        "portraits": 7,
        "rejected": 1,
        "vae": {"value": 0},
        "tsne": {"value": 1},
    }


def test_the_page_has_the_same_numbers_and_a_dash_for_what_was_not_measured(inputs):
    write_json(inputs["metrics"][0], {"iou": {"hair": 0.51239, "mouth": None}, "<note>": "a & b", "curve": [1, 2]})
    summarize(**inputs)
    page = inputs["page"].read_text()
    rows = [re.sub("<.*?>", "|", line) for line in page.splitlines() if line.startswith("<tr>")]
    assert rows == [
        *("||posts|9", "||selected|8", "||portraits|7", "||rejected|1"),
        *("||vae.iou.hair|0.5124", "||vae.iou.mouth|-", "||vae.&lt;note&gt;|a &amp; b", "||tsne.value|1"),
    ]
    assert "null" not in page and json.loads(inputs["summary"].read_text())["vae"]["iou"]["mouth"] is None


def test_labels_are_counted_where_there_are_any(inputs, tmp_path):
    labels = [table(tmp_path / f"labels-{rows}.parquet", rows) for rows in (5, 2, 1)]
    summarize(**inputs, labels=labels, augmented=table(tmp_path / "augmented.parquet", 40))
    assert json.loads(inputs["summary"].read_text())["labels"] == {"images": 8, "augmented": 40}


def test_every_file_of_metrics_needs_a_name(inputs):
    with pytest.raises(ValueError):
        summarize(**inputs | {"names": ["vae"]})
    assert not inputs["summary"].exists()
