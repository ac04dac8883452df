"""Statistics of a collection: mean and deviation of the descriptors of each role's parts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from facemill.avatars.matching import descriptors_of
from facemill.avatars.statistics import Statistics
from facemill.avatars.styles import PART_ROLES, PartRole
from facemill.data.shards import open_shard
from facemill.errors import UserError


def describe_collection(*, regions: list[Path], statistics: Path) -> None:
    """Measures mean and deviation of each role's descriptors over a collection.

    Args:
        regions: shards of parts.
        statistics: the safetensors to write.

    Raises:
        UserError: The shards hold no part.
    """
    measured = Statistics.of_batches(_batches(regions))
    if not measured.means:
        raise UserError(
            f"{regions[0]}: no portrait has a face, eyes or hair; accepted: portraits whose masks show some"
        )
    measured.save(statistics)


def _batches(regions: Sequence[Path]) -> Iterator[dict[PartRole, np.ndarray]]:
    for path in regions:
        with open_shard(path) as shard:
            for group in range(shard.num_row_groups):
                table = shard.read_row_group(group, ["role", "descriptor"])
                names, descriptors = np.array(table["role"].to_pylist()), descriptors_of(table)
                yield {role: descriptors[names == role] for role in PART_ROLES}
