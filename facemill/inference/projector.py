"""Styles of given portraits: a finished StyleGAN is asked which of its portraits is nearest (GAN inversion).

Sources: Abdal et al. 2019 (https://arxiv.org/abs/1904.03189) for W+, in which each layer has a style of its own; Karras
et al. 2020 (https://arxiv.org/abs/1912.04958), appendix D, for the schedule of the learning rate; Zhu et al. 2020
(https://arxiv.org/abs/2012.09036), section 3.2, for the space that is searched: w before the mapping network's last
leaky ReLU, whitened, where styles are about N(0, 1).
"""

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.inference.sampler import Sampler
from facemill.networks.device import keep_freed_memory
from facemill.networks.vae import to_signed_range
from facemill.networks.vgg import Lpips

Space = Literal["w", "w+"]

CANDIDATES = range((1 << 32) - 2048, 1 << 32)
"""Seeds of portraits, the nearest of which a search begins with: the last ones, for which nobody asks by number."""
COMPARED = 16
"""Height in pixels at which candidates are compared."""
SLOPE = 0.2
"""Of the mapping network's leaky ReLU."""
SCALES = 4
"""Sizes at which pixels are compared: the portrait's, a half of it, a quarter and an eighth."""
PRIOR = {"w": 1e-3, "w+": 3e-3}
"""Weight of the styles' squared deviations, mean over dimensions, which keeps them where portraits are."""
LEARNING_RATE = 0.1
BATCH = 16
"""Portraits that are projected at once."""


class Whitening(NamedTuple):
    """Styles w to about N(0, 1) and back."""

    mean: Tensor
    """(w_dim,), of w before its leaky ReLU."""
    axes: Tensor
    """(w_dim, w_dim): its principal axes, one a row, each as long as its deviation."""

    @classmethod
    def of(cls, w: Tensor) -> "Whitening":
        """The whitening of styles (N, w_dim)."""
        p = F.leaky_relu(w, 1 / SLOPE)
        mean = p.mean(0)
        _, deviations, axes = torch.linalg.svd(p - mean, full_matrices=False)
        deviations = deviations / math.sqrt(max(len(w) - 1, 1))
        return cls(mean, axes * deviations.clamp(min=1e-3 * deviations[0])[:, None])

    def whitened(self, w: Tensor) -> Tensor:
        """Styles (..., w_dim) as (..., K), K the smaller of w_dim and the number of styles behind the whitening."""
        lengths = self.axes.square().sum(1)
        return (F.leaky_relu(w, 1 / SLOPE) - self.mean) @ (self.axes / lengths[:, None]).T

    def styles(self, v: Tensor) -> Tensor:
        """The reverse of `whitened`."""
        return F.leaky_relu(self.mean + v @ self.axes, SLOPE)


class Projector:
    """Finds styles for portraits.

    Args:
        sampler: the generator.
        space: `w`, one style for all layers, or `w+`, one for each, which is nearer and less like other portraits.
        steps: of the search.
        lpips: is minimized with the differences of pixels, where it is given.
    """

    def __init__(self, sampler: Sampler, space: Space, steps: int, lpips: Lpips | None = None) -> None:
        keep_freed_memory()
        self.sampler, self.space, self.steps, self.lpips = sampler, space, steps, lpips
        self.candidates = sampler.styles(sampler.codes(CANDIDATES), sampler.slots(CANDIDATES))
        self.whitening = Whitening.of(self.candidates)
        self.shrunk = shrunk(sampler.generate(self.candidates))

    def project(self, portraits: np.ndarray) -> Tensor:
        """Styles, float32 (N, w_dim), or (N, layers, w_dim), of portraits at the generator's size.

        Args:
            portraits: uint8 RGB (N, H, W, 3).
        """
        return torch.cat([self._search(batch) for batch in np.split(portraits, range(BATCH, len(portraits), BATCH))])

    def _search(self, portraits: np.ndarray) -> Tensor:
        start = self.candidates[torch.cdist(shrunk(portraits), self.shrunk, p=1).argmin(1)]
        with torch.inference_mode(False):
            target = to_signed_range(torch.from_numpy(portraits).permute(0, 3, 1, 2)).to(self.sampler.device)
            v = self.whitening.whitened(start).clone()
            if self.space == "w+":
                v = v[:, None].repeat(1, self.sampler.generator.layers, 1)
            v.requires_grad_()
            adam = torch.optim.Adam([v])
            for step in range(self.steps):
                adam.param_groups[0]["lr"] = LEARNING_RATE * _schedule((step + 0.5) / self.steps)
                images = self.sampler.generator.synthesize(self.whitening.styles(v))
                loss = self._distance(images, target) + PRIOR[self.space] * v.square().flatten(1).mean(1).sum()
                (v.grad,) = torch.autograd.grad(loss, v)
                adam.step()
        return self.whitening.styles(v).detach()

    def _distance(self, images: Tensor, target: Tensor) -> Tensor:
        """The sum over images of their distances: of each the mean over sizes of the mean difference of pixels."""
        difference, total = images - target, torch.zeros((), device=target.device)
        for _ in range(SCALES):
            total = total + difference.abs().mean((1, 2, 3)).sum() / SCALES
            difference = F.avg_pool2d(difference, 2)
        return total if self.lpips is None else total + self.lpips(images, target).sum()


def shrunk(portraits: np.ndarray) -> Tensor:
    """Portraits, uint8 RGB (N, H, W, 3), at `COMPARED` pixels of height: float32 (N, D) in [-1, 1]."""
    factor = portraits.shape[1] // COMPARED
    batches = np.split(portraits, range(256, len(portraits), 256))
    small = [F.avg_pool2d(to_signed_range(torch.from_numpy(x).permute(0, 3, 1, 2)), factor) for x in batches]
    return torch.cat(small).flatten(1)


def _schedule(share: float) -> float:
    """The learning rate's factor at a share of the steps: it rises in the first 5% and falls in the last quarter."""
    return min(1.0, share / 0.05) * (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - share) / 0.25)))
