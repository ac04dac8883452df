"""Shards: image collections as Parquet files, with Hugging Face's image convention, and the masks inside them.

An image column is a struct of `bytes` (the encoded file) and `path`; the schema's `huggingface` metadata names it an
Image, so that `datasets`, pandas and DuckDB open a shard unaided.
Format: https://huggingface.co/docs/datasets/about_dataset_features
"""

import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from facemill.data import png
from facemill.data.batching import map_ahead
from facemill.data.classes import IGNORE, ClassTable, parse_classes
from facemill.data.mask_files import InvalidMask, read_mask
from facemill.data.names import image_of
from facemill.errors import Damaged, UserError
from facemill.files import atomic_write

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""Arrow type of an image column."""

ROWS_PER_GROUP = 256


def shard_of(row_id: str, shards: int) -> int:
    """The shard of a row: `id % shards` for numeric ids (Danbooru's bucket rule), a CRC-32 of the id otherwise.

    Further portraits of one image lie in its shard.
    """
    image_id = row_id if row_id.isdecimal() else image_of(row_id)
    return (int(image_id) if image_id.isdecimal() else zlib.crc32(image_id.encode())) % shards


def sort_key(row_id: str) -> tuple[int, str]:
    """The sort key of rows in a shard: numeric ids by value, before all others by name."""
    return (int(row_id), "") if row_id.isdecimal() else (1 << 63, row_id)


def _features(schema: pa.Schema) -> dict:
    def feature(kind: pa.DataType) -> dict:
        """A type as the library `datasets` describes it in a file's metadata."""
        if kind == IMAGE:
            return {"_type": "Image"}
        if pa.types.is_list(kind):
            return {"_type": "List", "feature": feature(kind.value_type)}
        if pa.types.is_struct(kind):
            return {field.name: feature(field.type) for field in kind}
        name = {pa.float32(): "float32", pa.float64(): "float64"}.get(kind, str(kind))
        return {"_type": "Value", "dtype": name}

    return {field.name: feature(field.type) for field in schema}


def write_shard(path: Path, rows: Sequence[dict], schema: pa.Schema, classes: ClassTable | None = None) -> None:
    """Writes rows as one Parquet shard, atomically; image bytes are not compressed a second time.

    The same rows give the same bytes. Each page carries a checksum, so that a damaged one is noticed. `classes` is the
    class table of the masks, which `mask_classes` reads.
    """
    # one batch could not hold more than 2 GiB of images
    write_batches(path, pa.Table.from_pylist(list(rows), schema).to_batches(), schema, classes)


def write_batches(
    path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema, classes: ClassTable | None = None
) -> None:
    """Writes record batches as `write_shard` writes their rows, each row group as soon as it is full."""
    info = {"info": {"features": _features(schema)}}
    metadata = {"huggingface": json.dumps(info)} | ({"classes": _json(classes)} if classes else {})
    compression = {leaf: "none" if leaf.endswith(".bytes") else "zstd" for leaf in _leaves(schema)}
    options = {"compression": compression, "use_dictionary": False, "write_page_checksum": True}
    with atomic_write(path) as tmp, pq.ParquetWriter(tmp, schema.with_metadata(metadata), **options) as writer:
        for group in _row_groups(batches, schema):
            writer.write_table(group)


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yields the batches' rows as tables of `ROWS_PER_GROUP`, each in one piece.

    There is none without rows: `datasets` refuses files with an empty row group.
    """
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        pending.append(batch)
        if sum(map(len, pending)) >= ROWS_PER_GROUP:
            rows = pa.Table.from_batches(pending, schema)
            full = len(rows) // ROWS_PER_GROUP
            for group in range(full):
                yield rows.slice(group * ROWS_PER_GROUP, ROWS_PER_GROUP).combine_chunks()
            pending = rows.slice(full * ROWS_PER_GROUP).to_batches()
    rest = pa.Table.from_batches(pending, schema)
    if len(rest):
        yield rest.combine_chunks()


def _leaves(schema: pa.Schema) -> Iterator[str]:
    for field in schema:
        if pa.types.is_struct(field.type):
            yield from (f"{field.name}.{part.name}" for part in field.type)
        elif pa.types.is_list(field.type):
            yield f"{field.name}.list.element"
        else:
            yield field.name


class Shard(pq.ParquetFile):
    """A shard or another table open for reading; what is read is checked against the pages' checksums.

    Args:
        path: the file.
        dictionaries: columns to read as dictionaries, since they hold few distinct strings.
    """

    def __init__(self, path: Path, dictionaries: Sequence[str] = ()) -> None:
        self.path = path
        with _noticing_damage(path):
            super().__init__(path, page_checksum_verification=True, read_dictionary=list(dictionaries))
            schema = self.schema_arrow
            named = json.loads((schema.metadata or {}).get(b"huggingface", b"null"))
            if named and named["info"]["features"] != _features(schema):  # no checksum covers the columns' names
                raise pa.ArrowInvalid("its columns are not those that its metadata names")

    def read_row_group(self, group: int, columns: list[str] | None = None) -> pa.Table:
        """The rows of a row group; raises `Damaged` when they are not as they were written."""
        with _noticing_damage(self.path):
            return super().read_row_group(group, columns)

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """All rows; raises `Damaged` when they are not as they were written."""
        with _noticing_damage(self.path):
            return super().read(columns)


@contextmanager
def _noticing_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such shard") from error
    except (OSError, pa.ArrowInvalid, ValueError, LookupError) as error:
        if getattr(error, "errno", None):  # the disk's fault, not the file's
            raise
        raise Damaged(path, error) from error


def open_shard(path: Path) -> Shard:
    """Opens a shard; raises `UserError` when it is missing, `Damaged` when it is truncated or not Parquet."""
    return Shard(path)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """All rows of a shard or another table; raises as `open_shard`, and `Damaged` for changed bytes."""
    with open_shard(path) as shard:
        return shard.read(columns)


def write_table(path: Path, table: pa.Table, rows_per_group: int | None = None) -> None:
    """Writes a table without images, atomically; each page carries a checksum, so that a damaged one is noticed."""
    with atomic_write(path) as tmp:
        pq.write_table(table, tmp, row_group_size=rows_per_group, compression="zstd", write_page_checksum=True)


def read_rows(paths: Sequence[Path], columns: list[str] | None = None) -> Iterator[dict]:
    """Yields the rows of shards in order, as dicts, one row group in memory at a time."""
    for path in paths:
        with open_shard(path) as shard:
            for group in range(shard.num_row_groups):
                yield from shard.read_row_group(group, columns).to_pylist()


def read_images(path: Path) -> Iterator[tuple[str, memoryview]]:
    """Yields the ids and encoded images of a shard in order; reads a row group ahead, and copies no image."""
    with open_shard(path) as shard, ThreadPoolExecutor(1) as reader:

        def read(group: int) -> pa.Table:
            return shard.read_row_group(group, ["id", "image"])

        for rows in map_ahead(reader, read, range(shard.num_row_groups), ahead=1):
            for batch in rows.to_batches():
                encoded = batch["image"].field("bytes")
                _, offsets, data = encoded.buffers()
                ends = np.frombuffer(offsets, np.int32)[encoded.offset :][: len(encoded) + 1].tolist()
                images = (memoryview(data)[start:end] for start, end in pairwise(ends))
                yield from zip(batch["id"].to_pylist(), images, strict=True)


def rows_at(paths: Sequence[Path], indices: Collection[int], columns: list[str]) -> dict[int, dict]:
    """The rows of shards by index, counted through all shards in order; row groups without any are not read."""
    rows: dict[int, dict] = {}
    start = 0
    for path in paths:
        with open_shard(path) as shard:
            for group in range(shard.num_row_groups):
                end = start + shard.metadata.row_group(group).num_rows
                if inside := [index for index in indices if start <= index < end]:
                    group_rows = shard.read_row_group(group, columns).to_pylist()
                    rows |= {index: group_rows[index - start] for index in inside}
                start = end
    return rows


def count_rows(paths: Sequence[Path]) -> int:
    """The number of rows in shards, from their footers alone."""
    return sum(open_shard(path).metadata.num_rows for path in paths)


def decode_image(encoded: bytes | memoryview) -> np.ndarray:
    """Decodes a JPEG or PNG portrait: uint8 RGB, (height, width, 3). Raises `UserError` when it cannot be read."""
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise UserError("an image in a shard cannot be decoded")
    return pixels


def encode_jpeg(pixels: np.ndarray, quality: int = 95) -> bytes:
    """Encodes uint8 RGB (height, width, 3) as a JPEG without chroma subsampling."""
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    return cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def encode_mask(mask: np.ndarray, classes: ClassTable) -> bytes:
    """Encodes class ids, uint8 (height, width), as a palette PNG; its text chunk `classes` holds the table."""
    return png.encode(np.asarray(mask, np.uint8), classes.palette, ("classes", _json(classes)))


@cache
def _json(classes: ClassTable) -> str:
    return classes.model_dump_json()


def decode_mask(encoded: bytes, classes: ClassTable | None = None) -> np.ndarray:
    """Decodes a mask file: class ids, uint8 (height, width), by their colors where the file holds no ids.

    Raises `UserError` when it is no mask file, or its table is not `classes`, where that is given.
    """
    try:
        content = read_mask(encoded, classes)
    except InvalidMask as error:
        raise UserError(f"a mask: {error}") from error
    mask, table = content.pixels, content.table
    if classes and table:
        classes.check_same(table, "a mask")
    table = table or classes
    limit = len(table) if table else IGNORE
    unknown = mask[(mask >= limit) & (mask != IGNORE)]
    if unknown.size:
        raise UserError(f"a mask holds class id {unknown[0]}; accepted: 0 to {limit - 1} and {IGNORE}")
    return mask


def mask_classes(paths: Sequence[Path]) -> ClassTable:
    """The class table of mask shards, from their metadata. Raises `UserError` when a shard has none, or another."""
    tables = {}
    for path in paths:
        with open_shard(path) as shard:
            text = (shard.schema_arrow.metadata or {}).get(b"classes")
        if text is None:
            raise UserError(f"{path}: names no classes; accepted: a shard of masks")
        with _noticing_damage(path):
            tables[path] = parse_classes(text.decode())
    first, *_ = tables.values()
    for path, table in tables.items():
        first.check_same(table, str(path))
    return first
