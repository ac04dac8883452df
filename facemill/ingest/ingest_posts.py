"""The table of posts from a collection's files; each kind of collection has a reader."""

from pathlib import Path
from typing import Literal

from facemill.config.ingest import SourceConfig
from facemill.errors import UserError
from facemill.files import sha256
from facemill.ingest.celeba import read_celeba, read_names
from facemill.ingest.danbooru import read_danbooru
from facemill.ingest.folder import read_folder
from facemill.ingest.images import list_images, without_repeats
from facemill.ingest.posts import Collection
from facemill.log import log

_BY_POST = "none of {} images belongs to a post; accepted: images whose names begin with the post's id, or are its MD5"
_NO_POST = {
    "sample": f"source.metadata: {_BY_POST}",
    "danbooru": f"source.metadata: {_BY_POST}",
    "celeba": "source.attributes: none of {} images has a row; accepted: a file that names the images",
    "folder": "source.images: none of {} images can be read; accepted: image files",
}
"""What is wrong with each kind of collection that has no post, for a number of images."""


def ingest_posts(
    *,
    kind: Literal["sample", "danbooru", "celeba", "folder"],
    settings: SourceConfig,
    images: list[Path],
    metadata: list[Path] = [],  # noqa: B006
    attributes: Path | None = None,
    partition: Path | None = None,
    tags: Path | None = None,
    posts: Path,
    rejects: Path,
    threads: int = 1,
) -> None:
    """Reads a collection's metadata into a typed table of posts; what cannot be used is rejected.

    Why images and records are rejected is logged, a line for each kind of reason.

    Args:
        kind: the kind of collection; the sample is read as a Danbooru dump.
        settings: section `source` of the config.
        images: folders and archives of images: here and below the local copies of what the settings name.
        metadata: Danbooru's metadata.
        attributes: CelebA's attributes.
        partition: CelebA's partition.
        tags: a folder's CSV file of tags.
        posts: the posts, Parquet.
        rejects: broken records, posts without an image and images without a post, each with its reason, Parquet.
        threads: that decode metadata.

    Raises:
        UserError: A file is missing or cannot be read, or no post is left.
    """
    singles = {"attributes": attributes, "partition": partition, "tags": tags}
    paths = {key: [path] for key, path in singles.items() if path} | {"images": images, "metadata": metadata}
    check_sums(settings, paths)
    with Collection(posts, rejects, read_names(attributes) if attributes else ()) as collection:

        def reject(path: str, reason: str) -> None:
            collection.reject(path, reason, post_id=Path(path.split("::")[0]).stem)

        table = list_images(images, reject, settings.follow_links)
        if kind == "folder":
            read_folder(table, tags, settings.tag_pattern, collection)
        elif kind == "celeba":
            if attributes is None:
                raise UserError("--attributes: found nothing; accepted: a path, which kind 'celeba' needs")
            read_celeba(attributes, partition, without_repeats(table, reject), collection, settings.max_broken)
        else:
            if not metadata:
                raise UserError(f"--metadata: found nothing; accepted: paths, which kind {kind!r} needs")
            read_danbooru(metadata, without_repeats(table, reject), collection, settings.max_broken, threads)
        if not collection.posts:
            raise UserError("\n  ".join([_NO_POST[kind].format(len(table)), *collection.summarize_rejects()]))
        reasons = collection.summarize_rejects()
    log.info("\n  ".join([f"{collection.posts} posts, {collection.rejected} rejected", *reasons]))


def check_sums(settings: SourceConfig, paths: dict[str, list[Path]]) -> None:
    """Compares files with their checksums in the config.

    Args:
        settings: section `source` of the config.
        paths: the local copies of `settings.files()`, by the same keys.

    Raises:
        UserError: A checksum differs, or is given for a folder.
    """
    for key, locations in settings.files().items():
        for location, path in zip(locations, paths[key], strict=True) if locations else ():
            expected = settings.sha256.get(str(location))
            if expected is None:
                continue
            if path.is_dir():
                raise UserError(f"source.sha256.{location}: a folder; accepted: a file")
            actual = sha256(path)
            if actual != expected.lower():
                raise UserError(f"source.{key}: {location} has sha256 {actual}; accepted: {expected.lower()}")
