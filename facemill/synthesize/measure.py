"""How well GauGAN obeys: the mask by segmenting its portraits again, the style by the colours of regions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facemill.colors import REGIONS, difference, region_colors
from facemill.networks import autocast, device
from facemill.segment.metrics import confusion, iou
from facemill.segment.unet import Unet
from facemill.synthesize.gaugan import Generator, one_hot
from facemill.synthesize.vae import Vae, to_pixels, to_unit_range

BATCH = 16
FEATURES = "MobileNetV2 features at stride 16 of the judging U-Net (96 channels, mean over the image)"


@dataclass
class Painted:
    """One generated portrait, uint8 RGB (S, S, 3), and the rows of its mask and of its style reference."""

    image: np.ndarray
    mask: int
    style: int


@torch.inference_mode()
def styles(vae: Vae, images: Tensor) -> Tensor:
    """Style codes (N, z_dim), the means of q(z|x), of uint8 images (N, 3, S, S)."""
    with autocast():
        return torch.cat([vae.encode(to_unit_range(batch.to(device())))[0] for batch in images.split(BATCH)])


@torch.inference_mode()
def paint(generator: Generator, masks: Tensor, z: Tensor) -> np.ndarray:
    """Portraits, uint8 RGB (N, S, S, 3), of masks (N, S, S) of class ids in the styles z (N, z_dim)."""
    painted = []
    for mask, code in zip(masks.split(BATCH), z.split(BATCH), strict=True):
        with autocast():
            painted.append(to_pixels(generator(one_hot(mask.to(device())), code.to(device()))))
    return np.concatenate(painted)


@torch.inference_mode()
def judge_features(judge: Unet, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks, uint8 (N, S, S), and the `FEATURES`, float64 (N, 96), that the judge sees in uint8 RGB images."""
    seen: list[np.ndarray] = []

    def keep(encoder: object, inputs: object, features: Sequence[Tensor]) -> None:
        seen.append(features[-2].float().mean((2, 3)).cpu().double().numpy())

    hook = judge.encoder.register_forward_hook(keep)
    masks = []
    for batch in torch.from_numpy(images).permute(0, 3, 1, 2).split(BATCH):
        with autocast():
            masks.append(judge(batch.to(device()).float() / 255).argmax(1).to("cpu", torch.uint8).numpy())
    hook.remove()
    return np.concatenate(masks), np.concatenate(seen)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance of the Gaussians fitted to two sets of features (N, D) (Dowson and Landau 1982, eq. 4).

    tr((A B)^1/2) is the sum of the square roots of the eigenvalues of A B, which are real and not negative.
    """
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real.clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * roots)


def resegmentation(seen: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    """Mean IoU and IoU per class, of what a judge sees in generated portraits against the masks they were made from."""
    per_class = iou(sum(confusion(s, m) for s, m in zip(seen, masks, strict=True)))
    return {"miou": float(np.nanmean(per_class)), "per_class": [float(value) for value in per_class]}


def style_errors(
    painted: Sequence[Painted], portraits: np.ndarray, masks: np.ndarray
) -> dict[str, tuple[float, float, int]]:
    """For each region CIEDE2000 between its median colour in a generated portrait and in the style reference.

    Returns mean, spread and number of pairs; pairs in which either has too few pixels of the region are left out.
    """
    wanted = [region_colors(image, mask) for image, mask in zip(portraits, masks, strict=True)]
    found: dict[str, list[float]] = {region: [] for region in REGIONS}
    for one in painted:
        for region, color in region_colors(one.image, masks[one.mask]).items():
            if color is not None and wanted[one.style][region] is not None:
                found[region].append(difference(color, wanted[one.style][region]))
    return {r: (float(np.mean(d)), float(np.std(d)), len(d)) for r, d in found.items() if d}


def pairings(count: int, styles_per_mask: int, seed: int) -> Iterator[tuple[int, int]]:
    """Pairs (mask, style) in which no portrait lends a style to its own mask, unless it is the only one."""
    random = np.random.default_rng(seed)
    order = random.permutation(count)
    for shift in range(1, styles_per_mask + 1):
        for place in range(count):
            yield int(order[place]), int(order[(place + shift) % count])
