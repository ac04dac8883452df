"""Evaluation of GauGAN: styles by its training, metrics by the class table, and what is refused."""

import csv
import json
import math
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from facemill.config.fields import TrainingConfig
from facemill.config.synthesize import GauganConfig
from facemill.data.classes import SEVEN, Class, ClassTable
from facemill.data.dataset import ShardDataset
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, write_shard
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.inference.segmenter import Segmenter
from facemill.metrics.distances import frechet_distance
from facemill.metrics.generation import Evaluator
from facemill.metrics.segmentation import ratio
from facemill.networks.region_styles import CODE
from facemill.networks.spade import Generator
from facemill.networks.store import load_model, save_model
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae
from facemill.synthesize.evaluate_gaugan import STYLES_PER_MASK, evaluate_gaugan, write_csv

TRAINING = TrainingConfig(images=16, batch=4, learning_rate=1e-3)
SETTINGS = GauganConfig(preset="tiny", z="encoder", feature_matching_weight=10, perceptual_weight=10, training=TRAINING)
NINE = ClassTable((*SEVEN.root, Class(name="hand", color="#abcdef"), Class(name="glasses", color="#fedcba")))
GAUGAN = {"size": 64, "ngf": 4, "nhidden": 4}
ROWS = 12
HOLDOUT = 0.5
MASKS = sum(held_out(str(i), HOLDOUT) for i in range(ROWS))


@pytest.fixture
def inputs(tmp_path):
    def made(classes: ClassTable, z: str, count: int = ROWS) -> dict:
        random, rows = np.random.default_rng(0), []
        for i in range(count):
            mask = np.zeros((64, 64), np.uint8)
            mask[random.integers(4, 16) :, : random.integers(16, 64)] = 1 + i % 6  # none of hand, of glasses
            image = np.array(classes.colors, np.uint8)[mask]
            image, labels = {"bytes": encode_jpeg(image)}, {"bytes": encode_mask(mask, classes)}
            rows.append({"id": str(i), "image": image, "mask": labels})
        write_shard(tmp_path / "portraits.parquet", rows, pa.schema([("id", pa.string()), ("image", IMAGE)]))
        write_shard(tmp_path / "masks.parquet", rows, pa.schema([("id", pa.string()), ("mask", IMAGE)]), classes)
        torch.manual_seed(0)
        z_dim = {"none": 0, "regions": CODE * len(classes)}.get(z, 6)
        gaugan = GAUGAN | {"z_dim": z_dim, "classes": len(classes), "z": z}
        save_model(tmp_path / "gaugan.safetensors", Generator(**gaugan), gaugan, {}, classes)
        vae = {"size": 32, "z_dim": 6, "width": 4}
        save_model(tmp_path / "vae.safetensors", Vae(**vae), vae, {})
        unet = {"size": 64, "decoder": "transposed", "decoder_channels": (16, 16, 8, 8, 8), "classes": len(classes)}
        save_model(tmp_path / "unet.safetensors", Unet(**unet), unet, {}, classes)
        return {
            "model": tmp_path / "gaugan.safetensors",
            "style_encoder": tmp_path / "vae.safetensors",
            "evaluator": tmp_path / "unet.safetensors",
            "settings": SETTINGS.model_copy(update={"z": z}),
            "portraits": [tmp_path / "portraits.parquet"],
            "pseudo_labels": [tmp_path / "masks.parquet"],
            "holdout": HOLDOUT,
            "seed": 1,
            "metrics": tmp_path / "metrics.json",
            "table": tmp_path / "per_image.csv",
            "picture": tmp_path / "gaugan.png",
            "extremes": tmp_path / "best_and_worst.png",
        }

    return made


@pytest.mark.parametrize("classes", [SEVEN, NINE])
def test_metrics_are_named_by_the_class_table(inputs, classes):
    paths = inputs(classes, "encoder")
    evaluate_gaugan(**paths)
    metrics = json.loads(paths["metrics"].read_text())
    assert metrics["styles"] == "reference" and metrics["masks"] == MASKS
    assert metrics["images"] == metrics["from_random_styles"]["images"] == MASKS * STYLES_PER_MASK
    assert metrics["from_own_styles"]["images"] == MASKS
    assert list(metrics["resegmentation_iou"]) == list(classes.names)
    assert 0 <= metrics["resegmentation_miou"] <= 1 and metrics["frechet_distance"] > 0
    error = metrics["style_color_error"]["background"]
    names = ["reference", "reference_std", "wrong_reference", "two_real_portraits", "own_style"]
    assert list(error) == names and error["reference"] > 1 and error["own_style"] > 1
    assert "style_color_error" not in metrics["from_random_styles"]
    for of_source in (metrics, metrics["from_own_styles"]):
        assert of_source["noise"]["background"]["noise"] > 0 and of_source["checkerboard"] > 0
    assert metrics["checkerboard_real"] > 0
    rows = list(csv.DictReader(paths["table"].open()))
    assert len(rows) == 2 * MASKS * STYLES_PER_MASK + MASKS
    assert list(rows[0])[:5] == ["mask", "source", "style", "resegmentation_miou", "hair"]
    by_source = [rows[: MASKS * STYLES_PER_MASK], rows[MASKS * STYLES_PER_MASK :][:MASKS]]
    assert [{row["mask"] == row["style"] for row in of} for of in by_source] == [{False}, {True}]
    assert {row["style"] for row in rows[MASKS * (STYLES_PER_MASK + 1) :]} == {"random"}
    mean = np.mean([float(row["background"]) for row in by_source[0] if row["background"]])
    assert mean == pytest.approx(error["reference"])
    assert Image.open(paths["picture"]).width > 128
    assert Image.open(paths["extremes"]).width > 10 * 128


def test_real_portraits_stand_beside_the_generated_ones(inputs):
    """The held-out ones are as many as the portraits, one a mask, that their Frechet distance is compared with."""
    paths = inputs(SEVEN, "none")
    evaluate_gaugan(**paths)
    metrics = json.loads(paths["metrics"].read_text())
    networks = Evaluator(Segmenter.load(paths["evaluator"]), None, None)
    rows = ShardDataset(paths["portraits"], paths["pseudo_labels"])
    pixels, masks = (torch.stack(tensors).numpy() for tensors in zip(*rows, strict=True))
    real = networks.measure(pixels.transpose(0, 2, 3, 1), masks)
    is_held_out = np.array([held_out(row_id, HOLDOUT) for row_id in rows.ids])
    miou = np.nanmean(ratio(real.overlaps[is_held_out].sum((0, 1))))
    assert metrics["resegmentation_miou_real"] == pytest.approx(miou, abs=1e-3)
    floor = frechet_distance(real.features[is_held_out, 0], real.features[~is_held_out, 0])
    assert metrics["frechet_distance_real"] == pytest.approx(floor, rel=0.05)


@pytest.mark.parametrize(("weight", "least", "most"), [(0, 0, 1e-9), (500, 0.05, 10)])
def test_a_generator_that_ignores_its_style_has_no_diversity(inputs, weight, least, most):
    paths = inputs(SEVEN, "encoder")
    generator = load_model(Generator, paths["model"])
    generator.first.weight.data *= weight
    save_model(paths["model"], generator, GAUGAN | {"z_dim": 6, "classes": 7, "z": "encoder"}, {}, SEVEN)
    evaluate_gaugan(**paths)
    metrics = json.loads(paths["metrics"].read_text())
    for of_source in (metrics, metrics["from_random_styles"]):
        assert least <= of_source["style_diversity_vs_real"] <= most


def test_a_class_without_pixels_has_no_iou(inputs):
    paths = inputs(NINE, "encoder")
    unet = Unet(size=64, decoder="transposed", decoder_channels=(16, 16, 8, 8, 8), classes=9)
    with torch.no_grad():
        biases = [p for name, p in unet.named_parameters() if name.endswith("bias") and p.shape == (9,)]
        biases[-1][7:] = -1e6  # never predicted
    arguments = {"size": 64, "decoder": "transposed", "decoder_channels": (16, 16, 8, 8, 8), "classes": 9}
    save_model(paths["evaluator"], unet, arguments, {}, NINE)
    evaluate_gaugan(**paths)
    ious = json.loads(paths["metrics"].read_text())["resegmentation_iou"]
    assert ious["hand"] is None and ious["glasses"] is None and ious["background"] is not None


@pytest.mark.parametrize(("z", "source", "per_mask"), [("normal", "random", STYLES_PER_MASK), ("none", "no", 1)])
def test_styles_are_those_of_the_training(inputs, z, source, per_mask):
    paths = inputs(SEVEN, z)
    evaluate_gaugan(**paths)
    metrics = json.loads(paths["metrics"].read_text())
    assert metrics["styles"] == source and metrics["images"] == MASKS * per_mask
    assert not {"from_random_styles", "from_own_styles", "style_color_error"} & metrics.keys()
    assert ("style_diversity_vs_real" in metrics) == (per_mask > 1)


def test_models_of_another_table_are_refused(inputs):
    paths = inputs(NINE, "encoder")
    arguments = {"size": 64, "decoder": "transposed", "decoder_channels": (16, 16, 8, 8, 8), "classes": 7}
    save_model(paths["evaluator"], Unet(**arguments), arguments, {}, SEVEN)
    with pytest.raises(UserError, match=r"unet.safetensors: has the classes .*; accepted: .*, hand, glasses"):
        evaluate_gaugan(**paths)


def test_too_few_held_out_portraits_are_refused(inputs):
    with pytest.raises(UserError, match="holdout: found 0.0, which holds out 0 portraits"):
        evaluate_gaugan(**inputs(SEVEN, "encoder") | {"holdout": 0.0})


def test_more_real_portraits_need_little_more_memory(inputs):
    """Less than their pixels, which tracemalloc counts as arrays; their encoded files are a tenth of that."""

    def peak(count: int) -> int:
        paths = inputs(SEVEN, "none", count) | {"holdout": 6 / count}
        tracemalloc.start()
        evaluate_gaugan(**paths)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    evaluate_gaugan(**inputs(SEVEN, "none"))  # imports
    assert peak(220) - peak(20) < 200 * 64 * 64 * 3


def test_what_is_not_measured_is_an_empty_cell(tmp_path):
    write_csv(tmp_path / "a.csv", [{"mask": "1", "hair": math.nan, "skin": np.float64("nan"), "eye": 0.5}])
    assert (tmp_path / "a.csv").read_text() == "mask,hair,skin,eye\n1,,,0.5\n"
