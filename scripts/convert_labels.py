"""The command of rule `convert_labels`."""

from pathlib import Path
from typing import Annotated

from facemill.config.ingest import IndexMasksConfig
from facemill.config.label import LabelsConfig
from facemill.data.shards import write_shard
from facemill.files import atomic_write
from facemill.imaging.figures import save_picture
from facemill.label.convert_labels import (
    SCHEMA,
    labelled_portraits,
    labelme_files,
    mask_files,
    near_duplicates_of,
    show_labels,
    split,
)
from facemill.label.page import checks_page
from facemill.workflow.command import Settings, run


def main(
    *,
    labelled: Path | None = None,
    mask_images: Path | None = None,
    masks: Path | None = None,
    settings: Annotated[LabelsConfig, Settings],
    size: int,
    ratio: float = 1,
    seed: int,
    threads: int = 1,
    train: Path,
    validation: Path,
    test: Path,
    page: Path,
    picture: Path,
) -> None:
    """Draws the class masks of labelme files, reads ready-made ones, and splits the labelled portraits into parts.

    All faults of all files are listed before anything is written.

    Args:
        labelled: folder of labelme JSON files with their images beside them
        mask_images: folder of the images of `masks`
        masks: folder of ready-made masks, PNG of the numbers of labels
        settings: section `labels` of the config, as JSON
        size: height of portraits and masks, in pixels
        ratio: of their height to their width
        seed: of the split
        threads: files read at a time
        train: portraits to train on, Parquet with columns id, image, mask
        validation: portraits that a training is watched on
        test: portraits that measure the U-Nets
        page: HTML of overlays, areas and warnings, the outliers first
        picture: PNG with examples
    """
    sources = labelme_files(labelled, settings) if labelled else []
    if masks and mask_images:
        sources += mask_files(IndexMasksConfig(images=mask_images, masks=masks), settings)
    rows, warnings = labelled_portraits(sources, size, threads, ratio)
    leaders = near_duplicates_of(rows)
    parts = split(rows, leaders, settings, seed)
    for part, path in {"train": train, "validation": validation, "test": test}.items():
        write_shard(path, parts[part], SCHEMA)
    places = {row["id"]: part for part, members in parts.items() for row in members}
    with atomic_write(page) as tmp:
        tmp.write_text(checks_page(rows, places, warnings, leaders))
    save_picture(show_labels(rows), picture)


if __name__ == "__main__":
    run(main)
