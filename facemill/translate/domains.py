"""The two collections as a translation is trained on them: portraits at its size, with the roles of their pixels."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facemill.config.translate import CycleganConfig
from facemill.data.classes import IGNORE, ROLES, ClassTable
from facemill.data.dataset import ShardDataset
from facemill.data.shards import mask_classes
from facemill.data.splits import hash_fraction, trained_on
from facemill.errors import UserError
from facemill.log import log
from facemill.networks.resnet_generator import MULTIPLE
from facemill.translate.shrink import shrunk

MIN_PORTRAITS = 50
"""Least number of portraits of each collection to train on."""

MEMORY = 1 << 30
"""Bytes of portraits of a collection that are kept decoded, where no processes of the loader decode for a GPU."""


class Domain(ShardDataset):
    """Portraits of one collection: `(image uint8 (3, h, w), roles uint8 (H, W))`.

    Roles are indices into `ROLES`, at the masks' own size, or one pixel of `IGNORE` where masks are not asked for.

    Args:
        portraits: shards of portraits.
        masks: shards of their masks, if these are asked for and not in the shards of portraits.
        height: to which portraits are shrunk, by averaging.
        with_roles: whether masks are asked for.
        keep: selects rows by id.
    """

    def __init__(
        self,
        portraits: Sequence[Path],
        masks: Sequence[Path],
        height: int,
        with_roles: bool,
        keep: Callable[[str], bool] = lambda row_id: True,
    ) -> None:
        super().__init__(portraits, masks if with_roles else [], keep)
        self.height = height
        self.with_masks &= with_roles
        self.table = role_table(mask_classes(masks or portraits)) if self.with_masks else None
        self._decoded: dict[int, tuple[Tensor, Tensor]] = {}
        self._bytes = 0 if torch.cuda.is_available() else MEMORY

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if index not in self._decoded:
            pair = self._shrunk(index)
            self._bytes -= sum(tensor.numel() for tensor in pair)
            if self._bytes < 0:
                return pair
            self._decoded[index] = pair
        return self._decoded[index]

    def _shrunk(self, index: int) -> tuple[Tensor, Tensor]:
        item = super().__getitem__(index)
        pixels, mask = (item, None) if isinstance(item, Tensor) else item
        [pixels] = shrunk(pixels[None], self.height, self.images[0])
        if mask is None or self.table is None:
            return pixels, torch.full((1, 1), IGNORE, dtype=torch.uint8)
        return pixels, self.table[mask.long()]


def role_table(classes: ClassTable) -> Tensor:
    """The index into `ROLES` of each class id, uint8 (256,); `IGNORE` for a class without one."""
    table = np.full(256, IGNORE, np.uint8)
    for index, entry in enumerate(classes.root):
        if entry.role:
            table[index] = ROLES.index(entry.role)
    return torch.from_numpy(table)


def role_members(classes: ClassTable) -> Tensor:
    """Which class has which role: bool (roles, classes)."""
    return torch.tensor([[entry.role == role for entry in classes.root] for role in ROLES])


def learned_from(portraits: Sequence[Path], holdout: float, paired: bool, *, other: bool) -> Callable[[str], bool]:
    """Whether a portrait is trained on: as `trained_on`; where ids are in both collections, each is in one alone.

    Args:
        portraits: shards of the collection.
        holdout: share of the portraits that is held out.
        paired: whether the portraits of one id are each other's true answers.
        other: whether the collection is the other one.
    """
    learned = trained_on(portraits, holdout)
    if not paired:
        return learned
    return lambda row_id: learned(row_id) and (hash_fraction(row_id, "other") < 0.5) == other


def training_domains(
    portraits: Sequence[Path],
    other: Sequence[Path],
    masks: Sequence[Path],
    settings: CycleganConfig,
    holdout: float,
    paired: bool,
) -> tuple[Domain, Domain]:
    """The portraits of both collections that are trained on.

    Raises:
        UserError: One has fewer than `MIN_PORTRAITS`, no masks where they are asked for, or a shape that is refused.
    """
    with_roles = bool(settings.mask_weight or settings.color_weight)
    domains = [
        Domain(shards, given, settings.size, with_roles, learned_from(shards, holdout, paired, other=is_other))
        for shards, given, is_other in ((portraits, masks, False), (other, [], True))
    ]
    for domain in domains:
        if len(domain) < MIN_PORTRAITS:
            raise UserError(
                f"{domain.images[0].parent}: found {len(domain)} portraits to learn from; accepted: "
                f"{MIN_PORTRAITS} or more"
            )
        if with_roles and not domain.with_masks:
            raise UserError(
                f"cyclegan.mask_weight, cyclegan.color_weight: {domain.images[0].parent} has no masks; accepted: 0 for "
                "both"
            )
    shapes = [tuple(domain[0][0].shape[1:]) for domain in domains]
    if shapes[0] != shapes[1]:
        (height, width), (h, w) = shapes
        raise UserError(
            f"cyclegan.other: found portraits of {w} x {h} pixels at cyclegan.size; accepted: {width} x {height}, as "
            "in this collection"
        )
    height, width = shapes[0]
    if width % MULTIPLE:
        raise UserError(
            f"cyclegan.size: found portraits of {width} x {height} pixels; accepted: widths that are multiples of "
            f"{MULTIPLE}"
        )
    log.info("cyclegan: learns from %d portraits and %d of the other collection", *map(len, domains))
    return domains[0], domains[1]
