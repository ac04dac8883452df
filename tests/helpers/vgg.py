"""A file of random weights in the shapes of VGG16 and LPIPS's heads."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from facemill.networks.vgg import PLAN


def write_vgg(path: Path) -> Path:
    torch.manual_seed(0)
    state, index, channels = {}, 0, 3
    for step in PLAN:
        if step == "pool":
            index += 1
            continue
        layer = nn.Conv2d(channels, step, 3)
        state |= {
            f"features.{index}.weight": layer.weight.data.half(),
            f"features.{index}.bias": layer.bias.data.half(),
        }
        index, channels = index + 2, step
    heads = {f"lpips.{i}.weight": torch.rand(1, c, 1, 1).half() for i, c in enumerate((64, 128, 256, 512, 512))}
    save_file(state | heads, path)
    return path
