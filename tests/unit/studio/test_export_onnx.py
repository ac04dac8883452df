"""ONNX files: ONNX Runtime paints and segments as the networks do, and the files hold all that a program needs."""

import json
import logging

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers.studio_models import draw_mask, draw_portrait, write_models
from torch import nn

from facemill.data.classes import SEVEN, Class, ClassTable
from facemill.data.controlnet import controlnet_colors
from facemill.errors import UserError
from facemill.inference.painter import Painter
from facemill.networks.spade import Generator
from facemill.networks.store import load_model, save_model
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae, resized, to_pixels, to_signed_range
from facemill.studio.export_onnx import encoder_to_onnx, export_onnx, to_onnx

STANDARD = (
    *("Add", "ArgMax", "AveragePool", "Cast", "Clip", "Concat", "Conv", "ConvTranspose", "Div", "Equal", "Gather"),
    *("Gemm", "LeakyRelu", "MatMul", "Mul", "ReduceSum", "Relu", "Reshape", "Resize", "Round", "Slice", "Softmax"),
    *("Sub", "Tanh", "Transpose", "Unsqueeze"),
)
"""Operators that Unity's engine, ONNX Runtime Web and OpenCV read."""


@torch.no_grad()
def save_random(path, kind, **arguments):
    """Writes a network with random weights and random statistics of batch norm, and returns it."""
    torch.manual_seed(3)
    network = kind(**arguments).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.3, 3)
    if kind is Unet:  # no class shall win everywhere
        network.head.bias -= network(torch.rand(1, 3, network.size, network.size)).mean((0, 2, 3))
    if kind is Generator:
        network.style_scale.normal_()
    save_model(path, network, arguments, {}, None if kind is Vae else SEVEN)
    return network


def run(path, **inputs):
    """The outputs of an ONNX file for inputs, whose first axis is added."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {name: value[None] for name, value in inputs.items()})


def metadata(path):
    return {prop.key: json.loads(prop.value) for prop in onnx.load(path).metadata_props}


def random_image(height, width):
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def as_batch(image):
    return torch.from_numpy(image)[None].permute(0, 3, 1, 2)


GENERATORS = {
    "square": {"size": 64},
    "twice as high": {"size": 64, "ratio": 2},
    "large modulations, computed by neighborhood": {"size": 64, "nhidden": 64},
    "styles from N(0, 1)": {"size": 32, "z": "normal"},
    "styles by region": {"size": 64, "z": "regions", "z_dim": 21, "ratio": 2},
    "no styles": {"size": 64, "z": "none", "z_dim": 0},
}


@pytest.mark.parametrize("arguments", GENERATORS.values(), ids=GENERATORS)
@torch.inference_mode()
def test_a_portrait_is_that_of_the_generator_within_1_of_255(tmp_path, arguments):
    given = {"z_dim": 5, "ngf": 4, "nhidden": 8, "classes": 7} | arguments
    generator = save_random(tmp_path / "gaugan/model.safetensors", Generator, **given)
    export_onnx(model=tmp_path / "gaugan", out=tmp_path / "onnx")
    mask = draw_mask(1)[:: 64 // generator.height, :: 64 // generator.width].copy()
    mask[:9, :9] = 255  # unlabelled
    z = np.random.default_rng(1).normal(size=generator.z_dim).astype(np.float32)
    expected = to_pixels(generator(torch.from_numpy(mask)[None], torch.from_numpy(z)[None]))
    assert metadata(tmp_path / "onnx/gaugan.onnx")["z_dim"] == generator.z_dim
    painted = run(tmp_path / "onnx/gaugan.onnx", mask=mask, **({"z": z} if len(z) else {}))[0]
    assert painted.shape == (1, generator.height, generator.width, 3) and painted.dtype == np.uint8
    assert np.abs(painted.astype(int) - expected).max() <= 1
    assert expected.std() > 5  # something to compare


UNETS = {
    "v1": {"size": 64, "decoder": "transposed", "downscale": 2},
    "v3": {"size": 64, "decoder": "upsample"},
}


@pytest.mark.parametrize("arguments", UNETS.values(), ids=UNETS)
@torch.inference_mode()
def test_labels_are_those_of_the_unet_with_its_flip(tmp_path, arguments):
    given = {"classes": 7, "decoder_channels": [8] * 5} | arguments
    unet = save_random(tmp_path / "unet/model.safetensors", Unet, **given)
    export_onnx(model=tmp_path / "unet", out=tmp_path / "onnx", probabilities=True)
    image = random_image(64, 64)
    pixels = as_batch(image).float() / 255
    logits = (unet(pixels) + unet(pixels.flip(3)).flip(3)) / 2
    mask, probabilities = run(tmp_path / "onnx/unet.onnx", image=image)
    assert mask.shape == (1, 64, 64) and mask.dtype == np.uint8 and len(np.unique(mask)) > 1
    assert np.mean(mask == logits.argmax(1).numpy()) >= 0.999
    np.testing.assert_allclose(probabilities, logits.softmax(1).numpy(), atol=1e-4)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The ONNX files of a small run's models."""
    folder = tmp_path_factory.mktemp("exported")
    write_models(folder)
    export_onnx(model=folder / "gaugan", out=folder / "onnx")
    export_onnx(model=folder / "unet/v3/model.safetensors", out=folder / "onnx")
    export_onnx(model=folder / "unet/v3", out=folder / "onnx", colors="controlnet", probabilities=True)
    return folder / "onnx"


def test_masks_in_the_colors_of_controlnet(exported):
    image = draw_portrait(draw_mask(2), "#863dc6")
    (ids,), (colored, _) = (run(exported / f"{name}.onnx", image=image) for name in ("unet", "unet_controlnet"))
    assert len(np.unique(ids)) == 7
    assert np.array_equal(colored, np.array(controlnet_colors(SEVEN), np.uint8)[ids])


@pytest.mark.parametrize("side", [32, 64, 128])
@torch.inference_mode()
def test_a_style_is_that_of_the_encoder(tmp_path, side):
    vae = save_random(tmp_path / "vae.safetensors", Vae, size=side, z_dim=5, width=4)
    onnx.save(encoder_to_onnx(tmp_path / "vae.safetensors", 64, 32), tmp_path / "style_encoder.onnx")
    image = random_image(64, 32)
    expected = vae.encode(resized(to_signed_range(as_batch(image)), side))[0].numpy()
    assert metadata(tmp_path / "style_encoder.onnx")["size"] == [64, 32]
    np.testing.assert_allclose(run(tmp_path / "style_encoder.onnx", image=image)[0], expected, atol=1e-5)


@pytest.mark.parametrize("ratio", [1, 2])
@torch.inference_mode()
def test_a_style_by_region_is_that_of_the_painter(tmp_path, ratio):
    u_net = {"size": 64, "decoder": "upsample", "decoder_channels": [8] * 5, "classes": 7}
    unet = save_random(tmp_path / "style_encoder.safetensors", Unet, **u_net)
    arguments = {"size": 64, "ratio": ratio, "z": "regions", "z_dim": 21, "ngf": 4, "nhidden": 8, "classes": 7}
    generator = save_random(tmp_path / "model.safetensors", Generator, **arguments)
    export_onnx(model=tmp_path, out=tmp_path)
    for file in tmp_path.glob("*.onnx"):
        assert {node.op_type for node in onnx.load(file).graph.node} <= set(STANDARD)
    image = random_image(64, 64 // ratio)
    pixels = as_batch(image).float() / 255
    masks = (unet(pixels) + unet(pixels.flip(3)).flip(3)).argmax(1)
    expected = Painter(generator, SEVEN).encode_styles(as_batch(image), masks)
    np.testing.assert_allclose(run(tmp_path / "style_encoder.onnx", image=image)[0], expected, atol=1e-3)


@torch.inference_mode()
def test_the_encoder_of_a_vae_alone(tmp_path):
    vae = save_random(tmp_path / "vae/model.safetensors", Vae, size=32, z_dim=5, width=4)
    export_onnx(model=tmp_path / "vae", out=tmp_path)
    image = random_image(32, 32)
    z = run(tmp_path / "style_encoder.onnx", image=image)[0]
    np.testing.assert_allclose(z, vae.encode(to_signed_range(as_batch(image)))[0].numpy(), atol=1e-5)


def test_files_hold_standard_operators_fixed_shapes_and_nothing_of_this_machine(exported):
    files = sorted(exported.iterdir())
    assert [file.stem for file in files] == ["gaugan", "style_encoder", "unet", "unet_controlnet"]
    for file in files:
        model = onnx.load(file)
        assert {node.op_type for node in model.graph.node} <= set(STANDARD) and not model.functions
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 15)]
        for value in (*model.graph.input, *model.graph.output):
            assert all(dimension.dim_value > 0 for dimension in value.type.tensor_type.shape.dim)
        content = file.read_bytes()
        assert b"site-packages" not in content and b"torch" not in content.lower() and b".py" not in content


def test_metadata_say_what_styles_and_classes_are(exported, tmp_path):
    gaugan, unet = (metadata(exported / f"{name}.onnx") for name in ("gaugan", "unet"))
    assert gaugan["size"] == unet["size"] == [64, 64] and (gaugan["z"], gaugan["z_dim"]) == ("encoder", 8)
    assert ClassTable.model_validate(gaugan["classes"]) == ClassTable.model_validate(unet["classes"]) == SEVEN
    generator = load_model(Generator, exported.parent / "gaugan")
    for name in ("style_mean", "style_scale"):
        assert np.array_equal(np.float32(gaugan[name]), getattr(generator, name).numpy())


def test_a_model_that_cannot_be_written_is_named(tmp_path):
    save_random(tmp_path / "gaugan/model.safetensors", Generator, size=32, z_dim=4, ngf=4, nhidden=4, classes=7)
    with pytest.raises(UserError, match="--colors: .*holds a Generator; accepted: a Unet"):
        export_onnx(model=tmp_path / "gaugan", out=tmp_path / "onnx", colors="controlnet")
    with pytest.raises(UserError, match="no such model file"):
        export_onnx(model=tmp_path / "gone", out=tmp_path / "onnx")
    save_random(tmp_path / "other.safetensors", OtherNetwork)
    with pytest.raises(UserError, match="holds a OtherNetwork; accepted: a Generator, a Unet or a Vae"):
        export_onnx(model=tmp_path / "other.safetensors", out=tmp_path / "onnx")
    arguments = {"classes": 2, "size": 64, "decoder": "upsample", "decoder_channels": [8] * 5}
    table = ClassTable(
        (Class(name="around", color="#000000", role="background"), Class(name="hat", color="#ff0000", role=None))
    )
    save_model(tmp_path / "hat.safetensors", Unet(**arguments), arguments, {}, table)
    with pytest.raises(UserError, match="no role of hat"):
        export_onnx(model=tmp_path / "hat.safetensors", out=tmp_path / "onnx", colors="controlnet")
    assert not (tmp_path / "onnx").exists()


class OtherNetwork(nn.Linear):
    def __init__(self):
        super().__init__(1, 1)


def test_a_network_that_cannot_be_exported_leaves_the_log_as_it_was():
    with pytest.raises(Exception, match="Failed to export"):
        to_onnx(OtherNetwork(), {"image": torch.zeros(1, 2)}, ["mask"], {})
    assert logging.getLogger().isEnabledFor(logging.WARNING)
