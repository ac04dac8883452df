"""The network that labels the collection: one graph from pixels to masks and numbers, run by what the machine has.

A GPU runs it compiled by torch, in bfloat16; a processor through OpenVINO, in bfloat16 where it has the instructions.
"""

import logging
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder
from torch import Tensor, nn

from facemill.data.classes import CLASSES
from facemill.networks.store import autocast, bf16
from facemill.networks.unet import Unet


class Labels(NamedTuple):
    """What a network says of a batch of B images: arrays outside of the graph, tensors in it."""

    masks: np.ndarray
    """uint8 (B, S, S)"""
    confidence: np.ndarray
    """Mean over the pixels of the likeliest class's probability: float32 (B,)."""
    entropy: np.ndarray
    """Mean over the pixels, in nats: float32 (B,)."""
    class_entropy: np.ndarray
    """Mean over the pixels labelled with each class: float32 (B, classes), NaN where there are none."""
    flip_disagreement: np.ndarray
    """Share of the pixels whose class changes when the image is mirrored: float32 (B,)."""


class Stem(nn.Module):
    """Images, uint8 (B, S, S, 3), to what a U-Net's first layers find in them and in their mirror images."""

    def __init__(self, unet: Unet) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, images: Tensor) -> list[Tensor]:
        pixels = images.permute(0, 3, 1, 2)
        return self.unet.stem(torch.cat([pixels, pixels.flip(3)]).float() / 255)


class Rest(nn.Module):
    """What `Stem` found to the fields of `Labels`, by the mean of the logits for an image and its mirror image.

    The numbers are taken over every second pixel in both directions: nearly the same means for a quarter of the work.
    """

    def __init__(self, unet: Unet) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, *features: Tensor) -> tuple[Tensor, ...]:
        own, mirrored = self.unet.decode(self.unet.encode_deeper(list(features))).float().chunk(2)
        mirrored = mirrored.flip(3)
        mean = (own + mirrored) / 2
        masks = mean.argmax(1).to(torch.uint8)
        own, mirrored, mean, sparse = (each[..., ::2, ::2] for each in (own, mirrored, mean, masks))
        flip_disagreement = (own.argmax(1) != mirrored.argmax(1)).float().mean((1, 2))
        log_probability = mean.log_softmax(1)
        confidence = log_probability.amax(1).exp().mean((1, 2))
        entropy = -(log_probability.exp() * log_probability).sum(1)
        of_class = torch.stack([(sparse == c).float() for c in range(len(CLASSES))], 1)
        class_entropy = (entropy[:, None] * of_class).sum((2, 3)) / of_class.sum((2, 3))
        return masks, confidence, entropy.mean((1, 2)), class_entropy, flip_disagreement


class OpenVino:
    """Both graphs on the processor, the stem in float32; several threads may call it, each has requests of its own.

    A batch holds the pixels of one image of 512 px: fewer are lost to calls, more to caches. `at_once`: a batch for
    each stream of the processor, and one that waits for whichever is done.
    """

    def __init__(self, unet: Unet) -> None:
        self.batch = max(1, (512 // unet.size) ** 2)
        self._streams = min(torch.get_num_threads(), 8)
        self.at_once = self._streams + 1
        self._stem, self._rest = Stem(unet).eval(), Rest(unet).eval()
        self._building = threading.Lock()
        self._compiled: list[openvino.CompiledModel] = []
        self._own = threading.local()

    def __call__(self, images: np.ndarray) -> Labels:
        if not hasattr(self._own, "requests"):
            with self._building:
                self._compiled = self._compiled or self._build(torch.from_numpy(images))
            self._own.requests = [compiled.create_infer_request() for compiled in self._compiled]
        stem, rest = self._own.requests
        features = list(stem.infer([images], share_inputs=True, share_outputs=True).values())
        used = features[-len(rest.model_inputs) :]  # v1 and v2 leave the first, the image, aside
        return Labels(*rest.infer(used, share_inputs=True).values())

    @torch.inference_mode()
    def _build(self, images: Tensor) -> list[openvino.CompiledModel]:
        parts = (self._stem, (images,), "f32"), (self._rest, tuple(self._stem(images)), "bf16" if bf16() else "f32")
        return [compiled(*part, self._streams) for part in parts]


def compiled(network: nn.Module, inputs: tuple[Tensor, ...], precision: str, streams: int) -> openvino.CompiledModel:
    """A network for inputs of these shapes on the processor, whose threads are split into `streams`.

    Not by `openvino.convert_model`: that reports each use to its makers, unless a file in the home forbids it.
    """
    frontend = FrontEndManager().load_by_framework("pytorch")
    logging.disable(logging.WARNING)  # it warns, with a traceback, of operators that this torch has no more
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


class Torch:
    """Both graphs by torch on its device; compiled where that is a GPU."""

    batch, at_once = 32, 2

    def __init__(self, unet: Unet) -> None:
        self._device = next(unet.parameters()).device
        stem, rest = Stem(unet).eval(), Rest(unet).eval()
        both = lambda images: rest(*stem(images))  # noqa: E731
        self._both = torch.compile(both) if self._device.type == "cuda" else both

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> Labels:
        with autocast():
            found = self._both(torch.from_numpy(images).to(self._device))
        return Labels(*(each.cpu().numpy() for each in found))


def labeller(unet: Unet) -> Callable[[np.ndarray], Labels]:
    """What labels fastest on this machine: `batch` images in a call, and `at_once` calls from threads of their own."""
    return Torch(unet) if torch.cuda.is_available() else OpenVino(unet)
