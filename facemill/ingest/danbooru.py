"""Danbooru's metadata, in the form of the yearly dumps and in that of the API.

https://gwern.net/danbooru2021#metadata, https://danbooru.donmai.us/wiki_pages/help:api
"""

import datetime
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from facemill.command import progress
from facemill.errors import BadInput
from facemill.ingest.posts import Collection, Post, first_line, images_by_id

_Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


class _Tag(msgspec.Struct):
    name: str


class _Record(msgspec.Struct):
    """The fields of both forms that are used; decoded leniently, since the dumps write numbers as strings."""

    id: int
    md5: str | None = None
    created_at: str | None = None
    rating: Literal["g", "s", "q", "e"] | None = None
    score: _Int32 | None = None
    image_width: _Int32 | None = None
    image_height: _Int32 | None = None
    file_ext: str | None = None
    is_deleted: bool | None = None
    is_banned: bool | None = None
    fav_count: _Int32 | None = None  # the API
    favs: list[msgspec.Raw] | None = None  # the dumps: ids of users
    tag_string: str | None = None  # the API
    tags: list[_Tag] | None = None  # the dumps

    def post(self, path: str) -> Post:
        tags = [tag.name for tag in self.tags] if self.tags is not None else (self.tag_string or "").split()
        return Post(
            id=str(self.id),
            path=path,
            tags=[sys.intern(tag) for tag in tags],  # millions of posts share few thousand tags
            width=self.image_width,
            height=self.image_height,
            ext=self.file_ext,
            md5=self.md5,
            created_at=_date(self.created_at) if self.created_at else None,
            rating=self.rating,
            score=self.score,
            fav_count=len(self.favs) if self.fav_count is None and self.favs is not None else self.fav_count,
            is_deleted=self.is_deleted,
            is_banned=self.is_banned,
        )


def _date(text: str) -> datetime.datetime:
    """A date of the dumps (`2008-06-10 03:08:07.34205 UTC`) or of the API (`2020-07-26T10:31:20.176-04:00`), in UTC."""
    date = datetime.datetime.fromisoformat(text.replace(" UTC", "+00:00"))
    return date.replace(tzinfo=date.tzinfo or datetime.UTC).astimezone(datetime.UTC)


def _records(path: Path) -> Iterator[tuple[int, bytes | msgspec.Raw]]:
    """The records of a metadata file, each with its line, or with its place in a JSON list, from 1."""
    with path.open("rb") as file:
        is_list = file.read(1) == b"["
        file.seek(0)
        if not is_list:
            yield from ((number, line) for number, line in enumerate(file, 1) if not line.isspace())
            return
        try:
            yield from enumerate(msgspec.json.decode(file.read(), type=list[msgspec.Raw]), 1)
        except msgspec.DecodeError as error:
            raise BadInput(f"{path}: not a whole JSON list ({error}); accepted: JSON lines or a JSON list") from error


def read_danbooru(metadata: list[Path], images: Path, max_broken: float) -> Collection:
    """The posts of Danbooru metadata files whose image is there.

    Metadata are JSON lines as in the dumps (numbers as strings, `tags` and `favs` as lists), or the API's JSON
    (`tag_string`, `fav_count`), as lines or as one list. Images are found by id anywhere under `images`, in bucket
    folders or flat, so that the originals and the 512 px sets are both at home.

    Raises `BadInput` when there are no images, or more than the share `max_broken` of the records cannot be decoded.
    """
    collection = Collection()
    files = images_by_id(images, collection)
    decoder = msgspec.json.Decoder(_Record, strict=False)
    named: set[str] = set()
    records = 0
    for path in progress(metadata, "reading metadata", len(metadata), "files"):
        for number, text in _records(path):
            records += 1
            try:
                record = decoder.decode(text)
                id = str(record.id)
                post = record.post(str(files.get(id, "")))
            except (msgspec.DecodeError, ValueError) as error:
                collection.reject_broken(path, number, first_line(error))
                continue
            named.add(id)
            if post.path:
                collection.add(post, path, number)
            else:
                collection.reject(path, "no image file with this id", number, id)
    collection.check_broken(records, max_broken)
    collection.reject_unnamed(files, named)
    return collection
