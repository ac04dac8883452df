"""The image that a labelme file annotates: embedded in it, at its `imagePath`, or beside it."""

import os
import posixpath
from pathlib import Path, PureWindowsPath

from facemill.data.labelme import Annotation, decode_base64
from facemill.data.names import as_key
from facemill.data.pairs import Names
from facemill.data.walk import IMAGE_SUFFIXES, Walk


def leads_out(path: Path, annotation: Annotation, root: Path) -> bool:
    """Whether the `imagePath` of a labelme file leads out of a folder that holds the file at some depth."""
    return bool(annotation.image_path) and _stated_name(path, annotation, root) is None


def _stated_name(path: Path, annotation: Annotation, root: Path) -> str | None:
    """The path within a folder to which `imagePath` leads; None when it leads out of it, or there is none."""
    stated = PureWindowsPath(annotation.image_path or "")
    name = posixpath.normpath((path.parent.relative_to(root) / stated.as_posix()).as_posix())
    return name if stated.name and not stated.anchor and not name.startswith("../") else None


def find_image(path: Path, annotation: Annotation, images: Names | None = None) -> Path | bytes | None:
    """The annotated image: embedded, at `imagePath`, or beside the file under the same stem; None without any.

    Beside `x.png` its file may also be called `x.png.json`. Names are compared as keys, in any case where one file
    alone has them. An `imagePath` that leads out of the root of `images` is not followed.

    Args:
        path: the labelme file.
        annotation: its content.
        images: the images of a folder that holds the file, at some depth; by default those of the file's folder.

    Raises:
        ValueError: The embedded image is not base64, or several images lie beside the file under its stem.
    """
    if annotation.image_data:
        try:
            return decode_base64(annotation.image_data)
        except ValueError as error:
            raise ValueError("imageData is not base64") from error
    root = images.root if images else path.parent
    name = _stated_name(path, annotation, root)
    if name and os.path.isfile(root / name):  # noqa: PTH113  (a path of any length)
        return root / name
    images = images or Names(root, Walk(IMAGE_SUFFIXES).files(root))
    if name and len(named := images.named(name)) == 1:
        return Path(named[0].path)
    folder = path.parent.relative_to(root).as_posix()
    folder = "" if folder == "." else folder
    beside = images.beside(folder, as_key(path.stem)) or images.named(f"{folder}/{path.stem}".lstrip("/"))
    if len(beside) > 1:
        names = ", ".join(file.name.rpartition("/")[2] for file in beside)
        raise ValueError(f"{len(beside)} images of its name: {names}; accepted: one, or the right one in imagePath")
    return Path(beside[0].path) if beside else None
