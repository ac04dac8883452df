"""Small networks in the file formats of published taggers, with the same names of files and layers."""

import csv
import json
import struct
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

I2V_SIZE, I2V_TAGS = 8, ["blue hair", "red hair", "long hair", "safe", "questionable"]
PROTOTXT = """
name: "illust2vec_tag"
input: "data"
input_dim: 10
input_dim: 3
input_dim: 8
input_dim: 8
layer { name: "encode1" type: "Convolution" bottom: "data" top: "encode1"
  convolution_param { num_output: 4 kernel_size: 8 } }
layer { name: "conv6_4" type: "Convolution" bottom: "data" top: "conv6_4"
  convolution_param { num_output: 5 kernel_size: 3 pad: 1 } }
layer { name: "pool6" type: "Pooling" bottom: "conv6_4" top: "pool6"
  pooling_param { pool: AVE kernel_size: 8 stride: 8 } }
layer { name: "prob" type: "Sigmoid" bottom: "pool6" top: "prob" }
"""


def write_i2v(folder: Path, layers: dict[str, tuple[np.ndarray, np.ndarray]]) -> Path:
    """A folder with illustration2vec's files; `layers` gives weights and biases of `encode1` and `conv6_4`."""
    folder.mkdir()
    (folder / "illust2vec_tag.prototxt").write_text(PROTOTXT)
    (folder / "illust2vec_tag_ver200.caffemodel").write_bytes(caffemodel(layers))
    (folder / "tag_list.json").write_text(json.dumps(I2V_TAGS))
    return folder


def caffemodel(layers: dict[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Caffe's NetParameter of convolutions: fields as in its caffe.proto."""

    def blob(numbers: np.ndarray) -> bytes:
        shape = field(1, b"".join(map(varint, numbers.shape)))  # BlobShape.dim, packed
        return field(7, shape) + field(5, np.float32(numbers).tobytes())  # BlobProto.shape and .data

    network = field(1, b"illust2vec_tag")
    for name, blobs in layers.items():
        layer = field(1, name.encode()) + field(2, b"Convolution")  # LayerParameter.name, .type, .blobs
        network += field(100, layer + b"".join(field(7, blob(numbers)) for numbers in blobs))
    return network


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field in protobuf's wire format."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return struct.pack("B", low) if not rest else struct.pack("B", low | 0x80) + varint(rest)


WD14_SIZE = 6
WD14_TAGS = [("general", "9"), ("sensitive", "9"), ("blue_hair", "0"), ("red_hair", "0"), ("hatsune_miku", "4")]


def write_wd14(folder: Path, features: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> Path:
    """A folder with a WD14 tagger's files: pixels (S * S * 3) times `features`, then the last linear layer."""
    folder.mkdir()
    nodes = [
        helper.make_node("Flatten", ["input_1:0"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "features"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "weights"], ["products"]),
        helper.make_node("Add", ["bias", "products"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["predictions_sigmoid"]),
    ]
    tensors = {"features": features, "weights": weights, "bias": bias}
    graph = helper.make_graph(
        nodes,
        "tagger",
        [helper.make_tensor_value_info("input_1:0", TensorProto.FLOAT, ["N", WD14_SIZE, WD14_SIZE, 3])],
        [helper.make_tensor_value_info("predictions_sigmoid", TensorProto.FLOAT, ["N", len(WD14_TAGS)])],
        [numpy_helper.from_array(np.float32(tensor), name) for name, tensor in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    with (folder / "selected_tags.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["tag_id", "name", "category", "count"])
        writer.writerows([n, name, category, 100] for n, (name, category) in enumerate(WD14_TAGS))
    return folder


def write_brightness_tagger(folder: Path, least: float) -> Path:
    """A WD14 tagger that finds blue hair where the mean of all pixels, 0 to 255, is above `least`, and nothing else."""
    pixels = WD14_SIZE * WD14_SIZE * 3
    weights, bias = np.zeros((1, len(WD14_TAGS))), np.full(len(WD14_TAGS), -10.0)
    blue = WD14_TAGS.index(("blue_hair", "0"))
    weights[0, blue], bias[blue] = 1, -least
    return write_wd14(folder, np.full((pixels, 1), 1 / pixels), weights, bias)
