"""The sample's portraits, drawn by another hand: what translations of them should be, with their exact masks."""

from pathlib import Path

import cv2
import pyarrow as pa

from facemill.config.ingest import PortraitsConfig
from facemill.config.label import LabelsConfig
from facemill.data.classes import ClassTable
from facemill.data.shards import IMAGE, encode_mask, read_rows, write_shard
from facemill.ingest.drawing import draw
from facemill.ingest.portraits import MIDDLE, SCHEMA, TOP, center_box, crop_portrait
from facemill.ingest.render_sample import part_class_ids
from facemill.ingest.toon_head import OTHER_HAND
from facemill.log import progress


def draw_other_hand(
    *,
    portraits: Path,
    settings: PortraitsConfig,
    seed: int,
    classes: ClassTable,
    labels: LabelsConfig,
    other: Path,
) -> None:
    """Draws the portraits of a shard by the other hand: the same persons, poses and backgrounds.

    Args:
        portraits: shard of the sample's portraits.
        settings: section `portraits` of the config.
        seed: that of the sample.
        classes: the class table of the masks.
        labels: section `labels` of the config, which merges labels into classes.
        other: shard to write, with the columns of portraits and their masks.
    """
    ids = part_class_ids(classes, labels)
    centering = TOP if settings.crop == "top" else MIDDLE
    full = 2 * settings.size
    box = center_box(full, full, settings.ratio, centering)
    top, bottom, left, right = (round(share * full) for share in (box.top, box.bottom, box.left, box.right))
    rows, drawn = list(read_rows([portraits], ["id", "tags", "source"])), []
    for row in progress(rows, "drawing", len(rows), "portraits"):
        drawing = draw(int(row["id"]), seed, OTHER_HAND)
        encoded, suffix = crop_portrait(drawing.image(full), None, settings.width, settings.size, centering)
        parts = drawing.part_ids(full)[top:bottom, left:right]
        parts = cv2.resize(parts, (settings.width, settings.size), interpolation=cv2.INTER_NEAREST)
        row |= {"image": {"bytes": encoded, "path": f"{row['id']}{suffix}"}}
        drawn.append(row | {"mask": {"bytes": encode_mask(ids[parts], classes), "path": f"{row['id']}.png"}})
    write_shard(other, drawn, SCHEMA.append(pa.field("mask", IMAGE)), classes)
