"""Training of the U-Nets: validation, when a run stops, which weights it writes, and exact resume."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.scenes import THREE
from helpers.training import sigterm_in_step
from torch import nn
from torch.nn import functional as F

from facemill.config.fields import TrainingConfig
from facemill.config.segment import UnetTrainConfig
from facemill.data.classes import IGNORE
from facemill.errors import UserError
from facemill.networks.store import load_model, model_classes
from facemill.networks.unet import Unet
from facemill.segment import train_unet
from facemill.segment.train_unet import EarlyStopping, validate


class FakeRun:
    """Stands in for a training: only its steps count."""

    name, stop_requested = "toy", False

    def __init__(self) -> None:
        self.extra_metrics: dict[str, float] = {}


def stop_early(
    monkeypatch, mious: list[float], patience: int, errors: list[float] | None = None
) -> tuple[FakeRun, float]:
    """A training of ten steps whose only weight is the step's number, with these validation mIoUs and their errors."""
    run, scores = FakeRun(), iter(zip(mious, errors or [0.0] * len(mious), strict=True))
    ema, best = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    monkeypatch.setattr(train_unet, "validate", lambda network, rows: next(scores))
    monkeypatch.setattr(train_unet, "ShardDataset", lambda shards: shards)
    early_stopping = EarlyStopping(run, ema, best, "validation", 10, patience)
    for step in range(10):
        nn.init.constant_(ema.weight, step)
        early_stopping.update(step)
        if run.stop_requested:
            break
    return run, best.weight.item()


def test_the_best_weights_are_copied_and_a_run_that_no_longer_improves_stops(monkeypatch):
    run, best = stop_early(monkeypatch, [0.1, 0.5, 0.4, 0.4, 0.3], patience=3)
    assert (run.stop_requested, best) == (True, 1)
    assert run.extra_metrics == {"validation_miou": 0.3, "best_miou": 0.5, "best_error": 0.0, "since_best": 3}


def test_a_run_that_improves_now_and_then_runs_to_its_end(monkeypatch):
    run, best = stop_early(monkeypatch, [0.1, 0.0, 0.0, 0.2, 0.1, 0.1, 0.3, 0.1, 0.1, 0.0], patience=3)
    assert (run.stop_requested, best) == (False, 6)


def test_of_weights_within_a_standard_error_of_the_best_the_latest_are_copied(monkeypatch):
    mious = [0.54, 0.65, 0.67, 0.774, 0.75, 0.755, 0.744, 0.755, 0.754, 0.753]
    run, best = stop_early(monkeypatch, mious, patience=4, errors=[0.026] * 10)
    assert (run.stop_requested, best, run.extra_metrics["best_miou"]) == (False, 9, 0.774)
    run, best = stop_early(monkeypatch, mious, patience=4, errors=[0.01] * 10)
    assert (run.stop_requested, best) == (True, 3)


def test_weights_that_fail_on_a_portrait_are_never_taken(monkeypatch):
    random = np.random.default_rng(0)
    for _ in range(100):
        portraits = random.normal(0.8, 0.05, 8)
        failed = portraits - [0.4, *[0] * 7]  # their mean is .05 lower, and its standard error about as much higher
        errors = [float(np.std(mious, ddof=1) / 8**0.5) for mious in (portraits, failed)]
        run, best = stop_early(monkeypatch, [portraits.mean(), failed.mean()], patience=1, errors=errors)
        assert (best, run.extra_metrics["best_error"], run.stop_requested) == (0, errors[0], True)


def test_without_validation_portraits_the_last_weights_are_the_best():
    run = FakeRun()
    ema, best = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    early_stopping = EarlyStopping(run, ema, best, None, 7, 1)
    for step in range(7):
        nn.init.constant_(ema.weight, step)
        early_stopping.update(step)
    assert (best.weight.item(), run.stop_requested, run.extra_metrics) == (6, False, {})


def test_the_standard_error_is_that_of_the_portraits():
    class Background(nn.Module):
        """Predicts background everywhere."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return F.one_hot(torch.zeros(len(images), *images.shape[2:], dtype=torch.int64), 7).permute(0, 3, 1, 2)

    rows = []
    for share in (0, 0.25, 1):  # of the mask's rows are skin
        mask = torch.zeros(8, 8, dtype=torch.uint8)
        mask[: int(8 * share)] = 1
        rows.append((torch.zeros(3, 8, 8, dtype=torch.uint8), mask))
    miou, error = validate(Background(), rows)
    assert miou == pytest.approx((14 / 24 + 0) / 2)
    assert error == pytest.approx(np.std([1, 0.375, 0], ddof=1) / 3**0.5)
    assert validate(Background(), rows[:1]) == (1, np.inf)
    ignored = (rows[0][0], torch.full((8, 8), IGNORE, dtype=torch.uint8))
    assert validate(Background(), [*rows, ignored]) == (miou, error)


def test_a_validation_without_a_labelled_pixel_stops_the_training(monkeypatch):
    monkeypatch.setattr(train_unet, "ShardDataset", lambda paths: SimpleNamespace(images=paths))
    monkeypatch.setattr(train_unet, "validate", lambda network, rows: (np.nan, np.inf))
    early_stopping = EarlyStopping(FakeRun(), nn.Linear(1, 1), nn.Linear(1, 1), Path("validation.parquet"), 1, 1)
    with pytest.raises(UserError, match="validation.parquet: every mask is ignored completely"):
        early_stopping.update(0)


def arguments(tmp_path, name: str, images: int, **updates) -> dict:
    """The arguments of a tiny training but its shards; `updates` are those of its settings."""
    settings = UnetTrainConfig(
        encoder_weights=None,
        width="tiny",
        class_weights={},
        patience=10,
        decoder="upsample",
        downscale=1,
        training=TrainingConfig(images=images, batch=4, learning_rate=3e-3),
    )
    paths = {"model": tmp_path / name / "model.safetensors", "curves": tmp_path / f"{name}.csv"}
    return {"version": "v3", "settings": settings.model_copy(update=updates), "size": 64, "seed": 1} | paths


def test_a_stopped_training_resumes_to_the_same_bytes(tmp_path, monkeypatch, pairs):
    monkeypatch.chdir(tmp_path)
    shards = {"train": pairs("train", range(4)), "validation": pairs("validation", range(90, 92))}
    uninterrupted, resumed = (arguments(tmp_path, name, images=40) for name in ("uninterrupted", "resumed"))
    train_unet.train_unet(**uninterrupted, **shards)
    with sigterm_in_step(5):
        train_unet.train_unet(**resumed, **shards)
    train_unet.train_unet(**resumed, **shards)
    for product in ("model", "curves"):
        assert uninterrupted[product].read_bytes() == resumed[product].read_bytes()


def test_another_class_table_reaches_network_losses_and_model(tmp_path, monkeypatch, pairs):
    monkeypatch.chdir(tmp_path)
    training = arguments(tmp_path, "model", images=8, class_weights={"hat": 5})
    shards = {"train": pairs("train", range(4), THREE), "validation": pairs("validation", range(2), THREE)}
    train_unet.train_unet(**training, **shards)
    assert model_classes(training["model"]) == THREE
    unet = load_model(Unet, training["model"], THREE)
    assert unet(torch.rand(1, 3, 64, 64)).shape == (1, 3, 64, 64)
    with pytest.raises(UserError, match="accepted: around, head, hat"):
        train_unet.train_unet(**training, train=shards["train"], validation=pairs("seven", range(2)))
