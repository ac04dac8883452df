"""Neighborhoods of latents: how faithful a map is to them, and how pure they are in hair color."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.manifold import trustworthiness as sklearn_trustworthiness
from sklearn.neighbors import NearestNeighbors

NEIGHBORS = 10
"""Nearest neighbors that count, where there are so many."""


def trustworthiness(latents: np.ndarray, positions: np.ndarray) -> float | None:
    """Trustworthiness of a map (N, 2), from 0 to 1: whether its neighbors are neighbors in latent space.

    Source: Venna and Kaski 2001.

    None for fewer than four latents (N, Z).
    """
    if len(latents) < 4:
        return None
    return float(sklearn_trustworthiness(latents, positions, n_neighbors=_neighbors(len(latents) // 2)))


def _neighbors(count: int) -> int:
    return min(NEIGHBORS, count - 1)


def purity(latents: np.ndarray, names: Sequence[str | None]) -> dict[str, float | int | None]:
    """Purity in hair color of neighborhoods in latent space (not on the map); unnamed latents are left out.

    Returns:
        `purity`: the share of a latent's ten nearest neighbors (Euclidean, itself not among them) that have its hair
        color, averaged; `majority`: the share of the most frequent hair color, which is what neighbors without any
        order reach at most; `images`: the number of named latents. Both shares are None for fewer than two latents.
    """
    named = [i for i, name in enumerate(names) if name is not None]
    if len(named) < 2:
        return {"purity": None, "majority": None, "images": len(named)}
    points, colors = np.asarray(latents)[named], np.array([names[i] for i in named])
    nearest = NearestNeighbors(n_neighbors=_neighbors(len(named))).fit(points).kneighbors(return_distance=False)
    return {
        "purity": float((colors[nearest] == colors[:, None]).mean()),
        "majority": Counter(colors).most_common(1)[0][1] / len(named),
        "images": len(named),
    }


def discriminant_purity(
    latents: np.ndarray, names: Sequence[str | None], is_held_out: np.ndarray
) -> dict[str, float | int | None]:
    """The purity where distances are measured along the directions that separate hair colors.

    A latent holds everything about a portrait, and more about its background than about its hair, so that plain
    distances are mostly those of other things. Linear discriminant analysis weighs the latents instead (Fisher 1936;
    covariance shrunk after Ledoit and Wolf). It is fitted without the latents that are held out; for each of these the
    share of the same color among its ten nearest neighbors of the fitted ones is counted.

    Args:
        latents: float (N, Z).
        names: the hair color of each, or None.
        is_held_out: bool (N,).

    Returns:
        `discriminant_purity`, and the number of held-out latents, `discriminant_images`; None and 0 where there are
        fewer than two colors, or no held-out latents.
    """
    colors = np.array([name or "" for name in names], object)
    fitted, evaluated = (colors != "") & ~is_held_out, (colors != "") & is_held_out
    counts = Counter(colors[fitted])
    usable = np.isin(colors, [name for name, count in counts.items() if count > 1])
    fitted, evaluated = fitted & usable, evaluated & usable
    if len(set(colors[fitted])) < 2 or not evaluated.any():
        return {"discriminant_purity": None, "discriminant_images": 0}
    points = np.asarray(latents, float)
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(points[fitted], colors[fitted].astype(str))
    neighbors = NearestNeighbors(n_neighbors=min(NEIGHBORS, int(fitted.sum()))).fit(model.transform(points[fitted]))
    nearest = neighbors.kneighbors(model.transform(points[evaluated]), return_distance=False)
    same = colors[fitted][nearest] == colors[evaluated][:, None]
    return {"discriminant_purity": float(same.mean()), "discriminant_images": int(evaluated.sum())}
