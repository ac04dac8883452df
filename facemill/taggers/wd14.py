"""ONNX taggers of the WD14 family, run by ONNX Runtime.

Files and preprocessing as in https://huggingface.co/SmilingWolf/wd-v1-4-moat-tagger-v2 and its siblings: `model.onnx`
takes float32 BGR (N, S, S, 3) from 0 to 255, `selected_tags.csv` names its outputs.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf
from PIL import Image

from facemill.errors import UserError
from facemill.taggers.tagger import Tagger, TaggerInput

MODEL, TAG_LIST = "model.onnx", "selected_tags.csv"
CATEGORIES = {"0": "general", "3": "copyright", "4": "character", "9": "rating"}
"""Danbooru's category numbers; 9 stands for ratings."""

BATCH = 8


class Wd14(Tagger):
    """A WD14 tagger; its folder holds `MODEL` and `TAG_LIST`. Raises `UserError` where one is missing or damaged."""

    def __init__(self, folder: Path, threshold: float = 0.25) -> None:
        super().__init__(*_tags(folder / TAG_LIST))
        self.threshold, self._path = threshold, folder / MODEL
        self._session = _session(self._path, str(self._path))
        (self._input,), (output, *_) = self._session.get_inputs(), self._session.get_outputs()
        self._output = output.name
        if len(self._input.shape) != 4 or self._input.shape[3] != 3 or not isinstance(self._input.shape[1], int):
            raise UserError(f"{self._path}: takes {self._input.shape}; accepted: (N, S, S, 3)")
        if output.shape[-1] != len(self.names):
            raise UserError(
                f"{folder / TAG_LIST}: found {len(self.names)} tags; accepted: {output.shape[-1]}, as {MODEL} gives"
            )
        self._features: tuple[onnxruntime.InferenceSession, str] | None = None

    def probabilities(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """The model's first output: float32 (N, tags)."""
        return self._run(self._session, self._output, portraits)

    def extract_feature(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """The input of the last linear layer, which gives the tags: float32 (N, D)."""
        if self._features is None:
            model, name = _with_features(self._path)
            self._features = _session(self._path, model), name
        return self._run(*self._features, portraits)

    def _run(self, session: onnxruntime.InferenceSession, output: str, portraits: Sequence[TaggerInput]) -> np.ndarray:
        outputs = []
        for start in range(0, len(portraits), BATCH):
            batch = portraits[start : start + BATCH]
            images = [_preprocess(portrait.image, self._input.shape[1]) for portrait in batch]
            outputs.append(session.run([output], {self._input.name: np.stack(images)})[0])
        return np.concatenate(outputs).reshape(len(portraits), -1)


def _session(path: Path, model: str | bytes) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise UserError(f"{path}: no such file; accepted: an ONNX tagger")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, onnxruntime.get_available_providers())
    except (Fail, InvalidGraph, InvalidProtobuf) as error:
        raise UserError(f"{path}: not a readable ONNX model ({str(error).splitlines()[0]})") from error


def _with_features(path: Path) -> tuple[bytes, str]:
    """The model with one more output, the input of its last linear layer, and that output's name."""
    model = onnx.load(path)
    producers = {output: node for node in model.graph.node for output in node.output}
    name = model.graph.output[0].name
    while name in producers:
        node = producers[name]
        name = next((tensor for tensor in node.input if tensor in producers), "")
        if node.op_type in ("Gemm", "MatMul") and name:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
            return model.SerializeToString(), name
    raise UserError(f"{path}: found no linear layer before the tags; accepted: a tagger of the WD14 family")


def _tags(path: Path) -> tuple[list[str], list[str]]:
    """The tags and the category of each."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return [row["name"] for row in rows], [CATEGORIES.get(row["category"], "general") for row in rows]
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a list of tags ({error!r}); accepted: columns name and category") from error


def _preprocess(image: np.ndarray, size: int) -> np.ndarray:
    """The image padded to a square with white, resized (bicubic), BGR: float32 (size, size, 3)."""
    height, width = image.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = image
    resized = Image.fromarray(square).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(resized, np.float32)[..., ::-1]
