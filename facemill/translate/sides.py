"""The two collections as a translation is measured on them: portraits, masks by role, and who is a woman or a man."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from torch import Tensor

from facemill.data.dataset import ShardDataset, sample_rows
from facemill.data.shards import open_shard, read_rows
from facemill.data.splits import held_out, in_choice
from facemill.errors import UserError
from facemill.inference.segmenter import Segmenter
from facemill.translate.domains import Domain, learned_from, role_table

MEN = {"Male", "1boy", "male_focus"}
WOMEN = {"Female", "1girl"}
"""Tags by which a portrait is a man's or a woman's; CelebA has `Male` alone, and a woman is who lacks it."""

SEXES = ("women", "men")

MOST, MOST_TRAINING = 1000, 4000
"""Most portraits of each collection that are translated, and most of the training's that distances are to."""

MIN_HELD_OUT = 5


@dataclass
class Side:
    """Portraits of one collection, at the size at which they are translated.

    Attributes:
        ids: of the portraits.
        images: uint8 RGB (N, h, w, 3).
        masks: roles of their pixels, uint8 (N, H, W), at the masks' own size; None where there are none.
        sexes: of whom the portrait is, one of `SEXES`; "" where the tags do not tell.
    """

    ids: list[str]
    images: np.ndarray
    masks: np.ndarray | None
    sexes: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, ids: Iterable[str]) -> Self:
        """The portraits of these ids, in their order."""
        places = {row_id: index for index, row_id in enumerate(self.ids)}
        chosen = [places[row_id] for row_id in ids]
        masks = None if self.masks is None else self.masks[chosen]
        return type(self)([self.ids[i] for i in chosen], self.images[chosen], masks, [self.sexes[i] for i in chosen])


@dataclass
class Collection:
    """One of the two collections.

    Attributes:
        side: portraits that no training saw.
        training: uint8 RGB (N, h, w, 3) of those that it saw.
        segmenter: the U-Net that knows it, or None.
    """

    side: Side
    training: np.ndarray
    segmenter: Segmenter | None


def read_collections(
    portraits: Sequence[Path],
    other: Sequence[Path],
    masks: Sequence[Path],
    unets: tuple[Path | None, Path | None],
    size: int,
    holdout: float,
    *,
    paired: bool,
    choices: bool,
) -> tuple[Collection, Collection]:
    """This collection and the other; the arguments are those of `read_collection`, with both collections' U-Nets."""
    unet, other_unet = unets
    own = read_collection(portraits, masks, unet, size, holdout, paired=paired, other=False, choices=choices)
    return own, read_collection(other, [], other_unet, size, holdout, paired=paired, other=True, choices=choices)


def read_collection(
    portraits: Sequence[Path],
    masks: Sequence[Path],
    unet: Path | None,
    size: int,
    holdout: float,
    *,
    paired: bool,
    other: bool,
    choices: bool,
) -> Collection:
    """A collection's held-out portraits by which settings are chosen, or the others, and those of the training.

    Args:
        portraits: its shards.
        masks: shards of its masks; without any they are in the portraits' shards, or the U-Net draws them.
        unet: the U-Net that knows it, if there is one.
        size: height at which portraits are translated.
        holdout: share of the portraits that is held out.
        paired: whether portraits of one id are each other's true answers.
        other: whether it is the other collection.
        choices: whether those portraits are meant by which settings are chosen.

    Raises:
        UserError: There are fewer than `MIN_HELD_OUT`.
    """
    segmenter = Segmenter.load(unet) if unet else None

    def chosen(row_id: str) -> bool:
        return held_out(row_id, holdout) and in_choice(row_id) == choices

    check_held_out(portraits, holdout, choices=choices)
    side = read_side(portraits, masks, size, chosen, segmenter)
    learned = Domain(portraits, [], size, False, learned_from(portraits, holdout, paired, other=other))
    training = [to_image(learned[index][0]) for index in sample_rows(learned, MOST_TRAINING)]
    return Collection(side, np.stack(training), segmenter)


def check_held_out(portraits: Sequence[Path], holdout: float, *, choices: bool) -> None:
    """Raises `UserError` when too few of a collection's portraits are held out.

    Args:
        portraits: its shards.
        holdout: share of the portraits that is held out.
        choices: whether those are meant by which settings are chosen, or the others, by which models are measured.
    """
    ids = (row["id"] for row in read_rows(portraits, ["id"]))
    count = sum(held_out(row_id, holdout) and in_choice(row_id) == choices for row_id in ids)
    if count < MIN_HELD_OUT:
        use = "choose by" if choices else "measure on"
        raise UserError(
            f"holdout: found {holdout}, which holds out {count} portraits of {portraits[0].parent} to {use}; "
            f"accepted: a share that holds out {MIN_HELD_OUT} or more"
        )


def read_side(
    portraits: Sequence[Path],
    masks: Sequence[Path],
    size: int,
    keep: Callable[[str], bool],
    segmenter: Segmenter | None,
) -> Side:
    """The portraits whose ids are selected, at most `MOST`; the arguments are those of `read_collection`."""
    rows = Domain(portraits, masks, size, True, keep)
    chosen = sample_rows(rows, MOST)
    ids = [rows.ids[index] for index in chosen]
    images = [to_image(rows[index][0]) for index in chosen]
    roles: list[np.ndarray] = []
    if rows.with_masks:
        roles = [rows[index][1].numpy() for index in chosen]
    elif segmenter and ids:
        full = ShardDataset(portraits, keep=set(ids).__contains__)
        table = role_table(segmenter.classes).numpy()
        roles = list(table[segmenter.masks(to_image(item) for item in full if isinstance(item, Tensor))])
    sexes = sexes_of(portraits)
    return Side(ids, np.stack(images or [np.empty(0)]), np.stack(roles) if roles else None, [sexes[i] for i in ids])


def unet_size(segmenter: Segmenter, images: np.ndarray) -> tuple[int, int]:
    """Height and width at which a U-Net sees portraits of the shape of images (N, h, w, 3): its own height."""
    height, width = images.shape[1:3]
    return segmenter.size, segmenter.size * width // height


def to_image(pixels: Tensor) -> np.ndarray:
    """Pixels, uint8 (3, H, W), as an image (H, W, 3)."""
    return pixels.permute(1, 2, 0).numpy()


def sexes_of(portraits: Sequence[Path]) -> dict[str, str]:
    """Of whom each portrait of shards is by its tags: one of `SEXES`, or ""."""
    named = [path for path in portraits if "tags" in open_shard(path).schema_arrow.names]
    tags = {row["id"]: set(row["tags"] or []) for row in read_rows(named, ["id", "tags"])}
    by_lack = any("Male" in names for names in tags.values())

    def sex(names: set[str]) -> str:
        """By its tags; a portrait of both is nobody's."""
        if names & MEN:
            return "" if names & WOMEN else "men"
        return "women" if by_lack or names & WOMEN else ""

    return {row["id"]: sex(tags.get(row["id"], set())) for row in read_rows(portraits, ["id"])}
