"""Posts: what a collection says about its images, as one typed table whatever the collection is.

Whatever cannot be used is kept as a reject with its reason.
"""

import datetime
import os
from collections import Counter
from pathlib import Path

import msgspec
import polars as pl
from PIL import Image

from facemill.command import progress
from facemill.errors import BadInput
from facemill.shards import order_of

POSTS = pl.Schema(
    {
        "id": pl.String,
        "md5": pl.String,
        "created_at": pl.Datetime("us", "UTC"),
        "rating": pl.String,
        "score": pl.Int32,
        "fav_count": pl.Int32,
        "width": pl.Int32,
        "height": pl.Int32,
        "ext": pl.String,
        "is_deleted": pl.Boolean,
        "is_banned": pl.Boolean,
        "tags": pl.List(pl.String),
        "path": pl.String,
    }
)
"""The posts table: what a collection does not say is null; `path` is the image file."""

REJECTS = pl.Schema({"source": pl.String, "line": pl.Int64, "id": pl.String, "reason": pl.String})
"""The rejects table: a file, the line in it if there is one, the id as far as it is known, and why."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
"""Names that end so are images; what the file really holds is seen when it is opened."""


class Post(msgspec.Struct, kw_only=True):
    """One row of the posts table."""

    id: str
    path: str
    tags: list[str] = []
    width: int | None = None
    height: int | None = None
    ext: str | None = None
    md5: str | None = None
    created_at: datetime.datetime | None = None
    rating: str | None = None
    score: int | None = None
    fav_count: int | None = None
    is_deleted: bool | None = None
    is_banned: bool | None = None


class Collection:
    """Posts and rejects, in the order they are found."""

    def __init__(self) -> None:
        self.posts: dict[str, Post] = {}
        self.rejects: list[tuple[str, int | None, str | None, str]] = []
        self._records = 0
        self._broken: list[str] = []

    def add(self, post: Post, source: Path, line: int | None = None) -> None:
        """Takes a post; one whose id is there already is rejected."""
        if post.id in self.posts:
            self.reject(source, "an earlier post has the same id", line, post.id)
        else:
            self.posts[post.id] = post

    def add_file(self, id: str, path: Path, tags: list[str]) -> None:
        """Takes an image file as a post; size and kind come from its header, the pixels are not read here."""
        try:
            with Image.open(path) as image:
                width, height = image.size
                ext = (image.format or path.suffix[1:]).lower().replace("jpeg", "jpg")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            self.reject(path, f"not a readable image ({first_line(error)})", id=id)
        else:
            self.add(Post(id=id, path=str(path), tags=tags, width=width, height=height, ext=ext), path)

    def reject(self, source: Path, reason: str, line: int | None = None, id: str | None = None) -> None:
        """Notes an input that cannot be used."""
        self.rejects.append((str(source), line, id, reason))

    def reject_broken(self, source: Path, line: int, reason: str) -> None:
        """Notes a record of the metadata that cannot be decoded."""
        self._broken.append(f"{source}:{line}: {reason}")
        self.reject(source, f"broken metadata: {reason}", line)

    def reject_unnamed(self, files: dict[str, Path], named: set[str]) -> None:
        """Notes the image files, by id, that no record of the metadata names."""
        for id, path in files.items():
            if id not in named:
                self.reject(path, "the metadata names no such image", id=id)

    def check_broken(self, records: int, max_broken: float) -> None:
        """Raises `BadInput` when more than a share of the metadata's records is broken."""
        if len(self._broken) > max_broken * records:
            raise BadInput(
                f"{len(self._broken)} of {records} metadata records are broken, the first {self._broken[0]}; "
                f"accepted: source.max_broken {max_broken}"
            )

    def posts_table(self) -> pl.DataFrame:
        """The posts as a table of `POSTS`, in the order of rows in shards."""
        posts = sorted(self.posts.values(), key=lambda post: order_of(post.id))
        return pl.DataFrame({name: [getattr(post, name) for post in posts] for name in POSTS}, POSTS)

    def rejects_table(self) -> pl.DataFrame:
        """The rejects as a table of `REJECTS`."""
        return pl.DataFrame(self.rejects, REJECTS, orient="row")


def first_line(error: Exception) -> str:
    """What an exception says, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]


def find_images(folder: Path) -> list[Path]:
    """All image files under a folder, by their suffix, sorted. Raises `BadInput` when there is none."""
    found = [
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
    ]
    if not found:
        raise BadInput(f"source.images: no image under {str(folder)!r}; accepted: {', '.join(sorted(IMAGE_SUFFIXES))}")
    return sorted(found)


def images_by_id(folder: Path, collection: Collection) -> dict[str, Path]:
    """The image files under a folder by their stems; of two with the same stem the later is rejected."""
    files: dict[str, Path] = {}
    for path in find_images(folder):
        if files.setdefault(path.stem, path) is not path:
            collection.reject(path, f"{files[path.stem]} has the same id", id=path.stem)
    return files


def read_folder(images: Path) -> Collection:
    """A post for each image under a folder. Its id is the file's stem where that is unique, else the relative path."""
    found = find_images(images)
    stems = Counter(path.stem for path in found)
    collection = Collection()
    for path in progress(found, "reading image headers", len(found)):
        id = path.stem if stems[path.stem] == 1 else path.relative_to(images).as_posix()
        collection.add_file(id, path, [])
    return collection
