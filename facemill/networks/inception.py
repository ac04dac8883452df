"""The Inception network by whose features the Frechet inception distance (FID) is defined.

Sources: Heusel et al. 2017 (https://arxiv.org/abs/1706.08500) use TensorFlow's network of 2015-12-05; pytorch-fid
(https://github.com/mseitzer/pytorch-fid) has its weights for PyTorch, `pt_inception-2015-12-05-6726825d.pth`. Its
pooling differs from torchvision's Inception v3: average pooling leaves padding out, and the last block's pooling is a
maximum.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from facemill.networks.device import device
from facemill.networks.store import load_tensors
from facemill.networks.vae import to_signed_range

INCEPTION = "pool3 of Inception v3 as TensorFlow trained it on 2015-12-05 (2048 features)"
"""Name of the features, for the metrics."""

SIDE = 299
"""Side of the network's images."""

BATCH = 32


def inception(weights: Path) -> nn.Module:
    """Images (B, 3, 299, 299) in [-1, 1] to features (B, 2048).

    Args:
        weights: a safetensors file of pytorch-fid's weights under their names.

    Raises:
        UserError: The file is not safetensors, or lacks a tensor.
    """
    from torchvision.models import inception_v3  # takes seconds to import, and few runs have these weights

    network = inception_v3(weights=None, init_weights=False, aux_logits=False, transform_input=False)
    network.fc = nn.Identity()
    names = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    state = load_tensors(weights, names, key="gaugan.inception_weights", accepted="Inception's of FID")
    network.load_state_dict(state, strict=False)
    traced = fx.symbolic_trace(network.eval())
    poolings = [node for node in traced.graph.nodes if node.target is F.avg_pool2d]
    for node in poolings:
        node.kwargs = {**node.kwargs, "count_include_pad": False}
    poolings[-1].target, poolings[-1].kwargs = F.max_pool2d, {"kernel_size": 3, "stride": 1, "padding": 1}
    traced.recompile()
    return traced.requires_grad_(False)


@torch.inference_mode()
def inception_features(network: nn.Module, images: np.ndarray) -> np.ndarray:
    """Features, float64 (N, 2048), of uint8 RGB images (N, H, W, 3), which are resized bilinearly."""
    features = []
    for batch in torch.from_numpy(images).split(BATCH):
        pixels = to_signed_range(batch.permute(0, 3, 1, 2).to(device()))
        pool3: Tensor = network(F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", align_corners=False))
        features.append(pool3.cpu().double().numpy())
    return np.concatenate(features)
