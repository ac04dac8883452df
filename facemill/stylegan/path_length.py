"""How smooth the way from one portrait to another is: through styles, through codes, and by cross-fading."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.inference.sampler import Sampler
from facemill.stylegan.judge import FeatureNetwork

STEP = 1e-2
"""Length of a step, as a share of the way."""

PAIRS = 256
"""Ways that are measured."""
BATCH = 32


@torch.inference_mode()
def path_lengths(sampler: Sampler, features: FeatureNetwork, pairs: int) -> dict[str, float]:
    """Mean squared change of features per squared step, on ways between portraits of seeds 2i and 2i + 1.

    Perceptual path length of Karras et al. 2019 (https://arxiv.org/abs/1812.04948), section 4.1, with any
    features in place of VGG's, in float32 and before pixels are rounded.

    Returns:
        `w`: on lines between styles; `z`: on arcs between codes; `cross_fade`: between the portraits' pixels. The
        portraits of a pair have the same conditions.
    """
    random = np.random.default_rng(0)
    positions = torch.from_numpy(random.uniform(0, 1 - STEP, pairs).astype(np.float32))
    totals = dict.fromkeys(["w", "z", "cross_fade"], 0.0)
    for start in range(0, pairs, BATCH):
        seeds = range(start, min(start + BATCH, pairs))
        codes = sampler.codes([2 * seed for seed in seeds]), sampler.codes([2 * seed + 1 for seed in seeds])
        slots = sampler.slots([2 * seed for seed in seeds])
        t = positions[start : start + len(seeds), None]
        for way, path in _ways(sampler, codes, slots).items():
            first, second = (features(path(position)) for position in (t, t + STEP))
            totals[way] += float((second - first).square().sum()) / STEP**2
    return {way: total / pairs for way, total in totals.items()}


def _ways(sampler: Sampler, codes: tuple[Tensor, Tensor], slots: Tensor) -> dict[str, Callable[[Tensor], Tensor]]:
    """By way, a function of positions (N, 1) to images, float32 (N, 3, H, W) in [-1, 1]."""
    z, other_z = codes
    w, other_w = (sampler.styles(end, slots) for end in codes)
    image, other_image = painted(sampler, w), painted(sampler, other_w)
    return {
        "w": lambda t: painted(sampler, torch.lerp(w, other_w, t.to(w.device))),
        "z": lambda t: painted(sampler, sampler.styles(slerp(z, other_z, t), slots)),
        "cross_fade": lambda t: torch.lerp(image, other_image, t.to(w.device)[..., None, None]),
    }


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Points (N, D) at positions t (N, 1) of the arcs from a (N, D) to b (N, D), of length 1, at constant speed.

    The mapping normalizes codes, so their lengths do not matter (Karras et al. 2019, section 4.1).
    """
    a, b = F.normalize(a), F.normalize(b)
    cosine = (a * b).sum(1, keepdim=True).clamp(-1, 1)
    across = F.normalize(b - cosine * a)
    angle = t * cosine.acos()
    return angle.cos() * a + angle.sin() * across


@torch.inference_mode()
def painted(sampler: Sampler, styles: Tensor) -> Tensor:
    """Images, float32 (N, 3, H, W) in [-1, 1], of styles (N, w_dim), computed in float32."""
    return sampler.generator.synthesize(styles).clamp(-1, 1)


def midpoints(sampler: Sampler, pairs: int) -> dict[str, np.ndarray]:
    """Portraits halfway between those of seeds 2i and 2i + 1, uint8 RGB (N, H, W, 3), by styles and by cross-fading."""
    slots = sampler.slots(range(0, 2 * pairs, 2))
    w, other_w = (sampler.styles(sampler.codes(range(end, 2 * pairs, 2)), slots) for end in (0, 1))
    image, other_image = (sampler.generate(end).astype(np.float32) for end in (w, other_w))
    return {
        "w": sampler.generate(torch.lerp(w, other_w, 0.5)),
        "cross_fade": ((image + other_image) / 2).round().astype(np.uint8),
    }
