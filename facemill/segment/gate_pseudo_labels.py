"""The gate: which pseudo-labelled portraits GauGAN is trained on, and why the others are rejected."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from facemill.config.segment import PseudoLabelsConfig
from facemill.data.shards import read_rows, write_shard
from facemill.data.splits import trained_on
from facemill.errors import UserError
from facemill.log import log

SCHEMA = pa.schema([("id", pa.string()), ("rejected", pa.string())])
"""`rejected`: the reason; null for an accepted portrait."""


def gate_pseudo_labels(
    *, portraits: list[Path], pseudo_labels: list[Path], settings: PseudoLabelsConfig, holdout: float, gate: Path
) -> None:
    """Accepts or rejects every pseudo-labelled portrait, with the reason.

    Args:
        portraits: shards of the collection.
        pseudo_labels: shards of pseudo-labels.
        settings: the section `pseudo_labels`.
        holdout: share of the portraits that is held out.
        gate: table with columns id and rejected: the reason, or null for an accepted portrait.

    Raises:
        UserError: No portrait is accepted, or none that GauGAN may learn from.
    """
    rows = list(gate_rows(read_rows(pseudo_labels, ["id", "confidence", "flip_disagreement"]), settings))
    accepted = [row["id"] for row in rows if row["rejected"] is None]
    if not accepted:
        raise UserError(
            f"pseudo_labels: min_confidence {settings.min_confidence:g} and max_flip_disagreement "
            f"{settings.max_flip_disagreement:g} reject all {len(rows)} portraits; accepted: limits that leave some, "
            "or more labelled portraits"
        )
    if not any(map(trained_on(portraits, holdout), accepted)):
        raise UserError(
            f"pseudo_labels: all {len(accepted)} portraits that are accepted, of {len(rows)}, are held out; accepted: "
            f"a lower holdout than {holdout:g}, or limits that reject fewer"
        )
    log.info("%d of %d pseudo-labelled portraits are accepted", len(accepted), len(rows))
    write_shard(gate, rows, SCHEMA)


def gate_rows(pseudo_labels: Iterable[dict[str, Any]], settings: PseudoLabelsConfig) -> Iterator[dict[str, Any]]:
    """Yields the rows of `SCHEMA` for pseudo-labels (id, confidence, flip_disagreement), in their order."""
    for row in pseudo_labels:
        reasons = []
        confidence, disagreement = row["confidence"], row["flip_disagreement"]
        if confidence < settings.min_confidence:
            reasons.append(f"confidence {confidence:.4f}, less than {settings.min_confidence:g}")
        if disagreement > settings.max_flip_disagreement:
            reasons.append(f"flip_disagreement {disagreement:.4f}, more than {settings.max_flip_disagreement:g}")
        yield {"id": row["id"], "rejected": "; ".join(reasons) or None}
