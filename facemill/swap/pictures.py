"""What faces are looked for in: the frames of a film, a folder of frames or of photos, or a single photo."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from facemill.data.film import FOLDER_RATE, Frame, frames
from facemill.data.film_frames import natural_key
from facemill.data.image_files import IMAGE_ERRORS, orientation_of, read_rgb
from facemill.data.walk import IMAGE_SUFFIXES, File, files_in
from facemill.errors import UserError
from facemill.log import log

_NAMED = 5  # unreadable images that the log names
_FIRST_ON_ITS_SIDE = 5  # EXIF orientation, of 1 to 8


def read_pictures(path: Path, *, quiet: bool = False) -> Iterator[Frame]:
    """Yields the frames of a film, the images of a folder in natural order, of any sizes, or one photo.

    Images that cannot be read are skipped, and named in the log.

    Args:
        path: the film, the folder or the photo.
        quiet: passes over unreadable images without a word, when a folder is read again.

    Raises:
        UserError: as `frames`, but for images of several sizes.
    """
    if path.is_dir():
        yield from _images(path, quiet)
    elif is_photo(path):
        yield _frame(0, 0, path)
    else:
        yield from frames(path)


def image_files(folder: Path) -> list[File]:
    """The images of a folder and of those below it, in natural order of their names. Raises as `files_in`."""
    return sorted(files_in("film", folder, IMAGE_SUFFIXES, "image"), key=lambda file: natural_key(file.name))


def _images(folder: Path, quiet: bool) -> Iterator[Frame]:
    number, faults = 0, []
    for place, file in enumerate(image_files(folder)):
        try:
            yield _frame(number, place, Path(file.path))
            number += 1
        except ValueError as error:
            faults.append(f"{file.name} {error}")
    if faults and not quiet:
        rest = f", and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        log.warning("%s: skipped %d images: %s%s", folder, len(faults), "; ".join(faults[:_NAMED]), rest)
    if not number:
        raise UserError(f"{folder}: not a single image can be read; accepted: images")


def _frame(number: int, place: int, path: Path) -> Frame:
    return Frame(number, place, 1 / Fraction(FOLDER_RATE), np.asarray(read_rgb(path)))


def are_photos(path: Path) -> bool:
    """Whether pictures stand for themselves: one photo, or a folder's images of several sizes.

    A folder of images of one size holds the frames of a film.

    Args:
        path: as `read_pictures` takes it.
    """
    if not path.is_dir():
        return is_photo(path)
    sizes = {_size(Path(file.path)) for file in files_in("film", path, IMAGE_SUFFIXES, "image")}
    return len(sizes - {None}) > 1


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height of an image that stands upright; None where it cannot be opened."""
    try:
        with Image.open(path) as picture:
            is_turned = orientation_of(path) >= _FIRST_ON_ITS_SIDE
            return picture.size[::-1] if is_turned else picture.size
    except IMAGE_ERRORS:
        return None


def is_photo(path: Path) -> bool:
    """Whether a file is an image that can be opened and holds one picture: animations are films."""
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return False
    try:
        with Image.open(path) as picture:
            return getattr(picture, "n_frames", 1) == 1
    except IMAGE_ERRORS:
        return False
