"""Frames of a film of embeddings from frames of a film, and what is measured on the way."""

import csv
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facemill.avatars.composing import Matched, compose, part_colors
from facemill.avatars.embedding_plots import EmbeddingPlots, RoleState, Swatch
from facemill.avatars.film_choices import Chosen, Comparer, FilmChoices, name_of
from facemill.avatars.film_faces import Face, FaceFollower
from facemill.avatars.part_maps import over
from facemill.avatars.regions import Part, cut_parts
from facemill.avatars.styles import PartRole
from facemill.data.film import Frame
from facemill.files import atomic_write
from facemill.imaging.colors import Lab, difference

COLUMNS = ("frame", "time", "role", "variant", "margin", "changed", "nearest", "move")

_SIZE = 280  # of the avatar, in pixels
_COLOR_FRAMES = 24  # whose median an avatar's colors are
_COLOR_MOVES = 4.0  # CIEDE2000 by which the median leaves the avatar's color before that follows
_LOOK_AGAIN = 24  # frames with a face until the noise is measured again
_MOVED = ((0.006, 0, 1), (0, 0.006, 0.99), (-0.006, 0.003, 1.01), (0.003, -0.006, 1))  # shift and scale of the square

Parts = Mapping[PartRole, Part]


@dataclass(frozen=True)
class Look:
    """A frame with its face."""

    frame: Frame
    face: Face | None
    parts: Parts
    """Of the face, by role."""
    again: Parts | None
    """Of the same face, cut out a little beside; None in most frames."""


class Looker:
    """Finds the face of each frame of a film, and cuts it into parts."""

    def __init__(self, follower: FaceFollower, looks: int) -> None:
        """A looker for one film, whose parts are means of so many looks."""
        self.follower, self.looks = follower, looks
        self._faces = 0

    def look(self, frame: Frame) -> Look:
        """The next frame."""
        face = self.follower.follow(frame.pixels)
        if face is None:
            return Look(frame, None, {}, None)
        parts, again = cut_parts(face.pixels, face.mask, looks=self.looks), None
        if self._faces % _LOOK_AGAIN == 0:
            x, y, scale = _MOVED[self._faces // _LOOK_AGAIN % len(_MOVED)]
            left, top, side = face.square
            beside = self.follower.look(frame.pixels, (left + x * side, top + y * side, side * scale))
            again = cut_parts(beside.pixels, beside.mask, looks=self.looks)
        self._faces += 1
        return Look(frame, face, parts, again)


@dataclass(frozen=True)
class Row:
    """A role in a frame that shows it."""

    frame: int
    time: float
    role: PartRole
    candidate: int
    nearest: int
    margin: float
    changed: bool
    move: float | None
    """Of the face's embedding since the frame before; None where that did not show the role."""


class Portrayer:
    """Draws a film's frames with their avatars, and keeps what was chosen.

    Attributes:
        faces: frames that had a face.
        rows: what was chosen.
    """

    def __init__(self, comparer: Comparer, choices: FilmChoices, plots: EmbeddingPlots) -> None:
        self.comparer, self.choices, self.plots = comparer, choices, plots
        self.faces, self.rows = 0, list[Row]()
        self._colors = FilmColors()
        self._drawn: dict[Any, tuple[np.ndarray, list[Swatch]]] = {}
        self._avatar: np.ndarray | None = None
        self._swatches: list[Swatch] = []
        self._vectors: dict[PartRole, np.ndarray] = {}
        self._noise: defaultdict[PartRole, list[float]] = defaultdict(list)

    def draw(self, look: Look) -> np.ndarray:
        """The next frame of the film of embeddings: uint8 RGB."""
        chosen = self.choices.next(look.parts)
        if look.face is not None:
            self.faces += 1
            self._note(look, chosen)
            self._avatar, self._swatches = self._portray(
                self._colors.next(part_colors({r: p.lab for r, p in look.parts.items()}))
            )
        states = {role: self._state(role, chosen.get(role)) for role in self.choices.candidates}
        return self.plots.draw(look.frame.time, look.frame.pixels, look.face, self._avatar, states, self._swatches)

    def _note(self, look: Look, chosen: Mapping[PartRole, Chosen]) -> None:
        for role, c in chosen.items():
            move = None if role not in self._vectors else self.comparer.move(role, c.vector, self._vectors[role])
            self.rows.append(
                Row(look.frame.number, look.frame.time, role, c.candidate, c.nearest, c.margin, c.changed, move)
            )
            if look.again and role in look.again:
                beside = self.comparer.vector(role, look.again[role])
                self._noise[role].append(self.comparer.move(role, c.vector, beside))
        self._vectors = {role: c.vector for role, c in chosen.items()}

    def _portray(self, colors: Mapping[str, Lab]) -> tuple[np.ndarray, list[Swatch]]:
        """The avatar of what is chosen, in these colors, and its colors."""
        candidates = self.choices.candidates
        key = (*candidates.items(), *((region, *lab.tolist()) for region, lab in colors.items()))
        if key not in self._drawn:
            library = self.comparer.library
            chosen = {role: library.choices(role, index) for role, index in candidates.items()}
            avatar = compose(
                {role: Matched(choice, 0, 0, ()) for role, choice in chosen.items()}, colors, library, size=_SIZE
            )
            swatches = [
                Swatch(region, color.asked, color.rendered, color.difference) for region, color in avatar.colors.items()
            ]
            self._drawn[key] = over(avatar.picture), swatches
        return self._drawn[key]

    def _state(self, role: PartRole, chosen: Chosen | None) -> RoleState:
        axes, index = self.comparer.axes[role], self.choices.candidates[role]
        state = RoleState(self._name(role, index), None, None, axes.candidates[index], changed=False)
        if chosen is None:
            return state
        face = axes.show(chosen.vector, self.comparer.domains[role])
        return replace(state, margin=chosen.margin, face=face, changed=chosen.changed)

    def _name(self, role: PartRole, candidate: int) -> str:
        return name_of(self.comparer.library.choices(role, candidate))

    def write_table(self, path: Path) -> None:
        """Writes `COLUMNS` of all rows as CSV."""
        with atomic_write(path) as tmp, tmp.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for row in self.rows:
                names = self._name(row.role, row.candidate), self._name(row.role, row.nearest)
                move = "" if row.move is None else round(row.move, 4)
                time, margin, changed = round(row.time, 4), round(row.margin, 4), int(row.changed)
                writer.writerow((row.frame, time, row.role, names[0], margin, changed, names[1], move))

    def measure(self) -> dict[str, Any]:
        """Frames with a face, and of each role the frames, seconds, changes a second as chosen and of the nearest.

        `still` counts the frames alone at which the role's embedding has moved less than `noise` from each of the last
        `hold` frames to the next, so that no change in them follows a movement before. `noise` is its median move
        when the same face is cut out a little beside and segmented again.
        """
        roles = {}
        for role in self.comparer.domains:
            rows = [row for row in self.rows if row.role == role]
            noise = float(np.median(self._noise[role])) if self._noise[role] else None
            still = _still(rows, noise or 0.0, self.choices.hold)
            roles[role] = _rates(rows, [row.move is not None for row in rows]) | {
                "variants": len({row.candidate for row in rows}),
                "noise": noise,
                "still": _rates(rows, still),
            }
        return {"faces": self.faces, "roles": roles}


def _still(rows: list[Row], noise: float, hold: int) -> list[bool]:
    """Whether the moves of each row and of the `hold` before it are all below the noise."""
    calm, still = 0, []
    for row in rows:
        calm = calm + 1 if row.move is not None and row.move < noise else 0
        still.append(calm > hold)
    return still


def _rates(rows: list[Row], counted: list[bool]) -> dict[str, Any]:
    """Frames, seconds and changes a second, of the rows that count, each with the time since the row before it."""
    seconds, changes, nearest = 0.0, 0, 0
    for i in range(1, len(rows)):
        if counted[i]:
            seconds += rows[i].time - rows[i - 1].time
            changes += rows[i].changed
            nearest += rows[i].nearest != rows[i - 1].nearest
    chosen, raw = (count / seconds if seconds else None for count in (changes, nearest))
    return {
        "frames": sum(counted),
        "seconds": round(seconds, 3),
        "changes_per_second": chosen,
        "nearest_changes_per_second": raw,
    }


class FilmColors:
    """The colors of an avatar in a film: medians of the last frames, that stay until they would plainly be others."""

    def __init__(self) -> None:
        self._recent: defaultdict[str, deque[Lab]] = defaultdict(lambda: deque(maxlen=_COLOR_FRAMES))
        self._shown: dict[str, Lab] = {}

    def next(self, colors: Mapping[str, Lab]) -> dict[str, Lab]:
        """The avatar's colors by region in the next frame, in which the face has these."""
        for region, lab in colors.items():
            self._recent[region].append(lab)
            median = np.median(self._recent[region], axis=0)
            if region not in self._shown or difference(median, self._shown[region]) > _COLOR_MOVES:
                self._shown[region] = median
        return dict(self._shown)
