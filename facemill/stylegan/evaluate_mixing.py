"""What the layers of a StyleGAN carry: portraits with some layers' styles from others, in masks and colors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facemill.data.classes import ClassTable
from facemill.files import write_json
from facemill.imaging.colors import REGIONS
from facemill.imaging.figures import image_grid, save_picture
from facemill.inference.sampler import Sampler
from facemill.inference.segmenter import Segmenter
from facemill.metrics.style import color_errors
from facemill.networks.stylegan2 import StyleGenerator
from facemill.stylegan.asked import mix
from facemill.stylegan.seen import Seen, change_by_class, mean_errors, nearness, see

PAIRS = 256
"""Portraits of seeds that are mixed, each with the one that is as many seeds further."""
COARSE, FINE = 8, 64
"""Widths of the largest maps of coarse layers and of the smallest of fine ones (Karras et al. 2019, figure 3)."""
SHOWN_ROWS, SHOWN_COLUMNS = 3, 6
CELL = 128


def evaluate_mixing(*, model: Path, unet: Path | None = None, truncation: float, metrics: Path, picture: Path) -> None:
    """Mixes portraits of seeds: rows, seeds 0 to n - 1, get some layers' styles from columns, the n seeds after these.

    For each range of layers and each class and region `carries` is the share of the way from row to column that these
    layers lead: 0 where the mixed portrait has the row's, 1 where it has the column's.

    Args:
        model: the generator, a safetensors file.
        unet: a U-Net that sees masks, where there are any.
        truncation: of the styles.
        metrics: JSON of the figures.
        picture: PNG of rows by columns for each range of layers.
    """
    sampler = Sampler.load(model)
    segmenter = Segmenter.load(unet) if unet else None
    classes = segmenter.classes if segmenter else None
    rows, columns = sampler.truncated(range(2 * PAIRS), truncation).split(PAIRS)
    row, column = (see(sampler.generate(styles), segmenter) for styles in (rows, columns))
    ranges = layer_ranges(sampler.generator)
    figures: dict[str, Any] = {"pairs": PAIRS, "truncation": truncation, "unmixed": nearness(row, column, classes)}
    for name, layers in ranges.items():
        mixed = see(sampler.generate(mixed_styles(rows, columns, layers, sampler.generator.layers)), segmenter)
        figures[name] = {"layers": layers} | carried(mixed, row, column, classes)
    write_json(metrics, figures)
    save_picture(mixing_grid(sampler, ranges, truncation), picture)


def layer_ranges(generator: StyleGenerator) -> dict[str, list[int]]:
    """The generator's layers by the width of their maps: `coarse`, `middle` and `fine`; the last RGB is a fine one."""
    widths = [width for _, width in generator.sides()] + [generator.width]
    fine = min(FINE, generator.width)
    kinds = ["coarse" if width <= COARSE else "fine" if width >= fine else "middle" for width in widths]
    return {kind: [i for i, k in enumerate(kinds) if k == kind] for kind in dict.fromkeys(kinds)}


def mixed_styles(rows: Tensor, columns: Tensor, layers: Sequence[int], count: int) -> Tensor:
    """Styles (N, count, w_dim) of rows (N, w_dim), with those of columns (N, w_dim) in some layers."""
    return torch.stack([mix(row, column, layers, count) for row, column in zip(rows, columns, strict=True)])


def carried(mixed: Seen, row: Seen, column: Seen, classes: ClassTable | None) -> dict[str, Any]:
    """How near mixed portraits are to their rows and columns, and what they have from which.

    Returns:
        - `row`, `column`: see `nearness`.
        - `carries`: the distance to the row, as a share of the distances to both: of `pixels` (L1), of the `mask` and
          each of its classes (1 - IoU), of the `colors` of each region (CIEDE2000).
        - `moves`: the share of the squared change from the row in each class of its mask.
    """
    of_row, of_column = nearness(mixed, row, classes), nearness(mixed, column, classes)
    carries: dict[str, Any] = {"pixels": _share(of_row["l1"], of_column["l1"])}
    figures = {"row": of_row, "column": of_column, "carries": carries}
    if classes is None:
        return figures
    carries["mask"] = _share(1 - of_row["mask_iou"], 1 - of_column["mask_iou"])
    carries["classes"] = {
        name: None if iou is None or of_column["iou"][name] is None else _share(1 - iou, 1 - of_column["iou"][name])
        for name, iou in of_row["iou"].items()
    }
    errors = np.stack([color_errors(mixed.colors, other.colors) for other in (row, column)])
    errors[:, np.isnan(errors).any(0)] = np.nan  # of portraits of which all three have the region
    carries["colors"] = dict(zip(REGIONS, map(_share, *map(mean_errors, errors)), strict=True))
    return figures | {"moves": change_by_class(row, mixed.images, classes)}


def _share(to_row: float, to_column: float) -> float | None:
    total = to_row + to_column
    return to_row / total if total > 0 else None


def mixing_grid(sampler: Sampler, ranges: dict[str, list[int]], truncation: float) -> Image.Image:
    """The first seeds' portraits as rows, with the layers of each range from those of the next seeds, the columns."""
    generator = sampler.generator
    styles = sampler.truncated(range(SHOWN_ROWS + SHOWN_COLUMNS), truncation)
    rows, columns = styles.split([SHOWN_ROWS, SHOWN_COLUMNS])
    sides = [*generator.sides(), (generator.height, generator.width)]
    grid: list[list[np.ndarray | None]] = [[None, *sampler.generate(columns)]]
    captions = [""]
    for name, layers in ranges.items():
        first, last = sides[layers[0]][0], sides[layers[-1]][0]
        for index, row in enumerate(rows):
            mixed = mixed_styles(row.expand(len(columns), -1), columns, layers, generator.layers)
            grid.append([sampler.generate(row[None])[0], *sampler.generate(mixed)])
            captions.append("" if index else f"{name}, {first if first == last else f'{first} to {last}'} px")
    return image_grid(grid, captions=captions, cell=max(CELL // generator.height, 1) * generator.height)
