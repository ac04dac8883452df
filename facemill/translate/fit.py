"""How pictures of any size are brought to one that a translator takes."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image
from pydantic import Field, ValidationError

from facemill.config.ingest import Cropping
from facemill.data.image_files import read_rgb
from facemill.errors import UserError, first_line
from facemill.ingest.crop_place import portrait_finder
from facemill.ingest.portraits import MIDDLE, Finder, crop, upright_size
from facemill.networks.resnet_generator import MULTIPLE
from facemill.networks.store import model_settings

Framing = Literal["portrait", "full"]

SIDES = (16, 4096)
"""Pixels on a side of what goes through the network, at least and at most."""


class Portraits(Cropping):
    """What a model's JSON says of its portraits."""

    ratio: float = Field(1, ge=1, le=4)
    """Height : width."""


class Fit(NamedTuple):
    """How images are brought to a size that the network takes."""

    size: int
    """Height of portraits, shorter side of full images, in pixels."""
    width: int
    """Of portraits, in pixels."""
    find: Finder | None
    """Finds the portrait in an image; None for full images."""

    @classmethod
    def of(cls, weights: Path, size: int, framing: Framing) -> "Fit":
        """As the portraits were cropped that a network learned from, by its JSON, or in full.

        Raises:
            UserError: The JSON does not say it rightly, or portraits of that height do not suit the network.
        """
        if framing == "full":
            return cls(size, size, None)
        try:
            portraits = Portraits.model_validate(model_settings(weights))
        except ValidationError as error:
            fault = error.errors()[0]
            key = ".".join(map(str, ("settings", *fault["loc"])))
            accepted = fault["msg"].removeprefix("Input should be ")
            raise UserError(
                f"{weights.with_suffix('.json')}: {key}: found {fault['input']!r}; accepted: {accepted}"
            ) from error
        width = round(size / portraits.ratio)
        if width % MULTIPLE or width < SIDES[0]:
            raise UserError(
                f"--size {size}: portraits of {weights} would have {width} x {size} pixels; accepted: a height whose "
                f"width is a multiple of {MULTIPLE}, at least {SIDES[0]}"
            )
        try:
            return cls(size, width, portrait_finder(portraits.crop, size / width, portraits.detector))
        except UserError as error:
            raise UserError(f"{weights}: its detector: {error}, or --framing full") from error

    def read(self, path: Path) -> np.ndarray:
        """An image as the network takes it, uint8 RGB (H, W, 3); raises `ValueError` when it cannot be."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ValueError(f"cannot be read ({first_line(error)})") from error
        if self.find:
            is_portrait = upright_size(content) == (self.width, self.size)
            box, centering = (None, MIDDLE) if is_portrait else self.find(read_rgb(content))
            return crop(content, box, self.width, self.size, centering)[0]
        picture = read_rgb(content)
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
