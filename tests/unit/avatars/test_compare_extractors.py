"""Comparison of extractors on a small sample with its film: the parts, the figures, the pictures."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from helpers.configs import sample_config
from PIL import Image
from safetensors.torch import save_file
from segmentation_models_pytorch.encoders import get_encoder

from facemill.avatars import compared_parts as compared
from facemill.avatars.compare_extractors import compare_extractors
from facemill.avatars.cut_regions import REGION_SCHEMA, cut_regions, part_rows
from facemill.avatars.drawn import Drawer, draw_all
from facemill.avatars.render_parts import PART_SCHEMA
from facemill.avatars.styles import DrawingStyle
from facemill.config.avatars import AvatarsConfig
from facemill.config.ingest import SampleConfig
from facemill.config.label import LabelsConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import IMAGE, decode_mask, encode_mask, read_table, write_shard
from facemill.ingest.drawing import draw
from facemill.ingest.film_sample import film_sample
from facemill.ingest.render_sample import part_class_ids
from facemill.networks.part_autoencoder import PartAutoencoder
from facemill.networks.store import save_model

CONFIG = sample_config()
SETTINGS = AvatarsConfig.model_validate(CONFIG["avatars"] | {"styles": ["toon-head"], "size": 64, "looks": 1})
LABELS = LabelsConfig.model_validate(CONFIG["labels"])
FRAMES = 24


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """Portraits with their masks, variants and parts; a style's parts; a film; an autoencoder of each kind."""
    folder = tmp_path_factory.mktemp("sample")
    ids, rows, variants = part_class_ids(SEVEN, LABELS), [], []
    for number in range(1, 9):
        drawing = draw(number, 1)
        mask = encode_mask(ids[drawing.part_ids(64)], SEVEN)
        rows.append({"id": str(number), "image": {"bytes": drawing.image(64)}, "mask": {"bytes": mask}})
        variants.append({"id": str(number)} | drawing.variants)
    for name, column, classes in (("portraits", "image", None), ("pseudo_labels", "mask", SEVEN)):
        write_shard(folder / name, rows, pa.schema([("id", pa.string()), (column, IMAGE)]), classes)
    pq.write_table(pa.Table.from_pylist(variants), folder / "variants.parquet")
    cut_regions(
        portraits=folder / "portraits",
        pseudo_labels=folder / "pseudo_labels",
        looks=SETTINGS.looks,
        seed=1,
        regions=folder / "regions",
    )
    write_library(folder, DrawingStyle.load("toon-head"))
    few = SampleConfig(portraits=1, labelled=1, frames=FRAMES)
    truth = {"films": folder / "films", "truth": folder / "films.parquet"}
    film_sample(settings=few, seed=1, classes=SEVEN, labels=LABELS, **truth)
    torch.manual_seed(0)
    for kind in ("original", "fixed"):
        save_model(folder / f"{kind}.safetensors", PartAutoencoder(kind=kind), {"kind": kind}, {})
    save_file(get_encoder("mobilenet_v2", weights=None).state_dict(), folder / "mobilenet.safetensors")
    return folder


def write_library(folder, style):
    """The style's parts, in two contexts and one that is not compared with."""
    rows = []
    for number, portrait in enumerate(draw_all({style.name: style}, 14, Drawer(64, 1), 5)[style.name]):
        for row in part_rows("", dict(portrait.parts)):
            if row["role"] in style.candidates:
                candidate = style.candidates[row["role"]].index(portrait.choices[row["role"]])
                rows.append(row | {"candidate": candidate, "choice": "", "context": number % 3})
    write_shard(folder / f"{style.name}.parquet", rows, PART_SCHEMA)
    (folder / f"{style.name}.json").write_text(
        json.dumps({"style": style.name, "roles": style.candidates, "weights": {}})
    )


@pytest.fixture
def few(monkeypatch):
    for name, value in {"DRAWN": 4, "COLLECTION": 6, "MOVED": 2, "MOVES": 2}.items():
        monkeypatch.setattr(compared, name, value)


def arguments(folder, out) -> dict:
    shards = {name: [folder / name] for name in ("portraits", "pseudo_labels", "regions")}
    outputs = {name: out / f"{name}.png" for name in ("embeddings", "codes")} | {"extractors": out / "extractors.json"}
    return (
        shards
        | outputs
        | {"parts": [folder / "toon-head.parquet"], "size": SETTINGS.size, "looks": SETTINGS.looks, "seed": 1}
    )


def test_all_extractors_have_all_figures_and_two_pictures(sample, tmp_path, few):
    compare_extractors(
        **arguments(sample, tmp_path),
        encoders=[sample / "original.safetensors", sample / "fixed.safetensors"],
        mobilenet_weights=sample / "mobilenet.safetensors",
        variants=sample / "variants.parquet",
        films=sample / "films",
        truth=sample / "films.parquet",
    )
    measured = json.loads((tmp_path / "extractors.json").read_text())
    assert list(measured) == ["shape", "raw", "autoencoder_original", "autoencoder_fixed", "mobilenet_v2"]
    assert [of["dimensions"] for of in measured.values()] == [1157, 3072, 8, 8, 1280]
    for name, of in measured.items():
        assert of["mean"] == pytest.approx(np.mean([of["eyes"], of["mouth"], of["hair"]]))
        assert of["behind_shape"] == pytest.approx(measured["shape"]["mean"] - of["mean"])
        assert of["native"] == ("standardized" if name == "shape" else "plain")
        for mode in ("plain", "standardized"):
            assert of[mode]["own"]["n"] == 6
            assert set(of[mode]["portraits"]) == {"eyes", "mouth", "hair"}
            assert of[mode]["film"]["mouth"]["n"] <= FRAMES
    assert measured["raw"]["mean"] > 0
    for name in ("embeddings", "codes"):
        assert Image.open(tmp_path / f"{name}.png").width > 800


def test_another_collection_has_neither_own_variants_nor_a_film(sample, tmp_path, few):
    compare_extractors(**arguments(sample, tmp_path), encoders=[sample / "fixed.safetensors"])
    measured = json.loads((tmp_path / "extractors.json").read_text())
    assert list(measured) == ["shape", "raw", "autoencoder_fixed"]
    assert measured["raw"]["plain"]["film"] == {}
    assert measured["raw"]["plain"]["own"] == {"mean": None, "n": 0}


def test_a_collection_without_eyes_and_mouths_is_compared_by_what_it_has(sample, tmp_path, few):
    rows = [row for row in read_table(sample / "regions").to_pylist() if row["role"] == "clothes"]
    write_shard(tmp_path / "regions", rows, REGION_SCHEMA)
    compare_extractors(
        **arguments(sample, tmp_path) | {"regions": [tmp_path / "regions"]},
        encoders=[sample / "fixed.safetensors"],
        variants=sample / "variants.parquet",
        films=sample / "films",
        truth=sample / "films.parquet",
    )
    measured = json.loads((tmp_path / "extractors.json").read_text())
    assert measured["raw"]["mean"] > 0
    assert measured["raw"]["cosine"] is None
    assert measured["raw"]["plain"]["portraits"] == measured["raw"]["plain"]["film"]["mouth"] == {}
    assert Image.open(tmp_path / "embeddings.png").height < Image.open(tmp_path / "embeddings.png").width


def test_the_library_is_that_of_the_first_contexts(sample):
    style, weights, named = compared.read_library(sample / "toon-head.parquet", ("mouth",))
    mouths = [row for row in read_table(sample / "toon-head.parquet").to_pylist() if row["role"] == "mouth"]
    assert len(named["toon-head", "mouth"].parts) == sum(row["context"] < 2 for row in mouths) < len(mouths)
    assert set(named["toon-head", "mouth"].names) <= set(style.components["mouth"])
    assert ("toon-head", "hair") in weights


def test_of_a_film_only_frames_with_a_figure_count(sample):
    filmed = compared.filmed_parts(sample / "films/a.mp4", sample / "films.parquet", None, 1)
    truth = [row for row in read_table(sample / "films.parquet").to_pylist() if row["film"] == "a"]
    named = [row for row in truth if row["mouth"] and (decode_mask(row["mask"]["bytes"], SEVEN) == 4).any()]
    assert filmed["mouth"].names.tolist() == [row["mouth"] for row in named]
    still = filmed["mouth"].still
    first = filmed["mouth"].names[: still.sum()]
    assert still[: still.sum()].all()
    assert set(first) == {truth[0]["mouth"]}
    assert 0 < still.sum() < len(still)
