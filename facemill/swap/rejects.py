"""Which faces are not used, and why."""

import math
from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np

from facemill.swap.alignment import POINTS, crop_side
from facemill.swap.faces import BY_HAND, NO_FACE
from facemill.swap.persons import NEAR
from facemill.swap.tracks import OVERLAP, overlap

SMALL = 0.5
"""Side of a crop in pixels of the frame over that of the network's faces, at least: what is enlarged more than twice
has no detail to learn, nor would a drawn face have any that the frame can show."""

DISTANT = 0.08
"""Distance from the mean face in sides of the crop, at most: a quarter of the distance of the eyes."""

BLURRED = 0.15
"""Sharpness over the usual one of the person, at least."""

OTHER_PERSON = "another person"


def distances(rows: Sequence[dict], wanted: np.ndarray) -> list[float]:
    """How far the aligned points of faces are from the mean of the person's: root mean square, in sides of the crop.

    Args:
        rows: of the table of faces.
        wanted: whether each is the person's, bool (N,).
    """
    if not rows:
        return []
    points = np.array([row["points"] for row in rows]).reshape(-1, 3, 2)
    matrices = np.array([row["matrix"] for row in rows]).reshape(-1, 2, 3)
    aligned = points @ matrices[:, :, :2].swapaxes(1, 2) + matrices[:, None, :, 2]
    mean = np.median(aligned[wanted], axis=0) if wanted.any() else POINTS
    return np.sqrt(((aligned - mean) ** 2).sum(2).mean(1)).tolist()


def reasons(rows: Sequence[dict], wanted: np.ndarray, size: int) -> list[str | None]:
    """Why each face is not used; None where it is.

    Args:
        rows: of the table of faces, with their distances.
        wanted: whether each is the person's, bool (N,).
        size: of the faces in the network, in pixels.
    """
    sharpness = np.array([row["sharpness"] for row in rows])
    usual = float(np.median(sharpness[wanted])) if wanted.any() else 0.0

    def reason(row: dict, is_wanted: bool) -> str | None:
        """The first of the reasons against a face."""
        left, right, mouth = np.reshape(row["points"], (3, 2))
        side = crop_side(np.reshape(row["matrix"], (2, 3)))
        if not is_wanted:
            return OTHER_PERSON
        if side < SMALL * size:
            return "small"
        if (left[1] + right[1]) / 2 >= mouth[1]:
            return "eyes below mouth"
        if row["distance"] > DISTANT:
            return "far from the mean face"
        return "blurred" if row["sharpness"] < BLURRED * usual else None

    return [reason(row, bool(is_wanted)) for row, is_wanted in zip(rows, wanted, strict=True)]


def frame_rows(frames: Sequence[tuple[int, int, float]], rows: Sequence[dict]) -> list[dict]:
    """The rows of the table of frames.

    Args:
        frames: number, presentation time, and time in seconds of each.
        rows: of the table of faces.
    """
    by_frame = defaultdict(list)
    for row in rows:
        by_frame[row["frame"]].append(row["rejected"])
    table = []
    for number, pts, time in frames:
        why = by_frame[number]
        usable = why.count(None)
        # somebody else's face is there beside the person's
        first = min(filter(None, why), key=lambda reason: reason == OTHER_PERSON, default=NO_FACE)
        table.append({"frame": number, "pts": pts, "time": time, "faces": usable, "reason": None if usable else first})
    return table


def reject_by_hand(rows: Sequence[dict], ids: Collection[str]) -> list[dict]:
    """Rows of the table of faces, those with one of the ids rejected."""
    return [row | {"rejected": BY_HAND} if row["id"] in ids else row for row in rows]


def hold_out(rows: Sequence[dict], share: float) -> list[dict]:
    """Rows of the table of faces, the last share of each stretch's usable ones in time held out, rounded up.

    Neighboring frames are copies of each other: held out at random, faces would have their likes among those that are
    learned from. A stretch continues where tracks break for `NEAR` seconds or less, at a blink or a hand before the
    face, at the same place. Stretches too short for one face of the share, photos too, count as one; one is never all
    held out.

    Args:
        rows: of the table of faces, by frame.
        share: that is held out, below 1.
    """
    usable = [index for index, row in enumerate(rows) if row["rejected"] is None]
    stretches = list[list[int]]()
    for before, index in zip([None, *usable], usable, strict=False):
        if before is None or not _continues(rows[before], rows[index]):
            stretches.append([])
        stretches[-1].append(index)
    groups = [stretch for stretch in stretches if share * len(stretch) >= 1]
    groups.append([index for stretch in stretches if share * len(stretch) < 1 for index in stretch])
    held = set[int]()
    for group in filter(None, groups):
        count = min(math.ceil(share * len(group)), len(group) - 1)
        held |= set(group[len(group) - count :])
    return [row | {"held_out": index in held} for index, row in enumerate(rows)]


def _continues(row: dict, then: dict) -> bool:
    """Whether the next face is of the same stretch."""
    is_there = row["track"] == then["track"] or overlap(np.array(row["box"]), np.array(then["box"])) >= OVERLAP
    return then["time"] - row["time"] <= NEAR and is_there
