"""Latents that several tests of the stage share."""

import numpy as np
import pytest


@pytest.fixture
def clusters() -> tuple[np.ndarray, list[str]]:
    """Three far clusters of 20 latents."""
    random = np.random.default_rng(0)
    names = ["black_hair", "red_hair", "grey_hair"]
    centers = 20 * np.eye(3, 8)
    latents = np.concatenate([center + random.normal(size=(20, 8)) for center in centers])
    return latents.astype(np.float32), [name for name in names for _ in range(20)]
