"""FID's Inception: torchvision's network with the pooling that the published weights were trained with."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from torchvision.models import inception_v3

from facemill.errors import UserError
from facemill.networks.inception import inception, inception_features


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    state = inception_v3(weights=None, init_weights=False, aux_logits=False).state_dict()
    state = {k: v for k, v in state.items() if not k.startswith("fc.") and not k.endswith("num_batches_tracked")}
    path = tmp_path_factory.mktemp("inception") / "inception.safetensors"
    save_file(state, path)
    return path


def test_average_pooling_leaves_padding_out_and_the_last_pooling_is_a_maximum(weights):
    network = inception(weights)
    pools = [node for node in network.graph.nodes if node.target in (F.avg_pool2d, F.max_pool2d)]
    stride_1 = [node for node in pools if node.kwargs.get("stride") == 1]
    assert [node.target is F.avg_pool2d for node in stride_1] == [True] * 8 + [False]
    ones = torch.ones(1, 1, 5, 5)
    assert all(torch.equal(node.target(ones, **node.kwargs), ones) for node in stride_1)


def test_features_of_images_of_any_size(weights):
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 20, 3)).astype(np.uint8)
    network = inception(weights)
    features = inception_features(network, images)
    assert features.shape == (3, 2048) and not np.allclose(features[0], features[1], atol=0)
    alone = inception_features(network, images[1:2])
    assert alone[0] == pytest.approx(features[1], rel=1e-2, abs=0)


def test_other_weights_are_refused(tmp_path):
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "vgg.safetensors")
    with pytest.raises(UserError, match="gaugan.inception_weights: .*vgg.safetensors lacks .*; accepted: Inception's"):
        inception(tmp_path / "vgg.safetensors")
