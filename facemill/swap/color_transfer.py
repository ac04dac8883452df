"""Colors of a drawn face as they are in the picture that it goes into, in CIELAB: Reinhard et al. 2001.

https://doi.org/10.1109/38.946629
"""

from typing import NamedTuple

import cv2
import numpy as np

from facemill.config.swap import Color
from facemill.imaging.colors import MIN_PIXELS

SMOOTHING = 0.8
"""Share of the change of colors in the frame before that stays: so that it does not flicker as masks change."""

_GAINS = 0.5, 2.0  # of the deviation: a face without contrast does not become one of noise


class Transfer(NamedTuple):
    """A change of colors in CIELAB: about the center by the gain, then by the shift. float32 (3,) each."""

    center: np.ndarray
    gain: np.ndarray
    shift: np.ndarray

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels, float32 RGB (..., 3) in 0 to 255, in the new colors, within that range."""
        lab = cv2.cvtColor(pixels / np.float32(255), cv2.COLOR_RGB2LAB)
        lab = (lab - self.center) * self.gain + (self.center + self.shift)
        return np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255, 0, 255)

    def after(self, before: "Transfer") -> "Transfer":
        """This change, smoothed after the one of the frame before."""
        return Transfer(*(SMOOTHING * old + (1 - SMOOTHING) * new for old, new in zip(before, self, strict=True)))


def color_transfer(drawn: np.ndarray, source: np.ndarray, region: np.ndarray, color: Color) -> Transfer | None:
    """The change that gives a drawn face the colors of the one in its place.

    Args:
        drawn: float32 RGB (H, W, 3) in 0 to 255.
        source: the picture there, of the same type and shape.
        region: the pixels of the face, bool (H, W).
        color: `lab` for the same mean and standard deviation, `mean` for the same mean; `none` changes nothing.

    Returns:
        The change; None for `none`, and where the region is too small to have a color.
    """
    if color == "none" or np.count_nonzero(region) < MIN_PIXELS:
        return None
    labs = (cv2.cvtColor(pixels / np.float32(255), cv2.COLOR_RGB2LAB)[region] for pixels in (drawn, source))
    (mean, deviation), (wanted, contrast) = ((lab.mean(0), lab.std(0)) for lab in labs)
    gain = np.ones_like(mean)
    if color == "lab":
        gain = np.clip(contrast / np.maximum(deviation, 1e-3), *_GAINS)
    return Transfer(mean, gain, wanted - mean)
