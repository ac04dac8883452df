"""Pseudo-labelling on the processor, by OpenVINO."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from facemill.inference.backends import Predictions, Stem, Trunk
from facemill.networks.device import bf16
from facemill.networks.unet import Unet

CORES: list[openvino.Core] = []
"""The cores of all compiled networks, which stay until the process ends.

Each core gives the main thread a stack for its signal handlers, and as it goes gives it that of the core before, which
may be gone: the next signal, such as the SIGTERM at which a studio is to end, would be a segmentation fault (class
`SigAltStackSetup` in https://github.com/openvinotoolkit/openvino, src/plugins/intel_cpu).
"""


class OpenVinoBackend:
    """Both graphs by OpenVINO on the processor, the stem in float32; each calling thread has its inference requests.

    A batch holds the pixels of one image of 512 px: a smaller one loses time to calls, a larger one to cache misses.
    `concurrency`: a batch for each stream of the processor, and one that waits for the first free stream.
    """

    def __init__(self, unet: Unet) -> None:
        self.batch = max(1, 512 // unet.size) ** 2
        self._streams = min(torch.get_num_threads(), 16)
        self.concurrency = self._streams + 1
        self._stem, self._trunk = Stem(unet).eval(), Trunk(unet).eval()
        self._compiling = threading.Lock()
        self._compiled: list[openvino.CompiledModel] = []
        self._thread = threading.local()

    def __call__(self, images: Sequence[np.ndarray]) -> Predictions:
        count = len(images)
        batch = np.stack([*images, *[images[-1]] * (self.batch - count)])  # the graphs have one size
        if not hasattr(self._thread, "requests"):
            with self._compiling:
                self._compiled = self._compiled or self._compile(torch.from_numpy(batch))
            self._thread.requests = [compiled.create_infer_request() for compiled in self._compiled]
        stem, trunk = self._thread.requests
        features = list(stem.infer([batch], share_inputs=True, share_outputs=True).values())
        inputs = features[-len(trunk.model_inputs) :]  # the decoder of v1 and v2 does not use the first, the image
        return Predictions(*(output[:count] for output in trunk.infer(inputs, share_inputs=True).values()))

    @torch.inference_mode()
    def _compile(self, images: Tensor) -> list[openvino.CompiledModel]:
        return [
            compile_openvino(self._stem, (images,), "f32", self._streams),
            compile_openvino(self._trunk, tuple(self._stem(images)), "bf16" if bf16() else "f32", self._streams),
        ]


def compile_openvino(
    network: nn.Module, inputs: tuple[Tensor, ...], precision: str, streams: int
) -> openvino.CompiledModel:
    """A network compiled for inputs of these shapes on the processor, its threads split into `streams`."""
    return compile_graph(openvino_graph(network, inputs), precision, torch.get_num_threads(), streams)


def openvino_graph(network: nn.Module, inputs: tuple[Tensor, ...]) -> openvino.Model:
    """A network as a graph for inputs of these shapes. While this runs, no other thread may call any network.

    `openvino.convert_model` would do, but reports each use to its makers, unless a file in the home folder forbids it,
    and `torch.export` takes four seconds more of each job.
    """
    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchFXPythonDecoder(make_fx(network)(*inputs))
    return frontend.convert(frontend.load(decoder))


def compile_graph(
    graph: openvino.Model, precision: str, threads: int, streams: int | None = None
) -> openvino.CompiledModel:
    """A graph compiled for the processor.

    Args:
        graph: the graph.
        precision: `bf16` or `f32`.
        threads: of the processor.
        streams: into which the threads are split; None: all work on one input, for a short latency.
    """
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
    if streams is None:
        # a thread that is bound to a core waits there for whatever else runs on it
        options |= {"PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}
    else:
        options |= {"PERFORMANCE_HINT": "THROUGHPUT", "PERFORMANCE_HINT_NUM_REQUESTS": streams}
    CORES.append(openvino.Core())
    return CORES[-1].compile_model(graph, "CPU", options)
