"""What folders and files of any kind hold: their files, and a summary by which other contents are noticed."""

import hashlib
import os
from collections.abc import Iterable
from typing import TypedDict

from facemill.data.walk import File, Walk


class Everything(Walk):
    """A walk that no suffix ends: archives, tables and weights are wanted, too.

    Args:
        follow_links: whether links that point outside their folder are followed.
    """

    def __init__(self, follow_links: bool) -> None:
        super().__init__((), follow_links)

    def _is_wanted(self, name: str) -> bool:
        return True


class Summary(TypedDict):
    """What a folder holds, in numbers."""

    files: int
    bytes: int
    listing_sha256: str
    """The SHA-256 of the sorted lines `name<tab>size`, names within the folder."""


def summarized(files: Iterable[File]) -> Summary:
    """The number of files, their bytes, and a digest of their names and sizes."""
    sizes = {file.name: file.size for file in files}
    total = hashlib.sha256()
    for name, size in sorted(sizes.items()):
        total.update(b"%b\t%d\n" % (os.fsencode(name), size))
    return {"files": len(sizes), "bytes": sum(sizes.values()), "listing_sha256": total.hexdigest()}
