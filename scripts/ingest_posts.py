"""Reads a collection into the table of posts."""

import hashlib
import os
from pathlib import Path
from typing import Annotated, Literal

from facemill.config.ingest import SourceConfig
from facemill.errors import UserError
from facemill.ingest.celeba import read_celeba, read_names
from facemill.ingest.danbooru import BLOCK, read_danbooru
from facemill.ingest.folder import read_folder
from facemill.ingest.images import list_images, without_repeats
from facemill.ingest.posts import Collection
from facemill.log import log
from facemill.workflow.command import Settings, run


def main(
    *,
    kind: Literal["sample", "danbooru", "celeba", "folder"],
    settings: Annotated[SourceConfig, Settings],
    images: list[Path],
    metadata: list[Path] = [],  # noqa: B006
    attributes: Path | None = None,
    partition: Path | None = None,
    tags: Path | None = None,
    out: Path,
    rejects: Path,
    threads: int = 1,
) -> None:
    """Read what a collection says about its images into one typed table; what cannot be used is rejected.

    Parameters
    ----------
    kind
        What the collection is; the sample is read as a Danbooru dump.
    settings
        The config's `source`, as JSON.
    images
        Folders and archives of images: here and below the local files of what the settings name.
    metadata
        Danbooru's metadata.
    attributes
        CelebA's attributes.
    partition
        CelebA's partition.
    tags
        A folder's CSV of tags.
    out
        The posts, Parquet.
    rejects
        Broken records, posts without an image and images without a post, each with its reason, Parquet.
    threads
        Processes that decode metadata.
    """
    given = {"images": images, "metadata": metadata}
    given |= {"attributes": [attributes], "partition": [partition], "tags": [tags]}
    check_sums(settings, given)
    with Collection(out, rejects, read_names(attributes) if attributes else ()) as collection:

        def reject(path: str, reason: str) -> None:
            collection.reject(path, reason, id=Path(path.split("::")[0]).stem)

        found = list_images(images, reject, settings.follow_links)
        if kind == "folder":
            read_folder(found, tags, settings.tag_pattern, collection)
        elif kind == "celeba":
            if attributes is None:
                raise UserError("--attributes: found nothing; accepted: a path, which kind 'celeba' needs")
            read_celeba(attributes, partition, without_repeats(found, reject), collection, settings.max_broken)
        else:
            if not metadata:
                raise UserError(f"--metadata: found nothing; accepted: paths, which kind {kind!r} needs")
            blocks = sum(map(os.path.getsize, metadata)) // BLOCK
            processes = max(1, min(threads, blocks // 4))
            read_danbooru(metadata, without_repeats(found, reject), collection, settings.max_broken, processes)
    log.info("%d posts, %d rejected", collection.posts, collection.rejected)


def check_sums(settings: SourceConfig, given: dict[str, list[Path | None]]) -> None:
    """Compares checksums with the files that they are given for."""
    for key, named in settings.files().items():
        for location, path in zip(named, given[key], strict=True) if named else ():
            expected = settings.sha256.get(str(location))
            if expected is None or path is None:
                continue
            if path.is_dir():
                raise UserError(f"source.sha256.{location}: a folder; accepted: a file")
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != expected.lower():
                raise UserError(f"source.{key}: {location} has sha256 {found}; accepted: {expected.lower()}")


if __name__ == "__main__":
    run(main)
