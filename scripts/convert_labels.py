"""The command of rule `convert_labels`."""

from pathlib import Path

from facemill.command import Annotated, Settings, run
from facemill.config import Labels
from facemill.figures import save_picture
from facemill.label.convert import SCHEMA, labelled_portraits, show_labels, split
from facemill.shards import write_shard


def main(
    *,
    labelled: Path,
    settings: Annotated[Labels, Settings],
    size: int,
    seed: int,
    train: Path,
    validation: Path,
    test: Path,
    picture: Path,
) -> None:
    """Draws the class masks of a folder of labelme files, and splits the labelled portraits into parts.

    All faults of all files are listed before anything is written.

    Args:
        labelled: folder of labelme JSON files with their images beside them
        settings: section `labels` of the config, as JSON
        size: width and height of portraits and masks, in pixels
        seed: of the split
        train: portraits to train on, Parquet with columns id, image, mask
        validation: portraits that choose the best step of a training
        test: portraits that measure the U-Nets
        picture: PNG with examples
    """
    rows = labelled_portraits(labelled, settings, size)
    parts = split(rows, settings, seed)
    for part, path in {"train": train, "validation": validation, "test": test}.items():
        write_shard(path, parts[part], SCHEMA)
    save_picture(show_labels(rows), picture)


if __name__ == "__main__":
    run(main)
