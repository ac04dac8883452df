"""Shards of portraits, cropped from the selected images."""

from pathlib import Path

import pyarrow as pa

from facemill.config.ingest import PortraitsConfig
from facemill.data.shards import open_shard, read_table, shard_of, write_shard, write_table
from facemill.errors import first_names, list_faults
from facemill.ingest.archives import read_image
from facemill.ingest.crop_place import warn_of_cut_heads
from facemill.ingest.culling_sheet import read_lists
from facemill.ingest.portraits import MIDDLE, REJECTS, SCHEMA, TOP, Box, center_box, crop_portrait, upright_size
from facemill.ingest.selected import read_selected
from facemill.log import log, progress


def crop_portraits(
    *,
    selected: Path,
    candidates: Path | None = None,
    duplicates: Path | None = None,
    rejected_ids: list[Path] = [],  # noqa: B006
    settings: PortraitsConfig,
    shard: int,
    portraits: Path,
    rejects: Path,
) -> None:
    """Reads, checks, crops and resizes the images of a shard.

    Args:
        selected: the table of selected posts.
        candidates: the boxes of the portraits in their images; without it they lie where `settings.crop` says.
        duplicates: portraits to leave out since they repeat another one.
        rejected_ids: lists of portraits to leave out, an id a line, as culling sheets export them.
        settings: section `portraits` of the config.
        shard: the number of the shard.
        portraits: the shard of portraits, Parquet.
        rejects: images that cannot be used and portraits rejected by hand, with the reason, Parquet.
    """
    posts = {post["id"]: post for post in read_selected(selected, shard)}
    schema = _schema(selected)
    boxes: list[dict] = [{"id": post_id, "post": post_id} for post_id in posts]
    if candidates:
        boxes = read_table(candidates).to_pylist()
    duplicate_ids = set(read_table(duplicates, ["id"])["id"].to_pylist()) if duplicates else set()
    culled_ids = read_lists(rejected_ids)
    of_shard = {portrait_id for portrait_id in culled_ids if shard_of(portrait_id, settings.shards) == shard}
    if nameless := sorted(of_shard - {candidate["id"] for candidate in boxes}):
        log.warning("portraits.rejected_ids: no portrait has %d of the ids: %s", len(nameless), first_names(nameless))
    rows, rejected, largest = [], [], []
    for candidate in progress(boxes, f"portraits {shard}", len(boxes)):
        portrait_id, post = candidate["id"], posts[candidate["post"]]
        if portrait_id in duplicate_ids:
            continue
        try:
            if portrait_id in culled_ids:
                raise ValueError("rejected by hand")
            content = read_image(post["path"], post["offset"], post["length"])
            box = Box(*(candidate[side] for side in Box._fields)) if candidates else None
            centering = TOP if settings.crop == "top" else MIDDLE
            encoded, suffix = crop_portrait(content, box, settings.width, settings.size, centering)
            if box is None:
                largest.append(center_box(*upright_size(content), settings.size / settings.width, centering))
        except ValueError as error:
            rejected.append({"id": portrait_id, "source": post["path"], "reason": str(error)})
            continue
        row = {"id": portrait_id, "image": {"bytes": encoded, "path": f"{portrait_id}{suffix}"}}
        row |= {"tags": post["tags"], "source": post["path"]}
        rows.append(row | {name: post[name] for name in schema.names[len(SCHEMA) :]})
    warn_of_cut_heads(largest, f"shard {shard}")
    write_table(rejects, pa.Table.from_pylist(rejected, REJECTS))
    write_shard(portraits, rows, schema)
    repeats = len(boxes) - len(rows) - len(rejected)
    counts = f"shard {shard}: {len(rows)} portraits, {len(rejected)} rejected, {repeats} duplicates"
    log.info("\n  ".join([counts, *list_faults((reject["id"], reject["reason"]) for reject in rejected)]))


def _schema(selected: Path) -> pa.Schema:
    """The columns of the shard; CelebA's have its split and attributes, too."""
    with open_shard(selected) as table:
        schema = table.schema_arrow
    if "attributes" not in schema.names:
        return SCHEMA
    return SCHEMA.append(pa.field("split", pa.string())).append(schema.field("attributes"))
