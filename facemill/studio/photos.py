"""Photos that are dropped, and the portraits of `review`: cropped as the collection is, with the U-Net's masks."""

import math
from dataclasses import dataclass
from itertools import count
from typing import Any, Self

import cv2
import numpy as np
from PIL import Image

from facemill.config.ingest import Cropping, CropPlace, DetectorConfig
from facemill.data.image_files import read_rgb
from facemill.errors import UserError
from facemill.imaging import polygons
from facemill.inference.segmenter import Segmenter, letterbox, unletterbox
from facemill.ingest.crop_place import portrait_finder
from facemill.ingest.portraits import MIDDLE, Box, Centering, crop, upright_size
from facemill.label.label_files import InvalidLabel, read_labelme
from facemill.log import log
from facemill.networks.store import model_settings
from facemill.review.review_portraits import SPECK
from facemill.studio.labels import label_names, safe_stem
from facemill.studio.messages import MOST_SIDE
from facemill.studio.painting import Studio

MOST_PHOTOS = 4
"""Photos in memory; the oldest goes when another comes."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture with its mask."""

    id: int
    name: str
    """As the page gave it; of a portrait of `review` that of its image."""
    stem: str
    """The name of its label's files."""
    picture: np.ndarray
    """uint8 RGB (H, W, 3)."""
    mask: np.ndarray
    """Class ids, uint8 (H, W): the U-Net's, those of review's labelme file, or background without either."""
    unsure: np.ndarray | None
    """Entropy of the U-Net's probabilities, 255 where all classes are as likely: uint8 (H, W); None without a U-Net."""
    z: list[float] | None
    """The style code; None where pictures give no styles."""


class Photos:
    """The photos in memory, by id. For one thread."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.cropper = Cropper.of(studio)
        self._ids = count(1)
        self._photos: dict[int, Photo] = {}

    def add(self, content: bytes, name: str) -> Photo:
        """A picture file, upright, in sRGB, cropped, at most `MOST_SIDE` pixels a side.

        Raises:
            UserError: It cannot be read, in `read_rgb`'s words, or its style.
        """
        name = name.replace("\\", "/").rpartition("/")[2][-255:] or "photo"
        try:
            place = self.cropper.place(content)
            picture = crop(content, place.box, *place.size, place.centering)[0]
            style = crop(content, place.box, *self.cropper.size, place.centering)[0]  # as `generate_portraits` reads it
        except ValueError as error:
            raise UserError(f"{name}: {error}") from error
        mask, unsure = self._segment(picture)
        return self._keep(name, safe_stem(name), picture, mask, unsure, self._style_of(style))

    def review(self, number: int) -> Photo:
        """A portrait of `review`, with the mask of its labelme file.

        Raises:
            UserError: There is none of this number, or its files or its style cannot be read.
        """
        files = self.studio.review
        if not 0 <= number < len(files):
            raise UserError(f"no portrait {number} to review; there are {len(files)}, counted from 0")
        path, names = files[number], label_names(self.studio.labels, self.studio.classes)
        try:
            label = read_labelme(path, names.ids, names.tolerance, names.fill_gaps)
        except InvalidLabel as error:
            raise UserError(f"{path.name}: {'; '.join(error.args)}") from error
        picture = np.asarray(label.picture)
        _, unsure = self._segment(picture)
        return self._keep(path.stem, path.stem, picture, label.mask, unsure, self._style_of(picture, label.mask))

    def get(self, number: int) -> Photo:
        """A photo in memory. Raises `UserError` when it is not there, or no longer."""
        if number not in self._photos:
            raise UserError(f"photo {number} is not in memory, where the last {MOST_PHOTOS} are; load it again")
        return self._photos[number]

    def _keep(self, name: str, stem: str, picture: np.ndarray, mask: np.ndarray, unsure: Any, z: Any) -> Photo:
        photo = Photo(next(self._ids), name, stem, picture, mask, unsure, z)
        self._photos[photo.id] = photo
        for old in list(self._photos)[:-MOST_PHOTOS]:
            del self._photos[old]
        return photo

    def _segment(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        if self.studio.segmenter is None:
            return np.zeros(picture.shape[:2], np.uint8), None
        return segment(self.studio.segmenter, picture)

    def _style_of(self, pixels: np.ndarray, mask: np.ndarray | None = None) -> list[float] | None:
        z = self.studio.style_of(pixels, mask)
        return None if z is None else z.tolist()


@dataclass(frozen=True)
class Place:
    """The part of a picture that is cropped."""

    box: Box | None
    """Around the largest face, where portraits are; else None, for the largest box."""
    centering: Centering
    """The place of the largest box."""
    size: tuple[int, int]
    """Width and height of the result, in pixels: those of the part, or less where they are above `MOST_SIDE`."""


class Cropper:
    """Finds the part of a picture that a portrait of the collection would be; one of its size is a portrait already.

    Args:
        size: width and height of the generator's portraits, in pixels.
        ratio: height : width of the collection's.
        place: where portraits lie in images of another aspect.
        detector: of the faces around which they lie, where they do.
    """

    def __init__(
        self,
        size: tuple[int, int],
        ratio: float,
        place: CropPlace = "middle",
        detector: DetectorConfig | None = None,
    ) -> None:
        self.size, self.ratio = size, ratio
        try:
            self._find = portrait_finder(place, ratio, detector)
        except UserError as error:  # a studio that takes no photos would be worse
            log.warning("studio: photos are cropped without a detector: %s", error)
            detector, self._find = None, portrait_finder("top" if place == "face" else place, ratio)
        self._reads_pixels = detector is not None

    @classmethod
    def of(cls, studio: Studio) -> Self:
        """That of the run's settings; without them, of what the generator's JSON tells of its collection."""
        generator, settings = studio.painter.generator, studio.settings.portraits
        size = (generator.width, generator.height)
        if settings:
            return cls(size, settings.ratio, settings.crop, settings.detector)
        cropping = Cropping.model_validate(model_settings(studio.paths.model))
        return cls(size, size[1] / size[0], cropping.crop, cropping.detector)

    def place(self, content: bytes) -> Place:
        """The part of a picture file. Raises `ValueError` when it cannot be read."""
        width, height = upright_size(content)
        if (width, height) == self.size:
            return Place(None, MIDDLE, self.size)
        box, centering = self._find(read_rgb(content) if self._reads_pixels else Image.new("1", (1, 1)))
        if box:
            return Place(box, centering, _fit((box.right - box.left) * width, (box.bottom - box.top) * height))
        return Place(box, centering, _fit(min(width, height / self.ratio), min(width * self.ratio, height)))


def _fit(width: float, height: float) -> tuple[int, int]:
    """Width and height as whole pixels, at most `MOST_SIDE`, in the same proportions."""
    scale = min(1, MOST_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def segment(segmenter: Segmenter, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A mask, as `Segmenter.predict` makes it, and how unsure the U-Net is.

    Args:
        segmenter: the U-Net.
        picture: uint8 RGB (H, W, 3), of any size.

    Returns:
        Class ids, uint8 (H, W), and the entropy of the probabilities as a share of that of equal ones, uint8 (H, W),
        255 for 1.
    """
    square, box = letterbox(Image.fromarray(picture), segmenter.size)
    logits = segmenter.logits([square])[0].cpu()
    log_probs = logits.log_softmax(0)
    entropy = -(log_probs.exp() * log_probs).sum(0).numpy() / math.log(len(logits))
    inside = entropy[box.top : box.top + box.height, box.left : box.left + box.width]
    large = cv2.resize(inside, (box.picture_width, box.picture_height), interpolation=cv2.INTER_LINEAR)
    return unletterbox(logits.numpy(), box), np.rint(255 * large.clip(0, 1)).astype(np.uint8)


def without_specks(mask: np.ndarray) -> np.ndarray:
    """The mask, uint8 (H, W), with regions so small as `review` removes them filled from their neighbors."""
    return polygons.without_specks(mask, round((mask.shape[0] / SPECK) ** 2))
