"""The gate: which pseudo-labelled portraits GauGAN may learn from, and why not the others."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from facemill.config.segment import PseudoLabelsConfig

NUMBERS = ["id", "confidence", "flip_disagreement"]
"""What the gate reads of a pseudo-label."""

SCHEMA = pa.schema([("id", pa.string()), ("rejected", pa.string())])
"""`rejected`: why, in words; null for an accepted portrait."""


def gate(pseudo_labels: Iterable[dict], settings: PseudoLabelsConfig) -> Iterator[dict]:
    """Yields the rows of `SCHEMA` for pseudo-labels (id, confidence, flip_disagreement), in their order."""
    for row in pseudo_labels:
        reasons = []
        if row["confidence"] < settings.min_confidence:
            reasons.append(f"confidence {row['confidence']:.4f}, less than {settings.min_confidence:g}")
        if row["flip_disagreement"] > settings.max_flip_disagreement:
            reasons.append(
                f"flip_disagreement {row['flip_disagreement']:.4f}, more than {settings.max_flip_disagreement:g}"
            )
        yield {"id": row["id"], "rejected": "; ".join(reasons) or None}
