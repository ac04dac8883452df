"""U-Net versions on the same test portraits: their faults in numbers, and the portraits that show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from facemill.classes import CLASSES, COLORS
from facemill.figures import plot
from facemill.segment import metrics
from facemill.segment.predict import BATCH, batched, logits_of
from facemill.segment.unet import Unet

BARS = ("#b4b9c8", "#e3a23b", "#3d6fc2", "#3f9b6d")
"""Colours of the versions, in their order."""


@dataclass
class Measured:
    """One version on N test portraits, measured one by one so that any subset can be summed up."""

    masks: list[np.ndarray]
    confusion: np.ndarray
    """int64 (N, classes, classes)"""
    boundary: np.ndarray
    """int64 (N, classes, 2): intersections and unions of the boundary bands"""
    specks: np.ndarray
    """int64 (N,)"""
    checkerboard: np.ndarray
    """float64 (N,)"""

    def summary(self) -> dict[str, Any]:
        """The numbers of `comparison.json`: IoUs from pixels summed over the portraits, means of the others.

        A class that no portrait holds, in truth or prediction, has a null IoU. `miou_spread` is the standard deviation
        over portraits of the mean IoU within one.
        """
        each = metrics.iou(self.confusion.sum(0))
        within = [np.nanmean(metrics.iou(one)) for one in self.confusion]
        return {
            "miou": float(np.nanmean(each)),
            "iou": {name: None if np.isnan(value) else float(value) for name, value in zip(CLASSES, each, strict=True)},
            "boundary_iou": float(np.nanmean(metrics.ratio(self.boundary.sum(0)))),
            "specks": float(self.specks.mean()),
            "checkerboard": float(self.checkerboard.mean()),
            "test_images": len(self.masks),
            "miou_spread": float(np.std(within)),
        }


def measure(unet: Unet, images: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> Measured:
    """Runs the network on uint8 RGB images (S, S, 3) and measures it against masks, uint8 (S, S)."""
    logits = [one for batch in batched(images, BATCH) for one in logits_of(unet, batch).cpu().numpy()]
    masks = [one.argmax(0).astype(np.uint8) for one in logits]
    pairs = list(zip(masks, truths, strict=True))
    return Measured(
        masks=masks,
        confusion=np.stack([metrics.confusion(mask, truth) for mask, truth in pairs]),
        boundary=np.stack([metrics.boundary(mask, truth) for mask, truth in pairs]),
        specks=np.array([metrics.specks(mask, truth) for mask, truth in pairs]),
        checkerboard=np.array([metrics.checkerboard(one) for one in logits]),
    )


def telling(masks: Sequence[Sequence[np.ndarray]], limit: int) -> list[int]:
    """Which portraits to show, from masks by version and portrait: half of them the most disputed, half typical.

    Disputed: the most pixels on which two versions differ; typical: nearest to the median of that.
    """
    pairs = list(combinations(masks, 2))
    disputed = np.array([sum(np.mean(a[i] != b[i]) for a, b in pairs) for i in range(len(masks[0]))])
    most = np.argsort(-disputed, kind="stable")[: limit // 2].tolist()
    typical = np.argsort(np.abs(disputed - np.median(disputed)), kind="stable").tolist()
    return (most + [i for i in typical if i not in most])[:limit]


def plot_comparison(path: Path, versions: Mapping[str, dict[str, Any]]) -> None:
    """Draws the summaries: IoU per class as bars by version, and a small panel for each other number."""
    panels = {
        "boundary_iou": "boundary IoU (2 px)",
        "specks": "specks per portrait",
        "checkerboard": "checkerboard (1 is none)",
    }
    colors = [BARS[i % len(BARS)] for i in range(len(versions))]
    with plot(path, 15, 4.2, ncols=4, width_ratios=[4, 1, 1, 1]) as (_, (by_class, *small)):
        names = ["mean", *CLASSES]
        width = 0.8 / len(versions)
        for i, (version, numbers) in enumerate(versions.items()):
            values = [numbers["miou"], *(numbers["iou"][name] or 0 for name in CLASSES)]
            places = np.arange(len(names)) + (i - (len(versions) - 1) / 2) * width
            by_class.bar(places, values, width, color=colors[i], label=version)
            for x, value in zip(places, values, strict=True):
                by_class.text(x, value + 0.01, f"{value:.2f}"[1:] if value < 0.995 else "1", ha="center", fontsize=7)
        by_class.set_xticks(range(len(names)), names)
        for tick, color in zip(by_class.get_xticklabels()[1:], COLORS, strict=True):
            tick.set_bbox({"facecolor": [c / 255 for c in color], "edgecolor": "none", "alpha": 0.45, "pad": 2})
        by_class.set_ylim(0, 1.05)
        by_class.set_title("IoU on test portraits", loc="left", fontsize=10)
        by_class.legend(ncols=len(versions), loc="lower right", bbox_to_anchor=(1, 1), frameon=False, borderpad=0)
        for axes, (key, title) in zip(small, panels.items(), strict=True):
            bars = axes.bar(list(versions), [numbers[key] for numbers in versions.values()], 0.65, color=colors)
            axes.bar_label(bars, fmt="%.3g", fontsize=9)
            axes.set_title(title, fontsize=10)
        small[2].axhline(1, color="black", linewidth=0.8, linestyle=":")
