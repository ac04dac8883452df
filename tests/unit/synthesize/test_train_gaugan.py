"""Training of GauGAN: where styles come from, batches in parts, and several processes that train one model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from accelerate import Accelerator
from torch.optim import SGD

from facemill.config.fields import TrainingConfig
from facemill.config.synthesize import GauganConfig
from facemill.data.classes import COLORS
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, write_shard
from facemill.data.splits import held_out
from facemill.networks.patch_discriminator import Discriminator
from facemill.networks.spade import Generator
from facemill.networks.store import load_model, save_model
from facemill.networks.vae import Vae
from facemill.segment.gate_pseudo_labels import SCHEMA as GATE
from facemill.synthesize.train_gaugan import Gan, gan_step, train_gaugan

ROOT = Path(__file__).parents[3]
TRAINING = TrainingConfig(images=16, batch=4, learning_rate=1e-3)
SETTINGS = GauganConfig(preset="tiny", feature_matching_weight=10, perceptual_weight=10, training=TRAINING)


@pytest.fixture
def inputs(tmp_path, monkeypatch) -> dict:
    """The arguments of a training on twelve small portraits, one of which the gate rejects."""
    monkeypatch.chdir(tmp_path)
    return make_inputs(tmp_path, 64, 64)


def make_inputs(folder: Path, height: int, width: int) -> dict:
    random, rows = np.random.default_rng(0), []
    for i in range(12):
        mask = np.zeros((height, width), np.uint8)
        mask[random.integers(4, 16) :, : random.integers(4, width)] = 1 + i % 6
        image = np.array(COLORS, np.uint8)[mask]
        rows.append({"id": str(i), "image": {"bytes": encode_jpeg(image)}, "mask": {"bytes": encode_mask(mask)}})
    write_shard(folder / "portraits.parquet", rows, pa.schema([("id", pa.string()), ("image", IMAGE)]))
    write_shard(folder / "masks.parquet", rows, pa.schema([("id", pa.string()), ("mask", IMAGE)]))
    gate = [{"id": str(i), "rejected": "unsure" if i == 3 else None} for i in range(12)]
    write_shard(folder / "gate.parquet", gate, GATE)
    torch.manual_seed(0)
    plan = {"size": 32, "z_dim": 6, "width": 4}
    save_model(folder / "vae/model.safetensors", Vae(**plan), plan, {})
    return {
        "size": height,
        "seed": 1,
        "holdout": 0.2,
        "vae": folder / "vae/model.safetensors",
        "portraits": [folder / "portraits.parquet"],
        "pseudo_labels": [folder / "masks.parquet"],
        "gate": folder / "gate.parquet",
        "model": folder / "gaugan/model.safetensors",
        "style_encoder": folder / "gaugan/style_encoder.safetensors",
        "curves": folder / "gaugan/curves.csv",
    }


@pytest.mark.parametrize(("z", "z_dim"), [("encoder", 6), ("normal", 6), ("none", 0)])
def test_styles_come_from_where_the_settings_say(inputs, z, z_dim):
    train_gaugan(SETTINGS.model_copy(update={"z": z}), **inputs)
    generator = load_model(Generator, inputs["model"])
    assert (generator.z, generator.z_dim) == (z, z_dim)
    masks = torch.randint(0, 7, (2, 64, 64))
    assert generator(masks, torch.randn(2, z_dim)).shape == (2, 3, 64, 64)


def test_portraits_twice_as_high_as_wide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = make_inputs(tmp_path, 128, 64)
    train_gaugan(SETTINGS.model_copy(update={"diff_augment": True}), **inputs)
    generator = load_model(Generator, inputs["model"])
    assert generator(torch.randint(0, 7, (1, 128, 64)), torch.randn(1, 6)).shape == (1, 3, 128, 64)


def test_rejected_portraits_are_not_learned_from(inputs, caplog):
    with caplog.at_level("INFO", logger="facemill"):
        train_gaugan(SETTINGS, **inputs)
    learned = int(next(m for m in caplog.messages if "learns from" in m).split()[3])
    assert learned == sum(i != 3 and not held_out(str(i), 0.2) for i in range(12))


def test_a_batch_in_parts_gives_the_gradients_of_the_whole():
    real, masks = torch.rand(4, 3, 64, 64) * 2 - 1, torch.randint(0, 7, (4, 64, 64))
    z, weights = torch.randn(4, 6), []
    for parts in (1, 2):
        torch.manual_seed(0)
        # evaluation mode: batch norm, which sees a part alone, is what would differ
        generator = Generator(size=64, z_dim=6, ngf=4, nhidden=8, classes=7).eval()
        networks = generator, Discriminator(ndf=8, classes=7).eval()
        sgd = [SGD(network.parameters(), 0.1) for network in networks]
        gan = Gan(*networks, *sgd, None, SETTINGS.model_copy(update={"grad_accumulation": parts}))
        losses = gan_step(gan, Accelerator(cpu=True), real, masks, z)
        weights.append([w.detach().clone() for network in networks for w in network.parameters()])
    assert losses.keys() == {"hinge_g", "feature_matching", "hinge_d"}
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*weights, strict=True))


def test_two_processes_train_one_model_and_resume_it(inputs, tmp_path):
    code = """
import json, os, signal
from pathlib import Path
from facemill.training import run as training
from facemill.workflow.command import run
from facemill.config.synthesize import GauganConfig
from facemill.synthesize import train_gaugan as module

update = module.update_ema
def update_and_stop(ema, network, decay):
    update(ema, network, decay)
    update_and_stop.calls += 1
    if update_and_stop.calls == 2 and os.environ.get("STOP") == os.environ["LOCAL_RANK"]:
        os.kill(os.getpid(), signal.SIGTERM)  # one of them alone: the other must stop after the same step
update_and_stop.calls = 0
module.update_ema = update_and_stop

def main():
    inputs = json.loads(Path("inputs.json").read_text())
    paths = ("vae", "gate", "model", "style_encoder", "curves")
    inputs |= {key: Path(inputs[key]) for key in paths}
    inputs |= {key: [Path(one) for one in inputs[key]] for key in ("portraits", "pseudo_labels")}
    module.train_gaugan(GauganConfig.model_validate_json(inputs.pop("settings")), **inputs)
run(main, gpu=True)
"""
    (tmp_path / "train.py").write_text(code)
    command = [sys.executable, "-m", "facemill.workflow.launch", "2", "train.py"]
    devices = {"CUDA_VISIBLE_DEVICES": "0,1", "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}  # names only

    def train(name: str, **environment: str) -> subprocess.CompletedProcess:
        paths = {key: str(tmp_path / name / Path(inputs[key]).name) for key in ("model", "style_encoder", "curves")}
        about = {k: [str(one) for one in v] if isinstance(v, list) else v for k, v in inputs.items()} | paths
        about |= {"settings": SETTINGS.model_dump_json()}
        (tmp_path / "inputs.json").write_text(json.dumps(about, default=str))
        return subprocess.run(
            command, cwd=tmp_path, env=os.environ | devices | environment, capture_output=True, text=True
        )

    stopped = train("resumed", STOP="1")
    assert stopped.returncode and "stopped at 8 images" in stopped.stderr, stopped.stderr
    assert list(tmp_path.glob("work/gaugan-*/checkpoint.safetensors"))
    for name in ("resumed", "whole"):
        done = train(name)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("16 of 16 images") == 1  # the first process alone speaks
    assert "goes on after step 2" not in done.stderr
    same = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("resumed", "whole")]
    assert same[0] == same[1]
    assert (tmp_path / "whole/curves.csv").read_text() == (tmp_path / "resumed/curves.csv").read_text()
