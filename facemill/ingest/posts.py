"""The table of posts, the metadata of a collection's images, with the same typed columns for every kind of collection.

What cannot be used becomes a reject with its reason. Both tables are written in parts, so that memory does not grow
with the collection.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facemill.data.names import as_key, printable
from facemill.errors import NAMED, UserError, kind_of
from facemill.files import atomic_write

CATEGORIES = {"general": 0, "artist": 1, "copyright": 3, "character": 4, "meta": 5}
"""Danbooru's categories of tags and their numbers: https://danbooru.donmai.us/wiki_pages/help:tags"""

TAG_COLUMNS = [f"tags_{category}" for category in CATEGORIES]
"""The columns of tags; those of collections without categories are all in the first."""

TAGS = pa.list_(pa.dictionary(pa.int32(), pa.string()))
"""Tags in memory: some thousand distinct ones in millions of posts. Files hold them as lists of strings."""

POSTS = pa.schema(
    [
        ("id", pa.string()),
        ("md5", pa.string()),
        ("created_at", pa.timestamp("us", "UTC")),
        ("rating", pa.string()),
        ("score", pa.int32()),
        ("fav_count", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("ext", pa.string()),
        ("is_deleted", pa.bool_()),
        ("is_banned", pa.bool_()),
        *((column, TAGS) for column in TAG_COLUMNS),
        ("source", pa.string()),
        ("split", pa.string()),
        ("path", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
    ]
)
"""The columns of the posts table; null where a collection has no such information.

`source` is the page that the uploader took the image from; `split` is train, validation or test in CelebA.
`path` is the image file, or a member of an archive as `zip://member::archive`; in a tar archive its bytes are `length`
bytes from `offset`. CelebA's table has one more column, `attributes`, a struct of booleans.
"""

REJECTS = pa.schema([("source", pa.string()), ("line", pa.int64()), ("id", pa.string()), ("reason", pa.string())])
"""The columns of the rejects table: a file, the line in it and the id of the post where they are known, the reason."""

_BUFFERED = 10_000


class Collection:
    """Posts and rejects in two Parquet files, in the order they are added; a context manager.

    The files are written atomically, when the block ends without an exception.

    Args:
        posts: the file of posts.
        rejects: the file of rejects.
        attributes: the names of booleans in a further column, `attributes`; none: no such column.
    """

    def __init__(self, posts: Path, rejects: Path, attributes: Sequence[str] = ()) -> None:
        self.schema = POSTS
        if attributes:
            self.schema = POSTS.append(pa.field("attributes", pa.struct([(name, pa.bool_()) for name in attributes])))
        self.posts = self.rejected = self.records = 0
        self._files = [atomic_write(posts), atomic_write(rejects)]
        self._rejects: list[tuple[str, int | None, str | None, str]] = []
        self._reasons: dict[str, tuple[str, int, list[str]]] = {}  # of each kind: its first reason, rejects, first ids
        self._broken = 0
        self._first_broken = ""

    def __enter__(self) -> "Collection":
        tmp = [file.__enter__() for file in self._files]
        tags = [f"{column}.list.element" for column in TAG_COLUMNS]
        self._posts_writer = pq.ParquetWriter(
            tmp[0],
            self.schema,
            compression="lz4",
            use_dictionary=["rating", "ext", "split", *tags],
            dictionary_pagesize_limit=1 << 24,
            write_statistics=[name for name in self.schema.names if name not in TAG_COLUMNS],  # of tags slow, of no use
            write_page_checksum=True,
            store_schema=False,
        )
        self._rejects_writer = pq.ParquetWriter(tmp[1], REJECTS, compression="zstd", write_page_checksum=True)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._flush_rejects()
        self._posts_writer.close()
        self._rejects_writer.close()
        for file in self._files:
            file.__exit__(kind, error, trace)

    def add(self, columns: dict[str, Any], rows: int) -> None:
        """Writes posts, given as columns of the table; missing columns are null, missing tags empty."""
        arrays = [
            pa.array(columns[field.name], field.type)
            if field.name in columns and not isinstance(columns[field.name], pa.Array)
            else columns.get(field.name, _default_column(field.type, rows))
            for field in self.schema
        ]
        self.posts += rows
        if rows:
            self._posts_writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema))

    def reject(self, source: Path | str, reason: str, line: int | None = None, post_id: str | None = None) -> None:
        """Adds a reject: an input that cannot be used; raw bytes in its name are spelled."""
        self._rejects.append((printable(str(source)), line, post_id and as_key(post_id), reason))
        if len(self._rejects) >= _BUFFERED:
            self._flush_rejects()

    def reject_lines(self, source: Path | str, reason: str, lines: np.ndarray, ids: np.ndarray) -> None:
        """Adds rejects: lines of a file that cannot be used for the same reason."""
        if len(lines):
            columns = {"source": [printable(str(source))] * len(lines), "line": lines, "id": ids.astype(str).tolist()}
            self._write_rejects(pa.table(columns | {"reason": [reason] * len(lines)}, REJECTS))

    def reject_broken(self, source: Path | str, line: int, reason: str) -> None:
        """Adds a reject: a record of the metadata that cannot be decoded."""
        self._broken += 1
        self._first_broken = self._first_broken or f"{source}:{line}: {reason}"
        self.reject(source, f"broken metadata: {reason}", line)

    def check_broken(self, max_broken: float) -> None:
        """Raises `UserError` when more than a share of the records since the last check is broken."""
        if self._broken > max_broken * self.records:
            raise UserError(
                f"{self._broken} of {self.records} metadata records are broken, the first {self._first_broken}; "
                f"accepted: source.max_broken {max_broken}"
            )
        self.records = self._broken = 0
        self._first_broken = ""

    def reject_unnamed(self, images: pl.DataFrame, named: np.ndarray) -> None:
        """Adds rejects: the images that no record of the metadata names."""
        for post_id, path in images.filter(~named).select("id", "path").iter_rows():
            self.reject(path, "the metadata names no such image", post_id=post_id)

    def _flush_rejects(self) -> None:
        if self._rejects:
            columns = zip(*self._rejects, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, REJECTS, strict=True)]
            self._rejects = []
            self._write_rejects(pa.Table.from_arrays(arrays, schema=REJECTS))

    def _write_rejects(self, table: pa.Table) -> None:
        self.rejected += len(table)
        self._rejects_writer.write_table(table)
        for reason, count in zip(*table["reason"].combine_chunks().value_counts().flatten(), strict=True):
            kind = kind_of(reason.as_py())
            first, so_far, ids = self._reasons.get(kind, (reason.as_py(), 0, []))
            if len(ids) < NAMED:
                rows = table.filter(pc.equal(table["reason"], reason)).slice(0, NAMED - len(ids)).to_pylist()
                ids = [*ids, *(row["id"] or f"{row['source']}:{row['line']}" for row in rows)]
            self._reasons[kind] = (first, so_far + count.as_py(), ids)

    def summarize_rejects(self) -> list[str]:
        """A line for each kind of reason: how many rejects have it, and the first of them."""
        self._flush_rejects()
        lines = []
        for reason, count, ids in self._reasons.values():
            more = f" and {count - len(ids)} more" if count > len(ids) else ""
            lines.append(f"{count} rejected: {reason}: {', '.join(ids)}{more}")
        return lines


def _default_column(kind: pa.DataType, rows: int) -> pa.Array:
    """A column that a collection does not have: nulls, or empty lists of tags."""
    return pa.array([[]] * rows, kind) if kind == TAGS else pa.nulls(rows, kind)
