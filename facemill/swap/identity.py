"""Which of two people a face is, by what networks tell of it.

A logistic regression learns the two from their real faces. What it sees is either all of an aligned crop, hair and
beard included, or the features alone: the inside of the face in colors that are alike for all, since an exchanged face
takes the colors of the one that it replaces.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression

from facemill.data.batching import batched
from facemill.errors import UserError
from facemill.inference.segmenter import BATCH, Segmenter
from facemill.metrics.generation import evaluator_features
from facemill.swap.alignment import similarity
from facemill.swap.color_transfer import Transfer

Features = Callable[[Sequence[np.ndarray]], np.ndarray]
"""Features, float32 (N, D), of aligned crops, uint8 RGB (S, S, 3) each."""

PENALTY = 0.1
"""Inverse strength of the regularization. On the sample's true faces .01 told people worse apart (.10 and .85 of those
held out, in place of .04 and .93, should be 0 and 1)."""

_MIDDLE, _RADII = (0.5, 0.54), (0.3, 0.32)  # of the ellipse around eyes, eyebrows and mouth, in the unit crop
_MEAN, _DEVIATION = np.array([(65, 12, 15), (15, 8, 8)], np.float32)  # a skin's, in CIELAB

_BLURS = (0.0, 0.015, 0.03)  # of the crop's side: deviations of the copies from which a classifier learns

_SFACE_SIDE = 112
# eyes, and the middle between the mouth's corners, in `FaceRecognizerSF::alignCrop` (OpenCV, Apache-2.0)
_SFACE_POINTS = np.array([(38.29, 51.70), (73.53, 51.50), (56.14, 92.28)])


def inner_face(size: int) -> np.ndarray:
    """Which pixels of a crop lie inside the face, around eyes, eyebrows and mouth: bool (size, size)."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    inside: np.ndarray = ((x - _MIDDLE[0]) / _RADII[0]) ** 2 + ((y - _MIDDLE[1]) / _RADII[1]) ** 2 < 1
    return inside


def in_equal_colors(crop: np.ndarray) -> np.ndarray:
    """The inside of the face, whose CIELAB colors get a fixed mean and deviation, on gray: uint8 RGB (S, S, 3)."""
    inside, pixels = inner_face(len(crop)), crop.astype(np.float32)
    lab = cv2.cvtColor(pixels / 255, cv2.COLOR_RGB2LAB)[inside]
    mean, deviation = lab.mean(0), np.maximum(lab.std(0), 1)
    equal = Transfer(mean, _DEVIATION / deviation, _MEAN - mean)(pixels)
    return np.where(inside[..., None], np.rint(equal), 128).astype(np.uint8)


def crop_features(segmenter: Segmenter) -> Features:
    """The features of all of a crop in a U-Net's encoder."""
    side = segmenter.size

    def features(crops: Sequence[np.ndarray]) -> np.ndarray:
        """Features of `FEATURES`, float32 (N, 96)."""
        sized = (cv2.resize(crop, (side, side), interpolation=cv2.INTER_LINEAR) for crop in crops)
        batches = [evaluator_features(segmenter.unet, np.stack(batch)) for batch in batched(sized, BATCH)]
        return np.concatenate(batches)

    return features


def face_features(segmenter: Segmenter) -> Features:
    """The features of `in_equal_colors` in a U-Net's encoder."""
    of_crops = crop_features(segmenter)
    return lambda crops: of_crops([in_equal_colors(crop) for crop in crops])


def sface_features(path: Path) -> Features:
    """The 128 numbers by which SFace tells people apart (Zhong et al. 2021, https://arxiv.org/abs/2205.12010).

    Raises:
        UserError: The file is no ONNX of SFace's.
    """
    side = _SFACE_SIDE
    to_unit = similarity(_SFACE_POINTS)
    try:
        network = cv2.FaceRecognizerSF.create(str(path), "")
        network.feature(np.zeros((side, side, 3), np.uint8))
    except cv2.error as error:
        raise UserError(f"{path}: no network that OpenCV reads as SFace; accepted: SFace's ONNX") from error

    def feature(crop: np.ndarray) -> np.ndarray:
        """The numbers of a crop, scaled to length 1: float32 (128,)."""
        transform = to_unit * len(crop)
        transform[:, 2] -= 0.5
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        aligned = cv2.warpAffine(crop, transform, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        numbers: np.ndarray = network.feature(cv2.cvtColor(aligned, cv2.COLOR_RGB2BGR))[0]
        return numbers / np.linalg.norm(numbers)

    return lambda crops: np.stack([feature(crop) for crop in crops])


def blurred(crop: np.ndarray, deviation: float) -> np.ndarray:
    """A crop, uint8 RGB (S, S, 3), blurred by a Gaussian of a standard deviation in its sides; 0 leaves it as it is."""
    return cv2.GaussianBlur(crop, (0, 0), deviation * len(crop)) if deviation else crop


class IdentityClassifier:
    """Tells two people apart, whether they are seen sharply or not: what networks draw is softer than what is real.

    Args:
        features: of crops.
        a: real crops of one person, uint8 RGB (S, S, 3) each.
        b: of the other.
    """

    def __init__(self, features: Features, a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> None:
        self._features = features
        learned = np.concatenate([features([blurred(crop, blur) for crop in (*a, *b)]) for blur in _BLURS])
        self._mean, self._scale = learned.mean(0), learned.std(0) + 1e-6
        self._model = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=1000)
        self._model.fit(self._standardized(learned), np.tile(np.repeat([0, 1], [len(a), len(b)]), len(_BLURS)))

    def probability_of_b(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """The probability that each crop shows b: float64 (N,)."""
        probabilities: np.ndarray = self._model.predict_proba(self._standardized(self._features(crops)))
        return probabilities[:, 1]

    def _standardized(self, features: np.ndarray) -> np.ndarray:
        return (features - self._mean) / self._scale
