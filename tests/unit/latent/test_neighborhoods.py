"""Purity of neighborhoods, and trustworthiness of maps."""

import numpy as np

from facemill.latent.neighborhoods import discriminant_purity, purity, trustworthiness
from facemill.latent.plot_tsne import project_pca


def test_purity_of_pure_and_of_mixed_neighborhoods(clusters):
    latents, names = clusters
    assert purity(latents, names) == {"purity": 1.0, "majority": 1 / 3, "images": 60}
    mixed = [("a", "b")[i % 2] for i in range(60)]
    assert 0.35 < purity(latents, mixed)["purity"] < 0.6


def test_purity_counts_the_share_of_neighbors():
    latents = np.array([[0.0], [1.0], [2.0], [3.0]])
    # three neighbors each: of the three a's two are a, of the b none is b
    assert purity(latents, ["a", "a", "a", "b"]) == {"purity": 0.5, "majority": 0.75, "images": 4}


def test_unnamed_latents_are_no_neighbors():
    latents = np.array([[0.0], [0.1], [0.2], [5.0]])
    assert purity(latents, ["a", None, "a", None]) == {"purity": 1.0, "majority": 1.0, "images": 2}
    assert purity(latents, ["a", None, None, None]) == {"purity": None, "majority": None, "images": 1}


def test_discriminant_purity_weighs_down_what_hides_the_hair(clusters):
    latents, names = clusters
    random = np.random.default_rng(1)
    hidden = np.concatenate([latents / 4, 40 * random.normal(size=(60, 2))], 1)
    is_held_out = np.arange(60) % 4 == 0
    assert purity(hidden, names)["purity"] < 0.5
    values = discriminant_purity(hidden, names, is_held_out)
    assert values["discriminant_purity"] > 0.95 and values["discriminant_images"] == 15


def test_discriminant_purity_of_noise_is_chance():
    random = np.random.default_rng(2)
    latents, names = random.normal(size=(300, 40)), [("a", "b", "c")[i] for i in random.integers(0, 3, 300)]
    assert discriminant_purity(latents, names, np.arange(300) % 3 == 0)["discriminant_purity"] < 0.45
    nothing = {"discriminant_purity": None, "discriminant_images": 0}
    assert discriminant_purity(latents, [None] * 300, np.arange(300) % 3 == 0) == nothing
    assert discriminant_purity(latents, names, np.zeros(300, bool)) == nothing


def test_a_map_is_trustworthy_where_neighbors_are_neighbors(clusters):
    latents, _ = clusters
    noise = np.random.default_rng(0).random((60, 2))
    assert trustworthiness(latents, project_pca(latents)[0]) > trustworthiness(latents, noise)
    assert trustworthiness(latents[:, :2], latents[:, :2]) == 1
    assert trustworthiness(np.eye(3), np.eye(3)[:, :2]) is None
