"""Portraits whose PNGs hold what made them, and which are painted again from it, to the byte."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel
from torch import Tensor

from facemill.data.png import SIGNATURE, chunk, chunks
from facemill.errors import UserError
from facemill.files import atomic_write, sha256
from facemill.inference.sampler import Sampler

KEYWORD = "facemill-stylegan"
"""Of the text chunk (tEXt, https://www.w3.org/TR/png-3/#11tEXt) that holds a recipe, as JSON."""
SHEET_KEYWORD = "facemill-sheet"
"""Of the text chunk of what lies beside portraits and is none: a `grid` of them, or a `mask`."""
MOST_BYTES = 1 << 20
"""A longer chunk is no recipe: the largest network's has 60 KB."""


class Recipe(BaseModel):
    """What a portrait was painted from."""

    model: str
    """SHA-256 of the generator's weights, as hex."""
    styles: str
    """float32, little-endian, in base64: (w_dim,), or (layers, w_dim)."""
    made: dict[str, Any]
    """How the styles came about, for people: the seed and truncation, what was mixed, or what was projected."""

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The recipe in a PNG; None where there is none, or it is damaged. Raises `OSError` for unreadable files."""
        try:
            texts = [data.split(b"\0", 1) for kind, data in chunks(path.read_bytes()) if kind == b"tEXt"]
            text = next(text for keyword, *rest in texts for text in rest if keyword == KEYWORD.encode())
            return cls.model_validate_json(text) if len(text) <= MOST_BYTES else None
        except (StopIteration, ValueError):
            return None


def save_grid(picture: Image.Image, path: Path) -> None:
    """Writes a grid of portraits, a PNG that tells that it is one, so that no command takes it for a portrait."""
    info = PngInfo()
    info.add_text(SHEET_KEYWORD, "grid")
    with atomic_write(path) as tmp:
        picture.save(tmp, "PNG", optimize=True, pnginfo=info)


def as_mask(encoded: bytes) -> bytes:
    """The PNG of a portrait's mask, which tells that it is one, too."""
    *before, end = chunks(encoded)
    text = b"tEXt", f"{SHEET_KEYWORD}\0mask".encode()
    return SIGNATURE + b"".join(chunk(*part) for part in (*before, text, end))


def sheet_of(path: Path) -> str | None:
    """What a PNG that lies beside portraits tells that it is, `grid` or `mask`; None for all other files."""
    if path.suffix.lower() != ".png":
        return None
    try:
        texts = [data.partition(b"\0") for kind, data in chunks(path.read_bytes()) if kind == b"tEXt"]
    except (OSError, ValueError):
        return None
    return next((text.decode("latin-1") for keyword, _, text in texts if keyword == SHEET_KEYWORD.encode()), None)


@dataclass(frozen=True)
class RecipePainter:
    """A finished generator that paints recipes.

    Portraits are painted one by one: in batches of other sizes their last bits may differ.
    """

    sampler: Sampler
    model: str
    """SHA-256 of its weights, as hex."""

    @classmethod
    def load(cls, model: Path) -> Self:
        """The painter of a saved generator, a safetensors file or its folder.

        Raises:
            UserError: The model is not there, or is no such file; and as `load_model`.
        """
        if not model.exists():
            raise UserError(f"--model {model}: no such folder; accepted: that of a trained StyleGAN")
        if model.is_file() and model.suffix != ".safetensors":
            raise UserError(f"--model {model}: no model; accepted: a safetensors file, or its folder")
        return cls(Sampler.load(model), sha256(model / "model.safetensors" if model.is_dir() else model))

    def paint(self, styles: Tensor) -> np.ndarray:
        """A portrait, uint8 RGB (H, W, 3), of styles (w_dim,), or of each layer (layers, w_dim)."""
        return self.sampler.generate(styles[None].clone())[0]  # a copy is aligned alike, wherever the styles lay

    def save(self, path: Path, styles: Tensor, made: Mapping[str, Any]) -> np.ndarray:
        """Paints styles and writes the PNG, which holds them; returns the portrait.

        Args:
            path: the PNG.
            styles: (w_dim,), or of each layer (layers, w_dim).
            made: how they came about.
        """
        encoded = base64.b64encode(styles.cpu().numpy().astype("<f4").tobytes()).decode()
        recipe = Recipe(model=self.model, styles=encoded, made=dict(made))
        info = PngInfo()
        info.add_text(KEYWORD, recipe.model_dump_json(ensure_ascii=True))
        portrait = self.paint(styles)
        with atomic_write(path) as tmp:
            Image.fromarray(portrait).save(tmp, "PNG", pnginfo=info)
        return portrait

    def read(self, path: Path) -> tuple[Tensor, dict[str, Any]] | None:
        """Styles, and how they came about, from a PNG that this model painted; None for all other files.

        Raises:
            OSError: The file cannot be read.
        """
        recipe = Recipe.read(path)
        if recipe is None or recipe.model != self.model:
            return None
        try:
            numbers = np.frombuffer(base64.b64decode(recipe.styles, validate=True), "<f4").astype(np.float32)
        except ValueError:
            return None
        generator = self.sampler.generator
        rows, rest = divmod(len(numbers), generator.w_dim)
        if rest or rows not in (1, generator.layers) or not np.isfinite(numbers).all():
            return None
        styles = torch.from_numpy(numbers)
        return styles if rows == 1 else styles.view(rows, -1), recipe.made
