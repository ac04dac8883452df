"""Training of GauGAN: where styles come from, exact resume, and several processes that train one model."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.scenes import THREE, save_unet
from helpers.training import sigterm_in_step

from facemill.config.fields import TrainingConfig
from facemill.config.ingest import DetectorConfig
from facemill.config.synthesize import GauganConfig
from facemill.data.classes import SEVEN, ClassTable
from facemill.data.dataset import ShardDataset
from facemill.data.shards import IMAGE, decode_image, decode_mask, encode_jpeg, encode_mask, read_rows, write_shard
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.networks.device import autocast
from facemill.networks.spade import Generator
from facemill.networks.store import load_model, model_classes, model_settings, save_model
from facemill.networks.vae import Vae, reparameterize, to_signed_range
from facemill.segment.gate_pseudo_labels import SCHEMA as GATE
from facemill.synthesize.styles import style_distribution
from facemill.synthesize.train_gaugan import SNAPSHOTS, train_gaugan

ROOT = Path(__file__).parents[3]
ENCODER = {"size": 32, "z_dim": 6, "width": 4}
TRAINING = TrainingConfig(images=16, batch=4, learning_rate=1e-3)
SETTINGS = GauganConfig(preset="tiny", z="encoder", feature_matching_weight=10, perceptual_weight=10, training=TRAINING)


@pytest.fixture
def inputs(tmp_path, monkeypatch) -> dict:
    """The arguments of a training on twelve small portraits, one of which the gate rejects."""
    monkeypatch.chdir(tmp_path)
    return make_inputs(tmp_path, 64, 64)


def make_inputs(folder: Path, height: int, width: int, classes: ClassTable = SEVEN) -> dict:
    random, rows = np.random.default_rng(0), []
    for i in range(12):
        mask = np.zeros((height, width), np.uint8)
        mask[random.integers(4, 16) :, : random.integers(4, width)] = 1 + i % (len(classes) - 1)
        image = np.array(classes.colors, np.uint8)[mask]
        mask_file = encode_mask(mask, classes)
        rows.append({"id": str(i), "image": {"bytes": encode_jpeg(image)}, "mask": {"bytes": mask_file}})
    write_shard(folder / "portraits.parquet", rows, pa.schema([("id", pa.string()), ("image", IMAGE)]))
    write_shard(folder / "masks.parquet", rows, pa.schema([("id", pa.string()), ("mask", IMAGE)]), classes)
    gate = [{"id": str(i), "rejected": "unsure" if i == 3 else None} for i in range(12)]
    write_shard(folder / "gate.parquet", gate, GATE)
    torch.manual_seed(0)
    save_model(folder / "vae/model.safetensors", Vae(**ENCODER), ENCODER, {})
    return {
        "size": height,
        "seed": 1,
        "holdout": 0.2,
        "style_reader": folder / "vae/model.safetensors",
        "portraits": [folder / "portraits.parquet"],
        "pseudo_labels": [folder / "masks.parquet"],
        "gate": folder / "gate.parquet",
        "model": folder / "gaugan/model.safetensors",
        "style_encoder": folder / "gaugan/style_encoder.safetensors",
        "curves": folder / "gaugan/curves.csv",
    }


@pytest.mark.parametrize(("z", "z_dim"), [("regions", 21), ("encoder", 6), ("normal", 6), ("none", 0)])
def test_styles_come_from_where_the_settings_say(inputs, z, z_dim):
    train_gaugan(settings=SETTINGS.model_copy(update={"z": z}), **inputs)
    generator = load_model(Generator, inputs["model"])
    assert (generator.z, generator.z_dim) == (z, z_dim)
    masks = torch.randint(0, 7, (2, 64, 64))
    assert generator(masks, torch.randn(2, z_dim)).shape == (2, 3, 64, 64)


@pytest.mark.parametrize(("z", "z_dim"), [("normal", 6), ("none", 0)])
def test_styles_that_are_not_encoded_stay_standard_normal(inputs, z, z_dim):
    train_gaugan(settings=SETTINGS.model_copy(update={"z": z}), **inputs)
    generator = load_model(Generator, inputs["model"])
    assert torch.equal(generator.style_mean, torch.zeros(z_dim))
    assert torch.equal(generator.style_scale, torch.eye(z_dim))


def test_the_generator_keeps_the_distribution_of_its_training_styles(inputs):
    """That of draws of q(z|x) of the portraits it learns from, half of them flipped: neither rejected nor held out."""
    encoder = load_model(Vae, inputs["style_reader"])
    encoder.mean.weight.data *= 30  # far apart, where an untrained one is near N(0, 1)
    save_model(inputs["style_reader"], encoder, ENCODER, {})
    train_gaugan(settings=SETTINGS, **inputs)
    generator, rows = load_model(Generator, inputs["model"]), read_rows(inputs["portraits"])
    images = [decode_image(r["image"]["bytes"]) for r in rows if r["id"] != "3" and not held_out(r["id"], 0.2)]
    flipped = [image if i % 2 else image[:, ::-1] for i, image in enumerate(images)]
    with torch.inference_mode(), autocast():
        posterior = encoder.encode(to_signed_range(torch.from_numpy(np.stack(flipped)).permute(0, 3, 1, 2)))
    torch.manual_seed(1)
    styles = torch.cat([reparameterize(*posterior) for _ in range(5000)])
    torch.testing.assert_close(generator.style_mean, styles.mean(0), atol=0.02, rtol=0)
    torch.testing.assert_close(generator.style_scale @ generator.style_scale.T, styles.T.cov(), atol=0.02, rtol=0)


def test_styles_by_region_are_distributed_as_the_colors_of_the_portraits(inputs):
    """Without that of a portrait in a class that it lacks; the network beside the model reads them."""
    train_gaugan(settings=SETTINGS.model_copy(update={"z": "regions"}), **inputs)
    generator = load_model(Generator, inputs["model"])
    masks = {row["id"]: decode_mask(row["mask"]["bytes"], SEVEN) for row in read_rows(inputs["pseudo_labels"])}
    images = {row["id"]: decode_image(row["image"]["bytes"]) for row in read_rows(inputs["portraits"])}
    learned = [row_id for row_id in masks if row_id != "3" and not held_out(row_id, 0.2)]
    hair = [images[row_id][masks[row_id] == 5] / 127.5 - 1 for row_id in learned if (masks[row_id] == 5).any()]
    expected = np.mean([pixels.mean(0) for pixels in hair], axis=0)
    np.testing.assert_allclose(generator.style_mean[15:18], expected, atol=1e-4)
    assert inputs["style_encoder"].read_bytes() == inputs["style_reader"].read_bytes()


def test_the_model_tells_how_its_portraits_were_cropped(inputs, tmp_path):
    """The folder of a training does not depend on it: the portraits themselves do."""
    detector = DetectorConfig(kind="cascade", cascade="c.xml")
    train_gaugan(settings=SETTINGS, **inputs, crop="face", detector=detector)
    settings = model_settings(inputs["model"])
    assert settings["crop"] == "face" and DetectorConfig.model_validate(settings["detector"]) == detector
    train_gaugan(settings=SETTINGS, **inputs)
    assert (model_settings(inputs["model"])["crop"], model_settings(inputs["model"])["detector"]) == ("middle", None)
    assert len(list(tmp_path.glob("work/gaugan-*"))) == 1


def test_the_covariance_of_one_portraits_styles_has_full_rank(tmp_path):
    inputs = make_inputs(tmp_path, 64, 64)
    rows = ShardDataset(inputs["portraits"], inputs["pseudo_labels"], keep=lambda row_id: row_id == "5")
    mean, covariance = style_distribution(load_model(Vae, inputs["style_reader"]), rows)
    assert mean.shape == (6,) and torch.linalg.cholesky(covariance).isfinite().all()


def test_portraits_twice_as_high_as_wide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = make_inputs(tmp_path, 128, 64)
    train_gaugan(settings=SETTINGS.model_copy(update={"diff_augment": True}), **inputs)
    generator = load_model(Generator, inputs["model"])
    assert generator(torch.randint(0, 7, (1, 128, 64)), torch.randn(1, 6)).shape == (1, 3, 128, 64)


def test_rejected_portraits_are_not_learned_from(inputs, caplog):
    with caplog.at_level("INFO", logger="facemill"):
        train_gaugan(settings=SETTINGS, **inputs)
    learned = int(next(m for m in caplog.messages if "learns from" in m).split()[3])
    assert learned == sum(i != 3 and not held_out(str(i), 0.2) for i in range(12))


def test_the_official_test_split_is_not_learned_from(inputs, caplog):
    rows = [row | {"split": "test" if row["id"] in "5678" else "train"} for row in read_rows(inputs["portraits"])]
    schema = pa.schema([("id", pa.string()), ("image", IMAGE), ("split", pa.string())])
    write_shard(inputs["portraits"][0], rows, schema)
    with caplog.at_level("INFO", logger="facemill"):
        train_gaugan(settings=SETTINGS, **inputs)
    learned = int(next(m for m in caplog.messages if "learns from" in m).split()[3])
    assert learned == sum(i not in (3, 5, 6, 7, 8) and not held_out(str(i), 0.2) for i in range(12))


def test_portraits_that_are_all_held_out_are_a_mistake_of_the_user(inputs):
    with pytest.raises(UserError, match="gate.parquet: accepts only held-out portraits"):
        train_gaugan(settings=SETTINGS, **inputs | {"holdout": 1.0})


@pytest.mark.parametrize(
    "changes", [{"z": "regions"}, {"z": "encoder"}, {"discriminator": "segmentation", "perceptual": "unet"}], ids=str
)
def test_a_stopped_training_resumes_to_the_same_bytes(inputs, tmp_path, changes):
    settings = SETTINGS.model_copy(update={"diff_augment": True, "grad_accumulation": 2} | changes)
    inputs["perceptual_unet"] = save_unet(tmp_path / "unet.safetensors")
    runs = [
        inputs | {key: tmp_path / name / inputs[key].name for key in ("model", "style_encoder", "curves")}
        for name in ("uninterrupted", "resumed")
    ]
    train_gaugan(settings=settings, **runs[0])
    with sigterm_in_step(1):
        train_gaugan(settings=settings, **runs[1])
    train_gaugan(settings=settings, **runs[1])
    for product in ("model", "style_encoder", "curves"):
        assert runs[0][product].read_bytes() == runs[1][product].read_bytes()


def test_another_class_table_reaches_networks_and_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = make_inputs(tmp_path, 64, 64, THREE)
    train_gaugan(settings=SETTINGS, **inputs)
    assert model_classes(inputs["model"]) == THREE
    generator = load_model(Generator, inputs["model"], THREE)
    assert generator(torch.randint(0, 3, (1, 64, 64)), torch.randn(1, 6)).shape == (1, 3, 64, 64)


def test_snapshots_are_saved_while_it_trains(inputs, tmp_path):
    train_gaugan(settings=SETTINGS, **inputs | {"holdout": 0.5})
    [folder] = tmp_path.glob("work/gaugan-*")
    assert len(list(folder.glob("snapshot-*.png"))) == min(SNAPSHOTS, TRAINING.steps)


TRAIN = """
import json, os, signal
from pathlib import Path
import torch
from facemill.config.synthesize import GauganConfig
from facemill.synthesize.train_gaugan import train_gaugan
from facemill.training import run as training
from facemill.training.learner import EmaLearner

training.CURVE_POINTS = 1  # one point, so that the checkpoint holds losses of the point to come
update = EmaLearner.update

def update_and_stop(learner, step):
    update(learner, step)
    os.write(1, f"seed {torch.initial_seed()}\\n".encode())  # in one piece, as two processes write
    if step == 1 and os.environ.get("STOP") == os.environ["LOCAL_RANK"]:
        os.kill(os.getpid(), signal.SIGTERM)  # in one process alone: the other must stop after the same step

EmaLearner.update = update_and_stop

def train() -> None:
    inputs = json.loads(Path("inputs.json").read_text())
    inputs |= {key: Path(inputs[key]) for key in ("style_reader", "gate", "model", "style_encoder", "curves")}
    inputs |= {key: [Path(path) for path in inputs[key]] for key in ("portraits", "pseudo_labels")}
    train_gaugan(settings=GauganConfig.model_validate_json(inputs.pop("settings")), **inputs)

if __name__ == "__main__":
    from facemill.workflow.command import run
    run("train:train", gpu=True)
"""


def test_two_processes_train_one_model_and_resume_it(inputs, tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    command = [sys.executable, "-m", "facemill.workflow.launch", "2", "train.py"]
    devices = {"CUDA_VISIBLE_DEVICES": "0,1", "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}  # names only
    settings = SETTINGS.model_copy(update={"discriminator": "segmentation"})  # processes share its class weights, too

    def train(name: str, **environment: str) -> subprocess.CompletedProcess:
        paths = {key: str(tmp_path / name / Path(inputs[key]).name) for key in ("model", "style_encoder", "curves")}
        arguments = inputs | paths | {"settings": settings.model_dump_json()}
        (tmp_path / "inputs.json").write_text(json.dumps(arguments, default=str))
        return subprocess.run(
            command, cwd=tmp_path, env=os.environ | devices | environment, capture_output=True, text=True
        )

    stopped = train("resumed", STOP="1")
    assert stopped.returncode and "stopped at 8 images" in stopped.stderr, stopped.stderr
    assert list(tmp_path.glob("work/gaugan-*/checkpoint.safetensors"))
    for name in ("resumed", "uninterrupted"):
        done = train(name)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("16 of 16 images") == 1  # only the first process logs
        assert ("resumes after step 2" in done.stderr) == (name == "resumed")
        seeds = set(re.findall(r"seed (\d+)", done.stdout))  # each process draws its own numbers
        assert len(seeds) == 2 * (2 if name == "resumed" else TRAINING.steps)
    resumed, uninterrupted = tmp_path / "resumed", tmp_path / "uninterrupted"
    assert (resumed / "model.safetensors").read_bytes() == (uninterrupted / "model.safetensors").read_bytes()
    curves = [np.genfromtxt(folder / "curves.csv", delimiter=",", names=True) for folder in (resumed, uninterrupted)]
    assert curves[0].dtype == curves[1].dtype  # the same columns
    np.testing.assert_allclose(*(list(curve.tolist()) for curve in curves), rtol=1e-5)
