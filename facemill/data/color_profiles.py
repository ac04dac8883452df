"""Colors of images with a color profile (ICC), converted to sRGB, as viewers show them.

Relative colorimetric with black point compensation, by LittleCMS. Profiles: https://www.color.org/specification/
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from facemill.errors import first_line
from facemill.log import log

MAX_DIFFERENCE = 2
"""Levels of 255 by which a profile may change colors and still count as sRGB, of which many variants are in use."""

_PIXELS = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_GRAY_MODES = ("1", "L", "LA", "La")


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image | None:
    """The picture in sRGB, mode RGB, without its transparency; None where its profile changes nothing.

    Profiles that are broken, or of another kind of pixels, are passed over with a line in the log.
    """
    kind = "L" if picture.mode in _GRAY_MODES else "CMYK" if picture.mode == "CMYK" else "RGB"
    transform = _transform(profile, kind) if profile else None
    return ImageCms.applyTransform(picture.convert(transform.input_mode), transform) if transform else None


def changes_colors(picture: Image.Image) -> bool:
    """Whether `to_srgb` would change an open file."""
    return to_srgb(Image.new(picture.mode, (1, 1)), picture.info.get("icc_profile")) is not None


@lru_cache(64)
def _transform(profile: bytes, kind: str) -> ImageCms.ImageCmsTransform | None:
    """The transform of pixels from a profile to sRGB; None where it changes nothing or the profile is of no use."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space
        mode = _PIXELS.get(space, "")
        if mode != kind and (mode, kind) != ("RGB", "L"):
            raise ValueError(f"it is for {space.strip()}")
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if mode == "CMYK":
            return transform
        levels = np.arange(0, 256, 15).astype(np.uint8)
        probe = Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)).convert(mode)
        shown = np.asarray(ImageCms.applyTransform(probe, transform)).astype(int)
        return transform if np.abs(shown - np.asarray(probe.convert("RGB"))).max() > MAX_DIFFERENCE else None
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
        reason = first_line(error)
        log.warning("a color profile of %d bytes is ignored, its images are read as sRGB: %s", len(profile), reason)
        return None
