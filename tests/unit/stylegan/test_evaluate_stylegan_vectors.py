"""Edits along vectors in W: scores, identity, portraits of one half, and what is drawn where nothing can be edited."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.scenes import save_varied_unet
from PIL import Image

from facemill.config.latent import TagsConfig
from facemill.config.segment import PseudoLabelsConfig
from facemill.config.stylegan import GeneratedConfig
from facemill.data.shards import IMAGE, encode_jpeg, read_rows, write_shard
from facemill.data.splits import held_out, in_choice
from facemill.imaging.colors import REGIONS
from facemill.inference.vectors import Vectors
from facemill.latent.tag_portraits import TAG_SCHEMA
from facemill.latent.transitions import Edit
from facemill.networks.store import save_model
from facemill.networks.style_discriminator import StyleDiscriminator
from facemill.networks.vae import Vae
from facemill.stylegan.evaluate_stylegan_vectors import add_identity, evaluate_stylegan_vectors, held_out_rows
from facemill.stylegan.generate_samples import generate_samples
from facemill.taggers.probes import THUMBNAIL, Probes

HAIR = {"black_hair": ["#2a262d"], "red_hair": ["#b0302c"]}
HOLDOUT = 0.5
COUNT = 40
NOWHERE = np.zeros(8, np.float32)
VECTORS = Vectors(
    {"hair_color": list(HAIR)},
    {("black_hair", "red_hair"): NOWHERE, ("red_hair", "black_hair"): NOWHERE},
    {"smile": np.full(8, 3, np.float32)},
)
"""Those between hair colors change nothing; that to a smile changes much."""


def write_networks(folder: Path) -> None:
    """A discriminator, a VAE, and probes for which every portrait has red hair and none a smile."""
    torch.manual_seed(0)
    discriminator, vae = {"channels": [8] * 4}, {"size": 32, "z_dim": 4, "width": 4}
    save_model(folder / "discriminator.safetensors", StyleDiscriminator(**discriminator), discriminator, {})
    save_model(folder / "vae.safetensors", Vae(**vae), vae, {})
    biases = {"hair_color": [0, 1], "smile": [-1]}
    tensors = {f"{key}.bias": np.float32(bias) for key, bias in biases.items()}
    tensors |= {f"{key}.weight": np.zeros((THUMBNAIL**2 * 3, len(bias)), np.float32) for key, bias in biases.items()}
    Probes({"hair_color": list(HAIR)}, tensors).save(folder / "probes.safetensors")


@pytest.fixture
def options(save_generator, tmp_path) -> dict:
    """Options without masks: forty portraits, every other one with black hair, the others with red hair."""
    write_networks(tmp_path)
    model = save_generator() / "model.safetensors"
    generate_samples(
        model=model,
        discriminator=tmp_path / "discriminator.safetensors",
        settings=GeneratedConfig(portraits=COUNT, truncation=1, min_confidence=0),
        limits=PseudoLabelsConfig(version="v3", min_confidence=0, max_flip_disagreement=1),
        shard=0,
        shards=1,
        generated=tmp_path / "generated.parquet",
    )
    portrait = {"id": "1", "image": {"bytes": encode_jpeg(np.zeros((64, 64, 3), np.uint8))}}
    write_shard(tmp_path / "portraits.parquet", [portrait], pa.schema([("id", pa.string()), ("image", IMAGE)]))
    return {
        "model": model,
        "vae": tmp_path / "vae.safetensors",
        "vectors": tmp_path / "vectors.safetensors",
        "probes": tmp_path / "probes.safetensors",
        "generated": [tmp_path / "generated.parquet"],
        "tags": [tmp_path / "tags.parquet"],
        "portraits": [tmp_path / "portraits.parquet"],
        "tags_config": TagsConfig(sources=["tags"], hair_colors=HAIR),
        "eval_portraits": 3,
        "strength": 1,
        "steps": 3,
        "holdout": HOLDOUT,
        "seed": 1,
        "metrics": tmp_path / "metrics.json",
        "transitions": tmp_path / "transitions.png",
        "animation": tmp_path / "transitions.webp",
    }


def evaluated(options: dict, vectors: Vectors = VECTORS, named=lambda _: True, **changed) -> dict:
    """The metrics, where a hair color is known of the portraits for which `named` is true."""
    rows = []
    for row in read_rows(options["generated"], ["id", "seed"]):
        name = list(HAIR)[row["seed"] % 2] if named(row["id"]) else None
        colors = {region: [50.0, 0.0, 0.0] for region in REGIONS}
        tags = {"hair_color": name, "hair_color_source": "tags", "tags": []}
        rows.append(dict.fromkeys(TAG_SCHEMA.names) | colors | tags | {"id": row["id"]})
    write_shard(options["tags"][0], rows, TAG_SCHEMA)
    vectors.save(options["vectors"], dict.fromkeys(vectors.names(), 9), {})
    evaluate_stylegan_vectors(**options | changed)
    metrics: dict = json.loads(options["metrics"].read_text())
    return metrics


def test_without_masks_probes_classify_and_measure_the_drift(options):
    metrics = evaluated(options)
    assert metrics.keys() == {"black_hair", "red_hair", "smile"}
    black, red, smile = metrics.values()
    shared = {"mask_iou": None, "drift": 0, "monotonicity": 1, "images": 3, "classifier": "judge", "identity": None}
    assert black.items() >= (shared | {"success": 0, "before": 0}).items()
    assert red.items() >= (shared | {"success": None, "before": 1}).items(), "the probes see red hair everywhere"
    assert smile.items() >= (shared | {"success": 0, "before": 0}).items()
    assert all(scores["choice"].keys() == scores.keys() - {"choice", "labels", "classifier"} for scores in (black, red))
    with Image.open(options["transitions"]) as picture:
        assert picture.height > 3 * 32
    with Image.open(options["animation"]) as animation:
        assert animation.n_frames >= options["steps"]
    outputs = [options[key] for key in ("metrics", "transitions", "animation")]
    first = [path.read_bytes() for path in outputs]
    evaluated(options)
    assert [path.read_bytes() for path in outputs] == first


def test_with_masks_what_changes_nothing_keeps_them(options, tmp_path):
    unet = save_varied_unet(tmp_path / "unet.safetensors")
    palettes = TagsConfig(sources=["tags", "color"], hair_colors=HAIR)
    metrics = evaluated(options, vae=None, evaluator=unet, labeller=unet, tags_config=palettes)
    for name in HAIR:
        assert metrics[name]["classifier"] == "color" and metrics[name]["labels"] == "tags"
        assert (metrics[name]["drift"], metrics[name]["mask_iou"], metrics[name]["monotonicity"]) == (0, 1, 1)
    assert metrics["smile"]["mask_iou"] < 1


def test_a_half_with_nothing_to_edit_has_no_scores(options):
    metrics = evaluated(options, Vectors(VECTORS.groups, VECTORS.pairs, {}), named=lambda row_id: not in_choice(row_id))
    assert metrics["black_hair"]["images"] == 3
    assert metrics["black_hair"]["choice"]["images"] == 0 and metrics["black_hair"]["choice"]["success"] is None


@pytest.mark.parametrize("vectors", [Vectors({}, {}, {}), Vectors(VECTORS.groups, VECTORS.pairs, {})])
def test_where_nothing_can_be_edited_portraits_are_drawn_as_they_are(options, vectors):
    metrics = evaluated(options, vectors, named=lambda _: False)
    assert all(scores["images"] == 0 for scores in metrics.values()) and list(metrics) == vectors.names()
    with Image.open(options["transitions"]) as picture:
        assert picture.width > 8 * 32


def test_only_held_out_portraits_are_edited_and_rejected_ones_only_where_there_are_no_others(tmp_path):
    generated, tags = tmp_path / "generated.parquet", tmp_path / "tags.parquet"
    schema = pa.schema([("id", pa.string()), ("w", pa.list_(pa.float32())), ("rejected", pa.string())])
    ids = [f"seed-{number:06}" for number in range(60)]
    unseen = {row_id for row_id in ids if held_out(row_id, HOLDOUT)}
    write_shard(tags, [dict.fromkeys(TAG_SCHEMA.names) | {"id": row_id} for row_id in ids], TAG_SCHEMA)
    for rejected, expected in (
        (set(ids[:30]), unseen - set(ids[:30])),
        (set(ids), unseen),
    ):
        rows = [{"id": i, "w": [float(i[5:])], "rejected": "unsure" if i in rejected else None} for i in ids]
        write_shard(generated, rows, schema)
        edited = held_out_rows([generated], [tags], HOLDOUT, seed=1)
        assert {row["id"] for row in edited} == expected
        assert [row["id"] for row in edited] != sorted(expected), "in random order"
        assert all(row["latent"] == [float(row["id"][5:])] for row in edited)


class GrayJudge:
    """Features of flat gray portraits: their level."""

    def features(self, images: np.ndarray) -> np.ndarray:
        return images[:, 0, 0, :1].astype(float)


def test_identity_is_the_change_beside_that_to_another_portrait_for_each_success():
    def paint(_, latents: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.uint8(latents)[:, :, None, None], (len(latents), 1, 8, 8)).transpose(0, 2, 3, 1)

    vectors = Vectors({}, {}, {"smile": np.array([5.0]), "hat": np.array([5.0])})
    edits = [Edit("a", np.array([100.0]), False), Edit("b", np.array([200.0]), True)]
    scores = {"smile": {"success": 0.5}, "hat": {"success": None}}
    add_identity(scores, {"smile": edits, "hat": edits}, vectors, paint, GrayJudge(), strength=2)
    assert scores["smile"]["identity"] == pytest.approx(10 / 100 / 0.5) and scores["hat"]["identity"] is None
