"""Which of the faces in a film are those of one person: by their tracks, and by the colors under their masks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from facemill.data.classes import SEVEN
from facemill.imaging.colors import Lab, difference, region_colors
from facemill.swap.alignment import crop_side
from facemill.swap.tracks import OVERLAP, overlap

ALIKE = 8.0
"""CIEDE2000 of the colors of two tracks, at most, that may be one person's: parts of one film of a woman in two moods
differ by up to 6, she and a man, with hair as dark, by 12."""

NEAR = 2.0
"""Seconds from the end of a track to the beginning of the next at the same place without a cut between, at most: a
hand before the face takes no longer."""

PASSED = 20.0
"""CIEDE2000 of the colors of two such tracks, at most: the light may have changed, too."""


class Look(NamedTuple):
    """The colors of a face's skin and hair in CIELAB; None for what is not seen."""

    skin: Lab | None
    hair: Lab | None


def look_of(image: np.ndarray, mask: np.ndarray) -> Look:
    """How a face looks.

    Args:
        image: its crop, uint8 RGB (S, S, 3).
        mask: ids of `SEVEN`, uint8 (S, S).
    """
    colors = region_colors(image, mask, SEVEN)
    return Look(colors["skin"], colors["hair"])


def unlikeness(a: Look, b: Look) -> float:
    """CIEDE2000 of the skin or the hair of two faces, whichever is larger; infinite where neither is seen in both."""
    pairs = [(one, other) for one, other in zip(a, b, strict=True) if one is not None and other is not None]
    return max((difference(one, other) for one, other in pairs), default=np.inf)


def person_of(
    rows: Sequence[dict], looks: Sequence[Look], like: Look | None, cuts: Sequence[int], *, are_photos: bool
) -> np.ndarray:
    """Which faces are the person's, bool (N,).

    Of photos it is the largest face of each, or the one that looks most like `like`. In a film it is the largest track,
    or the one that looks most like `like`, and with it all other tracks that are never there at the same time and look
    alike, or that follow soon at the same place without a cut: cuts and hands before the face end tracks. What differs
    from `like` by more than `ALIKE` is another person.

    Args:
        rows: of the table of faces, by frame.
        looks: how each looks.
        like: how the person looks; None where that is not known.
        cuts: numbers of the frames that follow a cut.
        are_photos: whether each frame is a photo.
    """
    wanted = np.zeros(len(rows), bool)
    if not rows:
        return wanted
    if are_photos:
        best: dict[int, int] = {}
        for index, row in enumerate(rows):
            key = row["frame"]
            if key not in best or _rank(row, looks[index], like) > _rank(rows[best[key]], looks[best[key]], like):
                best[key] = index
        wanted[[index for index in best.values() if _is_like(looks[index], like)]] = True
        return wanted
    numbers = np.array([row["track"] for row in rows])
    tracks = [_Track([rows[i] for i in at], _usual([looks[i] for i in at])) for at in _groups(numbers)]
    tracks.sort(key=lambda track: -track.weight)
    first = min(tracks, key=lambda track: unlikeness(track.look, like)) if like else tracks[0]
    if not _is_like(first.look, like):
        return wanted
    person, is_growing = [first], True
    while is_growing:
        joined = [track for track in tracks if track not in person and _belongs(track, person, cuts)][:1]
        person, is_growing = person + joined, bool(joined)
    return np.isin(numbers, [track.number for track in person])


def _is_like(look: Look, like: Look | None) -> bool:
    return like is None or unlikeness(look, like) <= ALIKE


class _Track:
    """The faces of a track."""

    def __init__(self, rows: Sequence[dict], look: Look) -> None:
        self.number, self.look = rows[0]["track"], look
        self.frames = {row["frame"] for row in rows}
        self.weight = sum(crop_side(np.reshape(row["matrix"], (2, 3))) for row in rows)
        self.start, self.end = rows[0], rows[-1]


def _belongs(track: _Track, person: Sequence[_Track], cuts: Sequence[int]) -> bool:
    """Whether a track is of the person that others are of."""
    if any(track.frames & other.frames for other in person):
        return False
    return any(_are_one(track, other, cuts) for other in person)


def _are_one(track: _Track, other: _Track, cuts: Sequence[int]) -> bool:
    first, then = sorted((track, other), key=lambda either: either.start["frame"])
    end, start = first.end, then.start
    goes_on = (
        start["time"] - end["time"] <= NEAR
        and overlap(np.array(end["box"]), np.array(start["box"])) >= OVERLAP
        and not any(end["frame"] < cut <= start["frame"] for cut in cuts)
    )
    return unlikeness(first.look, then.look) <= (PASSED if goes_on else ALIKE)


def _groups(numbers: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(numbers == number) for number in np.unique(numbers)]


def _usual(looks: Sequence[Look]) -> Look:
    """The median look."""
    seen = [[color for color in colors if color is not None] for colors in zip(*looks, strict=True)]
    return Look(*(np.median(colors, axis=0) if colors else None for colors in seen))


def _rank(row: dict, look: Look, like: Look | None) -> tuple[float, float]:
    return (-unlikeness(look, like) if like else 0.0, crop_side(np.reshape(row["matrix"], (2, 3))))
