"""How well GauGAN obeys: the mask by segmenting its portraits again, the style by the colors of regions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scipy.spatial.distance import pdist
from torch import Tensor

from facemill.data.classes import SEVEN
from facemill.imaging.colors import REGIONS, difference, region_colors
from facemill.imaging.figures import colorize, image_grid
from facemill.metrics.segmentation import confusion, iou
from facemill.networks.spade import Generator
from facemill.networks.store import autocast, device
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae, to_pixels, to_signed_range
from facemill.networks.vgg import Lpips

BATCH = 16
FEATURES = "MobileNetV2 features at stride 16 of the judging U-Net (96 channels, mean over the image)"


@dataclass
class Painted:
    """One generated portrait, uint8 RGB (S, S, 3), and the numbers of its mask and of its style reference, if any."""

    image: np.ndarray
    mask: int
    style: int | None


@torch.inference_mode()
def judge_features(judge: Unet, images: np.ndarray) -> np.ndarray:
    """The `FEATURES`, float64 (N, 96), that the judge sees in uint8 RGB images (N, S, S, 3)."""
    seen = []
    for batch in torch.from_numpy(images).permute(0, 3, 1, 2).split(BATCH):
        with autocast():
            features = judge.encode(batch.to(device()).float() / 255)[-2]
        seen.append(features.float().mean((2, 3)).cpu().double().numpy())
    return np.concatenate(seen)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance of the Gaussians fitted to two sets of features (N, D) (Dowson and Landau 1982, eq. 4).

    tr((A B)^1/2) is the sum of the square roots of the eigenvalues of A B, which are real and not negative.
    """
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real.clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * roots)


def resegmentation(seen: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    """Mean IoU and IoU per class, of what a judge sees in generated portraits against the masks they were made from."""
    per_class = iou(sum(confusion(s, m, len(SEVEN)) for s, m in zip(seen, masks, strict=True)))
    return {"miou": float(np.nanmean(per_class)), "per_class": [float(value) for value in per_class]}


def color_errors(painted: Sequence[Painted], portraits: np.ndarray, masks: np.ndarray) -> list[dict[str, float | None]]:
    """For each painted portrait and region CIEDE2000 between its median color and that in the style reference.

    None where there is no reference, or where either has too few pixels of the region.
    """
    wanted = [region_colors(image, mask) for image, mask in zip(portraits, masks, strict=True)]
    found = []
    for one in painted:
        reference = dict.fromkeys(REGIONS) if one.style is None else wanted[one.style]
        pairs = {r: (color, reference[r]) for r, color in region_colors(one.image, masks[one.mask]).items()}
        found.append({r: None if a is None or b is None else difference(a, b) for r, (a, b) in pairs.items()})
    return found


def style_errors(errors: Sequence[dict[str, float | None]]) -> dict[str, float]:
    """Mean and spread of the regions' color errors: `style_<region>_color_error` and `..._std`."""
    columns = {region: [row[region] for row in errors if row[region] is not None] for region in REGIONS}
    named = {f"style_{region}_color_error": values for region, values in columns.items() if values}
    return {k: float(np.mean(v)) for k, v in named.items()} | {f"{k}_std": float(np.std(v)) for k, v in named.items()}


@torch.inference_mode()
def lpips_diversity(lpips: Lpips, painted: Sequence[Painted]) -> float:
    """The mean LPIPS between portraits painted from one mask in different styles, mean over masks."""
    of_mask: dict[int, list[np.ndarray]] = {}
    for one in painted:
        of_mask.setdefault(one.mask, []).append(one.image)
    distances = []
    for images in of_mask.values():
        seen = to_signed_range(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)).to(device())
        a, b = torch.triu_indices(len(seen), len(seen), 1)
        distances.append(lpips(seen[a], seen[b]).mean())
    return float(torch.stack(distances).mean())


def diversity(features: np.ndarray) -> float:
    """The mean Euclidean distance between all pairs of features (N, D): 0 for a generator that paints one picture."""
    return float(pdist(features).mean())


def mask_style_pairs(count: int, styles_per_mask: int, seed: int) -> Iterator[tuple[int, int]]:
    """Pairs (mask, style) in which no portrait lends a style to its own mask, unless it is the only one."""
    random = np.random.default_rng(seed)
    order = random.permutation(count)
    for shift in range(1, styles_per_mask + 1):
        for place in range(count):
            yield int(order[place]), int(order[(place + shift) % count])


def evenly_spaced(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
