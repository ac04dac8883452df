"""Portraits painted from masks by a trained GauGAN, in styles that are read from images or sampled."""

from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facemill.data.classes import ClassTable
from facemill.errors import first_line
from facemill.imaging.figures import colorize, image_grid
from facemill.inference.painter_backends import PainterBackend, Precision, TorchPainter
from facemill.inference.segmenter import Segmenter
from facemill.log import log
from facemill.networks.device import autocast, device
from facemill.networks.region_styles import CODE, encode_regions
from facemill.networks.spade import Generator
from facemill.networks.store import load_model, model_classes
from facemill.networks.vae import Vae, to_pixels, to_signed_range

BATCH = 16


class Painter:
    """A generator, the class table of its masks, and the network that reads styles, where there is one.

    Attributes:
        encoder: the VAE whose encoder reads styles.
        segmenter: the U-Net that finds the regions whose styles are read, in images that come without masks.
    """

    def __init__(
        self,
        generator: Generator,
        classes: ClassTable,
        encoder: Vae | None = None,
        segmenter: Segmenter | None = None,
    ) -> None:
        self.generator, self.classes, self.encoder, self.segmenter = generator, classes, encoder, segmenter
        self.device = device()
        self._backend: PainterBackend | None = None

    @classmethod
    def load(cls, model: Path, classes: ClassTable | None = None, style_encoder: Path | None = None) -> Self:
        """The painter of a saved GauGAN. Raises `UserError` when its table is not `classes`, where that is given.

        Args:
            model: GauGAN's safetensors file, or the folder that holds it.
            classes: the table that the model must have.
            style_encoder: the safetensors file of the network that reads styles: a VAE, or a U-Net.
        """
        generator, classes = load_model(Generator, model, classes), classes or model_classes(model)
        painter = cls(generator, classes)
        if style_encoder and generator.z == "encoder":
            painter.encoder = load_model(Vae, style_encoder)
        elif style_encoder and generator.z == "regions":
            painter.segmenter = Segmenter.load(style_encoder, classes)
        return painter

    @property
    def styles_are_read(self) -> bool:
        """Whether the styles of its training were read from images; else they were random, or there were none."""
        return self.generator.z in ("encoder", "regions")

    @property
    def reads_styles(self) -> bool:
        """Whether it can read the style of an image that comes without a mask."""
        return self.encoder is not None or self.segmenter is not None

    @torch.inference_mode()
    def encode_styles(self, images: Tensor, masks: Tensor | None = None) -> Tensor:
        """Style codes, float32 (N, z_dim) on the CPU, of uint8 images (N, 3, H, W).

        They are the means of q(z|x), or the colors of regions, where the collection's mean stands for a class that an
        image lacks.

        Args:
            images: the images.
            masks: their masks (N, H, W), for styles by region; without them the U-Net segments the images.

        Raises:
            ValueError: The painter has no network that it needs to read styles.
        """
        signed = (to_signed_range(batch.to(self.device)) for batch in images.split(BATCH))
        if self.encoder is not None:
            with autocast():
                return torch.cat([self.encoder.encode(batch)[0] for batch in signed]).cpu()
        if masks is None:
            if self.segmenter is None:
                raise ValueError("a painter without a style encoder reads no styles")
            masks = torch.from_numpy(self.segmenter.masks(images.permute(0, 2, 3, 1).numpy()))
        pairs = zip(signed, masks.to(self.device).split(BATCH), strict=True)
        return torch.cat([self.region_styles(*pair) for pair in pairs]).cpu()

    def numbers_of(self, name: str) -> Tensor:
        """Which numbers of a style code by region are those of a class: int64 (CODE,)."""
        return CODE * self.classes.names.index(name) + torch.arange(CODE)

    def region_styles(self, images: Tensor, masks: Tensor) -> Tensor:
        """Style codes by region, float32 (N, z_dim), of images (N, 3, H, W) in [-1, 1] and their masks (N, H, W)."""
        codes = encode_regions(images, masks, self.generator.classes)
        return torch.where(codes.isnan(), self.generator.style_mean, codes)

    def random_styles(self, count: int, seed: int | None = None) -> Tensor:
        """Style codes (count, z_dim), distributed as those of the generator's training; (count, 0) without styles.

        They lie on the CPU where a seed is given, else on the painter's device. Colors of regions are clipped to
        [-1, 1], which some draws leave.
        """
        place = self.device if seed is None else torch.device("cpu")
        random = None if seed is None else torch.Generator().manual_seed(seed)
        normal = torch.randn((count, self.generator.z_dim), generator=random, device=place)
        with torch.autocast(place.type, enabled=False):  # in a training's autocast the product would be bfloat16
            codes = self.generator.style_mean.to(place) + normal @ self.generator.style_scale.to(place).T
        return codes.clamp(-1, 1) if self.generator.z == "regions" else codes

    @torch.inference_mode()
    def generate(self, masks: Tensor, z: Tensor) -> np.ndarray:
        """Portraits, uint8 RGB (N * K, H, W, 3), from masks (N, H, W) of class ids and style codes (N * K, z_dim).

        The codes are K for each mask in turn.
        """
        styles, images = len(z) // len(masks), []
        masks_at_once = max(BATCH // styles, 1)
        for mask, codes in zip(masks.split(masks_at_once), z.split(masks_at_once * styles), strict=True):
            for code in codes.split(BATCH):  # several only where there is one mask
                with autocast():
                    images.append(to_pixels(self.generator(mask.to(self.device), code.to(self.device))))
        return np.concatenate(images)

    def accelerate(self, *, threads: int = 1, precision: Precision = "auto") -> Thread | None:
        """Makes `paint` fast: on a GPU at once; on a processor OpenVINO compiles in a thread, and torch paints so long.

        Args:
            threads: of the processor, for each portrait.
            precision: of the numbers in the network.

        Returns:
            The thread, where there is one.
        """
        self._backend = TorchPainter(self.generator, precision)
        if self.device.type == "cuda":
            return None

        def compile_generator() -> None:
            """Puts OpenVINO in torch's place once it has compiled."""
            try:
                from facemill.inference.openvino_painter import OpenVinoPainter  # torch paints without it

                self._backend = OpenVinoPainter(self.generator, precision, threads)
            except Exception as error:  # whatever it is, torch paints on
                log.warning("painter: torch paints, since OpenVINO cannot (%s)", first_line(error))

        thread = Thread(target=compile_generator, name="painter")  # no daemon: OpenVINO fails in a process that ends
        thread.start()
        return thread

    @property
    def backend(self) -> str:
        """What `paint` runs on, such as `openvino bfloat16`."""
        return self._fastest().name

    def paint(self, mask: np.ndarray, z: np.ndarray) -> np.ndarray:
        """A portrait, uint8 RGB (H, W, 3), from a mask of class ids, uint8 (H, W), and a style code, float32 (z_dim,).

        It is that of `generate` but for rounding, and sooner there than a batch of one.

        Raises:
            NoPicture: The generator returns NaN.
        """
        return self._fastest()(mask, z)

    def _fastest(self) -> PainterBackend:
        if self._backend is None:
            self._backend = TorchPainter(self.generator)
        return self._backend

    def style_grid(
        self, pixels: Tensor, masks: Tensor, z: Tensor, rows: Sequence[int], columns: Sequence[int]
    ) -> Image.Image:
        """A grid of generated portraits, masks down and styles across, with the portraits that both come from.

        Args:
            pixels: portraits, uint8 (N, 3, H, W).
            masks: their masks of class ids, (N, H, W).
            z: their style codes, (N, z_dim).
            rows: indices of the portraits whose masks are shown.
            columns: indices of the portraits whose styles are shown.
        """
        images = pixels.permute(0, 2, 3, 1).numpy()
        grid: list[list[np.ndarray | None]] = [[None, None, *(images[s] for s in columns)]]
        for m in rows:
            generated = self.generate(masks[[m]], z[list(columns)])
            grid.append([images[m], colorize(masks[m].numpy(), self.classes), *generated])
        return image_grid(grid, ["its portrait", "mask", *(f"style {i}" for i in range(1, len(columns) + 1))])
