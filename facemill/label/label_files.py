"""Label files (labelme's JSON and index masks) read into images with class masks."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from facemill.config.ingest import IndexMasksConfig
from facemill.config.label import LabelsConfig
from facemill.data import labelme
from facemill.data.classes import IGNORE, ClassTable
from facemill.data.image_files import orientation_of, read_rgb, turned
from facemill.data.labelme_image import find_image, leads_out
from facemill.data.mask_files import InvalidMask, index_of_color, is_binary, read_mask, shows_other_colors
from facemill.data.names import as_key, id_of_file
from facemill.data.pairs import Names
from facemill.data.walk import IMAGE_SUFFIXES, File, Walk, check_folder, files_in
from facemill.errors import UserError
from facemill.imaging.polygons import close_gaps
from facemill.label.merge_celebamask_parts import refuse_parts


class LabelledImage(NamedTuple):
    """An image and its class mask, uint8 (H, W), of the same proportions."""

    picture: Image.Image
    mask: np.ndarray
    warnings: list[str]
    index_of_color: Mapping[str, int] = {}
    """Of an index mask with a palette: the index that each of its colors shows."""
    has_other_colors: bool = False
    """Whether it is an index mask that `shows_other_colors`."""
    row_id: str | None = None
    """That of its row; by default its file's stem, as `id_of_file` reads it."""


class InvalidLabel(Exception):
    """A label file that cannot become a labelled portrait; its arguments are the reasons."""


class LabelSource(NamedTuple):
    """A label file and the function that reads it, which may raise `InvalidLabel`."""

    path: Path
    read: Callable[[], LabelledImage]


def labelme_files(folder: Path, settings: LabelsConfig, classes: ClassTable) -> list[LabelSource]:
    """The labelme files in a folder and those below it, sorted; links are followed, hidden files are left out.

    Raises:
        UserError: The folder is not there, or there is none.
    """
    check_folder("--labelled", folder)
    walk = Walk((*IMAGE_SUFFIXES, ".json"))
    files = sorted(walk.files(folder), key=lambda file: file.path)
    images = Names(folder, (file for file in files if not _is_json(file)))
    paths = [Path(file.path) for file in walk.once(filter(_is_json, files))]
    walk.report(f"--labelled {folder}")
    if not paths:
        raise UserError(f"{folder}: found no labelme file; accepted: NAME.json files, each with its image beside it")
    ids = settings.label_ids(classes)
    tolerance, gap = settings.tolerance, settings.fill_gaps
    return [LabelSource(path, partial(read_labelme, path, ids, tolerance, gap, images)) for path in paths]


def _is_json(file: File) -> bool:
    return file.name.lower().endswith(".json")


def read_labelme(
    path: Path, ids: Mapping[str, int], tolerance: float, gap: int = 0, images: Names | None = None
) -> LabelledImage:
    """The image of a labelme file with its shapes rasterized at the image's size.

    Unlabelled pixels are background (class 0), or in gaps narrower than `gap` filled from the nearest labelled pixel.

    Args:
        path: the labelme file.
        ids: the class id of each label.
        tolerance: pixels that a point may lie outside the image.
        gap: width in pixels; 0 fills no gaps.
        images: the images among which that of the file is; by default those in its folder.

    Raises:
        InvalidLabel: The file, its image or a shape is invalid.
    """
    annotation, errors = labelme.read(path)
    if annotation is None:
        raise InvalidLabel(*errors)
    source = _find_source(path, annotation, images)
    picture, orientation = _read_source(source, annotation)
    size = (picture.height, picture.width)
    problems = labelme.check(annotation, size, ids, tolerance)
    if problems.errors:
        raise InvalidLabel(*problems.errors)
    mask = labelme.draw(annotation.shapes, size, ids)
    if gap:
        labelled = labelme.draw(annotation.shapes, size, dict.fromkeys(ids, 1))
        mask = close_gaps(mask, labelled == 0, gap)
    if orientation != 1:
        picture, mask = turned(picture, orientation), np.asarray(turned(Image.fromarray(mask), orientation))
    row_id = _id_by_image(path, source) if isinstance(source, Path) else None
    return LabelledImage(picture, mask, problems.warnings, row_id=row_id)


def read_picture(path: Path, annotation: labelme.Annotation, images: Names | None = None) -> Image.Image:
    """The image of a labelme file, as the file's shapes lie on it.

    Args:
        path: the labelme file.
        annotation: its content.
        images: the images among which that of the file is; by default those in its folder.

    Raises:
        InvalidLabel: There is none, or it cannot be read.
    """
    return _read_source(_find_source(path, annotation, images), annotation)[0]


def _find_source(path: Path, annotation: labelme.Annotation, images: Names | None) -> Path | bytes:
    """What `find_image` finds; raises `InvalidLabel` where it is nothing."""
    try:
        source = find_image(path, annotation, images)
    except ValueError as error:
        raise InvalidLabel(str(error)) from error
    if source is None:
        root = images.root if images else path.parent
        place = f", which leads out of {root}" if leads_out(path, annotation, root) else ""
        raise InvalidLabel(
            f"no image at imagePath {annotation.image_path!r}{place}, nor embedded, nor beside it named {path.stem}; "
            "accepted: images below the folder of labels"
        )
    return source


def _read_source(source: Path | bytes, annotation: labelme.Annotation) -> tuple[Image.Image, int]:
    """The image of a labelme file, and the EXIF orientation by which it and its mask are still to be turned."""
    if isinstance(source, bytes):
        return _read_embedded(source, annotation), 1
    return _read_file(source, annotation)


def _id_by_image(path: Path, image: Path) -> str | None:
    """The id of a file that is called after its image, suffix and all, as `x.jpg.png` is: its image's, `x`."""
    is_called_so = as_key(path.stem).casefold() == as_key(image.name).casefold()
    return id_of_file(image.stem) if is_called_so else None


def index_mask_files(source: IndexMasksConfig, settings: LabelsConfig, classes: ClassTable) -> list[LabelSource]:
    """The index masks in a folder and those below it, sorted. Raises `UserError` when there is none.

    The image of `sub/NAME.png` is the one with the stem NAME, or called NAME (`x.jpg.png` of `x.jpg`), in the folder
    `sub` of images; where there is no such folder, and of masks that lie in no folder below their own, the only one at
    any depth.
    """
    check_folder("--mask-images", source.images)
    masks = files_in("--masks", source.masks, (".png",), "mask")
    refuse_parts(source.masks, masks)
    real = {Path(mask.path).resolve() for mask in masks}  # they may lie among the images
    walk = Walk(IMAGE_SUFFIXES)
    files = [file for file in walk.files(source.images) if Path(file.path).resolve() not in real]
    walk.report(f"--mask-images {source.images}")
    images = Names(source.images, files)
    id_of_label = settings.label_ids(classes)
    ids = np.array([id_of_label[label] for label in settings.index_names], np.uint8)
    return [LabelSource(Path(mask.path), partial(read_index_mask, mask, images, ids, classes)) for mask in masks]


def find_mask_image(mask: File, images: Names) -> Path:
    """The image of a mask, as `index_mask_files` describes it. Raises `InvalidLabel` where it is none, or not one."""
    found = _of_name(mask.stem, partial(images.beside, mask.folder))
    if not found and not (mask.folder and as_key(mask.folder) in images.folders):
        found = _of_name(mask.stem, images.anywhere)
    if not found:
        raise InvalidLabel(f"no image named {mask.stem} in {images.root}; accepted: masks named as their images")
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise InvalidLabel(f"fits {len(found)} images: {names}; accepted: one, or the same subfolders for both")
    return Path(found[0].path)


def _of_name(name: str, with_stem: Callable[[str], list[File]]) -> list[File]:
    """The images with a stem, and those of which it is the name with the suffix."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    named = [file for file in with_stem(stem) if suffix and file.name.lower().endswith(suffix.lower())]
    return list(dict.fromkeys(with_stem(name) + named))


def read_index_mask(file: File, images: Names, ids: np.ndarray, classes: ClassTable) -> LabelledImage:
    """The image of an index mask with its indices, or its colors, mapped to class ids.

    Args:
        file: PNG of one 8-bit channel: indices of labels, and `IGNORE`; or of exactly the colors of `classes`.
        images: the images among which its own is.
        ids: the class id of each index, uint8 (labels,).
        classes: the class table.

    Raises:
        InvalidLabel: The mask or its image is invalid.
    """
    image = find_mask_image(file, images)
    try:
        content = read_mask(Path(file.path), classes, ids.tolist())
    except InvalidMask as error:
        raise InvalidLabel(str(error)) from error
    indices = content.pixels
    if content.is_by_color:
        ids = np.arange(len(classes), dtype=np.uint8)
    elif is_binary(indices):
        raise InvalidLabel(f"only 0 and {IGNORE} in it, and {IGNORE} is for pixels to ignore; accepted: label indices")
    unknown = indices[(indices >= len(ids)) & (indices != IGNORE)]
    if unknown.size:
        accepted = f"0 to {len(ids) - 1}, as labels.index_names names them, and {IGNORE} for pixels to ignore"
        raise InvalidLabel(f"index {unknown[0]} in it; accepted: {accepted}")
    picture = _read_image(image)
    (height, width), scale = indices.shape, max(picture.size) / max(indices.shape)
    if abs(width * scale - picture.width) > 1 or abs(height * scale - picture.height) > 1:
        raise InvalidLabel(f"{width} x {height} pixels on an image of {picture.width} x {picture.height}")
    mask = np.where(indices == IGNORE, IGNORE, ids[np.minimum(indices, len(ids) - 1)]).astype(np.uint8)
    row_id = _id_by_image(Path(file.path), image)
    return LabelledImage(picture, mask, [], index_of_color(content), shows_other_colors(content, classes), row_id)


def _read_file(path: Path, annotation: labelme.Annotation) -> tuple[Image.Image, int]:
    """An image file upright, as labelme shows it, and 1; where the stated size is that of the pixels as stored, which
    other programs show, the image as stored and its EXIF orientation."""
    upright = _read_image(path)
    is_turned = (annotation.image_height, annotation.image_width) == upright.size != upright.size[::-1]
    if is_turned and (stored := read_rgb(path, as_stored=True)).size != upright.size:
        return stored, orientation_of(path)
    return upright, 1


def _read_image(path: Path) -> Image.Image:
    try:
        return read_rgb(path)
    except ValueError as error:
        raise InvalidLabel(f"image {path.name} {error}") from error


def _read_embedded(content: bytes, annotation: labelme.Annotation) -> Image.Image:
    """An embedded image as stored, as labelme shows it, unless the stated size is that of the upright one."""
    stated = (annotation.image_width, annotation.image_height)
    try:
        stored, upright = read_rgb(content, as_stored=True), read_rgb(content)
    except ValueError as error:
        raise InvalidLabel(f"image (embedded) {error}") from error
    return upright if stored.size != stated == upright.size else stored
