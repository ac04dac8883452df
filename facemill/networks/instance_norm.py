"""Instance norm without weights, of which CycleGAN's and GauGAN's networks have many."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class InstanceNorm(nn.Module):
    """Instance norm without weights, channels last.

    On the CPU each image is normalized as a batch of one: in bfloat16 a step then takes two thirds of the time that it
    takes with PyTorch's instance norm, which knows one order of memory alone, in which convolutions and enlargements
    are slower. GPUs have group norm of one channel a group, which is the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return F.group_norm(x, x.shape[1])
        return torch.cat([F.batch_norm(image, None, None, training=True) for image in x.split(1)])
