"""Photos and other images as portraits: cropped as a U-Net's collection was, with its masks."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image
from pydantic import ValidationError

from facemill.avatars.regions import WORKING_SIZE, seven_ids
from facemill.config.ingest import Cropping, DetectorConfig
from facemill.config.runs import settings_of
from facemill.data.classes import SEVEN
from facemill.data.image_files import read_rgb
from facemill.errors import UserError, first_line
from facemill.inference.segmenter import Segmenter
from facemill.ingest.crop_place import portrait_finder
from facemill.ingest.portraits import Finder, center_box, crop, upright_size
from facemill.networks.store import model_settings

LEAST_SIDE = 32
"""Pixels on a portrait's shorter side below which it shows no parts."""

LEAST_FACE = 0.01
"""The share of a portrait below which its face, eyes and mouth are none."""


@dataclass(frozen=True)
class Collection:
    """How the portraits of a collection lie in its images."""

    ratio: float
    """Height : width."""
    find: Finder
    size: tuple[int, int] | None = None
    """Width and height in pixels of an image that is a portrait already; None where that is not known."""

    @classmethod
    def of(cls, unet: Path, cascade: Path | None = None) -> Self:
        """The collection of a U-Net in `results/<dataset>/unet/<version>`, by what lies in `results/<dataset>`.

        That is the run's settings, or else the GauGAN; without both portraits are squares in the middle.

        Args:
            unet: a safetensors file, or the folder that holds it.
            cascade: OpenCV's cascade of faces, to which portraits are cropped in its stead.

        Raises:
            UserError: A detector cannot be loaded, or the settings cannot be read.
        """
        folder = unet if unet.is_dir() else unet.parent
        base = folder.absolute().parents[1]
        ratio, size, cropping = _settings(base)
        if cascade:
            cropping = Cropping(crop="middle", detector=DetectorConfig(kind="cascade", cascade=cascade))
        try:
            return cls(ratio, portrait_finder(cropping.crop, ratio, cropping.detector), None if cascade else size)
        except UserError as error:
            hint = f"--cascade {cascade}" if cascade else f"{base}: its detector"
            raise UserError(f"{hint}: {error}, by --cascade FILE") from error

    def portrait(self, path: Path) -> np.ndarray:
        """The portrait in an image, at most `WORKING_SIZE` pixels a side: uint8 RGB (H, W, 3).

        Raises `ValueError` when it cannot be read, or is too small.
        """
        content = path.read_bytes()
        width, height = upright_size(content)
        if (width, height) == self.size:
            return crop(content, None, width, height)[0]
        box, centering = self.find(read_rgb(content))
        place = box or center_box(width, height, self.ratio, centering)
        w, h = (place.right - place.left) * width, (place.bottom - place.top) * height
        if min(w, h) < LEAST_SIDE:
            raise ValueError(f"its portrait has {w:.0f} x {h:.0f} pixels; accepted: at least {LEAST_SIDE} a side")
        scale = min(1, WORKING_SIZE / max(w, h))
        return crop(content, place, round(w * scale), round(h * scale))[0]


def _settings(base: Path) -> tuple[float, tuple[int, int] | None, Cropping]:
    """Ratio, size and cropping of the portraits of the results in a folder."""
    if settings := settings_of(base):
        portraits = settings.portraits
        return portraits.ratio, (portraits.width, portraits.size), portraits.cropping
    source = base / "gaugan/model.json"
    if not source.exists():
        return 1, None, Cropping()
    try:
        return 1, None, Cropping.model_validate(model_settings(source.parent))
    except (ValidationError, ValueError) as error:
        raise UserError(f"{source}: {first_line(error)}; accepted: settings of a model") from error


def segmented(
    paths: Iterable[Path], collection: Collection, segmenter: Segmenter, pool: ThreadPoolExecutor
) -> Iterator[tuple[Path, tuple[np.ndarray, np.ndarray] | ValueError]]:
    """Yields the portrait in each image and its mask.

    Args:
        paths: of images.
        collection: how portraits lie in them.
        segmenter: the U-Net.
        pool: threads that read ahead.

    Yields:
        The path, and the portrait, uint8 RGB (H, W, 3), with its mask in ids of `SEVEN`, uint8 (H, W), or why there
        is none.
    """
    portraits: dict[Path, np.ndarray] = {}

    def read(path: Path) -> Image.Image:
        portraits[path] = collection.portrait(path)
        return Image.fromarray(portraits[path])

    for path, mask in segmenter.predict(paths, read, pool):
        if isinstance(mask, ValueError):
            yield path, mask
            continue
        ids = seven_ids(mask, segmenter.classes)
        face = np.isin(ids, SEVEN.role_ids("face", "eye", "mouth")).mean()
        seen = portraits.pop(path), ids
        yield path, seen if face >= LEAST_FACE else ValueError("the U-Net sees no face in it")
