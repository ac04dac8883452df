"""The table of selected posts, sorted by shard."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from facemill.data.shards import shard_of, sort_key
from facemill.files import atomic_write


def write_selected(selected: pa.Table, shards: int, out: Path) -> None:
    """Writes the selected posts, sorted by shard and id, with a column `shard`, so that a job reads few other rows."""
    keys = [(shard_of(post_id, shards), sort_key(post_id)) for post_id in selected["id"].to_pylist()]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    table = selected.append_column("shard", pa.array([key[0] for key in keys], pa.int32())).take(
        pa.array(order, pa.int64())
    )
    with atomic_write(out) as tmp:
        pq.write_table(table, tmp, row_group_size=max(1000, len(order) // 200), compression="zstd")


def read_selected(selected: Path, shard: int) -> list[dict]:
    """The selected posts of a shard, in the order of its rows."""
    return pq.read_table(selected, filters=[("shard", "=", shard)]).to_pylist()
