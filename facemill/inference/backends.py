"""Pseudo-labelling backends: one graph from pixels to masks and confidence, run by the fastest library of the machine.

A GPU runs the graph by torch, in bfloat16; a processor through OpenVINO (`openvino_backend`), in bfloat16 where it has
the instructions.
"""

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from facemill.networks.device import autocast
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
    """A U-Net that predicts up to `batch` images in a call; `concurrency` threads may call it at once."""

    batch: int
    concurrency: int

    def __call__(self, images: Sequence[np.ndarray]) -> Predictions:
        """The predictions for 1 to `batch` images, each uint8 RGB (S, S, 3)."""


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
        both = self.unet.decode(self.unet.encode_deeper(list(features))).float()
        logits, unflipped = both[: len(both) // 2], both[len(both) // 2 :].flip(3)
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


class TorchBackend:
    """Both graphs by torch on the U-Net's device; recorded where that is a GPU, once for each thread that calls it.

    A batch holds the pixels of sixteen images of 512 px, which fill a GPU; images have the size of the training's.
    """

    concurrency = 2

    def __init__(self, unet: Unet) -> None:
        self.batch = max(1, 16 * 512**2 // unet.size**2)
        self._stem, self._trunk = Stem(unet).eval(), Trunk(unet).eval()
        self._recorded: SimpleQueue[CudaGraph] = SimpleQueue()
        self._records = next(unet.parameters()).is_cuda
        for _ in range(self.concurrency if self._records else 0):
            images = torch.empty((self.batch, unet.size, unet.size, 3), dtype=torch.uint8, device="meta")
            self._recorded.put(CudaGraph(self._predict, images))

    @torch.inference_mode()
    def __call__(self, images: Sequence[np.ndarray]) -> Predictions:
        if not self._records:
            return Predictions(*(output.numpy() for output in self._predict(torch.from_numpy(np.stack(images)))))
        graph = self._recorded.get()
        try:
            return Predictions(*graph(images))
        finally:
            self._recorded.put(graph)

    def _predict(self, images: Tensor) -> tuple[Tensor, ...]:
        with autocast():
            return self._trunk(*self._stem(images))


class CudaGraph:
    """A function of batches, recorded with memory and a stream of its own; for one thread at a time.

    A replay is one call. Python would launch some 600 kernels for each batch, and wait as often for the interpreter's
    lock while other threads decode. `torch.compile` needs a C compiler, and seconds in each job, for its fewer kernels.
    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    @torch.inference_mode()
    def __init__(self, function: Callable[..., tuple[Tensor, ...]], *like: Tensor) -> None:
        """Records `function` for batches of these shapes and types; a process may record one graph at a time."""
        self._inputs = [torch.zeros_like(batch, device="cuda") for batch in like]
        self._stream = torch.cuda.Stream()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(3):  # the libraries choose algorithms and allocate, which cannot be recorded
                function(*self._inputs)
        self._graph = torch.cuda.CUDAGraph()
        # by default any other thread that pins memory meanwhile, such as a DataLoader's, would spoil the recording
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            self._outputs = function(*self._inputs)
        self._pinned_inputs, self._pinned_outputs = (
            [torch.empty(x.shape, dtype=x.dtype, pin_memory=True) for x in tensors]
            for tensors in (self._inputs, self._outputs)
        )

    @torch.inference_mode()
    def __call__(self, *batches: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for batches of as many rows as were recorded, or fewer."""
        count = len(batches[0])
        for batch, pinned in zip(batches, self._pinned_inputs, strict=True):
            np.stack(batch, out=pinned.numpy()[:count])  # the rest of the batch is as it was
        with torch.cuda.stream(self._stream):
            for value, pinned in zip(self._inputs, self._pinned_inputs, strict=True):
                value.copy_(pinned, non_blocking=True)
            self._graph.replay()
            for pinned, output in zip(self._pinned_outputs, self._outputs, strict=True):
                pinned.copy_(output, non_blocking=True)
        self._stream.synchronize()
        return [pinned.numpy()[:count].copy() for pinned in self._pinned_outputs]


def fastest_backend(unet: Unet) -> Backend:
    """The backend that is fastest on this machine; OpenVINO is imported where it is used alone."""
    if torch.cuda.is_available():
        return TorchBackend(unet)
    from facemill.inference.openvino_backend import OpenVinoBackend

    return OpenVinoBackend(unet)
