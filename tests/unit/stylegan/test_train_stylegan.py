"""Training of StyleGAN: exact resume, several processes, a start from another model, the gauge, refusals."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from helpers.stylegan import SETTINGS, changed, write_collection
from helpers.training import sigterm_in_step

from facemill.config.fields import TrainingConfig
from facemill.data.dataset import train_loader
from facemill.data.shards import read_rows, write_shard
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.inference.sampler import Sampler
from facemill.networks.store import load_model
from facemill.networks.style_discriminator import DiscriminatorOutput, StyleDiscriminator
from facemill.networks.stylegan2 import MEAN_STYLES, StyleGenerator
from facemill.networks.vae import to_signed_range
from facemill.stylegan.conditions import Conditions, combination_shares, read_conditions
from facemill.stylegan.evaluate_stylegan import conditions_of
from facemill.stylegan.gan import build_gan
from facemill.stylegan.portraits import Kinds
from facemill.stylegan.train_stylegan import mirrored, overfitting_gauge, train_stylegan, training_rows
from facemill.training.optimization import make_accelerator

ROOT = Path(__file__).parents[3]
PLAIN = changed(conditions=[], diff_augment=["translation"], grad_accumulation=1, noise=False)
PRODUCTS = ("model", "discriminator", "curves")


@pytest.fixture
def inputs(tmp_path, monkeypatch) -> dict:
    """The arguments of a training on 140 small portraits, three of which the gate rejects."""
    monkeypatch.chdir(tmp_path)
    return write_collection(tmp_path)


def into(inputs: dict, folder: Path) -> dict:
    """The arguments of a training whose products go to another folder."""
    return inputs | {product: folder / inputs[product].name for product in PRODUCTS}


@pytest.mark.parametrize("loss", ["logistic", "relativistic"])
@pytest.mark.parametrize("discriminator", ["projection", "acgan"])
def test_a_training_leaves_a_model_that_can_be_asked_for_names(inputs, loss, discriminator):
    train_stylegan(settings=changed(loss=loss, discriminator=discriminator), **inputs)
    generator = load_model(StyleGenerator, inputs["model"])
    assert generator.conditions == {"hair_color": ["black_hair", "red_hair"], "smile": ["smile"]}
    assert generator.combinations.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]]
    assert generator.shares.sum().item() == pytest.approx(1) and generator.shares.min() > 0.1
    images = generator(torch.randn(2, 16), generator.condition(torch.tensor([[0, 0], [2, 1]])))
    assert images.shape == (2, 3, 32, 32) and images.isfinite().all()
    judge = load_model(StyleDiscriminator, inputs["discriminator"])
    assert len(judge(images).classes) == (2 if discriminator == "acgan" else 0)
    curves = np.genfromtxt(inputs["curves"], delimiter=",", names=True)
    columns = {"images", "loss_g", "loss_d", "penalty", "logit_real", "logit_fake", "overfit"}
    columns |= {f"watched_{kind}" for kind in ("training", "held_out", "generated")}
    assert set(curves.dtype.names) == columns and curves["images"].tolist() == [8, 16, 24, 32, 40]
    assert (curves["penalty"] > 0).tolist() == [True, False, True, False, True]  # penalty_every is 2


@pytest.mark.parametrize("discriminator", ["projection", "acgan"])
@pytest.mark.parametrize("stop", [1, 2])
def test_a_stopped_training_resumes_to_the_same_bytes(inputs, tmp_path, discriminator, stop):
    """With conditions that come in, mixing, noise, augmentation and parts, before and after a step with a penalty."""
    settings = changed(discriminator=discriminator)
    runs = [into(inputs, tmp_path / name) for name in ("uninterrupted", "resumed")]
    train_stylegan(settings=settings, **runs[0])
    with sigterm_in_step(stop):
        train_stylegan(settings=settings, **runs[1])
    assert list(tmp_path.glob("work/stylegan-*/checkpoint.safetensors"))
    train_stylegan(settings=settings, **runs[1])
    for product in PRODUCTS:
        assert runs[0][product].read_bytes() == runs[1][product].read_bytes()


def test_the_mean_style_is_that_of_ten_thousand_codes_of_a_seed(inputs):
    train_stylegan(settings=SETTINGS, **inputs)
    generator = load_model(StyleGenerator, inputs["model"])
    torch.manual_seed(7)  # other codes have nearly the same mean
    slots = generator.draw_slots(MEAN_STYLES, torch.Generator().manual_seed(7))
    with torch.inference_mode():
        styles = generator.map(torch.randn(MEAN_STYLES, 16), generator.condition(slots))
    error = (generator.w_mean - styles.mean(0)).abs()
    assert generator.w_mean.abs().max() > 0.1 and (error < 6 * styles.std(0) / MEAN_STYLES**0.5).all()


@pytest.mark.parametrize("discriminator", ["projection", "acgan"])
def test_portraits_twice_as_high_as_wide(tmp_path, monkeypatch, discriminator):
    monkeypatch.chdir(tmp_path)
    inputs = write_collection(tmp_path, 128, 64)
    train_stylegan(settings=changed(size=64, discriminator=discriminator), **inputs)
    generator = load_model(StyleGenerator, inputs["model"])
    assert (generator.height, generator.width, generator.constant.shape[2:]) == (64, 32, (8, 4))
    sampler = Sampler(generator)
    assert sampler.generate(sampler.styles(sampler.codes([0]), sampler.slots([0]))).shape == (1, 64, 32, 3)


def test_neither_rejected_nor_held_out_portraits_are_learned_from(inputs, caplog):
    with caplog.at_level("INFO", logger="facemill"):
        train_stylegan(settings=PLAIN, **inputs)
    learned = int(next(m for m in caplog.messages if "learns from" in m).split()[3])
    assert learned == sum(i >= 3 and not held_out(str(i), 0.1) for i in range(140))
    without_masks = training_rows(
        PLAIN, Conditions({}, {}), inputs["portraits"], Kinds.of(inputs["portraits"], None, 0.1)
    )
    assert len(without_masks) == sum(not held_out(str(i), 0.1) for i in range(140))


def test_names_of_portraits_that_are_not_learned_from_cannot_be_asked_for(tmp_path, monkeypatch):
    """The gate rejects all portraits of black hair but those that are held out."""
    monkeypatch.chdir(tmp_path)
    inputs = write_collection(tmp_path, 32, 32, portraits=240) | {"min_images": 1}
    rows = [
        row | {"rejected": None if int(row["id"]) % 3 or held_out(row["id"], 0.1) else "unsure"}
        for row in read_rows([inputs["gate"]])
    ]
    write_shard(inputs["gate"], rows, pq.read_schema(inputs["gate"]))
    train_stylegan(settings=changed(training={"images": 8, "batch": 8, "learning_rate": 1e-3}), **inputs)
    sampler = Sampler.load(inputs["model"])
    assert sampler.generator.conditions == {"hair_color": ["red_hair"], "smile": ["smile"]}
    kinds = Kinds.of(inputs["portraits"], inputs["gate"], inputs["holdout"])
    assert conditions_of(inputs["model"], sampler, inputs["tags"], kinds).names == sampler.generator.conditions


@pytest.mark.parametrize(("holdout", "count"), [(0, 0), (0.02, 2), (0.04, 5), (0.2, 35)])
def test_the_gauge_needs_no_certain_number_of_held_out_portraits(inputs, holdout, count):
    """None, fewer than four, more than four that four does not divide."""
    assert count == sum(held_out(str(i), holdout) for i in range(140))
    train_stylegan(settings=PLAIN, **inputs | {"holdout": holdout})
    columns = np.genfromtxt(inputs["curves"], delimiter=",", names=True).dtype.names
    assert ("overfit" in columns) == (count > 0)


def test_the_gauge_is_the_way_from_training_to_generated_portraits_that_held_out_ones_went(inputs):
    """At each point of the curves, and at the last step, which steps a point apart do not reach."""
    training = {"images": 403 * 4, "batch": 4, "learning_rate": 1e-3}
    train_stylegan(settings=PLAIN.model_copy(update={"training": TrainingConfig(**training)}), **inputs)
    points = np.genfromtxt(inputs["curves"], delimiter=",", names=True)
    assert points["images"][-1] == 403 * 4
    for point in points:
        way = point["watched_training"] - point["watched_held_out"]
        gap = point["watched_training"] - point["watched_generated"]
        assert point["overfit"] == pytest.approx(way / gap, rel=1e-2)
    assert len(set(points["watched_training"])) == len(points)


def test_the_gauge_watches_training_and_held_out_portraits(inputs):
    """The discriminator here sees brightness alone: the held-out portraits are black, those of the training white."""
    settings, none = changed(conditions=[], diff_augment=[]), torch.zeros((1, 0), dtype=torch.int64)
    gan = build_gan(make_accelerator(), settings, 1, {}, none, torch.ones(1))
    gan.discriminator.raw.forward = lambda images, *rest: DiscriminatorOutput(images.mean((1, 2, 3)), [])
    black, white = (
        [(torch.full((3, 32, 32), value, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64))] * 9
        for value in (0, 255)
    )
    watched = overfitting_gauge(gan, white, black)(0)
    assert watched["watched_training"] == 1 and watched["watched_held_out"] == -1
    assert watched["overfit"] == pytest.approx(2 / (1 - watched["watched_generated"]))


def test_few_portraits_without_augmentation_are_warned_of(inputs, caplog):
    train_stylegan(settings=changed(conditions=[], diff_augment=[]), **inputs)
    assert "portraits without stylegan.diff_augment: watch `overfit`" in caplog.text


def test_too_few_portraits_are_refused(inputs):
    with pytest.raises(UserError, match=r"stylegan: found \d\d portraits to learn from; accepted: 100 or more"):
        train_stylegan(settings=PLAIN, **inputs | {"holdout": 0.5})


def test_portraits_all_alike_are_trained_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = write_collection(tmp_path, 32, 32)
    shard = write_collection(tmp_path / "one", 32, 32, portraits=1)["portraits"][0]
    [row] = read_rows([shard])
    write_shard(inputs["portraits"][0], [row | {"id": str(i)} for i in range(140)], pq.read_schema(shard))
    train_stylegan(settings=PLAIN, **inputs)
    curves = np.genfromtxt(inputs["curves"], delimiter=",", names=True)
    assert all(np.isfinite(curves[name]).all() for name in curves.dtype.names)


def test_a_training_starts_from_another_ones_weights(inputs, tmp_path):
    train_stylegan(settings=SETTINGS, **inputs)
    start = load_model(StyleGenerator, inputs["model"])
    still = changed(initial=tmp_path / "stylegan", training=SETTINGS.training.model_dump() | {"learning_rate": 1e-9})
    later = into(inputs, tmp_path / "later")
    train_stylegan(settings=still, **later)
    state = load_model(StyleGenerator, later["model"]).state_dict()
    assert all(torch.allclose(state[key], value, atol=1e-5) for key, value in start.state_dict().items())
    judge, judged = (load_model(StyleDiscriminator, run["discriminator"]) for run in (inputs, later))
    pairs = zip(judge.parameters(), judged.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "small"}, r"model.safetensors has constant of \(1, 16, 4, 4\); accepted: \(1, 64, 4, 4\), a model"),
        (
            {"discriminator": "acgan"},
            r"discriminator.safetensors has classifiers.0.weight of None; accepted: \(3, 16\), a model of",
        ),
        (
            {"noise": False},
            r"model.safetensors has levels.0.convs.0.noise_strength of \(\); accepted: None, a model of",
        ),
        ({"conditions": ["smile", "hair_color"]}, r"can be asked for {'hair_color': .*; accepted: {'smile': .*},"),
        ({"conditions": []}, r"can be asked for {'hair_color': .*; accepted: {}, those of"),
    ],
)
def test_a_start_from_a_model_of_other_settings_is_refused(inputs, tmp_path, changes, message):
    train_stylegan(settings=SETTINGS, **inputs)
    with pytest.raises(UserError, match=f"^stylegan.initial: .*{message}"):
        train_stylegan(settings=changed(initial=tmp_path / "stylegan", **changes), **into(inputs, tmp_path / "later"))


def test_a_start_needs_the_discriminator(inputs, tmp_path):
    train_stylegan(settings=SETTINGS, **inputs)
    inputs["discriminator"].unlink()
    with pytest.raises(UserError, match=r"stylegan/discriminator.safetensors: no such"):
        train_stylegan(settings=changed(initial=tmp_path / "stylegan"), **into(inputs, tmp_path / "later"))


def test_snapshots_are_saved_while_it_trains(inputs, tmp_path):
    train_stylegan(settings=SETTINGS, **inputs)
    [folder] = tmp_path.glob("work/stylegan-*")
    assert len(list(folder.glob("samples-*.png"))) == 5  # one a step


def test_mirroring_takes_half_of_the_images():
    torch.manual_seed(0)
    images = torch.rand(64, 3, 4, 4)
    flipped = mirrored(images)
    is_flipped = [torch.equal(a, b.flip(2)) for a, b in zip(flipped, images, strict=True)]
    is_same = [torch.equal(a, b) for a, b in zip(flipped, images, strict=True)]
    assert 20 < sum(is_flipped) < 44 and sum(is_flipped) + sum(is_same) == 64


TRAIN = """
import json, os, signal
from pathlib import Path
import torch
from facemill.config.stylegan import StyleganConfig
from facemill.stylegan.train_stylegan import train_stylegan
from facemill.training.learner import EmaLearner

update = EmaLearner.update

def update_and_stop(learner, step):
    update(learner, step)
    if step == 1 and os.environ.get("STOP") == os.environ["LOCAL_RANK"]:
        os.kill(os.getpid(), signal.SIGTERM)  # in one process alone: the other must stop after the same step

EmaLearner.update = update_and_stop

def train() -> None:
    inputs = json.loads(Path("inputs.json").read_text())
    inputs |= {key: Path(inputs[key]) for key in ("gate", "model", "discriminator", "curves")}
    inputs |= {key: [Path(path) for path in inputs[key]] for key in ("portraits", "tags")}
    train_stylegan(settings=StyleganConfig.model_validate_json(inputs.pop("settings")), **inputs)

if __name__ == "__main__":
    from facemill.workflow.command import run
    run("train:train", gpu=True)
"""


def test_two_processes_train_as_one_on_the_mean_of_their_gradients_and_resume(inputs, tmp_path):
    settings = changed(grad_accumulation=1)
    (tmp_path / "train.py").write_text(TRAIN)
    command = [sys.executable, "-m", "facemill.workflow.launch", "2", "train.py"]
    devices = {"CUDA_VISIBLE_DEVICES": "0,1", "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}  # names only

    def train(name: str, **environment: str) -> subprocess.CompletedProcess:
        arguments = into(inputs, tmp_path / name) | {"settings": settings.model_dump_json()}
        (tmp_path / "inputs.json").write_text(json.dumps(arguments, default=str))
        environment = os.environ | devices | environment
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    stopped = train("resumed", STOP="1")
    assert stopped.returncode and "stopped at 16 images" in stopped.stderr, stopped.stderr
    for name in ("resumed", "uninterrupted"):
        done = train(name)
        assert done.returncode == 0, done.stderr
        assert len(re.findall("40 of 40 images", done.stderr)) == 1  # only the first process logs
    for product in ("model.safetensors", "discriminator.safetensors"):
        assert (tmp_path / "resumed" / product).read_bytes() == (tmp_path / "uninterrupted" / product).read_bytes()

    trained = load_model(StyleGenerator, tmp_path / "uninterrupted/model.safetensors").state_dict()
    expected = one_process(settings, inputs)
    start = one_process(
        settings.model_copy(update={"training": settings.training.model_copy(update={"images": 8})}), inputs
    )
    for key, value in expected.items():
        if "w_mean" not in key:
            torch.testing.assert_close(trained[key], value, atol=1e-4, rtol=1e-3)
    assert any(not torch.allclose(start[key], value, atol=1e-3) for key, value in expected.items())


def one_process(settings, inputs: dict) -> dict[str, torch.Tensor]:
    """The EMA generator's state after one process has done the work of two."""
    torch.manual_seed(inputs["seed"])
    accelerator = make_accelerator()
    kinds = Kinds.of(inputs["portraits"], inputs["gate"], inputs["holdout"])
    conditions = read_conditions(inputs["tags"], settings.conditions, inputs["min_images"], kinds.training)
    rows = training_rows(settings, conditions, inputs["portraits"], kinds)
    combinations = combination_shares([rows.slots(index) for index in range(len(rows))])
    gan = build_gan(accelerator, settings, 1, conditions.names, *combinations)
    batches = train_loader(rows, settings.training.batch, inputs["seed"])
    for step, (pixels, slots) in zip(range(settings.training.steps), batches, strict=False):
        for process, part in enumerate(zip(to_signed_range(pixels).chunk(2), slots.chunk(2), strict=True)):
            torch.manual_seed(inputs["seed"] * 1_000_003 + step + (process << 40))
            gan.accumulate_gradients(mirrored(part[0]), part[1], step, share=0.5)
        for learner in gan.learners.values():
            learner.update(step)
    return gan.generator.ema.state_dict()
