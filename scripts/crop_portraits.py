"""Makes one shard of portraits from selected posts."""

from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq

from facemill.config.ingest import PortraitsConfig
from facemill.data.shards import write_shard
from facemill.errors import UserError
from facemill.files import atomic_write
from facemill.ingest.archives import read_image
from facemill.ingest.culling_sheet import read_rejected
from facemill.ingest.portraits import REJECTS, SCHEMA, Box, crop_portrait
from facemill.ingest.selected import read_selected
from facemill.log import log, progress
from facemill.workflow.command import Settings, run


def main(
    *,
    selected: Path,
    settings: Annotated[PortraitsConfig, Settings],
    shard: int,
    candidates: Path | None = None,
    duplicates: Path | None = None,
    out: Path,
    rejects: Path,
) -> None:
    """Open, check, cut and resize the images of one shard.

    Parameters
    ----------
    selected
        The table of selected posts.
    settings
        The config's `portraits`, as JSON.
    shard
        Which shard: the posts whose id falls into it.
    candidates
        Where the portraits are in their images; without it they are in the middle.
    duplicates
        The portraits that repeat another one, and are left out.
    out
        The shard of portraits, Parquet.
    rejects
        The images that cannot be used and the portraits that were rejected by hand, with the reason, Parquet.
    """
    posts = {post["id"]: post for post in read_selected(selected, shard)}
    schema = with_truth(selected)
    found: list[dict] = [{"id": id, "post": id} for id in posts]
    if candidates:
        found = pq.read_table(candidates).to_pylist()
    repeated = set(pq.read_table(duplicates, columns=["id"])["id"].to_pylist()) if duplicates else set()
    culled = read_lists(settings.rejected_ids)
    rows, rejected = [], []
    for portrait in progress(found, f"portraits {shard}", len(found)):
        id, post = portrait["id"], posts[portrait["post"]]
        if id in repeated:
            continue
        if id in culled:
            rejected.append({"id": id, "source": post["path"], "reason": "rejected by hand"})
            continue
        try:
            content = read_image(post["path"], post["offset"], post["length"])
            box = Box(*(portrait[side] for side in Box._fields)) if candidates else None
            encoded, suffix = crop_portrait(content, box, settings.width, settings.size)
        except ValueError as error:
            rejected.append({"id": id, "source": post["path"], "reason": str(error)})
            continue
        image = {"bytes": encoded, "path": f"{id}{suffix}"}
        own = {"id": id, "image": image, "tags": post["tags"], "source": post["path"]}
        rows.append(own | {name: post[name] for name in schema.names[len(SCHEMA) :]})
    with atomic_write(rejects) as tmp:
        pq.write_table(pa.Table.from_pylist(rejected, REJECTS), tmp)
    write_shard(out, rows, schema)
    log.info(
        "shard %d: %d portraits, %d rejected, %d repeat others",
        shard,
        len(rows),
        len(rejected),
        len(found) - len(rows) - len(rejected),
    )


def with_truth(selected: Path) -> pa.Schema:
    """The columns of the shard: CelebA's split and attributes too."""
    given = pq.read_schema(selected)
    if "attributes" not in given.names:
        return SCHEMA
    return SCHEMA.append(pa.field("split", pa.string())).append(given.field("attributes"))


def read_lists(paths: list[Path]) -> set[str]:
    """The ids in lists that culling sheets exported."""
    try:
        return set().union(*(read_rejected(path.read_text(), str(path)) for path in paths))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"portraits.rejected_ids: {error}") from error


if __name__ == "__main__":
    run(main)
