"""The plane, purity of neighborhoods, and the picture."""

import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from facemill.config.latent import TagsConfig
from facemill.data.shards import read_rows, write_shard
from facemill.errors import UserError
from facemill.latent.plot_tsne import (
    CANVAS,
    FRAMED,
    discriminant_purity,
    frame,
    pca,
    plot_plane,
    purity,
    spread,
    trustworthiness,
    tsne,
)


@pytest.fixture
def clusters() -> tuple[np.ndarray, list[str]]:
    """Three far clusters of 20 latents."""
    random = np.random.default_rng(0)
    names = ["black_hair", "red_hair", "grey_hair"]
    centers = 20 * np.eye(3, 8)
    latents = np.concatenate([center + random.normal(size=(20, 8)) for center in centers])
    return latents.astype(np.float32), [name for name in names for _ in range(20)]


def test_neighbors_stay_neighbors(clusters):
    latents, names = clusters
    plane = tsne(latents, seed=3)
    assert plane.shape == (60, 2)
    assert purity(plane, names)["purity"] > 0.95
    np.testing.assert_array_equal(plane, tsne(latents, seed=3))


def test_too_few_latents_are_refused():
    with pytest.raises(UserError, match="found 3 latents; accepted: at least 4"):
        tsne(np.zeros((3, 8), np.float32), 0)


def test_purity_of_pure_and_of_mixed_neighborhoods(clusters):
    latents, names = clusters
    assert purity(latents, names) == {"purity": 1.0, "majority": 1 / 3, "images": 60}
    mixed = [("a", "b")[i % 2] for i in range(60)]
    assert 0.35 < purity(latents, mixed)["purity"] < 0.6


def test_purity_counts_the_share_of_neighbors():
    latents = np.array([[0.0], [1.0], [2.0], [3.0]])
    # three neighbors each: of the three a's two are a, of the b none is b
    assert purity(latents, ["a", "a", "a", "b"]) == {"purity": 0.5, "majority": 0.75, "images": 4}


def test_nameless_latents_are_no_neighbors():
    latents = np.array([[0.0], [0.1], [0.2], [5.0]])
    assert purity(latents, ["a", None, "a", None]) == {"purity": 1.0, "majority": 1.0, "images": 2}
    assert purity(latents, ["a", None, None, None]) == {"purity": None, "majority": None, "images": 1}


def test_discriminant_purity_looks_past_what_hides_the_hair(clusters):
    latents, names = clusters
    random = np.random.default_rng(1)
    hidden = np.concatenate([latents / 4, 40 * random.normal(size=(60, 2))], 1)
    kept_out = np.arange(60) % 4 == 0
    assert purity(hidden, names)["purity"] < 0.5
    found = discriminant_purity(hidden, names, kept_out)
    assert found["discriminant_purity"] > 0.95 and found["discriminant_images"] == 15


def test_discriminant_purity_of_noise_is_chance():
    random = np.random.default_rng(2)
    latents, names = random.normal(size=(300, 40)), [("a", "b", "c")[i] for i in random.integers(0, 3, 300)]
    assert discriminant_purity(latents, names, np.arange(300) % 3 == 0)["discriminant_purity"] < 0.45
    nothing = {"discriminant_purity": None, "discriminant_images": 0}
    assert discriminant_purity(latents, [None] * 300, np.arange(300) % 3 == 0) == nothing
    assert discriminant_purity(latents, names, np.zeros(300, bool)) == nothing


def test_the_principal_plane_keeps_the_most_variance():
    latents = np.random.default_rng(0).normal(size=(500, 3)) * [5, 0.1, 3]
    plane, variance = pca(latents)
    assert plane.shape == (500, 2) and variance > 0.99
    assert abs(np.corrcoef(plane[:, 0], latents[:, 0])[0, 1]) > 0.99


def test_a_plane_is_trustworthy_where_neighbors_are_neighbors(clusters):
    latents, _ = clusters
    assert trustworthiness(latents, pca(latents)[0]) > trustworthiness(
        latents, np.random.default_rng(0).random((60, 2))
    )
    assert trustworthiness(latents[:, :2], latents[:, :2]) == 1
    assert trustworthiness(np.eye(3), np.eye(3)[:, :2]) is None


def test_the_frame_holds_all_places_with_their_thumbnails():
    plane = np.array([[-3.0, 1.0], [5.0, 2.0], [0.0, -1.0]])
    view = frame(plane)
    assert list(view.size) == [CANVAS, CANVAS // 2]
    pixels = view.pixels(plane)
    assert pixels[:, 0].min() == pytest.approx(FRAMED / 2)
    assert pixels[:, 0].max() == pytest.approx(CANVAS - FRAMED / 2)
    assert pixels[1, 1] < pixels[0, 1] < pixels[2, 1]  # upwards in the plane is upwards in the picture
    left, right, bottom, top = view.extent()
    assert (left + right) / 2 == pytest.approx(1)
    assert (right - left) / (top - bottom) == pytest.approx(2)


def test_thumbnails_are_spread():
    plane = np.array([[0, 0], [0.1, 0], [10, 10], [10, 9.9], [0, 10]])
    assert spread(plane) == [0, 2, 4]


def test_the_picture_frames_portraits_in_their_hair_color(tmp_path):
    plane = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    colors = {"red_hair": "#c80000", "blue_hair": "#0000c8"}
    names = ["red_hair", "blue_hair", None, "red_hair"]
    thumbnails = {i: np.full((64, 64, 3), 128, np.uint8) for i in range(4)}
    plot_plane(tmp_path / "plane.png", plane, -plane, names, colors, thumbnails)
    pixels = np.asarray(Image.open(tmp_path / "plane.png").convert("RGB")).astype(int)
    middle = pixels[:, pixels.shape[1] // 3 : 2 * pixels.shape[1] // 3]
    upper, lower = np.array_split(middle, 2)

    def share(part: np.ndarray, color: tuple[int, int, int]) -> float:
        return (np.abs(part - color).max(2) < 30).mean()

    assert share(lower, (0, 0, 200)) > 0.0005  # the blue one is below, one red above, one below
    assert share(upper, (0, 0, 200)) == 0
    assert share(upper, (200, 0, 0)) > 0.0005
    assert share(middle, (128, 128, 128)) > 0.004


def test_plot_tsne_writes_places_picture_and_metrics(script, collection, hair_paint, tmp_path):
    random = np.random.default_rng(0)
    latents, tags = [], []
    for path in collection["portraits"]:
        rows = [(row["id"], row["tags"][0]) for row in read_rows([path])]
        latents.append(tmp_path / "latents" / path.name)
        tags.append(tmp_path / "tags" / path.name)
        points = [{"id": id, "latent": [*hair_paint[name], *random.normal(size=2)]} for id, name in rows]
        write_shard(latents[-1], points[5:], pa.schema([("id", pa.string()), ("latent", pa.list_(pa.float32()))]))
        names = [{"id": id, "hair_color": name} for id, name in rows]
        write_shard(tags[-1], names, pa.schema([("id", pa.string()), ("hair_color", pa.string())]))
    palette = TagsConfig(
        sources=["color"], hair_colors={name: ["#" + bytes(rgb).hex()] for name, rgb in hair_paint.items()}
    )
    out, picture, metrics = tmp_path / "tsne.parquet", tmp_path / "tsne.png", tmp_path / "metrics.json"
    script("plot_tsne")(
        latents=latents,
        tags=tags,
        portraits=collection["portraits"],
        palette=palette,
        holdout=0.3,
        seed=1,
        out=out,
        picture=picture,
        metrics=metrics,
    )
    rows = list(read_rows([out]))
    assert len({row["id"] for row in rows}) == 50
    assert all(row["hair_color"] == list(hair_paint)[int(row["id"]) % 3] for row in rows)
    assert np.ptp([row["x"] for row in rows]) > 1 and np.ptp([row["pca_x"] for row in rows]) > 1
    figures = json.loads(metrics.read_text())
    assert figures["images"] == 50
    assert figures["purity"] > 0.95 and figures["pca_variance"] > 0.95
    assert figures["discriminant_purity"] > 0.75  # of one color there are fewer than ten others
    assert figures["trustworthiness"] > 0.8 and figures["pca_trustworthiness"] > 0.8
    assert Image.open(picture).width > 1500
