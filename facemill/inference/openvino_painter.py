"""Portraits on the processor, one at a time, by OpenVINO.

The graph is written down here, operator by operator. torch's export would write it, too, but within many seconds, and
what it changes meanwhile is shared by all threads of a process: portraits that another one paints come out wrong.
"""

from typing import Any

import numpy as np
import openvino
import openvino.opset13 as ops
from torch import Tensor, nn

from facemill.inference.openvino_backend import compile_graph
from facemill.inference.painter_backends import NoPicture, Precision, is_bfloat16, picture
from facemill.networks.region_styles import CODE
from facemill.networks.spade import Generator
from facemill.networks.spade_graph import GauganGraph


class OpenVinoPainter:
    """The generator by OpenVINO on the processor."""

    def __init__(self, generator: Generator, precision: Precision = "auto", threads: int = 1) -> None:
        """Compiles the generator. Raises `NoPicture` where a weight is no number, which OpenVINO's ReLU would hide."""
        if not all(tensor.isfinite().all() for tensor in generator.state_dict().values()):
            raise NoPicture
        self.name = f"openvino {'bfloat16' if is_bfloat16(precision) else 'float32'}"
        self._has_styles = generator.z_dim > 0
        graph = generator_graph(generator)
        self._request = compile_graph(
            graph, "bf16" if is_bfloat16(precision) else "f32", threads
        ).create_infer_request()

    def __call__(self, mask: np.ndarray, z: np.ndarray) -> np.ndarray:
        inputs = [mask[None], z[None]] if self._has_styles else [mask[None]]
        return picture(*self._request.infer(inputs).values())


def generator_graph(generator: Generator) -> openvino.Model:
    """What `GauganGraph` computes, and the sum of the picture, which is NaN where one of its numbers is."""
    graph = GauganGraph(generator).generator
    mask = ops.parameter([1, graph.height, graph.width], np.uint8, "mask")
    z = ops.parameter([1, graph.z_dim], np.float32, "z")
    ids = np.arange(graph.classes, dtype=np.uint8).reshape(1, -1, 1, 1)
    layout = ops.convert(ops.equal(ops.unsqueeze(mask, _integers(1)), ids), "f32")
    if isinstance(graph.first, nn.Linear):
        flat = ops.add(ops.matmul(z, _numbers(graph.first.weight), False, True), _numbers(graph.first.bias)[None])
        x = ops.reshape(flat, _integers(1, -1, graph.base_height, graph.base_width), False)
    else:
        x = _convolve(_every(layout, 1 << graph.num_upsamplings), graph.first)
    for level, block in enumerate(graph.blocks):
        members = _every(layout, graph.height // (graph.base_height << level))
        x = _doubled(x) if level else x
        if graph.shifts:
            x = ops.add(x, _shift(members, z, graph.shifts[level], graph.classes))
        x = _block(x, members, block)
    signed = ops.tanh(_convolve(_leaky_relu(x), graph.last))
    levels = ops.round(ops.multiply(ops.add(signed, np.float32(1)), np.float32(127.5)), "half_to_even")
    image = ops.transpose(ops.convert(levels, "u8"), _integers(0, 2, 3, 1))
    checksum = ops.reduce_sum(signed, _integers(0, 1, 2, 3))
    return openvino.Model([image, checksum], [mask, z] if graph.z_dim else [mask])


def _shift(members: openvino.Node, z: openvino.Node, shift: Any, classes: int) -> openvino.Node:
    """What a `RegionShift` adds."""
    codes = ops.reshape(z, _integers(1, classes, CODE), False)
    bias = _numbers(shift.linear.bias)[None, None]
    table = ops.add(ops.matmul(codes, _numbers(shift.linear.weight), False, True), bias)
    height, width = (members.get_output_partial_shape(0).get_dimension(axis).get_length() for axis in (2, 3))
    pixels = ops.reshape(members, _integers(1, classes, height * width), False)
    return ops.reshape(ops.matmul(table, pixels, True, False), _integers(1, -1, height, width), False)


def _block(x: openvino.Node, layout: openvino.Node, block: Any) -> openvino.Node:
    shortcut = _convolve(_spade(x, layout, block.spade_s), block.conv_s) if block.learned_shortcut else x
    x = _convolve(_leaky_relu(_spade(x, layout, block.spade_0)), block.conv_0)
    return ops.add(shortcut, _convolve(_leaky_relu(_spade(x, layout, block.spade_1)), block.conv_1))


def _spade(x: openvino.Node, layout: openvino.Node, spade: Any) -> openvino.Node:
    hidden = ops.relu(_convolve(layout, spade.shared[0]))
    return ops.add(ops.multiply(x, _convolve(hidden, spade.gamma)), _convolve(hidden, spade.beta))


def _convolve(x: openvino.Node, layer: Any) -> openvino.Node:
    convolved = ops.convolution(x, _numbers(layer.weight), [1, 1], layer.padding, layer.padding, [1, 1])
    return convolved if layer.bias is None else ops.add(convolved, _numbers(layer.bias).reshape(1, -1, 1, 1))


def _leaky_relu(x: openvino.Node) -> openvino.Node:
    return ops.prelu(x, np.array([0.2], np.float32))


def _doubled(x: openvino.Node) -> openvino.Node:
    """Twice as high and wide, by nearest pixels."""
    modes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return ops.interpolate(x, np.array([2, 2], np.float32), "nearest", "scales", axes=_integers(2, 3), **modes)


def _every(x: openvino.Node, step: int) -> openvino.Node:
    """Every so many pixels."""
    starts, ends = _integers(0, 0), _integers(2**31, 2**31)
    return x if step == 1 else ops.slice(x, starts, ends, _integers(step, step), _integers(2, 3))


def _integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def _numbers(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy())
