"""Drawn faces of two people, as `extract_faces` leaves them, and settings by which their exchange is trained."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from facemill.config.swap import SwapConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import write_shard
from facemill.swap.alignment import POINTS
from facemill.swap.faces import FACES_SCHEMA, Face, row_of

SIDE = 64
"""Of the crops: twice the network's."""

SKINS = {"a": (240, 190, 160), "b": (180, 120, 100)}
"""RGB, by whose face it is."""

SETTINGS = SwapConfig.model_validate(
    {
        "detector": "masks",
        "holdout": 0.15,
        "every": 1,
        "size": 32,
        "preset": "tiny",
        "color": "lab",
        "blend": "alpha",
        "feather": 0.06,
        "mark": True,
        "training": {"images": 80, "batch": 4, "learning_rate": 2e-3},
    }
)


def changed(**changes) -> SwapConfig:
    """`SETTINGS` with changes, checked."""
    return SwapConfig.model_validate(SETTINGS.model_dump() | changes)


def draw_face(person: str, openness: float, eyes_open: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """A face, uint8 RGB (SIDE, SIDE, 3), and its mask (SIDE, SIDE).

    Args:
        person: a or b.
        openness: of the mouth, from 0 to 1.
        eyes_open: whether they are.
    """
    image, mask = np.full((SIDE, SIDE, 3), (90, 120, 200), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    left, right, mouth = (tuple(map(int, SIDE * point)) for point in POINTS)
    shapes = [
        ("face", SKINS[person], (SIDE // 2, SIDE // 2), (24, 29)),
        ("mouth", (150, 20, 30), mouth, (8, 1 + round(7 * openness))),
    ]
    shapes += [("eye", (250, 250, 250), center, (6, 5 if eyes_open else 1)) for center in (left, right)]
    for role, color, center, axes in shapes:
        for plane, value in ((image, color), (mask, SEVEN.role_ids(role)[0])):
            cv2.ellipse(plane, center, axes, 0, 0, 360, value, -1)
    if eyes_open:
        for center in (left, right):
            cv2.circle(image, center, 2, (30, 20, 20), -1)
    return image, mask


def make_face(person: str, number: int, openness: float, **changes) -> Face:
    """A face of `draw_face` in a frame of that number; `changes` are of the fields."""
    image, mask = draw_face(person, openness, number % 3 > 0)
    fields = {
        "id": f"{person}-{number:06}-0",
        **dict.fromkeys(("face", "track", "pts", "distance", "roll"), 0),
        **dict.fromkeys(("confidence", "sharpness"), 1.0),
        "frame": number,
        "time": number / 10,
        "box": np.array([8, 3, 56, 61], np.float32),
        "points": (SIDE * POINTS).astype(np.float32),
        "matrix": np.array([[1 / SIDE, 0, 0.5 / SIDE], [0, 1 / SIDE, 0.5 / SIDE]]),
        "image": image,
        "mask": mask,
    }
    return Face(**fields | changes)


def some_faces(person: str, count: int = 60, held_out: float = 0.2) -> list[Face]:
    """Faces whose mouths open and close, each differently; the last share is held out."""
    openness = np.random.default_rng(ord(person)).random(count)
    return [
        make_face(person, number, float(value), held_out=number >= count * (1 - held_out))
        for number, value in enumerate(openness)
    ]


def write_faces(path: Path, faces: Sequence[Face]) -> Path:
    """The table of faces."""
    write_shard(path, [row_of(face) for face in faces], FACES_SCHEMA, SEVEN)
    return path
