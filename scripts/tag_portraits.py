"""Tags a shard of portraits."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

from facemill.config.latent import TagsConfig
from facemill.data.shards import count_rows, decode_image, decode_mask, write_shard
from facemill.imaging.colors import region_colors
from facemill.latent.rows import joined_rows
from facemill.latent.tag_portraits import GROUPS, TAG_SCHEMA, believed_tags, load_tagger, names_of, tag_row
from facemill.log import log, progress
from facemill.taggers.tagger import TaggerInput
from facemill.workflow.command import Settings, run

BATCH = 32


def main(
    *,
    settings: Annotated[TagsConfig, Settings],
    portraits: Path,
    out: Path,
    pseudo_labels: Path | None = None,
    booleans: list[str] | None = None,
) -> None:
    """Writes what each source says of each portrait, and the median colors of its regions; same rows, same order.

    Parameters
    ----------
    pseudo_labels:
        the masks, where there are any
    booleans:
        tags wanted besides the names of hair, skin and eye colors
    """
    groups, wanted = names_of(settings), booleans or []
    taggers = {source: load_tagger(source, settings, wanted) for source in settings.sources}
    masks = [([pseudo_labels], ["mask"])] if pseudo_labels else []
    found = progress(joined_rows(([portraits], ["image", "tags"]), *masks), "tag_portraits", count_rows([portraits]))
    rows = []
    for batch in _batches(found):
        seen = [_portrait(row) for row in batch]
        believed = believed_tags(taggers, seen, groups, wanted)
        rows += [
            tag_row(row["id"], tags, groups, portrait.colors)
            for row, portrait, tags in zip(batch, seen, believed, strict=True)
        ]
    write_shard(out, rows, TAG_SCHEMA)
    for group in groups:
        nameless = sum(row[group] is None for row in rows)
        log.info("tag_portraits: %d of %d portraits have no %s color", nameless, len(rows), GROUPS[group])


def _portrait(row: dict) -> TaggerInput:
    image = decode_image(row["image"]["bytes"])
    colors = region_colors(image, decode_mask(row["mask"]["bytes"])) if "mask" in row else None
    return TaggerInput(image, row["tags"], colors)


def _batches(rows: Iterable[dict]) -> Iterator[list[dict]]:
    stream = iter(rows)
    while batch := list(islice(stream, BATCH)):
        yield batch


if __name__ == "__main__":
    run(main)
