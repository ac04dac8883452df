"""The studio's models: portraits from masks, styles and sliders. Nothing else in the studio knows GauGAN."""

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import Any, Self

import cv2
import numpy as np
import torch

from facemill.data.shards import encode_jpeg
from facemill.errors import UserError
from facemill.files import sha256
from facemill.inference.painter import Painter
from facemill.inference.painter_backends import NoPicture
from facemill.inference.segmenter import Segmenter
from facemill.inference.vectors import Vectors
from facemill.studio.collection import CollectionPortrait, Sheet, read_collection, thumbnails
from facemill.studio.messages import Look, State, Style
from facemill.studio.paths import MODEL, Paths
from facemill.studio.settings import Settings
from facemill.studio.sliders import Seen, Sliders

LOSSLESS = 256
"""Largest side of a portrait that is always sent pixel by pixel; larger ones are JPEGs while the pen moves."""

REMEMBERED = 16
"""Styles whose seen names are remembered."""


@dataclass(frozen=True)
class Portrait:
    """A painted portrait, and the answer to the page."""

    pixels: np.ndarray
    """uint8 RGB (H, W, 3)."""
    z: np.ndarray
    """Its style code after all sliders, float32 (Z,)."""
    seen: Seen
    """The groups' names that it shows without its sliders."""
    header: dict[str, Any]
    """All of the answer's header but `n`."""
    body: bytes
    """RGBA, or a JPEG."""


class Studio:
    """GauGAN, its style encoder and vectors, the U-Net, and the collection; for one thread at a time.

    Attributes:
        painter: GauGAN.
        classes: its class table.
        segmenter: the U-Net, where there is one.
        vectors: the attribute vectors, where there are some of GauGAN's styles.
        settings: sections of the run's settings.
        labels: section `labels` of them.
        paths: the files.
        collection: the portraits that are offered.
        review: the labelme files of `review`'s portraits, by name.
    """

    def __init__(
        self,
        painter: Painter,
        paths: Paths,
        *,
        segmenter: Segmenter | None = None,
        vectors: Vectors | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.painter, self.paths, self.classes, self.segmenter = painter, paths, painter.classes, segmenter
        self.settings = settings or Settings()
        self.labels = self.settings.labels
        for name in self.labels.merge if self.labels else ():
            if name not in self.classes.names:
                accepted = ", ".join(self.classes.names)
                raise UserError(f"{paths.config}: labels.merge: found {name!r}; accepted: GauGAN's classes, {accepted}")
        self.vectors = vectors if vectors and vectors.names() and painter.styles_are_read else None
        lengths = {len(v) for v in self.vectors.tensors().values()} if self.vectors else set()
        if others := lengths - {painter.generator.z_dim}:
            raise UserError(
                f"vectors of {min(others)} numbers; accepted: {painter.generator.z_dim}, as GauGAN's styles"
            )
        self.sliders = Sliders(self.vectors, self.settings.tags, self.classes) if self.vectors else None
        self.collection = read_collection(paths.portraits, paths.masks, self.classes, self.settings.holdout)
        self.review = sorted(paths.review.glob("*.json")) if paths.review else []
        self._seen: OrderedDict[bytes, tuple[bytes, Seen]] = OrderedDict()

    @classmethod
    def load(cls, paths: Paths, *, threads: int = 1) -> Self:
        """The studio of these files, which paints as `generate_portraits` until its painter is accelerated.

        Args:
            paths: the files.
            threads: of the processor, for each portrait.

        Raises:
            UserError: A file is missing, or of another kind or class table.
        """
        torch.set_num_threads(threads)
        encoder = paths.model / "style_encoder.safetensors"
        painter = Painter.load(paths.model, style_encoder=encoder if encoder.exists() else None)
        return cls(
            painter,
            paths,
            segmenter=Segmenter.load(paths.unet, painter.classes) if paths.unet else None,
            vectors=Vectors.load(paths.vectors) if paths.vectors and painter.styles_are_read else None,
            settings=Settings.load(paths.config),
        )

    def hello(self) -> dict[str, Any]:
        """The first message to a page: what there is."""
        generator, vectors = self.painter.generator, self.vectors
        return {
            "hello": 1,
            "model": str(self.paths.model),
            "sha256": self.digests["model"],
            "version": version("facemill"),
            "classes": [{"name": c.name, "color": c.color, "role": c.role} for c in self.classes.root],
            "size": [generator.height, generator.width],
            "z": generator.z,
            "z_dim": generator.z_dim,
            "groups": vectors.groups if vectors else {},
            "booleans": list(vectors.booleans) if vectors else [],
            "strength": self.settings.attributes.strength if self.settings.attributes else 1.0,
            "segments": self.segmenter is not None,
            "encodes": self.painter.reads_styles,
            "portraits": len(self.collection),
            "review": len(self.review),
            "labelled": str(self.paths.labelled) if self.paths.labelled else None,
            "out": str(self.paths.out),
        }

    @cached_property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of the models' files, as they were when this was asked first."""
        files = {"model": self.paths.model / MODEL, "vectors": self.paths.vectors}
        files["style_encoder"] = self.paths.model / "style_encoder.safetensors"
        return {name: sha256(path) for name, path in files.items() if path and path.exists()}

    def portrait(self, number: int) -> CollectionPortrait:
        """A portrait of the collection, with its style. Raises `UserError` when there is none of this number."""
        if number >= len(self.collection):
            raise UserError(f"portrait: found {number}; accepted: less than {len(self.collection)}")
        portrait = self.collection[number]
        if portrait.z is None and (code := self._style_of(portrait)) is not None:
            self.collection[number] = portrait = replace(portrait, z=code.tolist())
        return portrait

    def _style_of(self, portrait: CollectionPortrait) -> np.ndarray | None:
        return self.style_of(portrait.pixels, portrait.mask if portrait.mask.size else None)

    def thumbnails(self) -> Sheet:
        """Thumbnails of the collection's portraits."""
        return thumbnails(self.collection)

    def style_of(self, pixels: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray | None:
        """The style code, float32 (Z,), of uint8 RGB (H, W, 3); None where the model reads none.

        Args:
            pixels: the picture.
            mask: its mask (H, W), for styles by region; without one the U-Net beside the model segments it.

        Raises:
            UserError: A number of it is not finite, which JSON cannot say.
        """
        if not self.painter.reads_styles:
            return None
        masks = None if mask is None else torch.from_numpy(mask.copy())[None]
        code = self.painter.encode_styles(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None], masks).numpy()[0]
        if not np.isfinite(code).all():
            raise UserError("the style encoder returned no style")
        return code

    def fit(self, mask: np.ndarray) -> np.ndarray:
        """A mask at the generator's size, as `generate_portraits` fits it."""
        size = (self.painter.generator.width, self.painter.generator.height)
        return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT))

    def code(self, look: Look, mask: np.ndarray, *, moving: bool = False) -> tuple[np.ndarray, Seen | None]:
        """The style code after mixing, truncation and sliders, float32 (Z,), and the names that sliders start from.

        They are None where no slider is moved.

        Args:
            look: styles and sliders.
            mask: class ids at the generator's size, uint8 (H, W).
            moving: whether names seen under another mask will do, which spares a second painting.
        """
        base = self._mixed(look)
        moved = {key: slider for key, slider in look.sliders.items() if slider.amount}
        if not moved:
            return base, None
        if self.sliders is None:
            raise UserError(f"sliders: found {next(iter(moved))!r}; accepted: none, there are no vectors")
        seen = self._remembered(base, mask, moving) or self._look_at(mask, base)
        return np.asarray(base + self.sliders.step(moved, seen), np.float32), seen

    def paint(self, state: State, mask: np.ndarray) -> Portrait:
        """The portrait of a state; gray, with a fault, where the model returns none.

        Args:
            state: style and sliders.
            mask: class ids, uint8 (H, W).

        Raises:
            UserError: The state names what is not there.
        """
        start = time.perf_counter()
        fitted = self.fit(mask)
        header: dict[str, Any] = {}
        try:
            z, seen = self.code(state, fitted, moving=state.moving)
            pixels = self.painter.paint(fitted, z)
            seen = seen or self._remembered(z, fitted, state.moving) or self._look_at(fitted, z, pixels)
        except NoPicture as error:
            z, seen, pixels = self._mixed(state), {}, np.full((*fitted.shape, 3), 128, np.uint8)
            header = {"fault": str(error)}
        is_lossless = max(fitted.shape) <= LOSSLESS or not state.moving
        body = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA).tobytes() if is_lossless else encode_jpeg(pixels)
        header |= {
            "ms": round(1000 * (time.perf_counter() - start), 1),
            "backend": self.painter.backend,
            "z": z.tolist(),
            "seen": seen,
            "kind": "rgba" if is_lossless else "jpeg",
            "size": list(fitted.shape),
        }
        return Portrait(pixels, z, seen, header, body)

    def _mixed(self, look: Look) -> np.ndarray:
        """The style code before sliders; exactly a style where nothing is mixed, truncated or colored."""
        codes = [self._code_of(style) for style in look.styles]
        mean = self.painter.generator.style_mean.cpu().numpy()
        code = codes[0]
        if len(codes) == 2:
            mixed = ... if look.mixed is None else self._numbers_of(look.mixed)
            code[mixed] = (1 - look.mix) * code[mixed] + look.mix * codes[1][mixed]
        code = look.truncation * code + (1 - look.truncation) * mean
        colors = np.frombuffer(bytes.fromhex("".join(look.colors.values()).replace("#", "")), np.uint8)
        code[self._numbers_of(look.colors)] = colors / 127.5 - 1
        return np.asarray(code, np.float32)

    def _numbers_of(self, names: Iterable[str]) -> np.ndarray:
        """Which numbers of a style code by region are those of these classes, one class after the other."""
        accepted = self.classes.names if self.painter.generator.z == "regions" else []
        for name in names:
            if name not in accepted:
                raise UserError(f"style of {name!r}: accepted: {', '.join(accepted) or 'none, it is not by region'}")
        return np.array([self.painter.numbers_of(name).numpy() for name in names], np.int64).flatten()

    def _code_of(self, style: Style) -> np.ndarray:
        generator = self.painter.generator
        if style.seed is not None or generator.z == "none":
            return self.painter.random_styles(1, style.seed or 0).numpy()[0]
        if style.portrait is not None:
            code = self.portrait(style.portrait).z
            if code is None:
                raise UserError("a style of a portrait: this model's styles are drawn, not read")
        else:
            code = style.z or []
            if len(code) != generator.z_dim:
                raise UserError(f"a style of {len(code)} numbers; accepted: {generator.z_dim}")
        return np.array(code, np.float32)

    def _remembered(self, z: np.ndarray, mask: np.ndarray, any_mask: bool) -> Seen | None:
        last_mask, seen = self._seen.get(z.tobytes(), (b"", None))
        return seen if any_mask or last_mask == mask.tobytes() else None

    def _look_at(self, mask: np.ndarray, z: np.ndarray, pixels: np.ndarray | None = None) -> Seen:
        """The names seen in a portrait without sliders, which are remembered; painted where no pixels are given."""
        seen: Seen = dict.fromkeys(self.vectors.groups if self.vectors else ())
        if self.sliders and self.sliders.palettes:
            seen = self.sliders.seen(self.painter.paint(mask, z) if pixels is None else pixels, mask)
        self._seen[z.tobytes()] = (mask.tobytes(), seen)
        self._seen.move_to_end(z.tobytes())
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return seen
