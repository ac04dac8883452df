"""Reads a collection into the table of posts."""

from pathlib import Path
from typing import Annotated, Literal

from facemill.command import Settings, log, run
from facemill.config import Source
from facemill.errors import BadInput
from facemill.files import whole
from facemill.ingest.celeba import read_celeba
from facemill.ingest.danbooru import read_danbooru
from facemill.ingest.posts import Collection, read_folder


def main(
    *,
    kind: Literal["sample", "danbooru", "celeba", "folder"],
    settings: Annotated[Source, Settings],
    out: Path,
    rejects: Path,
) -> None:
    """Read what a collection says about its images into one typed table; what cannot be used is rejected.

    Parameters
    ----------
    kind
        What the collection is; the sample is read as a Danbooru dump.
    settings
        The config's `source`, as JSON.
    out
        The posts, Parquet.
    rejects
        Broken records, posts without an image and images without a post, each with its reason, Parquet.
    """
    collection = read(kind, settings)
    with whole(out) as beside:
        collection.posts_table().write_parquet(beside)
    with whole(rejects) as beside:
        collection.rejects_table().write_parquet(beside)
    log.info("%d posts, %d rejected", len(collection.posts), len(collection.rejects))


def read(kind: str, source: Source) -> Collection:
    """The posts of a collection of any kind."""
    match kind, source:
        case "folder", Source(images=Path() as images):
            return read_folder(images)
        case "celeba", Source(images=Path() as images, attributes=Path() as attributes):
            return read_celeba(attributes, images, source.max_broken)
        case "sample" | "danbooru", Source(images=Path() as images, metadata=[_, *_] as metadata):
            return read_danbooru(metadata, images, source.max_broken)
    raise BadInput(f"source: kind {kind!r} lacks its images, metadata or attributes; found {source!r}")


if __name__ == "__main__":
    run(main)
