"""Backends that paint one portrait at a time, as fast as the machine can.

A GPU replays a recorded graph; a processor runs OpenVINO, and torch until that has compiled.
"""

import copy
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from facemill.errors import UserError
from facemill.inference.backends import CudaGraph
from facemill.networks.device import bf16
from facemill.networks.spade import Generator

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


class PortraitGraph(nn.Module):
    """A mask, uint8 (1, H, W), and with styles a code, float32 (1, z_dim), to RGB, uint8 (1, H, W, 3), and a checksum.

    The checksum, the sum of the picture, is NaN where one of its numbers is, which uint8 would hide.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, mask: Tensor, z: Tensor | None = None) -> tuple[Tensor, Tensor]:
        image = self.generator(mask, z)
        return ((image + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1), image.sum()[None]

    def inputs(self, mask: np.ndarray, z: np.ndarray) -> list[np.ndarray]:
        """The inputs, each of one row; a generator without styles has no second one."""
        return [mask[None], z[None]] if self.generator.z_dim else [mask[None]]

    def like(self) -> tuple[Tensor, ...]:
        """Inputs without numbers, of the right shapes and types."""
        mask = torch.empty((1, self.generator.height, self.generator.width), dtype=torch.uint8, device="meta")
        z = torch.empty((1, self.generator.z_dim), device="meta")
        return (mask, z) if self.generator.z_dim else (mask,)


def dense_copy(generator: Generator) -> Generator:
    """The generator with the same weights, in which no shape depends on the masks."""
    dense = copy.copy(generator)
    dense.sparse = False
    return dense


def is_bfloat16(precision: Precision) -> bool:
    """Whether the network computes in bfloat16."""
    return precision == "bfloat16" or (precision == "auto" and bf16())


class TorchPainter:
    """The generator by torch on its device; recorded where that is a GPU."""

    def __init__(self, generator: Generator, precision: Precision = "auto") -> None:
        self.device, self.bfloat16 = generator.style_mean.device, is_bfloat16(precision)
        self.name = f"torch {'bfloat16' if self.bfloat16 else 'float32'}"
        self._graph = PortraitGraph(dense_copy(generator) if self.device.type == "cuda" else generator)
        self._recorded = CudaGraph(self._paint, *self._graph.like()) if self.device.type == "cuda" else None

    @torch.inference_mode()
    def __call__(self, mask: np.ndarray, z: np.ndarray) -> np.ndarray:
        inputs = self._graph.inputs(mask, z)
        if self._recorded:
            return picture(*self._recorded(*inputs))
        return picture(*(output.numpy() for output in self._paint(*map(torch.tensor, inputs))))

    def _paint(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            image, checksum = self._graph(*inputs)
            return image, checksum


class OpenVinoPainter:
    """The generator by OpenVINO on the processor; takes seconds to make, in which other threads may paint by torch."""

    def __init__(self, generator: Generator, precision: Precision = "auto", threads: int = 1) -> None:
        import openvino  # the torch backend runs without it

        from facemill.inference.openvino_backend import compile_graph

        self.name = f"openvino {'bfloat16' if is_bfloat16(precision) else 'float32'}"
        self._graph = PortraitGraph(generator)
        with TemporaryDirectory() as folder:
            weights, exported = Path(folder, "weights.safetensors"), Path(folder, "graph.xml")
            save_file({name: tensor.contiguous() for name, tensor in generator.state_dict().items()}, weights)
            # torch's export changes what all threads of a process share: portraits painted meanwhile would be wrong
            process = get_context("spawn").Process(
                target=export_graph, args=(weights, generator.arguments(), exported), daemon=True
            )
            process.start()
            process.join()
            compiled = compile_graph(
                openvino.Core().read_model(exported), "bf16" if is_bfloat16(precision) else "f32", threads
            )
        self._request = compiled.create_infer_request()

    def __call__(self, mask: np.ndarray, z: np.ndarray) -> np.ndarray:
        return picture(*self._request.infer(self._graph.inputs(mask, z)).values())


def export_graph(weights: Path, arguments: dict[str, Any], exported: Path) -> None:
    """Writes a generator as OpenVINO's graph for one portrait.

    Args:
        weights: the generator's weights, as safetensors.
        arguments: its constructor arguments.
        exported: the XML file to write; the weights lie beside it.
    """
    import openvino

    from facemill.inference.openvino_backend import openvino_graph

    generator = Generator(**arguments).eval()
    generator.load_state_dict(load_file(weights))
    network = PortraitGraph(dense_copy(generator))
    like = tuple(torch.zeros_like(x, device="cpu") for x in network.like())
    graph = openvino_graph(network, like)
    graph.reshape({i: list(x.shape) for i, x in enumerate(like)})  # which the export leaves open
    openvino.serialize(graph, exported)


def picture(images: np.ndarray, checksum: np.ndarray) -> np.ndarray:
    """The first image. Raises `NoPicture` where the checksum is not finite."""
    if not np.isfinite(checksum).all():
        raise NoPicture
    return images[0]
