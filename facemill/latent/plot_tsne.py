"""Latents in a plane, how true it is to them, and how pure their neighborhoods are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from openTSNE import TSNE
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.manifold import trustworthiness as _trust
from sklearn.neighbors import NearestNeighbors

from facemill.errors import UserError
from facemill.imaging.figures import plot
from facemill.imaging.palettes import rgb

PLACES = ["x", "y", "pca_x", "pca_y"]
PLANE_SCHEMA = pa.schema(
    [("id", pa.string()), *((place, pa.float32()) for place in PLACES), ("hair_color", pa.string())]
)
"""Rows of `tsne.parquet`: a portrait's place in the t-SNE plane and in the PCA plane, and its hair color or null."""

NEIGHBORS = 10
"""Nearest neighbors that count for the purity."""

PERPLEXITY = 30
CANVAS, THUMBNAIL, BORDER = 1000, 40, 4
"""Longer side of the thumbnails' canvas, side of a thumbnail, width of its border; in pixels."""
FRAMED = THUMBNAIL + 2 * BORDER

NAMELESS = "#e4e4e8"
"""Color of portraits whose hair has no name."""


def tsne(latents: np.ndarray, seed: int) -> np.ndarray:
    """Places latents (N, Z) in a plane, float32 (N, 2), as openTSNE does with its defaults and this seed.

    Runs on one thread: the sums of several would depend on their number. Raises `UserError` for fewer than four latents.
    """
    if len(latents) < 4:
        raise UserError(f"t-SNE: found {len(latents)} latents; accepted: at least 4")
    perplexity = min(PERPLEXITY, (len(latents) - 1) / 3)
    return np.asarray(TSNE(perplexity=perplexity, random_state=seed, n_jobs=1).fit(latents), np.float32)


def pca(latents: np.ndarray) -> tuple[np.ndarray, float]:
    """The latents (N, Z) on their first two principal axes, float32 (N, 2), and the share of variance along these."""
    model = PCA(2, svd_solver="full").fit(latents)
    return np.float32(model.transform(latents)), float(model.explained_variance_ratio_.sum())


def trustworthiness(latents: np.ndarray, plane: np.ndarray) -> float | None:
    """How far neighbors in the plane are neighbors in latent space: from 0 to 1 (Venna and Kaski 2001).

    `NEIGHBOURS` of each count; None where there are too few latents for that.
    """
    return None if len(latents) < 4 else float(_trust(latents, plane, n_neighbors=_neighbors(len(latents) // 2)))


def _neighbors(others: int) -> int:
    return min(NEIGHBORS, others - 1)


def purity(latents: np.ndarray, names: Sequence[str | None]) -> dict[str, float | int | None]:
    """How alike the hair colors of neighbors are in latent space (not in the plane); the nameless are left out.

    Returns:
        `purity`: the share of a latent's ten nearest neighbors (Euclidean, itself not among them) that have its hair
        color, averaged; `majority`: the share of the most frequent hair color, which is what neighbors without any
        order reach at most; `images`: how many latents were counted. Both shares are None for fewer than two latents.
    """
    kept = [i for i, name in enumerate(names) if name is not None]
    if len(kept) < 2:
        return {"purity": None, "majority": None, "images": len(kept)}
    points, colors = np.asarray(latents)[kept], np.array([names[i] for i in kept])
    nearest = NearestNeighbors(n_neighbors=_neighbors(len(kept))).fit(points).kneighbors(return_distance=False)
    return {
        "purity": float((colors[nearest] == colors[:, None]).mean()),
        "majority": Counter(colors).most_common(1)[0][1] / len(kept),
        "images": len(kept),
    }


def discriminant_purity(
    latents: np.ndarray, names: Sequence[str | None], kept_out: np.ndarray
) -> dict[str, float | int | None]:
    """The purity where distances are measured along the directions that tell hair colors apart.

    A latent says everything about a portrait, and its background says more than its hair, so that plain distances are
    mostly other things'. Linear discriminant analysis weighs the latents instead (Fisher 1936; covariance shrunk after
    Ledoit and Wolf); it is fitted without the latents that are `kept_out`, bool (N,), and for these alone the share of
    the same color among their ten nearest neighbors of the fitted ones is counted.

    Returns:
        `discriminant_purity`, and how many latents were asked, `discriminant_images`; None and 0 where none can be.
    """
    colors = np.array([name or "" for name in names], object)
    fitted, asked = (colors != "") & ~kept_out, (colors != "") & kept_out
    counts = Counter(colors[fitted])
    usable = np.isin(colors, [name for name, count in counts.items() if count > 1])
    fitted, asked = fitted & usable, asked & usable
    if len(set(colors[fitted])) < 2 or not asked.any():
        return {"discriminant_purity": None, "discriminant_images": 0}
    points = np.asarray(latents, float)
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(points[fitted], colors[fitted].astype(str))
    neighbors = NearestNeighbors(n_neighbors=min(NEIGHBORS, int(fitted.sum()))).fit(model.transform(points[fitted]))
    nearest = neighbors.kneighbors(model.transform(points[asked]), return_distance=False)
    same = colors[fitted][nearest] == colors[asked][:, None]
    return {"discriminant_purity": float(same.mean()), "discriminant_images": int(asked.sum())}


@dataclass(frozen=True)
class Frame:
    """A canvas on which a plane is drawn."""

    center: np.ndarray
    """Of the plane, in its own units, (2,)."""
    size: np.ndarray
    """Width and height in pixels, int (2,)."""
    scale: float
    """Units of the plane in a pixel."""

    def pixels(self, plane: np.ndarray) -> np.ndarray:
        """Where places (N, 2) are on the canvas, x and y from its upper left corner."""
        return self.size / 2 + (plane - self.center) / self.scale * [1, -1]

    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top of the canvas, in the plane's units."""
        (left, bottom), (right, top) = (self.center + side * self.size * self.scale / 2 for side in (-1, 1))
        return left, right, bottom, top


def frame(plane: np.ndarray) -> Frame:
    """The canvas that shows all places (N, 2) with room for a thumbnail around each."""
    low, high = plane.min(0), plane.max(0)
    scale = float((high - low).max()) / (CANVAS - FRAMED)
    return Frame((low + high) / 2, np.maximum((high - low) / scale + FRAMED, CANVAS / 2).round().astype(int), scale)


def spread(plane: np.ndarray) -> list[int]:
    """Indices of places (N, 2) whose thumbnails hardly cover each other: each in turn, where there is still room."""
    centers = frame(plane).pixels(plane)
    chosen: list[int] = []
    for i, center in enumerate(centers):
        if not chosen or np.abs(centers[chosen] - center).max(1).min() > 0.8 * FRAMED:
            chosen.append(i)
    return chosen


def plot_plane(
    path: Path,
    plane: np.ndarray,
    principal: np.ndarray,
    names: Sequence[str | None],
    colors: Mapping[str, str],
    thumbnails: Mapping[int, np.ndarray],
) -> None:
    """Writes planes side by side: t-SNE as dots in their hair color and as portraits framed in it, PCA as dots.

    Args:
        plane: by t-SNE, float (N, 2).
        principal: by PCA, float (N, 2).
        names: the hair color of each place, or None.
        colors: a display color (hex) for each name.
        thumbnails: portraits, uint8 RGB (H, W, 3), by their index in the plane.
    """
    view = frame(plane)
    centers = view.pixels(plane)
    canvas = np.full((view.size[1], view.size[0], 3), 255, np.uint8)
    for i, pixels in thumbnails.items():
        _stamp(canvas, pixels, centers[i], colors.get(names[i], NAMELESS))

    width, height = view.size / 110
    with plot(path, 3 * width, height + 1, ncols=3) as (figure, (left, middle, right)):
        _draw_dots(left, plane, names, colors)
        middle.imshow(canvas, extent=view.extent())
        _draw_dots(right, principal, names, colors, labelled=False)
        for axes, extent in ((left, view.extent()), (middle, view.extent()), (right, frame(principal).extent())):
            axes.axis(extent)
            axes.set_aspect("equal")
            axes.axis("off")
        left.set_title(f"t-SNE of {len(plane)} latents by hair color")
        middle.set_title(f"{len(thumbnails)} of the portraits, framed in their hair color")
        right.set_title("The same latents on their first two principal axes")
        figure.legend(loc="outside lower center", ncols=7, frameon=False)


def _draw_dots(
    axes: Axes, plane: np.ndarray, names: Sequence[str | None], colors: Mapping[str, str], labelled: bool = True
) -> None:
    for name, color in [*colors.items(), (None, NAMELESS)]:
        of_name = [i for i, other in enumerate(names) if other == name]
        label = f"{(name or 'no name').replace('_', ' ')} ({len(of_name)})" if labelled else None
        if of_name:
            axes.scatter(*plane[of_name].T, s=26, color=color, edgecolor="#40404c", linewidth=0.4, label=label)


def _stamp(canvas: np.ndarray, pixels: np.ndarray, center: np.ndarray, color: str) -> None:
    thumbnail = cv2.resize(pixels, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    border = [round(255 * channel) for channel in rgb(color)]
    framed = cv2.copyMakeBorder(thumbnail, *[BORDER] * 4, cv2.BORDER_CONSTANT, value=border)
    x, y = np.clip(center - FRAMED / 2, 0, np.array(canvas.shape[1::-1]) - FRAMED).astype(int)
    canvas[y : y + FRAMED, x : x + FRAMED] = framed
