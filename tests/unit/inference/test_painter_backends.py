"""Backends of one portrait at a time: all paint what the generator does, and a stroke changes what it reaches alone."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.fake_gpu import fake_cuda
from scipy.ndimage import maximum_filter
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from facemill.data.classes import SEVEN
from facemill.inference.backends import CudaGraph
from facemill.inference.openvino_painter import OpenVinoPainter
from facemill.inference.painter import Painter
from facemill.inference.painter_backends import NoPicture, TorchPainter
from facemill.networks.spade import Generator
from facemill.networks.vae import to_pixels

SIZE = 64
ARGUMENTS = {"size": SIZE, "z_dim": 8, "ngf": 4, "nhidden": 8, "classes": 7}
FINE = {"size": 128, "nhidden": 64, "classes": 15, "ratio": 2}
"""Of fifteen classes, twice as high as wide, with distinct neighborhoods."""

NO_STYLES = {"z": "none", "z_dim": 0}

BY_REGION = {"z": "regions", "z_dim": 7 * 3}


def make(**others) -> Generator:
    """A generator with random weights that are large enough to be seen."""
    torch.manual_seed(0)
    generator = Generator(**ARGUMENTS | others).eval()
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            parameter.mul_(1.5 if name.startswith("last") else 1)
        for module in generator.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
    return generator


def inputs_of(generator: Generator, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A mask with unlabelled pixels, and a style code."""
    random = np.random.default_rng(seed)
    mask = random.integers(0, generator.classes, (generator.height // 8, generator.width // 8), np.uint8)
    mask = np.repeat(np.repeat(mask, 8, 0), 8, 1)
    mask[:3] = 255
    return mask, random.normal(size=generator.z_dim).astype(np.float32)


@torch.inference_mode()
def expected(generator: Generator, mask: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The picture in float32."""
    return to_pixels(generator(torch.tensor(mask)[None], torch.tensor(z)[None]))[0]


@pytest.fixture(scope="module")
def generator() -> Generator:
    return make()


@pytest.fixture(scope="module")
def compiled(generator) -> dict[str, OpenVinoPainter]:
    return {precision: OpenVinoPainter(generator, precision) for precision in ("float32", "bfloat16")}


def differences(backend, generator: Generator) -> np.ndarray:
    pairs = [inputs_of(generator, seed) for seed in range(4)]
    return np.array([np.abs(backend(*pair).astype(int) - expected(generator, *pair)) for pair in pairs])


def test_torch_and_openvino_paint_what_the_generator_does(generator, compiled):
    assert differences(TorchPainter(generator, "float32"), generator).max() == 0
    assert differences(compiled["float32"], generator).max() <= 1
    for backend in (TorchPainter(generator, "bfloat16"), compiled["bfloat16"]):
        assert backend.name.endswith(" bfloat16")
        assert differences(backend, generator).mean() < 1


@pytest.mark.parametrize(
    "others", [FINE, NO_STYLES, FINE | NO_STYLES, {"z": "normal"}, BY_REGION, FINE | BY_REGION | {"z_dim": 45}]
)
def test_so_do_they_of_other_generators(others):
    generator = make(**others)
    assert differences(TorchPainter(generator, "float32"), generator).max() == 0
    backend = OpenVinoPainter(generator, "float32")
    assert differences(backend, generator).max() <= 1
    assert backend(*inputs_of(generator, 0)).shape == (generator.height, generator.width, 3)


def reach(generator: Generator, changed: np.ndarray) -> np.ndarray:
    """The pixels that a change of these labels may change, bool (H, W): block by block, by the convolutions' sizes."""
    reached = np.zeros((generator.base_height, generator.base_width), bool)

    def grown(pixels: np.ndarray, by: int) -> np.ndarray:
        return maximum_filter(pixels, 2 * by + 1)

    for level in range(len(generator.blocks)):
        reached = reached.repeat(2, 0).repeat(2, 1) if level else reached
        step = generator.height // reached.shape[0]
        modulated = grown(changed[::step, ::step], 2)  # two convolutions of the labels
        reached = grown(grown(reached | modulated, 1) | modulated, 1)  # each of the block's two follows a modulation
    return grown(reached, 1)


@pytest.mark.parametrize("backend", ["torch float32", "torch bfloat16", "openvino float32", "openvino bfloat16"])
def test_a_stroke_outside_the_receptive_field_of_a_pixel_leaves_it_as_it_is(generator, compiled, backend):
    library, precision = backend.split()
    paint = TorchPainter(generator, precision) if library == "torch" else compiled[precision]
    mask, z = inputs_of(generator, 0)
    before = paint(mask, z)
    for box in (np.s_[33:34, 21:22], np.s_[34:35, 22:23], np.s_[9:15, 49:52], np.s_[40:, :9], np.s_[20:24, 20:24]):
        stroke = np.zeros(mask.shape, bool)
        stroke[box] = True
        after = paint(np.where(stroke, (mask + 1) % 7, mask).astype(np.uint8), z)
        reached = reach(generator, stroke)
        assert np.array_equal(after[~reached], before[~reached])
        assert (after[stroke] != before[stroke]).any()
    single = np.zeros(mask.shape, bool)
    single[33, 21] = True
    assert reach(generator, single).sum() == 11**2  # of 64 x 64: the last block alone sees an odd pixel


def test_a_picture_that_is_none_is_noticed(generator):
    for name in ("first.weight", "blocks.0.spade_0.shared.0.weight", "last.bias"):
        broken = make()
        dict(broken.named_parameters())[name].data[0] = np.nan
        with pytest.raises(NoPicture, match="the model returned no picture"):
            TorchPainter(broken, "bfloat16")(*inputs_of(broken, 0))
        with pytest.raises(NoPicture):
            OpenVinoPainter(broken)(*inputs_of(broken, 0))


def test_openvino_notices_a_style_that_is_no_number(generator, compiled):
    mask, z = inputs_of(generator, 0)
    for backend in compiled.values():
        with pytest.raises(NoPicture):
            backend(mask, z * np.float32(np.nan))
        assert backend(mask, z).any()


def test_a_painter_paints_by_torch_until_openvino_has_compiled():
    generator = make()
    accelerated, (mask, z) = Painter(generator, SEVEN), inputs_of(generator, 0)
    assert accelerated.backend.startswith("torch")
    assert np.array_equal(
        accelerated.paint(mask, z), accelerated.generate(torch.tensor(mask)[None], torch.tensor(z)[None])[0]
    )
    thread, by_torch = accelerated.accelerate(precision="float32"), expected(generator, mask, z).astype(int)
    while thread.is_alive():  # which must not change what is painted meanwhile
        assert np.abs(accelerated.paint(mask, z) - by_torch).max() <= 1
    assert accelerated.backend == "openvino float32"
    assert np.abs(accelerated.paint(mask, z) - by_torch).max() <= 1


def test_torch_paints_on_where_openvino_is_missing(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "facemill.inference.openvino_painter", None)
    accelerated = Painter(make(), SEVEN)
    accelerated.accelerate().join()
    assert accelerated.backend.startswith("torch")
    assert "painter: torch paints, since OpenVINO cannot (" in caplog.text


@pytest.fixture
def gpu(monkeypatch) -> Iterator[list]:
    """`cuda` is a device of fake tensors; notes what is recorded, which must not depend on the masks' numbers."""
    recorded: list = []

    @contextmanager
    def record(graph, **options) -> Iterator[None]:
        recorded.append((graph, options["capture_error_mode"]))
        yield

    stream = SimpleNamespace(wait_stream=lambda other: None, synchronize=lambda: recorded.append("synchronized"))
    graph = SimpleNamespace(replay=lambda: recorded.append("replayed"))
    empty = torch.empty
    fake_cuda(monkeypatch)
    for name in ("Stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, lambda: stream)
    monkeypatch.setattr("torch.cuda.stream", lambda _: nullcontext())
    monkeypatch.setattr("torch.cuda.CUDAGraph", lambda: graph)
    monkeypatch.setattr("torch.cuda.graph", record)
    monkeypatch.setattr("torch.empty", lambda *shape, pin_memory=False, **options: empty(*shape, **options))
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield recorded


def test_a_gpu_records_a_graph_in_which_no_shape_depends_on_the_mask(gpu):
    large = Generator(size=128, z_dim=8, ngf=4, nhidden=64, classes=7).eval().to("cuda")
    backend = TorchPainter(large)
    assert backend.name == "torch bfloat16"
    assert [mode for _, mode in gpu] == ["thread_local"]
    (image, checksum), inputs = backend._recorded._outputs, backend._recorded._inputs
    assert image.shape == (1, 128, 128, 3) and image.dtype == torch.uint8 and image.is_cuda
    assert checksum.shape == (1,) and checksum.dtype == torch.float32
    assert [(x.shape, x.dtype, x.is_cuda) for x in inputs] == [
        ((1, 128, 128), torch.uint8, True),
        ((1, 8), torch.float32, True),
    ]
    with pytest.raises(Exception, match="unique"):  # as the generator itself paints, with distinct neighborhoods
        CudaGraph(large.forward, *(torch.empty(x.shape, dtype=x.dtype, device="meta") for x in inputs))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="records a CUDA graph")
def test_a_recorded_painter_paints_what_the_generator_does():
    for others in ({}, FINE, NO_STYLES, BY_REGION):
        generator = make(**others).to("cuda")
        recorded = TorchPainter(generator, "float32")
        for seed in (0, 1, 0):
            mask, z = inputs_of(generator, seed)
            with torch.inference_mode():
                eager = to_pixels(generator(torch.tensor(mask)[None].cuda(), torch.tensor(z)[None].cuda()))[0]
            assert np.abs(recorded(mask, z).astype(int) - eager).max() <= 1
