"""Tags of portraits: from several sources, the name of each exclusive group, and the regions' colors."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from facemill.config.latent import TagsConfig
from facemill.data.batching import batched
from facemill.data.classes import ClassTable
from facemill.data.shards import count_rows, decode_image, decode_mask, mask_classes, write_shard
from facemill.imaging.colors import REGIONS, Lab, region_colors
from facemill.latent.attributes import GROUPS
from facemill.latent.rows import joined_rows
from facemill.latent.tag_sources import AssignedTags, assign_tags, group_names, load_tagger
from facemill.log import log, progress
from facemill.taggers.tagger import TaggerInput, most_probable

TEXT, NUMBER = pa.string(), pa.float32()
TAG_SCHEMA = pa.schema(
    [("id", TEXT)]
    + [(group + suffix, kind) for group in GROUPS for suffix, kind in [("", TEXT), ("_probability", NUMBER)]]
    + [(group + "_source", TEXT) for group in GROUPS]
    + [("tags", pa.list_(TEXT)), ("tag_probabilities", pa.list_(NUMBER)), ("tag_sources", pa.list_(TEXT))]
    + [(region, pa.list_(NUMBER)) for region in REGIONS]
)
"""Rows of a `tags` shard.

For each group its name, with probability and source, from the first source that has one; then every assigned tag, with
its probability and source; then the median L*a*b* of each region. What is missing is null.
"""

BATCH = 32


def tag_portraits(
    *,
    tags_config: TagsConfig,
    portraits: Path,
    pseudo_labels: Path | None = None,
    booleans: list[str] | None = None,
    tags: Path,
) -> None:
    """Tags the portraits of a shard and measures the median colors of their regions; same rows, same order.

    Args:
        tags_config: the sources of tags, and the palettes.
        portraits: the shard.
        pseudo_labels: the shard of its masks, where there are masks.
        booleans: tags wanted besides the names of hair, skin and eye colors.
        tags: the shard of tags to write.
    """
    groups = group_names(tags_config)
    sources: list[str] = [*tags_config.sources]
    taggers = {source: load_tagger(source, tags_config, booleans or []) for source in sources}
    classes = mask_classes([pseudo_labels]) if pseudo_labels else None
    masks = [([pseudo_labels], ["mask"])] if pseudo_labels else []
    joined = joined_rows(([portraits], ["image", "tags"]), *masks)
    rows = []
    for batch in batched(progress(joined, "tag_portraits", count_rows([portraits])), BATCH):
        inputs = [_tagger_input(row, classes) for row in batch]
        assigned = assign_tags(taggers, inputs, groups, booleans or [])
        for row, portrait, portrait_tags in zip(batch, inputs, assigned, strict=True):
            rows.append(tag_row(row["id"], portrait_tags, groups, portrait.colors))
    write_shard(tags, rows, TAG_SCHEMA)
    for group in groups:
        unnamed = sum(row[group] is None for row in rows)
        log.info("tag_portraits: %d of %d portraits have no %s color", unnamed, len(rows), GROUPS[group])


def tag_row(
    portrait_id: str,
    assigned: AssignedTags,
    groups: Mapping[str, Sequence[str]],
    colors: Mapping[str, Lab | None] | None,
) -> dict:
    """A row of `TAG_SCHEMA`.

    Args:
        portrait_id: the portrait's id.
        assigned: its tags.
        groups: the names of each exclusive group.
        colors: the color of each region; None without a mask.
    """
    row: dict = {"id": portrait_id} | dict.fromkeys(TAG_SCHEMA.names[1:])
    for group, names in groups.items():
        for source, probs in assigned.items():
            name, probability = most_probable(probs, names)
            if name is not None:
                row |= {group: name, f"{group}_probability": probability, f"{group}_source": source}
                break
    tags = [(name, p, source) for source, probs in assigned.items() for name, p in probs.items()]
    row["tags"] = [name for name, _, _ in tags]
    row["tag_probabilities"] = [p for _, p, _ in tags]
    row["tag_sources"] = [source for _, _, source in tags]
    return row | dict(colors or {})


def _tagger_input(row: dict, classes: ClassTable | None) -> TaggerInput:
    image = decode_image(row["image"]["bytes"])
    if classes is None:
        return TaggerInput(image, row["tags"])
    mask = decode_mask(row["mask"]["bytes"], classes)
    return TaggerInput(image, row["tags"], region_colors(image, mask, classes))
