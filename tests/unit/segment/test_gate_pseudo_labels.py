"""The gate before GauGAN."""

import pyarrow as pa
import pytest

from facemill.config.segment import PseudoLabelsConfig
from facemill.data.shards import read_rows, write_shard
from facemill.errors import UserError
from facemill.segment.gate_pseudo_labels import gate

SETTINGS = PseudoLabelsConfig(version="v3", min_confidence=0.8, max_flip_disagreement=0.1)
ROWS = [
    {"id": "1", "confidence": 0.9, "flip_disagreement": 0.1},
    {"id": "2", "confidence": 0.7999, "flip_disagreement": 0.0},
    {"id": "3", "confidence": 0.6, "flip_disagreement": 0.25},
]


def test_each_rejected_portrait_has_its_reasons():
    assert [row["rejected"] for row in gate(ROWS, SETTINGS)] == [
        None,
        "confidence 0.7999, less than 0.8",
        "confidence 0.6000, less than 0.8; flip_disagreement 0.2500, more than 0.1",
    ]


def test_the_command_writes_every_portrait_and_refuses_to_reject_all(tmp_path, script):
    columns = pa.schema([("id", pa.string()), ("confidence", pa.float32()), ("flip_disagreement", pa.float32())])
    write_shard(tmp_path / "labels.parquet", [ROWS[0] | {"flip_disagreement": 0.0}, *ROWS[1:]], columns)
    arguments = {"pseudo_labels": [tmp_path / "labels.parquet"], "out": tmp_path / "gate.parquet"}
    script("gate_pseudo_labels")(settings=SETTINGS, **arguments)
    found = list(read_rows([tmp_path / "gate.parquet"], ["id", "rejected"]))
    assert [(row["id"], row["rejected"] is None) for row in found] == [("1", True), ("2", False), ("3", False)]
    with pytest.raises(UserError, match="min_confidence 0.95 and max_flip_disagreement 0.1 reject all 3 portraits"):
        script("gate_pseudo_labels")(settings=SETTINGS.model_copy(update={"min_confidence": 0.95}), **arguments)
