"""Painted heads whose places are known, in the colors of `ColorUnet`'s classes."""

import cv2
import numpy as np

from facemill.data.classes import ROLES
from helpers.color_unet import COLORS


def draw(frame, x, y, height, eyes=True, mouth=True):
    """A head in the classes' colors, its face so high, around a point of the frame."""
    color = {role: COLORS[i].tolist() for i, role in enumerate(ROLES)}
    width = round(0.4 * height)
    cv2.ellipse(frame, (x, y - height // 6), (round(0.6 * height), round(0.7 * height)), 0, 0, 360, color["hair"], -1)
    cv2.ellipse(frame, (x, y), (width, height // 2), 0, 0, 360, color["face"], -1)
    for side in (-1, 1) if eyes else ():
        cv2.circle(frame, (x + side * width // 2, y - height // 12), max(height // 12, 1), color["eye"], -1)
    if mouth:
        cv2.ellipse(frame, (x, y + height // 4), (width // 2, height // 16), 0, 0, 360, color["mouth"], -1)
    return frame


def empty(height=360, width=640):
    return np.full((height, width, 3), COLORS[0], np.uint8)


def points_of(x, y, height):
    """Where the eyes and the mouth of such a head are: left eye, right eye, mouth, float (3, 2)."""
    apart = round(0.4 * height) // 2
    return np.array([(x - apart, y - height // 12), (x + apart, y - height // 12), (x, y + height // 4)], float)
