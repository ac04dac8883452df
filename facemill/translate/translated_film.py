"""Films in the manner of another collection: all of each frame, or the square around a face that is followed."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from facemill.avatars.film_faces import FaceFollower, Square
from facemill.data.batching import batched, map_ahead
from facemill.data.film import FilmWriter, Frame, about, frames
from facemill.data.synthetic import Mark, draw_mark, film_tags, hashes, write_claim
from facemill.errors import UserError
from facemill.inference.segmenter import Segmenter
from facemill.inference.translator import BATCH_PIXELS
from facemill.log import log
from facemill.translate.fit import fitted
from facemill.translate.flicker import Flicker
from facemill.translate.test_time_augmentation import Translates, translate_augmented

Prepared = tuple[Frame, np.ndarray, bool]
"""A frame, what of it goes into the film at the network's size, and whether that is translated."""


def translate_film(
    translator: Translates,
    models: Sequence[Path],
    film: Path,
    out: Path,
    *,
    unet: Path | None,
    size: int,
    tta: int,
    no_mark: bool,
) -> None:
    """Writes a film's translation, with its times and sound, and what C2PA would sign beside it.

    With a U-Net it is the square around the face. Frames without a face, where the square stays, are passed on
    untranslated, and counted in the log, which tells the flicker, too.

    Raises:
        UserError: No film, or a film without a face for the U-Net.
    """
    info = about(film)
    try:
        cut = Faces(Segmenter.load(unet), size) if unet else FullFrame(info.width, info.height, size)
    except ValueError as error:
        raise UserError(f"{film}: frames of {error}") from error
    models = [*models, *([unet / "model.safetensors" if unet.is_dir() else unet] if unet else [])]
    mark = Mark("compositeWithTrainedAlgorithmicMedia", hashes(models), hashes([film]))
    batch = max(1, BATCH_PIXELS // (cut.size[0] * cut.size[1]))
    count, changed, flicker = 0, 0, Flicker()
    writer = FilmWriter(out, like=film, size=cut.size, tags=film_tags(mark))
    with ThreadPoolExecutor(1) as pool, writer:
        for prepared in batched(map_ahead(pool, cut, frames(film), ahead=batch), batch):
            results = _translated(prepared, translator, tta)
            for (frame, source, is_translated), pixels in zip(prepared, results, strict=True):
                writer.write(pixels if no_mark else draw_mark(pixels), frame)
                count, changed = count + 1, changed + is_translated
                flicker.add(source, pixels if is_translated else None)
        if not changed:
            raise UserError(f"{film}: the U-Net sees no face in its {count} frames; accepted: films with a face")
    write_claim(out, mark)
    log.info("translate_images: %d frames, %d of them translated, in %s", count, changed, out)
    log.info("translate_images: %s", flicker)


def _translated(prepared: list[Prepared], translator: Translates, tta: int) -> Iterator[np.ndarray]:
    """Yields what goes into the film, uint8 RGB (H, W, 3)."""
    asked = [pixels for _, pixels, is_translated in prepared if is_translated]
    results = iter(translate_augmented(translator, np.stack(asked), tta) if asked else ())
    for _, pixels, is_translated in prepared:
        yield next(results) if is_translated else pixels


class FullFrame:
    """All of each frame."""

    def __init__(self, width: int, height: int, side: int) -> None:
        """Frames of a size, whose shorter side becomes `side`."""
        self.size = fitted(width, height, side)

    def __call__(self, frame: Frame) -> Prepared:
        """The frame at that size."""
        return frame, _resized(frame.pixels, self.size), True


class Faces:
    """The square around a face, which is followed."""

    def __init__(self, segmenter: Segmenter, side: int) -> None:
        """Squares of `side` pixels."""
        self.size = side, side
        self._follower = FaceFollower(segmenter)
        self._square: Square | None = None

    def __call__(self, frame: Frame) -> Prepared:
        """The square around the face; where there is none the last one, in the beginning that in the middle."""
        if face := self._follower.follow(frame.pixels):
            self._square = face.square
            return frame, _resized(face.pixels, self.size), True
        height, width = frame.pixels.shape[:2]
        side = min(width, height)
        square = self._square or ((width - side) / 2, (height - side) / 2, side)
        return frame, _resized(self._follower.look(frame.pixels, square).pixels, self.size), False


def _resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    shrinks = size[0] < pixels.shape[1]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
