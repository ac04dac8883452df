"""Attribute vectors: the way in latent space from one hair colour to another."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from facemill.errors import BadInput
from facemill.files import whole, write_json


def hair_means(latents: np.ndarray, names: Sequence[str | None], min_images: int) -> dict[str, np.ndarray]:
    """The mean latent of each hair colour that at least `min_images` of the latents (N, Z) have; by name, (Z,) each.

    Raises `BadInput` when fewer than two colours are left, between which there is no way.
    """
    counts = Counter(name for name in names if name is not None)
    kept = sorted(name for name, count in counts.items() if count >= min_images)
    if len(kept) < 2:
        found = ", ".join(f"{name} {count}" for name, count in counts.most_common(3)) or "none"
        raise BadInput(
            f"attributes.min_images: found {min_images}, which fewer than two hair colours reach; "
            f"accepted: a number that two of them reach (most frequent: {found})"
        )
    own = np.array(names, object)
    return {name: latents[own == name].mean(0) for name in kept}


def pair_vectors(means: Mapping[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    """The vector from each name to each other one: the difference of their means."""
    return {(a, b): means[b] - means[a] for a, b in permutations(means, 2)}


def save_vectors(path: Path, means: Mapping[str, np.ndarray], counts: Mapping[str, int]) -> None:
    """Writes `path` (safetensors: `mean.<name>` and `vector.<from>.<to>`, float32) and a JSON beside it that says
    behind which name stand how many images, and how long each vector is (one direction, the other is its negative)."""
    pairs = pair_vectors(means)
    tensors = {f"mean.{name}": mean for name, mean in means.items()}
    tensors |= {f"vector.{a}.{b}": vector for (a, b), vector in pairs.items()}
    about = {
        "images": {name: counts[name] for name in means},
        "norms": {f"{a}.{b}": float(np.linalg.norm(vector)) for (a, b), vector in pairs.items() if a < b},
    }
    write_json(path.with_suffix(".json"), about)
    with whole(path) as beside:
        save_file({name: tensor.astype(np.float32) for name, tensor in tensors.items()}, beside)


def load_means(path: Path) -> dict[str, np.ndarray]:
    """The mean latents in a file of vectors, by name, float32 (Z,) each. Raises `BadInput` when it cannot be read."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BadInput(f"{path}: not a readable safetensors file ({error})") from error
    return {key.removeprefix("mean."): mean for key, mean in tensors.items() if key.startswith("mean.")}
