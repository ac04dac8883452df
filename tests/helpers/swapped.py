"""Films with a face at known places, tables of their faces, and a small network that exchanges them."""

import cv2
import numpy as np
import torch

from facemill.data.classes import SEVEN
from facemill.data.shards import write_shard
from facemill.networks.face_swap import FaceSwap
from facemill.networks.store import save_model
from facemill.swap.alignment import POINTS, crop, similarity
from facemill.swap.faces import FACES_SCHEMA, FRAMES_SCHEMA, Face, row_of

SIZE = 32
"""Of the network's faces; those in tables have twice as many pixels on a side."""

[_FACE], [_EYE], [_MOUTH] = map(SEVEN.role_ids, ("face", "eye", "mouth"))


def network(seed: int = 0) -> FaceSwap:
    """A network of random weights, which draws all of a face."""
    torch.manual_seed(seed)
    swap = FaceSwap(preset="tiny", size=SIZE).eval()
    for decoder in swap.decoders.values():
        with torch.no_grad():
            decoder[-1].bias[3] = 9
    return swap


def save_network(folder):
    """A saved model's folder."""
    save_model(folder / "model.safetensors", network(), {"preset": "tiny", "size": SIZE}, {"seed": 0})
    return folder


def points_at(x: float, y: float, side: float, turn: float = 0) -> np.ndarray:
    """The points of a face whose crop has its middle at (x, y): float64 (3, 2)."""
    angle = np.deg2rad(turn)
    rotation = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    return (POINTS - 0.5) * side @ rotation.T + (x, y)


def draw_face(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A copy of a frame, uint8 RGB, with a face at these points."""
    left, right, mouth = points
    across = np.linalg.norm(right - left)
    middle = (left + right + 2 * mouth) / 4
    drawn = pixels.copy()
    cv2.circle(drawn, np.rint(middle).astype(int), round(across * 1.1), (230, 180, 150), -1, cv2.LINE_AA)
    for point, color in ((left, (40, 40, 60)), (right, (40, 40, 60)), (mouth, (160, 60, 60))):
        cv2.circle(drawn, np.rint(point).astype(int), round(across * 0.2), color, -1, cv2.LINE_AA)
    return drawn


def face_at(pixels, points, number=0, pts=0, time=0.0, side="a", **changes) -> Face:
    """The face of a frame at these points, with a mask of its circle."""
    matrix = similarity(points)
    mask = crop(np.zeros(pixels.shape[:2], np.uint8), matrix, 2 * SIZE, nearest=True)
    middle = tuple(np.rint(np.array([0.5, 0.57]) * 2 * SIZE).astype(int).tolist())
    circle = cv2.circle(np.zeros_like(mask), middle, round(0.35 * 2 * SIZE), 1, -1) > 0
    mask[circle & (mask != 255)] = _FACE
    for point, label in zip(POINTS, (_EYE, _EYE, _MOUTH), strict=True):
        x, y = np.rint(point * 2 * SIZE).astype(int)
        if mask[min(y, len(mask) - 1), x] != 255:
            mask[y - 2 : y + 2, x - 2 : x + 2] = label
    values = {
        "id": f"{side}-{number:06}-0",
        "frame": number,
        "face": 0,
        "track": 0,
        "pts": pts,
        "time": time,
        "box": np.array([points[0, 0], points[0, 1], points[1, 0], points[2, 1]], np.float32),
        "points": points.astype(np.float32),
        "matrix": matrix,
        "confidence": 0.9,
        "sharpness": 100.0,
        "distance": 0.01,
        "roll": 0.0,
        "image": crop(pixels, matrix, 2 * SIZE),
        "mask": mask,
    }
    return Face(**values | changes)


def write_faces(path, source, places, *, side="a", second=None, **changes):
    """Writes the tables of a film's frames, with a face at `places`, points by the frame's number, and a second one."""
    faces, rows = [], []
    for frame in source:
        if frame.number in places:
            points = places[frame.number]
            face = face_at(frame.pixels, points, frame.number, frame.pts, frame.time, side, **changes)
            faces.append(row_of(face))
            if second is not None:
                other = face_at(frame.pixels, second, frame.number, frame.pts, frame.time, side, face=1, track=1)
                faces.append(row_of(other))
        there = frame.number in places
        reason = None if there else "no face"
        rows.append(
            {"frame": frame.number, "pts": frame.pts, "time": frame.time, "faces": int(there), "reason": reason}
        )
    write_shard(path, faces, FACES_SCHEMA, SEVEN)
    write_shard(path.with_name("frames.parquet"), rows, FRAMES_SCHEMA)
    return path
