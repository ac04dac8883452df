"""Rule `review_generated`: generated portraits to label, as labelme files to correct."""

from collections.abc import Sequence
from pathlib import Path

from facemill.config.label import LabelsConfig
from facemill.data.classes import ClassTable
from facemill.data.shards import mask_classes, read_rows
from facemill.files import atomic_folder
from facemill.imaging.figures import save_picture
from facemill.log import log
from facemill.review.review_portraits import show_pairs, write_labelme
from facemill.stylegan.edit_rows import Generated, read_generated


def review_generated(
    *,
    generated: list[Path],
    count: int,
    labels: LabelsConfig,
    labelme: Path,
    picture: Path,
) -> None:
    """Writes the portraits to label as labelme files with the U-Net's masks, to correct.

    Args:
        generated: shards of generated portraits, with masks.
        count: how many, at most.
        labels: the section `labels`.
        labelme: folder of images, labelme files and labels.txt.
        picture: PNG of the portraits under their masks.
    """
    classes = mask_classes(generated)
    chosen = portraits_to_label(generated, classes, count).ids
    rows = {row["id"]: row for row in read_rows(generated, ["id", "image", "mask"]) if row["id"] in set(chosen)}
    pairs = [(rows[row_id], rows[row_id]) for row_id in chosen]
    with atomic_folder(labelme) as tmp:
        write_labelme(tmp, pairs, labels, classes)
    log.info("%d portraits to correct: labelme %s --labels %s/labels.txt", len(pairs), labelme, labelme)
    save_picture(show_pairs(pairs, classes), picture)


def portraits_to_label(generated: Sequence[Path], classes: ClassTable, count: int) -> Generated:
    """Random generated portraits that are accepted.

    Those whose styles are most unlike each other were worse in a trial: outliers, of whom the others learn less.

    Args:
        generated: shards of generated portraits.
        classes: their masks' class table.
        count: how many, at most.
    """
    return read_generated(generated, classes, count, lambda row_id: True)
