"""Avatars of a shard of portraits in one drawing style."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa

from facemill.avatars.composing import Avatar, compose, match, part_colors, png
from facemill.avatars.matching import Library
from facemill.avatars.statistics import Statistics
from facemill.avatars.styles import PART_ROLES
from facemill.data.batching import batched
from facemill.data.shards import IMAGE, read_rows, write_batches
from facemill.log import log, progress

_MATCHED = pa.struct([("variants", pa.string()), ("distance", pa.float32()), ("margin", pa.float32())])

SCHEMA = pa.schema(
    [
        *(("id", pa.string()), ("options", pa.string()), ("svg", pa.string()), ("image", IMAGE)),
        *((role, _MATCHED) for role in PART_ROLES),
        ("colors", pa.string()),
    ]
)
"""Columns of a shard of avatars.

`options` is the JSON from which DiceBear draws the same bytes again. A role's `variants` is a JSON, variant by
component; a role that the portrait does not show, or the style does not have, is null. `colors` is a JSON: by region
the portrait's color as hex (`asked`), the one that the style was given, the one that it drew, and their CIEDE2000.
"""

BATCH = 256
"""Portraits that are matched at once."""


def match_avatars(*, regions: Path, statistics: Path, parts: Path, about: Path, size: int, avatars: Path) -> None:
    """Matches the parts of a shard's portraits to those of a style, and draws the avatars.

    Args:
        regions: shard of the portraits' parts.
        statistics: of the parts of all portraits.
        parts: the style's parts, Parquet.
        about: the JSON of the style's parts.
        size: side of the avatars' pictures in pixels.
        avatars: the shard of avatars to write, a row for each portrait that has parts.
    """
    library, collection = Library.load(parts, about), Statistics.load(statistics)
    columns = ["id", "role", "descriptor", "lab"]
    total = len({row["id"] for row in read_rows([regions], ["id"])})

    def rows() -> Iterator[dict]:
        """The avatars' rows, in the order of the portraits."""
        portraits = groupby(read_rows([regions], columns), lambda row: row["id"])
        for batch in batched(((name, list(found)) for name, found in portraits), BATCH):
            descriptors = [
                {row["role"]: np.array(row["descriptor"], np.float32) for row in found} for _, found in batch
            ]
            for (name, found), roles in zip(batch, match(descriptors, library, collection), strict=True):
                labs = {row["role"]: row["lab"] and np.array(row["lab"], np.float32) for row in found}
                yield _row(name, compose(roles, part_colors(labs), library, size=size))

    made = progress(rows(), "match_avatars", total, "portraits")
    batches = (pa.RecordBatch.from_pylist(batch, SCHEMA) for batch in batched(made, BATCH))
    write_batches(avatars, batches, SCHEMA)
    log.info("%d avatars in %s", total, avatars)


def _row(name: str, avatar: Avatar) -> dict:
    matched = {
        role: {"variants": json.dumps(part.choice), "distance": part.distance, "margin": part.margin}
        for role, part in avatar.roles.items()
    }
    return {
        "id": name,
        "options": json.dumps(avatar.options),
        "svg": avatar.svg,
        "image": {"bytes": png(avatar.picture), "path": f"{name}.png"},
        "colors": json.dumps({region: asdict(color) for region, color in avatar.colors.items()}),
        **matched,
    }
