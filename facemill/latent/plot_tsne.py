"""The t-SNE map of latents, and their projection on two principal axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from openTSNE import TSNE
from sklearn.decomposition import PCA

from facemill.config.latent import TagsConfig
from facemill.data.shards import write_shard
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.files import write_json
from facemill.imaging.figures import plot
from facemill.imaging.palettes import rgb
from facemill.latent.neighborhoods import discriminant_purity, purity, trustworthiness
from facemill.latent.rows import images_of, joined_rows

MAP_SCHEMA = pa.schema(
    [("id", pa.string()), *((axis, pa.float32()) for axis in ("x", "y", "pca_x", "pca_y")), ("hair_color", pa.string())]
)
"""Rows of `tsne.parquet`: a portrait's position on the t-SNE map and by PCA, and its hair color or null."""

PERPLEXITY = 30
CANVAS, THUMBNAIL, BORDER = 1000, 40, 4
"""Longer side of the thumbnails' canvas, side of a thumbnail, width of its border; in pixels."""
FRAMED = THUMBNAIL + 2 * BORDER

NAMELESS = "#e4e4e8"
"""Color of portraits whose hair has no name."""


def plot_tsne(
    *,
    latents: list[Path],
    tags: list[Path],
    portraits: list[Path],
    tags_config: TagsConfig,
    holdout: float,
    seed: int,
    tsne: Path,
    metrics: Path,
    picture: Path,
) -> None:
    """Maps the latents by t-SNE and by PCA, and measures how faithful the maps and how pure the neighborhoods are.

    Args:
        latents: shards of latents.
        tags: shards of tags.
        portraits: shards of portraits.
        tags_config: display colors of the hair colors.
        holdout: share of the portraits that are held out.
        seed: of t-SNE.
        tsne: the table of positions to write.
        metrics: the JSON of trustworthiness and purity to write.
        picture: the maps to write.
    """
    rows = list(joined_rows((latents, ["latent"]), (tags, ["hair_color"])))
    ids, names = [row["id"] for row in rows], [row["hair_color"] for row in rows]
    points = np.array([row["latent"] for row in rows], np.float32)
    positions, (projection, variance) = embed_tsne(points, seed), project_pca(points)
    columns = zip(ids, *positions.T, *projection.T, names, strict=True)
    write_shard(tsne, [dict(zip(MAP_SCHEMA.names, row, strict=True)) for row in columns], MAP_SCHEMA)
    is_held_out = np.array([held_out(portrait_id, holdout) for portrait_id in ids])
    values = purity(points, names) | discriminant_purity(points, names, is_held_out)
    values["trustworthiness"] = trustworthiness(points, positions)
    values["pca_trustworthiness"] = trustworthiness(points, projection)
    write_json(metrics, values | {"pca_variance": variance})

    thumbnails = non_overlapping(positions)
    images = images_of(portraits, [ids[i] for i in thumbnails])
    colors = {name: typical[0] for name, typical in tags_config.hair_colors.items()}
    plot_maps(picture, positions, projection, names, colors, {i: images[ids[i]] for i in thumbnails})


def embed_tsne(latents: np.ndarray, seed: int) -> np.ndarray:
    """The t-SNE map of latents (N, Z), float32 (N, 2), by openTSNE with its defaults and this seed.

    Runs on one thread: the sums of several would depend on their number. Raises `UserError` for fewer than four.
    """
    if len(latents) < 4:
        raise UserError(f"t-SNE: found {len(latents)} latents; accepted: at least 4")
    perplexity = min(PERPLEXITY, (len(latents) - 1) / 3)
    return np.asarray(TSNE(perplexity=perplexity, random_state=seed, n_jobs=1).fit(latents), np.float32)


def project_pca(latents: np.ndarray) -> tuple[np.ndarray, float]:
    """The latents (N, Z) on their first two principal axes, float32 (N, 2), and the share of variance along these."""
    model = PCA(2, svd_solver="full").fit(latents)
    return np.asarray(model.transform(latents), np.float32), float(model.explained_variance_ratio_.sum())


@dataclass(frozen=True)
class Frame:
    """A canvas on which a map is drawn."""

    center: np.ndarray
    """In the map's units, (2,)."""
    size: np.ndarray
    """Width and height in pixels, int (2,)."""
    scale: float
    """Units of the map per pixel."""

    def pixels(self, positions: np.ndarray) -> np.ndarray:
        """Positions (N, 2) on the canvas, x and y from its upper left corner."""
        return self.size / 2 + (positions - self.center) / self.scale * [1, -1]

    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top of the canvas, in the map's units."""
        (left, bottom), (right, top) = (self.center + side * self.size * self.scale / 2 for side in (-1, 1))
        return left, right, bottom, top


def frame(positions: np.ndarray) -> Frame:
    """The canvas that shows all positions (N, 2) with room for a thumbnail around each."""
    low, high = positions.min(0), positions.max(0)
    scale = float((high - low).max()) / (CANVAS - FRAMED)
    return Frame((low + high) / 2, np.maximum((high - low) / scale + FRAMED, CANVAS / 2).round().astype(int), scale)


def non_overlapping(positions: np.ndarray) -> list[int]:
    """Indices of positions (N, 2) whose thumbnails hardly overlap: each in turn, where there is still room."""
    centers = frame(positions).pixels(positions)
    selected: list[int] = []
    for i, center in enumerate(centers):
        if not selected or np.abs(centers[selected] - center).max(1).min() > 0.8 * FRAMED:
            selected.append(i)
    return selected


def plot_maps(
    path: Path,
    positions: np.ndarray,
    projection: np.ndarray,
    names: Sequence[str | None],
    colors: Mapping[str, str],
    thumbnails: Mapping[int, np.ndarray],
) -> None:
    """Plots maps side by side: t-SNE as dots in their hair color and as portraits framed in it, PCA as dots.

    Args:
        path: the PNG to write.
        positions: by t-SNE, float (N, 2).
        projection: by PCA, float (N, 2).
        names: the hair color of each portrait, or None.
        colors: a display color (hex) for each name.
        thumbnails: portraits, uint8 RGB (H, W, 3), by their index in `positions`.
    """
    view = frame(positions)
    centers = view.pixels(positions)
    canvas = np.full((view.size[1], view.size[0], 3), 255, np.uint8)
    for i, pixels in thumbnails.items():
        _paste_framed(canvas, pixels, centers[i], colors.get(names[i] or "", NAMELESS))

    width, height = view.size / 110
    with plot(path, 3 * width, height + 1, ncols=3) as (figure, (left, middle, right)):
        _draw_dots(left, positions, names, colors)
        middle.imshow(canvas, extent=view.extent())
        _draw_dots(right, projection, names, colors, labelled=False)
        for axes, extent in ((left, view.extent()), (middle, view.extent()), (right, frame(projection).extent())):
            axes.axis(extent)
            axes.set_aspect("equal")
            axes.axis("off")
        left.set_title(f"t-SNE of {len(positions)} latents by hair color")
        middle.set_title(f"{len(thumbnails)} of the portraits, framed in their hair color")
        right.set_title("The same latents on their first two principal axes")
        figure.legend(loc="outside lower center", ncols=7, frameon=False)


def _draw_dots(
    axes: Axes, positions: np.ndarray, names: Sequence[str | None], colors: Mapping[str, str], labelled: bool = True
) -> None:
    for name, color in [*colors.items(), (None, NAMELESS)]:
        indices = [i for i, other in enumerate(names) if other == name]
        label = f"{(name or 'no name').replace('_', ' ')} ({len(indices)})" if labelled else None
        if indices:
            x, y = positions[indices].T
            axes.scatter(x, y, s=26, color=color, edgecolor="#40404c", linewidth=0.4, label=label)


def _paste_framed(canvas: np.ndarray, pixels: np.ndarray, center: np.ndarray, color: str) -> None:
    thumbnail = cv2.resize(pixels, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    border = [round(255 * channel) for channel in rgb(color)]
    framed = cv2.copyMakeBorder(thumbnail, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_CONSTANT, value=border)
    x, y = np.clip(center - FRAMED / 2, 0, np.array(canvas.shape[1::-1]) - FRAMED).astype(int)
    canvas[y : y + FRAMED, x : x + FRAMED] = framed
