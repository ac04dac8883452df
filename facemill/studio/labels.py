"""Masks saved as labels: labelme files with their images, which the next run trains on.

A label is refused before anything is written where the workflow's `convert_labels` would refuse it, in its words.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from PIL import Image

from facemill.config.label import LabelsConfig
from facemill.data import labelme
from facemill.data.classes import IGNORE, ClassTable
from facemill.data.names import as_file_name, as_key
from facemill.data.pairs import Names
from facemill.data.walk import IMAGE_SUFFIXES, File, Walk
from facemill.errors import UserError
from facemill.files import atomic_write, write_json
from facemill.imaging.polygons import MIN_IOU, polygons
from facemill.ingest.portraits import MIDDLE
from facemill.label.label_files import InvalidLabel, LabelledImage, LabelSource, read_labelme, read_picture
from facemill.label.labelled_rows import convert, hash_pixels, same_image

if TYPE_CHECKING:
    from facemill.studio.photos import Photo

REMOVED = ".removed"
"""Added to the names of a label's files when it is taken back."""

MOST_LETTERS = 64
"""Letters of a label's name."""


class LabelNames(NamedTuple):
    """The labels of classes in labelme files, and how their polygons are read."""

    written: Sequence[str]
    """By class id."""
    ids: Mapping[str, int]
    """The class ids of all labels that are read; `IGNORE` of those that are ignored."""
    ignored: str | None
    """The label of unlabelled pixels."""
    tolerance: float
    fill_gaps: int
    """As in the config."""


class LabelResult(NamedTuple):
    """A label that was saved."""

    file: str
    """The name of the labelme file."""
    iou: dict[str, float]
    """Of each class, between what was painted and what the file gives when it is read as the next run reads it."""
    warnings: list[str]


def label_names(settings: LabelsConfig | None, classes: ClassTable) -> LabelNames:
    """The first label that the settings merge into each class; without settings the classes' names.

    A class without a label in them, which the background may be, has its name, which is then no label that is read.
    """
    if settings is None:
        return LabelNames(classes.names, {name: i for i, name in enumerate(classes.names)}, None, 0, 0)
    written = [(settings.merge.get(name) or [name])[0] for name in classes.names]
    ids, ignored = settings.label_ids(classes), next(iter(settings.ignore), None)
    return LabelNames(written, ids, ignored, settings.tolerance, settings.fill_gaps)


def safe_stem(name: str) -> str:
    """The stem of a file's name in the letters A-Z, a-z, 0-9, _ and -, of which it has 1 to `MOST_LETTERS`.

    Accents are left out, other letters become `_`; a name without letters of these, or one that Windows reserves,
    becomes `photo`.
    """
    stem = re.sub(r"\.[^./\\]*$", "", name).replace("\\", "/").rpartition("/")[2]
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_-")[:MOST_LETTERS]
    return plain if plain and as_file_name(plain) == plain else "photo"


class Labels:
    """Writes masks as labels into a folder, and takes them back. For one thread.

    Args:
        folder: of labelme files and images, at any depth; it is made with the first label.
        settings: section `labels` of the config that the folder is used with; None where it is not known.
        classes: the masks' class table.
    """

    def __init__(self, folder: Path, settings: LabelsConfig | None, classes: ClassTable) -> None:
        self.folder, self.classes = folder, classes
        self.names = label_names(settings, classes)
        self._written: set[str] = set()
        self._hashes: dict[tuple[str, int, tuple[int, int]], bytes | None] = {}

    def save(self, photo: "Photo", mask: np.ndarray) -> LabelResult:
        """Writes the photo as PNG and the mask as its labelme file, under a name that is not taken.

        Args:
            photo: a photo.
            mask: class ids, and `IGNORE` where labels for it are known: uint8 (H, W).

        Raises:
            UserError: The label would be refused by `convert_labels`; nothing is written.
            OSError: The disk is full or refuses; nothing is left.
        """
        if mask.shape != photo.picture.shape[:2]:
            sizes = [f"{width} x {height}" for height, width in (mask.shape, photo.picture.shape[:2])]
            raise UserError(f"a mask of {sizes[0]} pixels for a photo of {sizes[1]}")
        try:
            files = self._files()
            self._check_picture(Image.fromarray(photo.picture), mask, files)
            path = self.folder / f"{self._free(photo.stem, files)}.json"
            content = labelme.as_labelme(path.with_suffix(".png").name, mask.shape, self._shapes(mask))
            warnings = self._check_shapes(content, mask.shape)
            _write(path, content, photo.picture)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(error.errno, reason, str(getattr(error, "output", error.filename) or self.folder)) from error
        self._written.add(path.name)
        iou = self._read_back(path, mask)
        worse = [f"{name} differs from what was painted (IoU {value:.3f})" for name, value in iou.items()]
        warnings += [text for text, value in zip(worse, iou.values(), strict=True) if value < MIN_IOU]
        return LabelResult(path.name, {name: round(value, 4) for name, value in iou.items()}, warnings)

    def remove(self, file: str) -> str:
        """Takes a label back that was saved here: its files get other names, since labels are data.

        Returns:
            The labelme file's name now.

        Raises:
            UserError: No label of this name was saved here.
            OSError: The disk refuses; the label can be taken back later.
        """
        if file not in self._written:
            raise UserError(f"{file}: no label that was saved here since the studio started")
        for name in (file, f"{Path(file).stem}.png"):  # a labelme file without its image would stop the next run
            with suppress(FileNotFoundError):  # it was renamed before the disk refused the other
                (self.folder / name).rename(self.folder / f"{name}{REMOVED}")
        self._written.remove(file)
        return f"{file}{REMOVED}"

    def _files(self) -> Sequence[File]:
        """Images, labelme files and those that were taken back, in the folder and below it."""
        walk = Walk((*IMAGE_SUFFIXES, ".json", REMOVED))
        return sorted(walk.files(self.folder), key=lambda file: file.path) if self.folder.exists() else []

    def _free(self, stem: str, files: Sequence[File]) -> str:
        """The stem, or with `-2`, `-3` and so on, that no file has in any case of letters."""
        taken = {as_key(Path(file.name.removesuffix(REMOVED)).stem).casefold() for file in files}
        ends = (f"-{number}" if number > 1 else "" for number in count(1))
        names = (f"{stem[: MOST_LETTERS - len(end)] if end else stem}{end}" for end in ends)
        return next(name for name in names if as_key(name).casefold() not in taken)

    def _check_picture(self, picture: Image.Image, mask: np.ndarray, files: Sequence[File]) -> None:
        """Raises `UserError` with what `convert_labels` says of an empty mask, and of an image that it has already."""
        source = LabelSource(self.folder / "label.json", lambda: LabelledImage(picture, mask, []))
        conversion = convert(source, self.classes, picture.height, picture.height / picture.width, lambda _: MIDDLE)
        if conversion.errors:
            raise UserError("; ".join(conversion.errors))
        images = Names(self.folder, (file for file in files if file.name.lower().endswith(IMAGE_SUFFIXES)))
        for file in files:
            is_label = file.name.lower().endswith(".json")
            if is_label and self._hash(file, images, picture.size) == conversion.image_hash:
                raise UserError(same_image(Path(file.path)))

    def _hash(self, file: File, images: Names, size: tuple[int, int]) -> bytes | None:
        """A hash of a labelme file's image; None where it states another size, or cannot be read."""
        key = (file.path, file.modified, size)
        if key not in self._hashes:
            self._hashes[key] = None
            annotation, _ = labelme.read(Path(file.path))
            if annotation and (annotation.image_width or size[0], annotation.image_height or size[1]) == size:
                with suppress(InvalidLabel):  # which the next run names
                    self._hashes[key] = hash_pixels(read_picture(Path(file.path), annotation, images))
        return self._hashes[key]

    def _shapes(self, mask: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Labels and polygons of a mask, to be drawn one over the other."""
        if (mask == IGNORE).any() and self.names.ignored is None:
            raise UserError(f"unlabelled pixels ({IGNORE}) in it; accepted: classes, or a label in labels.ignore")
        labels = {**dict(enumerate(self.names.written)), IGNORE: self.names.ignored or ""}
        shapes = [(labels[value], outline) for value, outline in polygons(mask)]
        if self.names.fill_gaps and labels[0] in self.names.ids:  # so that narrow background is no gap between labels
            right, bottom = mask.shape[1] - 1, mask.shape[0] - 1
            shapes.insert(0, (labels[0], np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]])))
        return shapes

    def _check_shapes(self, content: dict[str, Any], size: tuple[int, int]) -> list[str]:
        """The warnings of `labelme.check`; raises `UserError` with its errors."""
        annotation = msgspec.convert(content, labelme.Annotation)
        problems = labelme.check(annotation, size, self.names.ids, self.names.tolerance)
        if problems.errors:
            raise UserError("; ".join(problems.errors))
        return problems.warnings

    def _read_back(self, path: Path, mask: np.ndarray) -> dict[str, float]:
        """The IoU of each class in either mask, by its name."""
        drawn = read_labelme(path, self.names.ids, self.names.tolerance, self.names.fill_gaps).mask
        iou = {}
        for class_id, name in enumerate(self.classes.names):
            a, b = mask == class_id, drawn == class_id
            if union := np.count_nonzero(a | b):
                iou[name] = float(np.count_nonzero(a & b) / union)
        return iou


def _write(path: Path, content: dict[str, Any], picture: np.ndarray) -> None:
    """Writes the image, then the labelme file; never the latter alone, and neither when the disk refuses."""
    image = path.with_suffix(".png")
    with atomic_write(image) as tmp:
        Image.fromarray(picture).save(tmp, "PNG")
    try:
        write_json(path, content)
    except BaseException:
        image.unlink(missing_ok=True)
        raise
