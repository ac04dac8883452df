"""Names the hair colours of a shard of portraits."""

from pathlib import Path

from facemill.colors import region_colors
from facemill.command import Annotated, Settings, log, progress, run
from facemill.config import Tags
from facemill.latent.colors import COLOR_SCHEMA, lab_palette, name_by_color, name_by_tags
from facemill.latent.rows import joined_rows
from facemill.shards import count_rows, decode_image, decode_mask, write_shard


def main(*, settings: Annotated[Tags, Settings], portraits: Path, pseudo_labels: Path, out: Path) -> None:
    """Writes each portrait's hair colour and the median L*a*b* of its regions, same rows in the same order."""
    palette = lab_palette(settings.hair_colors)
    pairs = joined_rows(([portraits], ["image", "tags"]), ([pseudo_labels], ["mask"]))
    rows = []
    for pair in progress(pairs, "tag_colors", count_rows([portraits])):
        colors = region_colors(decode_image(pair["image"]["bytes"]), decode_mask(pair["mask"]["bytes"]))
        if settings.source == "color":
            name, probability = name_by_color(colors["hair"], palette)
        else:
            name, probability = name_by_tags(pair["tags"], palette)
        rows.append({"id": pair["id"], "hair_color": name, "probability": probability} | colors)
    write_shard(out, rows, COLOR_SCHEMA)
    nameless = sum(row["hair_color"] is None for row in rows)
    log.info("tag_colors: %d of %d portraits have no hair colour", nameless, len(rows))


if __name__ == "__main__":
    run(main)
