"""The other collection, where it is that of another run: its portraits with their masks, a shard a time."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from facemill.data.shards import mask_classes, open_shard, write_batches
from facemill.errors import UserError


def take_other(*, portraits: Path, pseudo_labels: Path | None = None, other: Path) -> None:
    """Copies a shard of another run's portraits, with their masks.

    Args:
        portraits: shard of portraits.
        pseudo_labels: shard of their masks, where that run has any.
        other: shard to write: the columns of the portraits, and `mask`.

    Raises:
        UserError: The shards have other portraits.
    """
    with open_shard(portraits) as shard:
        fields = list(shard.schema_arrow)
    if not pseudo_labels:
        write_batches(other, (batch for table in _groups(portraits) for batch in table.to_batches()), pa.schema(fields))
        return
    with open_shard(pseudo_labels) as shard:
        schema = pa.schema([*fields, shard.schema_arrow.field("mask")])

    def batches() -> Iterator[pa.RecordBatch]:
        """Yields the portraits with their masks."""
        for table, masks in zip(_groups(portraits), _groups(pseudo_labels, ["id", "mask"]), strict=True):
            if table["id"] != masks["id"]:
                raise UserError(f"{pseudo_labels}: found masks of other portraits than those of {portraits}")
            yield from table.append_column("mask", masks["mask"]).cast(schema).combine_chunks().to_batches()

    write_batches(other, batches(), schema, mask_classes([pseudo_labels]))


def _groups(path: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    with open_shard(path) as shard:
        for group in range(shard.num_row_groups):
            yield shard.read_row_group(group, columns)
