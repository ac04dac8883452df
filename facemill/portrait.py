"""An image file read as people see it: upright, in RGB."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


def read_rgb(source: Path | bytes) -> Image.Image:
    """Reads an image file, or its bytes: upright by its EXIF rotation, transparency over white, mode RGB.

    Raises `ValueError` with the reason when it cannot be read whole.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):  # 16 bits a pixel, which `convert` would clip to white
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            if not upright.has_transparency_data:
                return upright.convert("RGB")
            rgba = upright.convert("RGBA")
            return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot be read ({error})") from error
