"""The command of rule `augment_labels`."""

from pathlib import Path
from typing import Annotated

from facemill.config.label import AugmentConfig
from facemill.data.shards import read_rows, write_shard
from facemill.imaging.figures import save_picture
from facemill.label.augment_labels import augmented, show_copies
from facemill.label.convert_labels import SCHEMA
from facemill.workflow.command import Settings, run


def main(
    *, labels: Path, settings: Annotated[AugmentConfig, Settings], seed: int, threads: int = 1, out: Path, picture: Path
) -> None:
    """Makes randomly warped copies of labelled portraits, each image together with its mask.

    Args:
        labels: labelled portraits to train on, Parquet with columns id, image, mask
        settings: section `augment` of the config, as JSON
        seed: of all changes; the same seed makes the same bytes
        threads: portraits warped at a time
        out: the copies, Parquet with the same columns; the originals are not among them
        picture: PNG with some portraits and their copies
    """
    originals = list(read_rows([labels]))
    rows = augmented(originals, settings, seed, threads)
    write_shard(out, rows, SCHEMA)
    save_picture(show_copies(originals, rows), picture)


if __name__ == "__main__":
    run(main)
