"""Directions in W that nobody labeled: of the style matrices, and of the styles themselves, and what each moves.

Sources: Shen and Zhou 2021 (https://arxiv.org/abs/2007.06600), equation 6, for the closed form; Haerkoenen et al. 2020
(https://arxiv.org/abs/2004.02546), section 2.1, for the principal components (PCA) of W.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save_file
from torch import Tensor

from facemill.data.classes import ClassTable
from facemill.files import atomic_write, write_json
from facemill.imaging.figures import PAPER, image_grid, save_picture
from facemill.inference.sampler import Sampler
from facemill.inference.segmenter import Segmenter
from facemill.networks.style_layers import ModulatedConv, ToRgb
from facemill.networks.stylegan2 import MEAN_STYLES, StyleGenerator
from facemill.stylegan.evaluate_mixing import layer_ranges
from facemill.stylegan.seen import Seen, change_by_class, nearness, see

FACTORS = 8
"""Factors of each kind."""
PORTRAITS = 48
"""Portraits of seeds that each factor moves."""
REACH = 2.0
"""Deviations by which they are moved, to both sides."""
SHOWN = range(-3, 4)
"""Deviations in the picture."""
CELL = 80


class Factors(NamedTuple):
    """Directions in W of one kind, the strongest first."""

    layers: list[int]
    """The layers whose styles they move."""
    vectors: np.ndarray
    """float64 (F, w_dim), each one standard deviation of w long."""
    variance: np.ndarray
    """Share of the variance of w along each, float64 (F,)."""
    strength: np.ndarray
    """Closed form: share of the squared singular values; PCA: the variance; float64 (F,)."""


def factor_styles(
    *, model: Path, unet: Path | None = None, truncation: float, factors: Path, metrics: Path, picture: Path
) -> None:
    """Finds directions without labels, and moves the portraits of seeds 0 to n - 1 along each to see what changes.

    Args:
        model: the generator, a safetensors file.
        unet: a U-Net that sees masks, where there are any.
        truncation: of the portraits' styles.
        factors: safetensors, for each kind (F, w_dim), a standard deviation long: `pca`, `closed_form` of all layers,
            and `closed_form_coarse` and so on of ranges of layers, which move these layers alone.
        metrics: JSON of the figures of each factor.
        picture: PNG of the portraits of seeds 0 to 7, moved by -3 to 3 deviations.
    """
    sampler = Sampler.load(model)
    segmenter = Segmenter.load(unet) if unet else None
    kinds = all_factors(sampler)
    with atomic_write(factors) as tmp:
        save_file({kind: np.ascontiguousarray(of_kind.vectors, np.float32) for kind, of_kind in kinds.items()}, tmp)
    styles = sampler.truncated(range(PORTRAITS), truncation).cpu()
    unmoved = see(sampler.generate(styles), segmenter)
    classes = segmenter.classes if segmenter else None
    apart = effects(unmoved, unmoved.rolled(), classes)
    figures: dict[str, Any] = {"portraits": PORTRAITS, "truncation": truncation, "deviations": REACH, "apart": apart}
    for kind, of_kind in kinds.items():
        moved = moved_figures(sampler, styles, of_kind, segmenter, apart)
        known = [one["concentration"] for one in moved if one.get("concentration")]
        means = {"variance": float(of_kind.variance.sum()), "concentration": float(np.mean(known)) if known else None}
        figures[kind] = {"layers": of_kind.layers} | means | {"factors": moved}
    write_json(metrics, figures)
    save_picture(factor_grid(sampler, styles, kinds, figures), picture)


def all_factors(sampler: Sampler) -> dict[str, Factors]:
    """The factors of each kind, by its name."""
    generator, seeds = sampler.generator, range(MEAN_STYLES)
    styles = sampler.styles(sampler.codes(seeds), sampler.slots(seeds)).cpu().double().numpy()
    covariance = np.cov(styles, rowvar=False)
    ranges = {"closed_form": list(range(generator.layers))}
    ranges |= {f"closed_form_{name}": layers for name, layers in layer_ranges(generator).items()}
    matrices = style_matrices(generator)
    kinds = {"pca": factors_of(covariance, covariance, ranges["closed_form"])}
    for kind, layers in ranges.items():
        stacked = np.concatenate([matrices[layer] for layer in layers])
        kinds[kind] = factors_of(stacked.T @ stacked, covariance, layers)
    return kinds


def style_matrices(generator: StyleGenerator) -> list[np.ndarray]:
    """For each layer the matrix, float64 (channels, w_dim), by which w scales the channels of its convolution and RGB.

    Scales are compared with the bias 1 that they start from, so that constants of the layers do not count.
    """
    matrices: list[list[Tensor]] = [[] for _ in range(generator.layers)]
    layer = 0
    for module in generator.levels.modules():  # in each level the convolutions, then RGB
        if isinstance(module, ModulatedConv | ToRgb):
            matrices[layer].append(module.style.weight)
            layer += isinstance(module, ModulatedConv)
    return [torch.cat(of_layer).detach().cpu().double().numpy() for of_layer in matrices]


def factors_of(gram: np.ndarray, covariance: np.ndarray, layers: list[int]) -> Factors:
    """The eigenvectors of the largest eigenvalues of a matrix (w_dim, w_dim), the largest number of each positive.

    Args:
        gram: the styles' covariance, or A^T A of a matrix A, whose right singular vectors these are.
        covariance: of the styles.
        layers: that the factors move.
    """
    values, axes = np.linalg.eigh(gram)
    units = axes.T[::-1][:FACTORS]
    units = units * np.sign(units[np.arange(len(units)), np.abs(units).argmax(1)])[:, None]
    variances = np.einsum("fi,ij,fj->f", units, covariance, units).clip(0)
    vectors = units * np.sqrt(variances)[:, None]
    shares = [variances / max(np.trace(covariance), 1e-12), values[::-1][: len(units)] / max(values.sum(), 1e-12)]
    return Factors(layers, vectors, *shares)


def moved_styles(styles: Tensor, vector: np.ndarray, layers: Sequence[int], count: int) -> Tensor:
    """Styles of each layer (N, count, w_dim): those of (N, w_dim), in some layers moved by a vector (w_dim,)."""
    moved = styles[:, None].repeat(1, count, 1)
    moved[:, list(layers)] += torch.from_numpy(np.float32(vector))
    return moved


def moved_figures(
    sampler: Sampler,
    styles: Tensor,
    factors: Factors,
    segmenter: Segmenter | None,
    apart: Mapping[str, float],
) -> list[dict[str, Any]]:
    """What each factor moves, between portraits `REACH` deviations to both sides of styles (N, w_dim)."""
    figures = []
    for vector, variance, strength in zip(factors.vectors, factors.variance, factors.strength, strict=True):
        low, high = (
            see(sampler.generate(moved_styles(styles, x * vector, factors.layers, sampler.generator.layers)), segmenter)
            for x in (-REACH, REACH)
        )
        shares = {"variance": float(variance), "strength": float(strength)}
        figures.append(shares | what_moves(low, high, segmenter.classes if segmenter else None, apart))
    return figures


def what_moves(low: Seen, high: Seen, classes: ClassTable | None, apart: Mapping[str, float]) -> dict[str, Any]:
    """What differs between portraits on both sides of a factor.

    Returns:
        - `l1`: as a share of that between two portraits.
        - `effects`: those of `effects`, as shares of those between two portraits; what is not there is left out.
        - `largest`: the largest of these, and `concentration`, its share of the sum of all.
        - `moves`: the share of the squared change in each class of the masks.

        Without masks there is `l1` alone.
    """
    by_name = {name: value / apart[name] for name, value in effects(low, high, classes).items() if apart.get(name)}
    l1 = by_name.pop("l1", None)
    figures: dict[str, Any] = {"l1": l1}
    if classes is None:
        return figures
    total = sum(by_name.values())
    largest = max(by_name, key=lambda name: by_name[name]) if total else None
    return figures | {
        "effects": by_name,
        "largest": largest,
        "concentration": by_name[largest] / total if largest else None,
        "moves": change_by_class(low, high.images, classes),
    }


def effects(a: Seen, b: Seen, classes: ClassTable | None) -> dict[str, float]:
    """How far portraits are from others: `l1`, CIEDE2000 as `hair color`, and 1 - IoU of a class as `hair shape`."""
    near = nearness(a, b, classes)
    colors = {f"{region} color": value for region, value in near.get("colors", {}).items() if value is not None}
    shapes = {f"{name} shape": 1 - value for name, value in near.get("iou", {}).items() if value is not None}
    return {"l1": near["l1"]} | colors | shapes


def factor_grid(
    sampler: Sampler, styles: Tensor, kinds: Mapping[str, Factors], figures: Mapping[str, Any]
) -> Image.Image:
    """For each kind a block of rows, the n-th the portrait of the n-th seed moved along the n-th factor."""
    blocks = []
    for kind, (layers, vectors, *_) in kinds.items():
        rows, captions = [], []
        for index, vector in enumerate(vectors):
            start = styles[index : index + 1]
            path = [moved_styles(start, x * vector, layers, sampler.generator.layers) for x in SHOWN]
            rows.append(list(sampler.generate(torch.cat(path))))
            largest = figures[kind]["factors"][index].get("largest") or ""
            captions.append(f"{kind.replace('_', ' ')} {index + 1}  {largest}".rstrip())
        blocks.append(image_grid(rows, [f"{x:+d}" if x else "0" for x in SHOWN], captions, CELL))
    columns = [side_by_side(column, across=False) for column in (blocks[:2], blocks[2:])]
    return side_by_side(columns, across=True)


def side_by_side(pictures: Sequence[Image.Image], *, across: bool) -> Image.Image:
    """Pictures from left to right, their upper edges in line, or from top to bottom, their right edges in line."""
    widths, heights = [p.width for p in pictures], [p.height for p in pictures]
    width, height = (sum(widths), max(heights)) if across else (max(widths), sum(heights))
    sheet = Image.new("RGB", (width, height), PAPER)
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (sum(widths[:index]), 0) if across else (width - picture.width, sum(heights[:index])))
    return sheet
