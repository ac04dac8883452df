"""Pseudo-labelling backends: one graph from pixels to masks and confidence, run by the fastest library of the machine.

A GPU runs the graph compiled by torch, in bfloat16; a processor through OpenVINO, in bfloat16 where it has the
instructions.
"""

import logging
import threading
from typing import NamedTuple, Protocol

import numpy as np
import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder
from torch import Tensor, nn

from facemill.networks.device import autocast, bf16
from facemill.networks.unet import Unet


class Predictions(NamedTuple):
    """Predictions for a batch of B images, with horizontal-flip test-time augmentation."""

    masks: np.ndarray
    """Class ids, uint8 (B, S, S)."""
    confidence: np.ndarray
    """Mean over the pixels of the most probable class's probability: float32 (B,)."""
    entropy: np.ndarray
    """Mean over the pixels, in nats: float32 (B,)."""
    class_entropy: np.ndarray
    """Mean over the pixels of each predicted class: float32 (B, classes), NaN for a class without pixels."""
    flip_disagreement: np.ndarray
    """Share of the pixels whose class differs between an image and its mirror image: float32 (B,)."""


class Backend(Protocol):
    """A U-Net that predicts batches of exactly `batch` images; `concurrency` threads may call it at once."""

    batch: int
    concurrency: int

    def __call__(self, images: np.ndarray) -> Predictions:
        """The predictions for images, uint8 RGB (batch, S, S, 3)."""


class Stem(nn.Module):
    """Images, uint8 (B, S, S, 3), to the output of `Unet.stem` for the images and then their mirror images (2 B)."""

    def __init__(self, unet: Unet) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, images: Tensor) -> list[Tensor]:
        pixels = images.permute(0, 3, 1, 2)
        return self.unet.stem(torch.cat([pixels, pixels.flip(3)]).float() / 255)


class Trunk(nn.Module):
    """The output of `Stem` to the fields of `Predictions`, by the mean of an image's and its mirror image's logits.

    The numbers are means over every second pixel in both directions: nearly the same means for a quarter of the work.
    """

    def __init__(self, unet: Unet) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, *features: Tensor) -> tuple[Tensor, ...]:
        logits, flipped_logits = self.unet.decode(self.unet.encode_deeper(list(features))).float().chunk(2)
        unflipped = flipped_logits.flip(3)
        mean = (logits + unflipped) / 2
        masks = mean.argmax(1).to(torch.uint8)
        logits, unflipped, mean, sparse = (pixels[..., ::2, ::2] for pixels in (logits, unflipped, mean, masks))
        flip_disagreement = (logits.argmax(1) != unflipped.argmax(1)).float().mean((1, 2))
        log_probs = mean.log_softmax(1)
        confidence = log_probs.amax(1).exp().mean((1, 2))
        entropy = -(log_probs.exp() * log_probs).sum(1)
        one_hot = torch.stack([(sparse == c).float() for c in range(mean.shape[1])], 1)
        class_entropy = (entropy[:, None] * one_hot).sum((2, 3)) / one_hot.sum((2, 3))
        return masks, confidence, entropy.mean((1, 2)), class_entropy, flip_disagreement


class OpenVinoBackend:
    """Both graphs by OpenVINO on the processor, the stem in float32; each calling thread has its inference requests.

    A batch holds the pixels of one image of 512 px: a smaller one loses time to calls, a larger one to cache misses.
    `concurrency`: a batch for each stream of the processor, and one that waits for the first free stream.
    """

    def __init__(self, unet: Unet) -> None:
        self.batch = max(1, (512 // unet.size) ** 2)
        self._streams = min(torch.get_num_threads(), 8)
        self.concurrency = self._streams + 1
        self._stem, self._trunk = Stem(unet).eval(), Trunk(unet).eval()
        self._compiling = threading.Lock()
        self._compiled: list[openvino.CompiledModel] = []
        self._thread = threading.local()

    def __call__(self, images: np.ndarray) -> Predictions:
        if not hasattr(self._thread, "requests"):
            with self._compiling:
                self._compiled = self._compiled or self._compile(torch.from_numpy(images))
            self._thread.requests = [compiled.create_infer_request() for compiled in self._compiled]
        stem, trunk = self._thread.requests
        features = list(stem.infer([images], share_inputs=True, share_outputs=True).values())
        inputs = features[-len(trunk.model_inputs) :]  # the decoder of v1 and v2 does not use the first, the image
        return Predictions(*trunk.infer(inputs, share_inputs=True).values())

    @torch.inference_mode()
    def _compile(self, images: Tensor) -> list[openvino.CompiledModel]:
        return [
            compile_openvino(self._stem, (images,), "f32", self._streams),
            compile_openvino(self._trunk, tuple(self._stem(images)), "bf16" if bf16() else "f32", self._streams),
        ]


def compile_openvino(
    network: nn.Module, inputs: tuple[Tensor, ...], precision: str, streams: int
) -> openvino.CompiledModel:
    """A network compiled by OpenVINO for inputs of these shapes on the processor, its threads split into `streams`.

    `openvino.convert_model` would do, but reports each use to its makers, unless a file in the home folder forbids it.
    """
    frontend = FrontEndManager().load_by_framework("pytorch")
    logging.disable(logging.WARNING)  # it warns, with a traceback, of operators that this torch no longer has
    decoder = TorchFXPythonDecoder.from_exported_program(torch.export.export(network, inputs))
    logging.disable(logging.NOTSET)
    graph = frontend.convert(frontend.load(decoder))
    options = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "PERFORMANCE_HINT_NUM_REQUESTS": streams,
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    return openvino.Core().compile_model(graph, "CPU", options)


class TorchBackend:
    """Both graphs by torch on the U-Net's device; compiled where that is a GPU."""

    batch, concurrency = 32, 2

    def __init__(self, unet: Unet) -> None:
        self._device = next(unet.parameters()).device
        stem, trunk = Stem(unet).eval(), Trunk(unet).eval()
        graph = lambda images: trunk(*stem(images))  # noqa: E731
        self._graph = torch.compile(graph) if self._device.type == "cuda" else graph

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> Predictions:
        with autocast():
            outputs = self._graph(torch.from_numpy(images).to(self._device))
        return Predictions(*(output.cpu().numpy() for output in outputs))


def fastest_backend(unet: Unet) -> Backend:
    """The backend that is fastest on this machine."""
    return TorchBackend(unet) if torch.cuda.is_available() else OpenVinoBackend(unet)
