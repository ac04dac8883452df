"""What edits are found from and measured on: real portraits with tags, and generated ones with masks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from facemill.data.classes import ClassTable
from facemill.data.shards import decode_image, decode_mask, read_rows
from facemill.data.splits import in_choice
from facemill.errors import UserError
from facemill.latent.attributes import GROUPS
from facemill.latent.rows import joined_rows, sample_ids
from facemill.log import log
from facemill.stylegan.region_probes import RegionProbe, seen_size

MOST_REAL = 4000
"""Real portraits that a probe is fitted to, at most."""
ENOUGH = 4
"""With fewer accepted generated portraits rejected ones count, too."""


@dataclass(frozen=True)
class RealPortraits:
    """Portraits of the collection, as probes see them."""

    ids: list[str]
    images: np.ndarray
    """uint8 RGB (N, H, W, 3)."""
    masks: np.ndarray
    """Class ids, uint8 (N, H, W)."""
    names: list[set[str]]
    """The tags of each, and the names of its colors."""
    colors: frozenset[str]
    """Names that are of colors."""

    def half(self, choice: bool) -> "RealPortraits":
        """Those by which edits are chosen, or the others, by which they are judged."""
        kept = [index for index, row_id in enumerate(self.ids) if in_choice(row_id) == choice]
        ids, names = [self.ids[i] for i in kept], [self.names[i] for i in kept]
        return RealPortraits(ids, self.images[kept], self.masks[kept], names, self.colors)

    def first(self, count: int) -> "RealPortraits":
        """The first of them, at most so many."""
        ids, names = self.ids[:count], self.names[:count]
        return RealPortraits(ids, self.images[:count], self.masks[:count], names, self.colors)

    def have(self, name: str) -> np.ndarray:
        """Which have an attribute, bool (N,)."""
        return np.array([name in names for names in self.names], bool)

    def probe(self, name: str, ids: Sequence[int], min_images: int) -> RegionProbe | None:
        """A probe of the part of these classes, fitted to them; None where too few have or lack the attribute."""
        return RegionProbe.fit(name, ids, self.images, self.masks, self.have(name), min_images)


def read_real(
    portraits: Sequence[Path],
    tags: Sequence[Path],
    pseudo_labels: Sequence[Path],
    classes: ClassTable,
    height: int,
) -> RealPortraits:
    """At most `MOST_REAL` portraits of the collection, as large as generated ones of a height, or smaller.

    Args:
        portraits: shards of the collection, whose tags count too.
        tags: shards of tags.
        pseudo_labels: shards of masks.
        classes: the masks' class table.
        height: of generated portraits.
    """
    own_tags = {row["id"]: row["tags"] or [] for row in read_rows(portraits, ["id", "tags"])}
    chosen = set(sample_ids(own_tags, MOST_REAL, "probes"))
    read: dict[str, list] = {"ids": [], "images": [], "masks": [], "names": []}
    colors: set[str] = set()
    named = [*GROUPS, "tags", "tag_sources"]
    for row in joined_rows((portraits, ["image"]), (list(pseudo_labels), ["mask"]), (list(tags), named)):
        if row["id"] not in chosen:
            continue
        image, mask = decode_image(row["image"]["bytes"]), decode_mask(row["mask"]["bytes"], classes)
        size = (height * image.shape[1] // image.shape[0], height)
        read["ids"].append(row["id"])
        read["images"].append(seen_size(cv2.resize(image, size, interpolation=cv2.INTER_AREA)[None])[0])
        read["masks"].append(seen_size(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)[None])[0])
        seen = {name for name, source in zip(row["tags"], row["tag_sources"], strict=True) if source != "color"}
        own_colors = {row[group] for group in GROUPS if row[group]}
        colors |= own_colors
        read["names"].append(seen.union(own_tags[row["id"]], own_colors))
    images, masks = np.stack(read["images"]), np.stack(read["masks"])
    return RealPortraits(read["ids"], images, masks, read["names"], frozenset(colors))


@dataclass(frozen=True)
class Generated:
    """Generated portraits."""

    ids: list[str]
    styles: Tensor
    """float32 (N, w_dim)."""
    images: np.ndarray
    """uint8 RGB (N, H, W, 3)."""
    masks: np.ndarray
    """Class ids, uint8 (N, H, W)."""

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Generated":
        """Some of them."""
        kept = [int(index) for index in indices]
        return Generated([self.ids[i] for i in kept], self.styles[kept], self.images[kept], self.masks[kept])

    def seen(self) -> tuple[np.ndarray, np.ndarray]:
        """Images and masks as probes see them."""
        return seen_size(self.images), seen_size(self.masks)


def read_generated(
    generated: Sequence[Path], classes: ClassTable, count: int, keep: Callable[[str], bool], *, rejected: bool = False
) -> Generated:
    """Generated portraits, at most `count`, in random order; rejected ones only where the others are few.

    Args:
        generated: shards of generated portraits.
        classes: their masks' class table.
        count: how many.
        keep: selects them by id.
        rejected: whether rejected ones count in any case.

    Raises:
        UserError: There are none.
    """
    rows: Mapping[str, str | None] = {
        row["id"]: row["rejected"] for row in read_rows(list(generated), ["id", "rejected"]) if keep(row["id"])
    }
    accepted = [row_id for row_id, reason in rows.items() if rejected or reason is None]
    if len(accepted) < min(ENOUGH, len(rows)):
        log.warning("generated: %d portraits are accepted, so rejected ones count too", len(accepted))
        accepted = list(rows)
    if not accepted:
        raise UserError("generated.portraits: found none that can be used here; accepted: more")
    chosen = sample_ids(accepted, count, "edits")
    found = {row["id"]: row for row in read_rows(list(generated), ["id", "image", "mask", "w"]) if row["id"] in chosen}
    ordered = [found[row_id] for row_id in chosen]
    return Generated(
        chosen,
        torch.tensor([row["w"] for row in ordered]),
        np.stack([decode_image(row["image"]["bytes"]) for row in ordered]),
        np.stack([decode_mask(row["mask"]["bytes"], classes) for row in ordered]),
    )
