"""Tags of generated portraits."""

from pathlib import Path

from facemill.config.latent import TagsConfig
from facemill.data.shards import open_shard
from facemill.latent.tag_portraits import tag_portraits


def tag_generated(*, tags_config: TagsConfig, generated: Path, booleans: list[str] | None = None, tags: Path) -> None:
    """Tags the generated portraits of a shard and measures the median colors of their regions, as `tag_portraits`.

    Args:
        tags_config: the sources of tags, and the palettes.
        generated: the shard, with masks where there are any.
        booleans: tags wanted besides the names of hair, skin and eye colors.
        tags: the shard of tags to write.
    """
    with open_shard(generated) as shard:
        masks = generated if "mask" in shard.schema_arrow.names else None
    tag_portraits(tags_config=tags_config, portraits=generated, pseudo_labels=masks, booleans=booleans, tags=tags)
