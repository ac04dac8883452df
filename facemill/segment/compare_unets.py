"""U-Net versions compared on the same test portraits: scores, plots, and the portraits on which they differ."""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import PowerNorm

from facemill.data.classes import IGNORE, ClassTable
from facemill.data.shards import decode_image, decode_mask, mask_classes, read_rows
from facemill.errors import UserError
from facemill.files import write_json
from facemill.imaging.figures import colorize, image_grid, save_picture
from facemill.imaging.figures import plot as new_plot
from facemill.inference.segmenter import Segmenter
from facemill.log import log
from facemill.segment.unet_scores import evaluate_unet

SHOWN = 8
"""Portraits of the picture."""

NOT_MEASURED = "\N{EN DASH}"
"""What stands for a score that is null, as that of a class which no portrait has."""

BARS = ("#b4b9c8", "#e3a23b", "#3d6fc2", "#3f9b6d")
"""Colors of the versions, in their order."""

Summaries = Mapping[str, dict[str, Any]]
"""`UnetScores.summary` of each version, with its `gain` over the version before."""


def compare_unets(*, models: list[Path], test: Path, metrics: Path, picture: Path, plot: Path, confusion: Path) -> None:
    """Compares U-Net versions on the same test portraits: scores, plots, masks side by side.

    Portraits whose masks are ignored completely are left out.

    Args:
        models: one safetensors file a version, in folders named as the versions.
        test: shard of labelled portraits that no version was trained on.
        metrics: JSON of the scores by version.
        picture: PNG of portraits, true masks and each version's masks.
        plot: PNG of the scores as bars.
        confusion: PNG of the confusion matrices.
    """
    classes = mask_classes([test])
    rows = [row | {"truth": decode_mask(row["mask"]["bytes"], classes)} for row in read_rows([test])]
    rows = [row for row in rows if (row["truth"] != IGNORE).any()]
    if not rows:
        raise UserError(f"{test}: holds no labelled portraits to compare on; raise labels.test or label more")
    images, truths = [decode_image(row["image"]["bytes"]) for row in rows], [row["truth"] for row in rows]
    versions = {path.parent.name: evaluate_unet(Segmenter.load(path, classes), images, truths) for path in models}
    summaries = {name: scores.summary() for name, scores in versions.items()}
    for before, name in pairwise(versions):
        summaries[name]["gain"] = versions[name].gain_over(versions[before])
    write_json(metrics, summaries)
    for sentence in gain_sentences(summaries):
        log.info("%s", sentence)
    plot_scores(plot, summaries, classes)
    plot_confusion(confusion, summaries, classes)

    masks = [scores.masks for scores in versions.values()]
    examples = select_examples(masks, SHOWN)
    grid = [[images[i], *(colorize(column[i], classes) for column in [truths, *masks])] for i in examples]
    captions = [rows[i]["id"] for i in examples]
    save_picture(image_grid(grid, ["portrait", "truth", *versions], captions, cell=150), picture)


def select_examples(masks: Sequence[Sequence[np.ndarray]], limit: int) -> list[int]:
    """Indices of portraits to show: half with the most disagreement between versions, then typical ones.

    Disagreement is the share of pixels on which two versions differ, summed over their pairs; typical portraits are
    nearest to its median.

    Args:
        masks: class ids by version and portrait.
        limit: number of portraits.
    """
    pairs = list(combinations(masks, 2))
    disagreement = np.array([sum(np.mean(a[i] != b[i]) for a, b in pairs) for i in range(len(masks[0]))])
    most = np.argsort(-disagreement, kind="stable")[: limit // 2].tolist()
    typical = np.argsort(np.abs(disagreement - np.median(disagreement)), kind="stable").tolist()
    return (most + [i for i in typical if i not in most])[:limit]


def overlapping(summaries: Summaries) -> list[tuple[str, str]]:
    """The pairs of versions whose intervals of the mean IoU overlap: the test portraits do not distinguish them."""
    ends = {name: summary["interval"]["miou"] for name, summary in summaries.items()}
    return [(a, b) for a, b in combinations(ends, 2) if ends[a][0] <= ends[b][1] and ends[b][0] <= ends[a][1]]


def gain_sentences(summaries: Summaries) -> list[str]:
    """A sentence for each version after the first: whether it beats the version before, and by how much."""
    sentences = []
    for before, name in pairwise(summaries):
        gain = summaries[name]["gain"]
        low, high = gain["interval"]
        verb = "beats" if low > 0 else "does not beat"
        sentences.append(f"{name} {verb} {before} ({gain['miou']:+.3f}, 95% {low:+.3f} to {high:+.3f})")
    return sentences


def plot_confusion(path: Path, summaries: Summaries, classes: ClassTable) -> None:
    """Plots the confusion matrix of each version, in percent of the true class's pixels."""
    names, side = classes.names, max(4.4, 0.55 * len(classes))
    with new_plot(path, side * len(summaries), side, ncols=len(summaries), squeeze=False) as (_, [panels]):
        for axes, (version, summary) in zip(panels, summaries.items(), strict=True):
            matrix = np.array([summary["confusion"][name] for name in names]) * 100
            axes.imshow(matrix, cmap="Blues", norm=PowerNorm(0.4, 0, 100))
            for y, x in np.ndindex(matrix.shape):
                text = f"{matrix[y, x]:.1f}" if matrix[y, x] < 99.95 else "100"
                color = "white" if matrix[y, x] > 25 else "#333"
                axes.text(x, y, text, ha="center", va="center", fontsize=8, color=color)
            axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
            axes.set_yticks(range(len(names)), names)
            axes.set_title(f"{version}: true class (rows), predicted class (columns), %", fontsize=10)
            axes.spines[:].set_visible(False)
            axes.tick_params(length=0)


def plot_scores(path: Path, summaries: Summaries, classes: ClassTable) -> None:
    """Plots IoU by class as bars, with intervals, and a panel for each other score."""
    panels = {
        "boundary_iou": "boundary IoU (2% of the diagonal)",
        "specks": "specks per portrait",
        "checkerboard": "checkerboard (1 is none)",
    }
    colors = [BARS[i % len(BARS)] for i in range(len(summaries))]
    iou_panel = (1 + len(classes)) / 2  # in widths of the other panels
    width = 15 * (iou_panel + 3) / 7
    with new_plot(path, width, 4.2, ncols=4, width_ratios=[iou_panel, 1, 1, 1]) as (_, (iou_axes, *score_axes)):
        _plot_iou(iou_axes, summaries, classes, colors)
        for axes, (key, title) in zip(score_axes, panels.items(), strict=True):
            values = [summary[key] for summary in summaries.values()]
            bars = axes.bar(list(summaries), [value or 0 for value in values], 0.65, color=colors)
            axes.bar_label(bars, [NOT_MEASURED if value is None else f"{value:.3g}" for value in values], fontsize=9)
            axes.set_title(title, fontsize=10)
        score_axes[2].axhline(1, color="black", linewidth=0.8, linestyle=":")


def _plot_iou(axes: Any, summaries: Summaries, classes: ClassTable, colors: Sequence[str]) -> None:
    """Plots the mean IoU and that of each class, a bar for each version."""
    width = 0.8 / len(summaries)
    for i, (version, summary) in enumerate(summaries.items()):
        ious = [summary["miou"], *(summary["iou"][name] for name in classes.names)]
        values = [iou or 0 for iou in ious]
        intervals = [summary["interval"][name] or [0, 0] for name in ["miou", *classes.names]]
        x = np.arange(len(values)) + (i - (len(summaries) - 1) / 2) * width
        errors = np.abs(np.array(intervals).T - values)
        style = {"color": colors[i], "error_kw": {"elinewidth": 0.8, "ecolor": "#444"}}
        axes.bar(x, values, width, yerr=errors, label=version, **style)
        for left, iou, (_, high) in zip(x, ious, intervals, strict=True):
            text = NOT_MEASURED if iou is None else f"{iou:.2f}"[1:] if iou < 0.995 else "1"
            axes.text(left, high + 0.01, text, ha="center", fontsize=7)
    axes.set_xticks(range(1 + len(classes)), ["mean", *classes.names])
    for tick, color in zip(axes.get_xticklabels()[1:], classes.colors, strict=True):
        tick.set_bbox({"facecolor": [c / 255 for c in color], "edgecolor": "none", "alpha": 0.45, "pad": 2})
    axes.set_ylim(0, 1.05)
    pairs = ", ".join(f"{a} and {b}" for a, b in overlapping(summaries)) or "none"
    title = f"IoU on test portraits, 95% intervals (of the mean, overlapping: {pairs})"
    axes.set_title("\n".join([title, *gain_sentences(summaries)]), loc="left", fontsize=9)
    axes.legend(ncols=len(summaries), loc="lower right", bbox_to_anchor=(1, 1), frameon=False, borderpad=0)
