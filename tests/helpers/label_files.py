"""Label files for tests: labelme files and index masks with their images, and rows of labelled portraits."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facemill.config.ingest import IndexMasksConfig
from facemill.config.label import LabelsConfig
from facemill.data.classes import ROLES, SEVEN
from facemill.label.labelled_rows import labelled_row

BACKGROUND, SKIN, FACE, EYE, MOUTH, HAIR, CLOTHES = range(len(SEVEN))

MERGE: dict[str, list[str]] = {name: [name] for name in ROLES} | {"hair": ["hair", "hat"], "skin": ["ear", "neck"]}
SETTINGS = LabelsConfig(merge=MERGE, ignore=["__ignore__"], validation=0.3, test=0.3)


def box(label: str, x0: float, y0: float, x1: float, y1: float) -> dict[str, Any]:
    """A rectangle as a labelme polygon."""
    return {"label": label, "points": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]], "shape_type": "polygon"}


def write_labelme(
    folder: Path, name: str, shapes: list[dict[str, Any]], pixels: np.ndarray | None = None, **more: Any
) -> None:
    """Writes `NAME.json` and `NAME.png`; `more` are further keys of the JSON."""
    folder.mkdir(exist_ok=True)
    if pixels is None:  # one color, and in a corner another for each name, so that no two images are the same
        pixels = np.full((64, 64, 3), (9, 90, 200), np.uint8)
        pixels[0, 0] = [*name.encode()[:3].ljust(3)]
    Image.fromarray(pixels).save(folder / f"{name}.png")
    content = {"shapes": shapes, "imagePath": f"{name}.png", "imageData": None, **more}
    (folder / f"{name}.json").write_text(json.dumps(content))


def write_index_mask(
    folder: Path, name: str, indices: np.ndarray, image_size: tuple[int, int] = (64, 64), mode: str = "P"
) -> IndexMasksConfig:
    """Writes `masks/NAME.png` and `images/NAME.jpg`, of noise."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(exist_ok=True)
    random = np.random.default_rng(len(name))
    Image.fromarray(random.integers(0, 255, (*image_size[::-1], 3), np.uint8)).save(folder / f"images/{name}.jpg")
    mask = Image.fromarray(indices, "L")
    if mode == "P":
        mask.putpalette(SEVEN.palette)
    (mask if mode in ("P", "L") else mask.convert(mode)).save(folder / f"masks/{name}.png")
    return IndexMasksConfig(images=folder / "images", masks=folder / "masks")


def noise_row(portrait_id: str, seed: int, pixels: np.ndarray | None = None) -> dict[str, Any]:
    """A labelled portrait of smooth noise, unlike those of other seeds, or of the given pixels, and of background."""
    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(noise).resize((64, 64), 3)) if pixels is None else pixels
    return labelled_row(portrait_id, pixels, np.zeros((64, 64), np.uint8), SEVEN)
