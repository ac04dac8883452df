"""The gate before GauGAN."""

import subprocess
import sys

import pyarrow as pa
import pytest

from facemill.config.segment import PseudoLabelsConfig
from facemill.data.shards import read_rows, write_shard
from facemill.data.splits import hash_fraction
from facemill.errors import UserError
from facemill.segment.gate_pseudo_labels import gate_pseudo_labels, gate_rows

SETTINGS = PseudoLabelsConfig(version="v3", min_confidence=0.8, max_flip_disagreement=0.1)
ROWS = [
    {"id": "1", "confidence": 0.9, "flip_disagreement": 0.1},
    {"id": "2", "confidence": 0.7999, "flip_disagreement": 0.0},
    {"id": "3", "confidence": 0.6, "flip_disagreement": 0.25},
]


def test_each_rejected_portrait_has_its_reasons():
    assert [row["rejected"] for row in gate_rows(ROWS, SETTINGS)] == [
        None,
        "confidence 0.7999, less than 0.8",
        "confidence 0.6000, less than 0.8; flip_disagreement 0.2500, more than 0.1",
    ]


def test_the_gate_has_every_portrait_and_refuses_to_reject_all(tmp_path):
    columns = pa.schema([("id", pa.string()), ("confidence", pa.float32()), ("flip_disagreement", pa.float32())])
    write_shard(tmp_path / "labels.parquet", [ROWS[0] | {"flip_disagreement": 0.0}, *ROWS[1:]], columns)
    shards = [tmp_path / "labels.parquet"]
    arguments = {"portraits": shards, "pseudo_labels": shards, "gate": tmp_path / "gate.parquet", "holdout": 0.0}
    gate_pseudo_labels(settings=SETTINGS, **arguments)
    rows = read_rows([tmp_path / "gate.parquet"], ["id", "rejected"])
    assert [(row["id"], row["rejected"] is None) for row in rows] == [("1", True), ("2", False), ("3", False)]
    with pytest.raises(UserError, match="min_confidence 0.95 and max_flip_disagreement 0.1 reject all 3 portraits"):
        gate_pseudo_labels(settings=SETTINGS.model_copy(update={"min_confidence": 0.95}), **arguments)
    with pytest.raises(UserError, match="all 1 portraits that are accepted, of 3, are held out; accepted: a lower hol"):
        gate_pseudo_labels(settings=SETTINGS, **arguments | {"holdout": hash_fraction("1", "holdout") + 0.001})


@pytest.mark.parametrize("module", ["gate_pseudo_labels", "show_pseudo_labels"])
def test_rules_without_a_network_import_no_torch(module):
    check = f"import sys, facemill.segment.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
