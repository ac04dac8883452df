"""Accepts or rejects pseudo-labelled portraits for the training of GauGAN."""

from pathlib import Path
from typing import Annotated

from facemill.config.segment import PseudoLabelsConfig
from facemill.data.shards import read_rows, write_shard
from facemill.errors import UserError
from facemill.log import log
from facemill.segment.gate_pseudo_labels import NUMBERS, SCHEMA, gate
from facemill.workflow.command import Settings, run


def main(*, pseudo_labels: list[Path], settings: Annotated[PseudoLabelsConfig, Settings], out: Path) -> None:
    """Accepts or rejects every pseudo-labelled portrait, with the reason.

    Args:
        pseudo_labels: shards of pseudo-labels
        settings: the section `pseudo_labels`
        out: table with columns id and rejected: the reason, or null for an accepted portrait
    """
    rows = list(gate(read_rows(pseudo_labels, NUMBERS), settings))
    accepted = sum(row["rejected"] is None for row in rows)
    if not accepted:
        raise UserError(
            f"pseudo_labels: min_confidence {settings.min_confidence:g} and max_flip_disagreement {settings.max_flip_disagreement:g} "
            f"reject all {len(rows)} portraits; accepted: limits that leave some, or more labelled portraits"
        )
    log.info("%d of %d pseudo-labelled portraits are accepted", accepted, len(rows))
    write_shard(out, rows, SCHEMA)


if __name__ == "__main__":
    run(main)
