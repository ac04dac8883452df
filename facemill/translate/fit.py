"""How pictures of any size are brought to one that a translator takes."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image
from pydantic import ValidationError

from facemill.config.ingest import Cropping
from facemill.data.image_files import read_rgb
from facemill.errors import UserError, first_line
from facemill.ingest.crop_place import portrait_finder
from facemill.ingest.portraits import Finder, load_portrait
from facemill.networks.resnet_generator import MULTIPLE
from facemill.networks.store import model_settings

Framing = Literal["portrait", "whole"]

SIDES = (16, 4096)
"""Pixels on a side of what goes through the network, at least and at most."""


class Fit(NamedTuple):
    """How images are brought to a size that the network takes."""

    size: int
    """Height of portraits, shorter side of whole images, in pixels."""
    ratio: int
    """Height : width of portraits."""
    find: Finder | None
    """Finds the portrait in an image; None for whole images."""

    @classmethod
    def of(cls, weights: Path, size: int, framing: Framing) -> "Fit":
        """As the portraits were cropped that a network learnt from, by its JSON, or whole."""
        settings = model_settings(weights)
        if framing == "whole":
            return cls(size, 1, None)
        try:
            cropping, ratio = Cropping.model_validate(settings), int(settings.get("ratio", 1))
            return cls(size, ratio, portrait_finder(cropping.crop, ratio, cropping.detector))
        except (ValidationError, ValueError) as error:
            raise UserError(f"{weights.with_suffix('.json')}: settings: {first_line(error)}") from error
        except UserError as error:
            raise UserError(f"{weights}: its detector: {error}, or --framing whole") from error

    def read(self, path: Path) -> np.ndarray:
        """An image as the network takes it, uint8 RGB (H, W, 3); raises `ValueError` when it cannot be."""
        if self.find:
            return load_portrait(path, self.size // self.ratio, self.ratio, self.find)
        picture = read_rgb(path)
        width, height = fitted(*picture.size, self.size)
        return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


def fitted(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height of a picture whose shorter side becomes `side`, as multiples of `MULTIPLE`.

    Raises:
        ValueError: The longer side would have more than `SIDES` has at most.
    """
    scale = side / min(width, height) / MULTIPLE
    new = max(1, round(width * scale)) * MULTIPLE, max(1, round(height * scale)) * MULTIPLE
    if max(new) > SIDES[1]:
        raise ValueError(f"{width} x {height} pixels become {new[0]} x {new[1]}; accepted: up to {SIDES[1]} a side")
    return new
