"""The table of selected posts, sorted by shard."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facemill.data.shards import open_shard, shard_of, sort_key, write_table


def write_selected(selected: pa.Table, shards: int, out: Path) -> None:
    """Writes the selected posts, sorted by shard and id, with a column `shard`, so that a job reads few other rows."""
    keys = [(shard_of(post_id, shards), sort_key(post_id)) for post_id in selected["id"].to_pylist()]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    table = selected.append_column("shard", pa.array([key[0] for key in keys], pa.int32())).take(
        pa.array(order, pa.int64())
    )
    write_table(out, table, max(1000, len(order) // 200))


def read_selected(selected: Path, shard: int) -> list[dict]:
    """The selected posts of a shard, in the order of its rows; of row groups without any the column `shard` is read.

    The footer's statistics would tell as much, but no checksum covers them.
    """
    posts: list[dict] = []
    with open_shard(selected) as table:
        for group in range(table.num_row_groups):
            inside = pc.equal(table.read_row_group(group, ["shard"])["shard"], shard)
            if pc.any(inside).as_py():
                posts += table.read_row_group(group).filter(inside).to_pylist()
    return posts
