"""Backends that paint one portrait at a time, as fast as the machine can: a CUDA graph on a GPU, OpenVINO elsewhere.

OpenVINO's is in `openvino_painter`; until it has compiled, torch paints on the processor, too.
"""

from collections.abc import Callable
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from facemill.errors import UserError
from facemill.inference.backends import CudaGraph
from facemill.networks.device import bf16
from facemill.networks.spade import Generator
from facemill.networks.spade_graph import GauganGraph, as_bytes

Precision = Literal["auto", "bfloat16", "float32"]
"""`auto`: bfloat16 where it is fast."""


class NoPicture(UserError):
    """A generator that returns no finite numbers."""

    def __init__(self) -> None:
        super().__init__("the model returned no picture")


class PainterBackend(Protocol):
    """A generator that paints one portrait in a call; for one thread at a time."""

    name: str
    """The library and its precision, for people."""

    def __call__(self, mask: np.ndarray, z: np.ndarray) -> np.ndarray:
        """The portrait, uint8 RGB (H, W, 3), of class ids, uint8 (H, W), and a style code, float32 (z_dim,).

        Raises:
            NoPicture: A number of it is NaN.
        """


class TorchPainter:
    """The generator by torch on its device; recorded where that is a GPU, with dense masks: shapes must not change."""

    def __init__(self, generator: Generator, precision: Precision = "auto") -> None:
        self._device, self._bfloat16 = generator.style_mean.device, is_bfloat16(precision)
        self.name = f"torch {'bfloat16' if self._bfloat16 else 'float32'}"
        self._generate: Callable[..., Tensor] = generator
        self._has_styles = generator.z_dim > 0
        self._recorded: CudaGraph | None = None
        if self._device.type == "cuda":
            self._generate = GauganGraph(generator).signed
            mask = torch.empty((1, generator.height, generator.width), dtype=torch.uint8, device="meta")
            z = torch.empty((1, generator.z_dim), device="meta")
            self._recorded = CudaGraph(self._paint, mask, *([z] if self._has_styles else []))

    @torch.inference_mode()
    def __call__(self, mask: np.ndarray, z: np.ndarray) -> np.ndarray:
        if self._recorded:
            return picture(*self._recorded([mask], *([[z]] if self._has_styles else [])))
        return picture(*(output.numpy() for output in self._paint(torch.tensor(mask)[None], torch.tensor(z)[None])))

    def _paint(self, mask: Tensor, z: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The picture, uint8 (1, H, W, 3), and its sum (1,): NaN where a number is, which uint8 would hide."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            signed = self._generate(mask, z)
        return as_bytes(signed), signed.sum()[None]


def is_bfloat16(precision: Precision) -> bool:
    """Whether a network computes in bfloat16."""
    return precision == "bfloat16" or (precision == "auto" and bf16())


def picture(images: np.ndarray, checksum: np.ndarray) -> np.ndarray:
    """The first image. Raises `NoPicture` where the checksum is not finite."""
    if not np.isfinite(checksum).all():
        raise NoPicture
    return images[0]
