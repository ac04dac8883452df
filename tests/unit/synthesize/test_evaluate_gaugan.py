"""Evaluation of GauGAN: styles by its training, metrics by the class table, and what is refused."""

import csv
import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from facemill.config.fields import TrainingConfig
from facemill.config.synthesize import GauganConfig
from facemill.data.classes import SEVEN, Class, ClassTable
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, write_shard
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.networks.spade import Generator
from facemill.networks.store import save_model
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae
from facemill.synthesize.evaluate_gaugan import STYLES_PER_MASK, evaluate_gaugan

TRAINING = TrainingConfig(images=16, batch=4, learning_rate=1e-3)
SETTINGS = GauganConfig(preset="tiny", feature_matching_weight=10, perceptual_weight=10, training=TRAINING)
NINE = ClassTable((*SEVEN.root, Class(name="hand", color="#abcdef"), Class(name="glasses", color="#fedcba")))
ROWS = 12
HOLDOUT = 0.5
MASKS = sum(held_out(str(i), HOLDOUT) for i in range(ROWS))


@pytest.fixture
def inputs(tmp_path):
    def made(classes: ClassTable, z: str) -> dict:
        random, rows = np.random.default_rng(0), []
        for i in range(ROWS):
            mask = np.zeros((64, 64), np.uint8)
            mask[random.integers(4, 16) :, : random.integers(16, 64)] = 1 + i % 6  # none of hand, of glasses
            image = np.array(classes.colors, np.uint8)[mask]
            image, labels = {"bytes": encode_jpeg(image)}, {"bytes": encode_mask(mask, classes)}
            rows.append({"id": str(i), "image": image, "mask": labels})
        write_shard(tmp_path / "portraits.parquet", rows, pa.schema([("id", pa.string()), ("image", IMAGE)]))
        write_shard(tmp_path / "masks.parquet", rows, pa.schema([("id", pa.string()), ("mask", IMAGE)]), classes)
        torch.manual_seed(0)
        z_dim = 0 if z == "none" else 6
        gaugan = {"size": 64, "z_dim": z_dim, "ngf": 4, "nhidden": 4, "classes": len(classes), "z": z}
        save_model(tmp_path / "gaugan.safetensors", Generator(**gaugan), gaugan, {}, classes)
        vae = {"size": 32, "z_dim": 6, "width": 4}
        save_model(tmp_path / "vae.safetensors", Vae(**vae), vae, {})
        unet = {"size": 64, "decoder": "transposed", "decoder_channels": (16, 16, 8, 8, 8), "classes": len(classes)}
        save_model(tmp_path / "unet.safetensors", Unet(**unet), unet, {}, classes)
        return {
            "model": tmp_path / "gaugan.safetensors",
            "vae": tmp_path / "vae.safetensors",
            "evaluator": tmp_path / "unet.safetensors",
            "settings": SETTINGS.model_copy(update={"z": z}),
            "portraits": [tmp_path / "portraits.parquet"],
            "pseudo_labels": [tmp_path / "masks.parquet"],
            "holdout": HOLDOUT,
            "seed": 1,
            "metrics": tmp_path / "metrics.json",
            "table": tmp_path / "per_image.csv",
            "picture": tmp_path / "gaugan.png",
        }

    return made


@pytest.mark.parametrize("classes", [SEVEN, NINE])
def test_metrics_are_named_by_the_class_table(inputs, classes):
    paths = inputs(classes, "encoder")
    evaluate_gaugan(**paths)
    metrics = json.loads(paths["metrics"].read_text())
    assert metrics["styles"] == "reference" and metrics["images"] == MASKS * STYLES_PER_MASK
    assert list(metrics["resegmentation_iou"]) == list(classes.names)
    assert 0 <= metrics["resegmentation_miou"] <= 1 and metrics["frechet_distance"] > 0
    assert metrics["style_background_color_error"] > 0 and "style_background_color_error_std" in metrics
    assert not any(key.startswith("style_") for key in metrics["from_random_styles"])
    rows = list(csv.DictReader(paths["table"].open()))
    assert len(rows) == 2 * MASKS * STYLES_PER_MASK
    assert list(rows[0])[:4] == ["mask", "style", "resegmentation_miou", "hair"]
    assert {row["style"] for row in rows[MASKS * STYLES_PER_MASK :]} == {"random"}
    assert Image.open(paths["picture"]).width > 128


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
    assert "from_random_styles" not in metrics


def test_models_of_another_table_are_refused(inputs):
    paths = inputs(NINE, "encoder")
    arguments = {"size": 64, "decoder": "transposed", "decoder_channels": (16, 16, 8, 8, 8), "classes": 7}
    save_model(paths["evaluator"], Unet(**arguments), arguments, {}, SEVEN)
    with pytest.raises(UserError, match=r"unet.safetensors: has the classes .*; accepted: .*, hand, glasses"):
        evaluate_gaugan(**paths)


def test_too_few_held_out_portraits_are_refused(inputs):
    with pytest.raises(UserError, match="holdout: found 0.0, which holds out 0 portraits"):
        evaluate_gaugan(**inputs(SEVEN, "encoder") | {"holdout": 0.0})
