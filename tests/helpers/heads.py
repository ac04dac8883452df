"""Masks of drawn heads whose measures are known."""

import numpy as np

from facemill.data.classes import ROLES

SIZE = 128
ID = {role: index for index, role in enumerate(ROLES)}


def head(*, face=(40, 40, 48, 64), eye=(8, 4), apart=24, eye_y=24, mouth=(20, 8), mouth_y=52, hair=8, shift=0):
    """A mask of roles: a face (left, top, width, height) in hair, two eyes and a mouth, as rectangles; with a body.

    Places of eyes and mouth are those of their middles, in pixels below the top of the face.
    """
    left, top, width, height = face
    left += shift
    roles = np.zeros((SIZE, SIZE), np.uint8)
    roles[top + height :] = ID["clothes"]
    roles[top - hair : top + height, left - hair : left + width + hair] = ID["hair"]
    roles[top : top + height, left : left + width] = ID["face"]
    middle = left + width // 2
    for sign in (-1, 1):
        x, y = middle + sign * apart // 2, top + eye_y
        roles[y - eye[1] // 2 : y + eye[1] // 2, x - eye[0] // 2 : x + eye[0] // 2] = ID["eye"]
    y = top + mouth_y
    roles[y - mouth[1] // 2 : y + mouth[1] // 2, middle - mouth[0] // 2 : middle + mouth[0] // 2] = ID["mouth"]
    return roles
