"""The t-SNE map, the PCA projection, and the picture."""

import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from facemill.config.latent import TagsConfig
from facemill.data.shards import read_rows, write_shard
from facemill.errors import UserError
from facemill.latent.neighborhoods import purity
from facemill.latent.plot_tsne import (
    CANVAS,
    FRAMED,
    embed_tsne,
    frame,
    non_overlapping,
    plot_maps,
    plot_tsne,
    project_pca,
)


def test_neighbors_stay_neighbors(clusters):
    latents, names = clusters
    positions = embed_tsne(latents, seed=3)
    assert positions.shape == (60, 2)
    assert purity(positions, names)["purity"] > 0.95
    np.testing.assert_array_equal(positions, embed_tsne(latents, seed=3))


def test_too_few_latents_are_refused():
    with pytest.raises(UserError, match="found 3 latents; accepted: at least 4"):
        embed_tsne(np.zeros((3, 8), np.float32), 0)


def test_the_principal_axes_keep_the_most_variance():
    latents = np.random.default_rng(0).normal(size=(500, 3)) * [5, 0.1, 3]
    projection, variance = project_pca(latents)
    assert projection.shape == (500, 2) and variance > 0.99
    assert abs(np.corrcoef(projection[:, 0], latents[:, 0])[0, 1]) > 0.99


def test_the_frame_holds_all_positions_with_their_thumbnails():
    positions = np.array([[-3.0, 1.0], [5.0, 2.0], [0.0, -1.0]])
    view = frame(positions)
    assert list(view.size) == [CANVAS, CANVAS // 2]
    pixels = view.pixels(positions)
    assert pixels[:, 0].min() == pytest.approx(FRAMED / 2)
    assert pixels[:, 0].max() == pytest.approx(CANVAS - FRAMED / 2)
    assert pixels[1, 1] < pixels[0, 1] < pixels[2, 1]  # upwards on the map is upwards in the picture
    left, right, bottom, top = view.extent()
    assert (left + right) / 2 == pytest.approx(1)
    assert (right - left) / (top - bottom) == pytest.approx(2)


def test_thumbnails_do_not_overlap():
    positions = np.array([[0, 0], [0.1, 0], [10, 10], [10, 9.9], [0, 10]])
    assert non_overlapping(positions) == [0, 2, 4]


def test_the_picture_frames_portraits_in_their_hair_color(tmp_path):
    positions = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    colors = {"red_hair": "#c80000", "blue_hair": "#0000c8"}
    names = ["red_hair", "blue_hair", None, "red_hair"]
    thumbnails = {i: np.full((64, 64, 3), 128, np.uint8) for i in range(4)}
    plot_maps(tmp_path / "maps.png", positions, -positions, names, colors, thumbnails)
    pixels = np.asarray(Image.open(tmp_path / "maps.png").convert("RGB")).astype(int)
    middle = pixels[:, pixels.shape[1] // 3 : 2 * pixels.shape[1] // 3]
    upper, lower = np.array_split(middle, 2)

    def share(part: np.ndarray, color: tuple[int, int, int]) -> float:
        return (np.abs(part - color).max(2) < 30).mean()

    assert share(lower, (0, 0, 200)) > 0.0005  # the blue one is below, one red above, one below
    assert share(upper, (0, 0, 200)) == 0
    assert share(upper, (200, 0, 0)) > 0.0005
    assert share(middle, (128, 128, 128)) > 0.004


def test_plot_tsne_writes_positions_picture_and_metrics(collection, hair_paint, tmp_path):
    random = np.random.default_rng(0)
    latents, tags = [], []
    for path in collection["portraits"]:
        rows = [(row["id"], row["tags"][0]) for row in read_rows([path])]
        latents.append(tmp_path / "latents" / path.name)
        tags.append(tmp_path / "tags" / path.name)
        points = [{"id": row_id, "latent": [*hair_paint[name], *random.normal(size=2)]} for row_id, name in rows]
        write_shard(latents[-1], points[5:], pa.schema([("id", pa.string()), ("latent", pa.list_(pa.float32()))]))
        names = [{"id": row_id, "hair_color": name} for row_id, name in rows]
        write_shard(tags[-1], names, pa.schema([("id", pa.string()), ("hair_color", pa.string())]))
    tags_config = TagsConfig(
        sources=["color"], hair_colors={name: ["#" + bytes(rgb).hex()] for name, rgb in hair_paint.items()}
    )
    tsne, picture, metrics = tmp_path / "tsne.parquet", tmp_path / "tsne.png", tmp_path / "metrics.json"
    plot_tsne(
        latents=latents,
        tags=tags,
        portraits=collection["portraits"],
        tags_config=tags_config,
        holdout=0.3,
        seed=1,
        tsne=tsne,
        picture=picture,
        metrics=metrics,
    )
    rows = list(read_rows([tsne]))
    assert len({row["id"] for row in rows}) == 50
    assert all(row["hair_color"] == list(hair_paint)[int(row["id"]) % 3] for row in rows)
    assert np.ptp([row["x"] for row in rows]) > 1 and np.ptp([row["pca_x"] for row in rows]) > 1
    values = json.loads(metrics.read_text())
    assert values["images"] == 50
    assert values["purity"] > 0.95 and values["pca_variance"] > 0.95
    assert values["discriminant_purity"] > 0.75  # of one color there are fewer than ten others
    assert values["trustworthiness"] > 0.8 and values["pca_trustworthiness"] > 0.8
    assert Image.open(picture).width > 1500
