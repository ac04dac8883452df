"""How far generated portraits take the style that they are given: their regions' colors, and their variety."""

import numpy as np
import torch
from scipy.spatial.distance import pdist
from skimage.color import deltaE_ciede2000

from facemill.data.classes import ClassTable
from facemill.imaging.colors import REGIONS, region_colors
from facemill.networks.device import device
from facemill.networks.vae import to_signed_range
from facemill.networks.vgg import Lpips


def styles_of_masks(count: int, styles_per_mask: int, seed: int) -> np.ndarray:
    """For each of `count` portraits' masks the portraits that give it a style, indices int64 (count, K).

    No mask has the style of its own portrait: K is `styles_per_mask`, or less where there are not as many others.
    Every portrait gives a style to K masks.
    """
    order = np.random.default_rng(seed).permutation(count)
    shifts = np.arange(1, min(styles_per_mask, count - 1) + 1)
    return order[(np.argsort(order)[:, None] + shifts) % count]


def colors_of(images: np.ndarray, masks: np.ndarray, classes: ClassTable) -> np.ndarray:
    """CIELAB colors of the `REGIONS` of portraits, float32 (N, R, 3); NaN for a region of too few pixels.

    Args:
        images: uint8 RGB (N, H, W, 3).
        masks: class ids, uint8 (N, H, W).
        classes: the masks' class table.
    """
    colors = np.full((len(images), len(REGIONS), 3), np.nan, np.float32)
    for row, image, mask in zip(colors, images, masks, strict=True):
        for region, color in enumerate(region_colors(image, mask, classes).values()):
            if color is not None:
                row[region] = color
    return colors


def color_errors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """CIEDE2000 between colors (..., 3), which broadcast; NaN where either is."""
    return deltaE_ciede2000(*np.broadcast_arrays(a, b))


def style_color_error(
    painted: np.ndarray, own: np.ndarray, real: np.ndarray, styles: np.ndarray
) -> dict[str, dict[str, float | None]]:
    """CIEDE2000 of each region to the style's portrait, beside what it would be by chance and at best.

    Args:
        painted: colors of portraits of N masks in K styles each, (N, K, R, 3).
        own: colors of portraits of the same masks in the style of the mask's portrait, (N, 1, R, 3).
        real: colors of the masks' real portraits, (N, 1, R, 3).
        styles: which of these gave each style, indices (N, K).

    Returns:
        By region, where any style has it:

        - `reference`: the mean error to the style's portrait, and `reference_std`, its standard deviation.
        - `wrong_reference`: the mean error to another style's portrait; a region whose color is taken from the
          reference has more here.
        - `two_real_portraits`: the mean between the mask's real portrait and the style's.
        - `own_style`: the mean error of a portrait in its own style.

        Values are None where no pair has the region, and where there is no other style.
    """
    references = real[:, 0][styles]
    errors = {
        "reference": color_errors(painted, references),
        "wrong_reference": color_errors(painted, np.roll(references, 1, axis=1)) if styles.shape[1] > 1 else None,
        "two_real_portraits": color_errors(real, references),
        "own_style": color_errors(own, real),
    }
    result: dict[str, dict[str, float | None]] = {}
    for index, region in enumerate(REGIONS):
        if (values := _known(errors["reference"], index)) is not None:
            result[region] = {"reference": float(values.mean()), "reference_std": float(values.std())}
            for name in ("wrong_reference", "two_real_portraits", "own_style"):
                values = _known(errors[name], index)
                result[region][name] = None if values is None else float(values.mean())
    return result


def _known(errors: np.ndarray | None, region: int) -> np.ndarray | None:
    """The errors (N, K, R) of a region that are not NaN; None without any."""
    if errors is None:
        return None
    values = errors[..., region]
    values = values[~np.isnan(values)]
    return values if len(values) else None


def style_diversity(features: np.ndarray) -> float:
    """The mean distance of portraits of one mask in several styles, mean over masks: 0 where styles change nothing.

    `features` are of N masks in K > 1 styles each, (N, K, D).
    """
    return float(np.mean([pdist(of_mask).mean() for of_mask in features]))


@torch.inference_mode()
def lpips_diversity(lpips: Lpips, images: np.ndarray) -> float:
    """The mean LPIPS between portraits of one mask in several styles, uint8 RGB (K, H, W, 3)."""
    pixels = to_signed_range(torch.from_numpy(images).permute(0, 3, 1, 2).to(device()))
    a, b = torch.triu_indices(len(pixels), len(pixels), 1)
    return float(lpips(pixels[a], pixels[b]).mean())
