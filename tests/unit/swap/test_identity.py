"""Which of two people a face is."""

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from facemill.errors import UserError
from facemill.swap.identity import IdentityClassifier, in_equal_colors, inner_face, sface_features


def faces(count, seed, height):
    """Faces of other colors each, whose mouth is so many pixels high, uint8 RGB."""
    random = np.random.default_rng(seed)
    crops = []
    for _ in range(count):
        crop = np.full((64, 64, 3), random.integers(60, 200, 3), np.uint8)
        crops.append(cv2.rectangle(crop, (24, 44), (40, 44 + height), random.integers(0, 60, 3).tolist(), -1))
    return crops


def test_the_inside_of_a_face_holds_eyes_and_mouth_and_no_corner():
    inside = inner_face(100)
    assert inside[42, 34] and inside[42, 66] and inside[72, 50]
    assert not inside[10, 50] and not inside[95, 50] and not inside[50, 10] and 0.25 < inside.mean() < 0.35


def test_colors_and_surroundings_are_no_part_of_a_face():
    first, second = faces(2, 0, 6)
    equal = in_equal_colors(first).astype(int)
    assert np.abs(equal - in_equal_colors(second)).mean() < 6 < np.abs(first.astype(int) - second).mean()
    second[~inner_face(64)] = 0
    assert (in_equal_colors(second)[~inner_face(64)] == 128).all()
    assert not (in_equal_colors(faces(1, 0, 2)[0]) == equal).all()
    assert in_equal_colors(np.full((32, 32, 3), 7, np.uint8)).shape == (32, 32, 3)


def test_a_classifier_tells_unseen_faces_of_two_people_apart():
    def features(crops):
        return np.stack([cv2.resize(in_equal_colors(crop), (16, 16)).ravel() for crop in crops]).astype(np.float32)

    classifier = IdentityClassifier(features, faces(20, 0, 2), faces(10, 1, 12))
    assert classifier.probability_of_b(faces(10, 2, 12)).min() > 0.9
    assert classifier.probability_of_b(faces(10, 3, 2)).max() < 0.1


@pytest.fixture
def means(tmp_path):
    """A network of SFace's form, whose numbers are means of squares of the picture."""
    pixels = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 112, 112])
    numbers = helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, 12])
    nodes = [
        helper.make_node("AveragePool", ["data"], ["pooled"], kernel_shape=[56, 56], strides=[56, 56]),
        helper.make_node("Flatten", ["pooled"], ["fc1"]),
    ]
    graph = helper.make_graph(nodes, "sface", [pixels], [numbers])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8)
    onnx.save(model, tmp_path / "sface.onnx")
    return tmp_path / "sface.onnx"


def test_sface_sees_the_face_upright_in_rgb_at_every_size(means):
    features = sface_features(means)
    crop = np.full((64, 64, 3), 10, np.uint8)
    crop[:32, :32], crop[32:, 32:] = (200, 0, 0), (0, 0, 100)
    large = cv2.resize(crop, (128, 128), interpolation=cv2.INTER_NEAREST)
    numbers = features([crop, large])
    assert np.allclose(np.linalg.norm(numbers, axis=1), 1) and np.abs(numbers[0] - numbers[1]).max() < 0.02
    red, _, blue = numbers[0].reshape(3, 2, 2)
    assert red[0, 0] == red.max() and blue[1, 1] == blue.max()


def test_what_is_no_sface_is_refused_in_one_line(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(UserError, match=r"a\.onnx: no network that OpenCV reads as SFace; accepted: SFace's ONNX"):
        sface_features(path)
    with pytest.raises(UserError, match="no network"):
        sface_features(tmp_path / "missing.onnx")
