"""Trained networks as ONNX files, for programs without torch: game engines, browsers, ONNX Runtime."""

import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import onnx
import torch
from torch import Tensor, nn

from facemill.data.controlnet import controlnet_colors
from facemill.errors import UserError
from facemill.files import atomic_write
from facemill.log import errors_only, log
from facemill.networks.spade import Generator
from facemill.networks.spade_graph import GauganGraph
from facemill.networks.store import load_model, model_classes, network_name
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae
from facemill.studio.onnx_graphs import RegionStyleGraph, StyleEncoderGraph, UnetGraph

OPSET = 15
"""The newest of ONNX that all releases of Unity's engine read; ONNX Runtime reads it since 1.10 (2021)."""

IR_VERSION = 8
"""That of the ONNX release with `OPSET`."""

NEWER = {"Resize": {"antialias", "keep_aspect_ratio_policy"}}
"""Attributes that operators have since `OPSET`; left out where they say what `OPSET` does without them."""


def export_onnx(
    *, model: Path, out: Path, probabilities: bool = False, colors: Literal["controlnet"] | None = None
) -> None:
    """Writes a trained network as ONNX files: `gaugan.onnx` and its `style_encoder.onnx`, or `unet.onnx`.

    They read and write bytes: pixels are uint8 RGB (1, H, W, 3), masks uint8 class ids (1, H, W), each of the model's
    size. Class table, size and styles stand in the files' metadata. docs/export.md tells more.

    Args:
        model: a trained GauGAN or U-Net, or a VAE for its encoder: its folder, for example results/sample/gaugan.
        out: folder of the ONNX files.
        probabilities: a second output of a U-Net: the probability of each class, float32 (1, classes, H, W).
        colors: a U-Net's masks in the colors of ControlNet's preprocessor of anime faces, uint8 RGB (1, H, W, 3), in
            place of class ids; the file is then `unet_controlnet.onnx`.
    """
    network = network_name(model)
    if network != "Unet" and (probabilities or colors):
        option = "--probabilities" if probabilities else "--colors"
        raise UserError(f"{option}: {model} holds a {network}; accepted: a Unet")
    match network:
        case "Unet":
            name = f"unet_{colors}" if colors else "unet"
            models = {name: unet_to_onnx(model, probabilities=probabilities, colored=colors is not None)}
        case "Generator":
            models = {"gaugan": gaugan_to_onnx(model)}
            folder = model if model.is_dir() else model.parent
            if (encoder := folder / "style_encoder.safetensors").exists():
                models["style_encoder"] = style_reader_to_onnx(encoder, load_model(Generator, model))
        case "Vae":
            models = {"style_encoder": encoder_to_onnx(model)}
        case _:
            raise UserError(f"{model}: holds a {network}; accepted: a Generator, a Unet or a Vae")
    for name, proto in models.items():
        with atomic_write(out / f"{name}.onnx") as tmp:
            onnx.save(proto, tmp)
        log.info("%s: %.1f MB", out / f"{name}.onnx", proto.ByteSize() / 1e6)


def unet_to_onnx(path: Path, *, probabilities: bool = False, colored: bool = False) -> onnx.ModelProto:
    """A saved U-Net from `image` to `mask`, and `probabilities`; `colored` as `export_onnx` does by `colors`."""
    unet, classes = load_model(Unet, path), model_classes(path)
    graph = UnetGraph(unet, colors=controlnet_colors(classes) if colored else None, probabilities=probabilities)
    outputs = ["mask", *(["probabilities"] if probabilities else [])]
    metadata = {"network": "Unet", "size": [unet.size] * 2, "classes": classes.model_dump()}
    return to_onnx(graph, {"image": torch.zeros(1, unet.size, unet.size, 3, dtype=torch.uint8)}, outputs, metadata)


def gaugan_to_onnx(path: Path) -> onnx.ModelProto:
    """A saved GauGAN from `mask` and `z`, where it has styles, to `image`."""
    generator, classes = load_model(Generator, path), model_classes(path)
    inputs = {"mask": torch.zeros(1, generator.height, generator.width, dtype=torch.uint8)}
    inputs |= {"z": torch.zeros(1, generator.z_dim)} if generator.z != "none" else {}
    styles: dict[str, object] = {"z": generator.z, "z_dim": generator.z_dim}
    styles |= {name: _short(getattr(generator, name).tolist()) for name in ("style_mean", "style_scale")}
    metadata = {
        "network": "Generator",
        "size": [generator.height, generator.width],
        **styles,
        "classes": classes.model_dump(),
    }
    return to_onnx(GauganGraph(generator), inputs, ["image"], metadata)


def encoder_to_onnx(path: Path, height: int | None = None, width: int | None = None) -> onnx.ModelProto:
    """The encoder of a saved VAE from `image`, by default of the VAE's own size, to `z`."""
    vae = load_model(Vae, path)
    size = [height or vae.size, width or vae.size]
    image = torch.zeros(1, *size, 3, dtype=torch.uint8)
    return to_onnx(StyleEncoderGraph(vae, *size), {"image": image}, ["z"], {"network": "Vae", "size": size})


def style_reader_to_onnx(path: Path, generator: Generator) -> onnx.ModelProto:
    """What reads a generator's styles, from `image` of its size to `z`: a VAE's encoder, or a U-Net's regions."""
    if network_name(path) == "Vae":
        return encoder_to_onnx(path, generator.height, generator.width)
    size = [generator.height, generator.width]
    graph, image = RegionStyleGraph(load_model(Unet, path), generator), torch.zeros(1, *size, 3, dtype=torch.uint8)
    return to_onnx(graph, {"image": image}, ["z"], {"network": "Unet", "size": size})


def to_onnx(
    network: nn.Module, inputs: dict[str, Tensor], outputs: list[str], metadata: dict[str, object]
) -> onnx.ModelProto:
    """A network as ONNX: standard operators of `OPSET`, the shapes of these inputs, all weights inside.

    Args:
        network: in evaluation mode its outputs depend on its inputs alone.
        inputs: examples, by name.
        outputs: names.
        metadata: saved as JSON, each value by its key.
    """
    with errors_only(), warnings.catch_warnings(action="ignore"):  # of operators that this torch no longer has
        program = torch.onnx.export(
            network.cpu().eval(),
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=outputs,
            opset_version=18,  # the exporter's
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    model.ir_version, model.opset_import[0].version = IR_VERSION, OPSET
    model.producer_name, model.producer_version = "facemill", version("facemill")
    for node in model.graph.node:
        for attribute in [a for a in node.attribute if a.name in NEWER.get(node.op_type, ())]:
            node.attribute.remove(attribute)
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.ClearField("metadata_props")  # the code's lines, and where it lies on this machine
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    onnx.checker.check_model(model, full_check=True)  # also that `OPSET` has all operators and their attributes
    return model


def _short(numbers: Any) -> Any:
    """Numbers, in lists, by 9 digits, which give the same float32."""
    return list(map(_short, numbers)) if isinstance(numbers, list) else float(f"{numbers:.9g}")
