"""Finds the portraits in one shard of selected images."""

from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq

from facemill.config.ingest import PortraitsConfig
from facemill.files import atomic_write
from facemill.ingest.faces import face_finder
from facemill.ingest.find_portraits import CANDIDATES, find_candidates
from facemill.ingest.persons import person_check
from facemill.ingest.portraits import REJECTS, Unreadable
from facemill.ingest.selected import read_selected
from facemill.log import log, progress
from facemill.workflow.command import Settings, run


def main(
    *, selected: Path, settings: Annotated[PortraitsConfig, Settings], shard: int, out: Path, rejects: Path
) -> None:
    """Find the persons and faces in the images of one shard, and hash what would become portraits.

    Parameters
    ----------
    selected
        The table of selected posts.
    settings
        The config's `portraits`, as JSON.
    shard
        Which shard: the posts whose id falls into it.
    out
        A row for each portrait: where it is in its image, its perceptual hash, its size. Parquet.
    rejects
        The images in which there is none, with the reason, Parquet.
    """
    posts = read_selected(selected, shard)
    find = face_finder(settings.detector) if settings.detector else None
    check = person_check(settings.person) if settings.person else None
    rows, rejected = [], []
    for post in progress(posts, f"portraits {shard}", len(posts)):
        try:
            rows += find_candidates(post, settings, find, check)
        except Unreadable as error:
            rejected.append({"id": post["id"], "source": post["path"], "reason": str(error)})
    with atomic_write(out) as tmp:
        pq.write_table(pa.Table.from_pylist(rows, CANDIDATES), tmp)
    with atomic_write(rejects) as tmp:
        pq.write_table(pa.Table.from_pylist(rejected, REJECTS), tmp)
    log.info("shard %d: %d portraits in %d images, %d rejected", shard, len(rows), len(posts), len(rejected))


if __name__ == "__main__":
    run(main)
