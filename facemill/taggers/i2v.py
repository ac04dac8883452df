"""illustration2vec's published Caffe networks, run by OpenCV.

Source: Saito and Matsui 2015; files and preprocessing as in https://github.com/rezoo/illustration2vec (the package
itself needs Chainer or Caffe).
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from facemill.errors import UserError
from facemill.taggers.tagger import Tagger, TaggerInput

TAG_NETWORK = ("illust2vec_tag.prototxt", "illust2vec_tag_ver200.caffemodel")
FEATURE_NETWORK = ("illust2vec.prototxt", "illust2vec_ver200.caffemodel")
TAG_LIST = "tag_list.json"

MEAN_BGR = (164.76139251, 167.47864617, 181.13838569)
RATINGS = ("safe", "questionable", "explicit")
PUBLISHED = {"general": 512, "character": 512, "copyright": 512, "rating": 3}
"""Tags of each category in the published list, in this order."""

BATCH = 16


class I2v(Tagger):
    """illustration2vec's tag network. Its folder holds `TAG_NETWORK`, `TAG_LIST`, and for features `FEATURE_NETWORK`.

    Raises `UserError` where a file is missing or damaged.
    """

    def __init__(self, folder: Path, threshold: float = 0.25) -> None:
        super().__init__(*_tags(folder / TAG_LIST))
        self.threshold, self.folder = threshold, folder
        self._tagger = _Network(folder, *TAG_NETWORK)
        self._encoder: _Network | None = None

    def probabilities(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """The layer `prob`: float32 (N, tags)."""
        probabilities = self._tagger.forward(portraits, "prob")
        if probabilities.shape[1] != len(self.names):
            raise UserError(
                f"{self.folder / TAG_LIST}: found {len(self.names)} tags; accepted: {probabilities.shape[1]}, as many "
                f"as {TAG_NETWORK[1]} gives"
            )
        return probabilities

    def extract_feature(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """The layer `encode1`, float32 (N, 4096) in the published feature network."""
        if self._encoder is None:
            tagger_has_it = self._tagger.has("encode1")
            self._encoder = self._tagger if tagger_has_it else _Network(self.folder, *FEATURE_NETWORK)
        return self._encoder.forward(portraits, "encode1")


def _tags(path: Path) -> tuple[list[str], list[str]]:
    """The tags in Danbooru's spelling, and the category of each."""
    try:
        names = [name.replace(" ", "_") for name in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a list of tags ({error}); accepted: illustration2vec's {TAG_LIST}") from error
    if len(names) == sum(PUBLISHED.values()):
        return names, [category for category, count in PUBLISHED.items() for _ in range(count)]
    return names, ["rating" if name in RATINGS else "general" for name in names]


class _Network:
    """A Caffe network, and the size of its input."""

    def __init__(self, folder: Path, prototxt: str, caffemodel: str) -> None:
        for name in (prototxt, caffemodel):
            if not (folder / name).is_file():
                raise UserError(f"{folder / name}: no such file; accepted: illustration2vec's published files")
        try:
            self._net = cv2.dnn.readNetFromCaffe(str(folder / prototxt), str(folder / caffemodel))
        except cv2.error as error:
            raise UserError(f"{folder / caffemodel}: not a readable Caffe network ({error.err})") from error
        sizes = re.findall(r"\b(?:input_dim|dim)\s*:\s*(\d+)", (folder / prototxt).read_text())[:4]
        if len(sizes) < 4:
            raise UserError(f"{folder / prototxt}: found no input size; accepted: four numbers as input_dim or dim")
        self._size = (int(sizes[3]), int(sizes[2]))
        self._path = folder / prototxt

    def has(self, layer: str) -> bool:
        return layer in self._net.getLayerNames()

    def forward(self, portraits: Sequence[TaggerInput], layer: str) -> np.ndarray:
        """The output of a layer: float32 (N, D)."""
        if not self.has(layer):
            raise UserError(f"{self._path}: found no layer {layer!r}; accepted: illustration2vec's published network")
        outputs = []
        for start in range(0, len(portraits), BATCH):
            images = [self._preprocess(portrait.image) for portrait in portraits[start : start + BATCH]]
            self._net.setInput(np.stack(images))
            outputs.append(self._net.forward(layer).reshape(len(images), -1).copy())
        return np.concatenate(outputs)

    def _preprocess(self, image: np.ndarray) -> np.ndarray:
        """The published preprocessing: stretched to the input size (bilinear, not antialiased), BGR, minus the mean."""
        resized = np.asarray(cv2.resize(image.astype(np.float32), self._size, interpolation=cv2.INTER_LINEAR))
        return (resized[..., ::-1] - np.array(MEAN_BGR, np.float32)).transpose(2, 0, 1)
