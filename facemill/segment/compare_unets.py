"""U-Net versions on the same test portraits: their faults in numbers, and the portraits that show them."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import PowerNorm

from facemill.data.classes import CLASSES, COLORS
from facemill.imaging.figures import plot
from facemill.inference.segmenter import BATCH, batched, logits_of
from facemill.metrics import segmentation as metrics
from facemill.networks.unet import Unet

RESAMPLES = 1000
"""How often the test portraits are drawn anew, with replacement, for an interval."""

BARS = ("#b4b9c8", "#e3a23b", "#3d6fc2", "#3f9b6d")
"""Colors of the versions, in their order."""


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

        A class that no portrait holds, in truth or prediction, has a null IoU. `miou_std` is the standard deviation
        over portraits of the mean IoU within one. `interval` holds 95% bootstrap intervals of `miou` and of each IoU;
        `confusion` for each true class the shares of its pixels that became each class.
        """
        each = metrics.iou(self.confusion.sum(0))
        low, high = self.intervals().tolist()
        within = [np.nanmean(metrics.iou(one)) for one in self.confusion]
        return {
            "miou": float(np.nanmean(each)),
            "iou": {name: None if np.isnan(value) else float(value) for name, value in zip(CLASSES, each, strict=True)},
            "boundary_iou": float(np.nanmean(metrics.ratio(self.boundary.sum(0)))),
            "specks": float(self.specks.mean()),
            "checkerboard": float(self.checkerboard.mean()),
            "confusion": dict(zip(CLASSES, shares(self.confusion.sum(0)).round(5).tolist(), strict=True)),
            "test_images": len(self.masks),
            "miou_std": float(np.std(within)),
            "interval": {
                name: None if np.isnan(ends).any() else list(ends)
                for name, *ends in zip(["miou", *CLASSES], low, high, strict=True)
            },
        }

    def intervals(self) -> np.ndarray:
        """95% percentile intervals of the mean IoU and of each class's: float64 (2, 1 + classes).

        Portraits are what is drawn: a bootstrap over pixels would take neighbors for independent (Efron 1979,
        https://doi.org/10.1214/aos/1176344552). The same seed for every version, so that all see the same draws.
        """
        each = self._resampled()
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # classes that no portrait holds
            return np.nanpercentile(np.column_stack([np.nanmean(each, 1), each]), [2.5, 97.5], axis=0)

    def _resampled(self) -> np.ndarray:
        """IoU of each class on portraits drawn anew: float64 (RESAMPLES, classes)."""
        n = len(self.confusion)
        draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES)
        return np.array([metrics.iou(one) for one in np.einsum("rn,nij->rij", draws, self.confusion)])

    def gain_over(self, other: "Measured") -> dict[str, Any]:
        """By how much the mean IoU is higher than another version's on the same portraits, with a 95% interval.

        The interval is of the difference, portraits drawn for both at once, and so is far narrower than those of the
        two mean IoUs: what is hard for one version is hard for the other.
        """
        gain, drawn = (
            np.nanmean(mine, -1) - np.nanmean(its, -1)
            for mine, its in (
                (metrics.iou(self.confusion.sum(0)), metrics.iou(other.confusion.sum(0))),
                (self._resampled(), other._resampled()),
            )
        )
        return {"miou": float(gain), "interval": np.percentile(drawn, [2.5, 97.5]).tolist()}


def shares(confusion: np.ndarray) -> np.ndarray:
    """Each true class's pixels by predicted class, as shares: float64 (classes, classes), rows of 0 for no pixels."""
    return confusion / np.maximum(confusion.sum(1, keepdims=True), 1)


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


def overlaps(summaries: Mapping[str, dict[str, Any]]) -> list[tuple[str, str]]:
    """The pairs of versions whose intervals of the mean IoU overlap: these test portraits do not tell them apart."""
    ends = {name: numbers["interval"]["miou"] for name, numbers in summaries.items()}
    return [(a, b) for a, b in combinations(ends, 2) if ends[a][0] <= ends[b][1] and ends[b][0] <= ends[a][1]]


def said_of_gains(summaries: Mapping[str, dict[str, Any]]) -> list[str]:
    """For each version after the first a sentence: does it beat the one before, and by how much."""
    said = []
    for before, (name, numbers) in zip(summaries, list(summaries.items())[1:], strict=False):
        gain, (low, high) = numbers["gain"]["miou"], numbers["gain"]["interval"]
        verb = "beats" if low > 0 else "does not beat"
        said.append(f"{name} {verb} {before} ({gain:+.3f}, 95% {low:+.3f} to {high:+.3f})")
    return said


def plot_confusion(path: Path, versions: Mapping[str, dict[str, Any]]) -> None:
    """Draws what became of each class's pixels, in percent, a matrix for each version."""
    with plot(path, 4.4 * len(versions), 4.4, ncols=len(versions), squeeze=False) as (_, [panels]):
        for axes, (version, numbers) in zip(panels, versions.items(), strict=True):
            matrix = np.array([numbers["confusion"][name] for name in CLASSES]) * 100
            axes.imshow(matrix, cmap="Blues", norm=PowerNorm(0.4, 0, 100))
            for y, x in np.ndindex(matrix.shape):
                text = f"{matrix[y, x]:.1f}" if matrix[y, x] < 99.95 else "100"
                axes.text(
                    x, y, text, ha="center", va="center", fontsize=8, color="white" if matrix[y, x] > 25 else "#333"
                )
            axes.set_xticks(range(len(CLASSES)), CLASSES, rotation=40, ha="right")
            axes.set_yticks(range(len(CLASSES)), CLASSES)
            axes.set_title(f"{version}: true class (rows) seen as, %", fontsize=10)
            axes.spines[:].set_visible(False)
            axes.tick_params(length=0)


def plot_comparison(path: Path, versions: Mapping[str, dict[str, Any]]) -> None:
    """Draws the summaries: IoU per class as bars by version, with intervals, and a panel for each other number."""
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
            ends = [numbers["interval"][name] or [0, 0] for name in ["miou", *CLASSES]]
            errors = np.abs(np.array(ends).T - values)
            style = {"color": colors[i], "error_kw": {"elinewidth": 0.8, "ecolor": "#444"}}
            by_class.bar(places, values, width, yerr=errors, label=version, **style)
            for x, value, (_, high) in zip(places, values, ends, strict=True):
                by_class.text(x, high + 0.01, f"{value:.2f}"[1:] if value < 0.995 else "1", ha="center", fontsize=7)
        by_class.set_xticks(range(len(names)), names)
        for tick, color in zip(by_class.get_xticklabels()[1:], COLORS, strict=True):
            tick.set_bbox({"facecolor": [c / 255 for c in color], "edgecolor": "none", "alpha": 0.45, "pad": 2})
        by_class.set_ylim(0, 1.05)
        alike = ", ".join(f"{a} and {b}" for a, b in overlaps(versions)) or "none"
        title = f"IoU on test portraits, 95% intervals (of the mean, overlap: {alike})"
        by_class.set_title("\n".join([title, *said_of_gains(versions)]), loc="left", fontsize=9)
        by_class.legend(ncols=len(versions), loc="lower right", bbox_to_anchor=(1, 1), frameon=False, borderpad=0)
        for axes, (key, title) in zip(small, panels.items(), strict=True):
            bars = axes.bar(list(versions), [numbers[key] for numbers in versions.values()], 0.65, color=colors)
            axes.bar_label(bars, fmt="%.3g", fontsize=9)
            axes.set_title(title, fontsize=10)
        small[2].axhline(1, color="black", linewidth=0.8, linestyle=":")
