"""Training of the U-Nets: when it ends, which weights it leaves, and what v4 learns from unlabelled portraits."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from facemill.config.fields import TrainingConfig
from facemill.config.segment import SelfTrainingConfig, UnetTrainConfig
from facemill.data.classes import IGNORE
from facemill.data.shards import IMAGE, read_rows, write_shard
from facemill.errors import UserError
from facemill.networks.store import load_model
from facemill.networks.unet import Unet, cross_entropy_dice, weights_of
from facemill.segment import train_unet
from facemill.segment.self_train_unet import BOX, believed, cut_mix, mirror_some, self_train_unet
from facemill.segment.train_unet import EarlyStopping, measure


class Clock:
    """Stands in for a training: only its steps count."""

    name, ended = "toy", False

    def __init__(self) -> None:
        self.kept: dict[str, float] = {}


def watch(monkeypatch, mious: list[float], patience: int, error: float = 0.0) -> tuple[Clock, float]:
    """A training of ten steps whose only weight is the step's number, with these validation mIoUs and their error."""
    run, found = Clock(), iter(mious)
    ema, best = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    monkeypatch.setattr(train_unet, "measure", lambda network, rows: (next(found), error))
    monkeypatch.setattr(train_unet, "ShardDataset", lambda shards: shards)
    stop = EarlyStopping(run, ema, best, ["validation"], 10, patience)
    for step in range(10):
        nn.init.constant_(ema.weight, step)
        stop.look(step)
        if run.ended:
            break
    return run, best.weight.item()


def test_the_best_weights_are_kept_and_a_run_without_gain_ends(monkeypatch):
    run, best = watch(monkeypatch, [0.1, 0.5, 0.4, 0.4, 0.3], patience=3)
    assert (run.ended, best) == (True, 1)
    assert run.kept == {"validation_miou": 0.3, "best_miou": 0.5, "since_best": 3}


def test_a_run_that_still_gains_now_and_then_goes_on_to_its_end(monkeypatch):
    run, best = watch(monkeypatch, [0.1, 0.0, 0.0, 0.2, 0.1, 0.1, 0.3, 0.1, 0.1, 0.0], patience=3)
    assert (run.ended, best) == (False, 6)


def test_of_weights_within_a_standard_error_of_the_best_the_latest_are_kept(monkeypatch):
    mious = [0.54, 0.65, 0.67, 0.774, 0.75, 0.755, 0.744, 0.755, 0.754, 0.753]
    run, best = watch(monkeypatch, mious, patience=4, error=0.026)
    assert (run.ended, best, run.kept["best_miou"]) == (False, 9, 0.774)
    run, best = watch(monkeypatch, mious, patience=4, error=0.01)
    assert (run.ended, best) == (True, 3)


def test_the_standard_error_is_that_of_the_portraits():
    class Sees(nn.Module):
        """Everywhere background."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return F.one_hot(torch.zeros(len(images), *images.shape[2:], dtype=torch.int64), 7).permute(0, 3, 1, 2)

    rows = []
    for share in (0, 0.25, 1):  # of rows of skin, which it does not see
        mask = torch.zeros(8, 8, dtype=torch.uint8)
        mask[: int(8 * share)] = 1
        rows.append((torch.zeros(3, 8, 8, dtype=torch.uint8), mask))
    miou, error = measure(Sees(), rows)
    assert miou == pytest.approx((14 / 24 + 0) / 2)
    assert error == pytest.approx(np.std([1, 0.375, 0], ddof=1) / 3**0.5)
    assert measure(Sees(), rows[:1]) == (1, np.inf)
    nothing = (rows[0][0], torch.full((8, 8), IGNORE, dtype=torch.uint8))
    assert measure(Sees(), [*rows, nothing]) == (miou, error)


def test_without_validation_portraits_the_last_weights_are_kept():
    run = Clock()
    ema, best = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    stop = EarlyStopping(run, ema, best, [], 7, 1)
    for step in range(7):
        nn.init.constant_(ema.weight, step)
        stop.look(step)
    assert (best.weight.item(), run.ended, run.kept) == (6, False, {})


def test_class_weights_raise_what_their_mistakes_cost():
    logits, target = torch.zeros(1, 7, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64)
    target[:, :2] = 4
    logits[:, 0] = 3  # background everywhere: the mouth is wrong
    weights = weights_of({"mouth": 5})
    assert weights.tolist() == [1, 1, 1, 1, 5, 1, 1]
    plain, weighted = (cross_entropy_dice(logits, target, IGNORE, w) for w in (None, weights))
    right, wrong = (-logits.log_softmax(1)[0, c, 0, 0] for c in (0, 4))
    assert plain - weighted == pytest.approx(float((right + wrong) / 2 - (right + 5 * wrong) / 6), abs=1e-5)


def test_only_what_the_teachers_are_sure_of_is_believed():
    class Teacher(nn.Module):
        def __init__(self, sure: float) -> None:
            super().__init__()
            self.sure = sure

        def forward(self, images):
            return torch.cat([images * self.sure, 0 * images[:, :1].repeat(1, 4, 1, 1)], 1)

    images = torch.zeros(1, 3, 4, 4)
    images[0, 1, :2] = 1  # class 1, for sure; elsewhere all seven are alike
    nothing, class_1 = [[IGNORE] * 4] * 4, [[1] * 4] * 2 + [[IGNORE] * 4] * 2
    assert believed([(Teacher(10), 1)], images, 0.9)[0].tolist() == class_1
    assert believed([(Teacher(10), 1), (Teacher(0), 0.1)], images, 0.9)[0].tolist() == class_1
    assert believed([(Teacher(10), 1), (Teacher(0), 1)], images, 0.9)[0].tolist() == nothing


def test_cut_mix_takes_the_same_box_of_image_and_target():
    torch.manual_seed(0)
    targets = torch.arange(6)[:, None, None].expand(6, 32, 32).contiguous()
    images = targets[:, None].float().repeat(1, 3, 1, 1)
    mixed, mixed_targets = cut_mix(images, targets)
    assert torch.equal(mixed[:, 0].long(), mixed_targets)
    for i, one in enumerate(mixed_targets):
        assert set(one.unique().tolist()) == {i, (i - 1) % 6}
        share = (one != i).float().mean()
        assert BOX[0] - 0.03 < share < BOX[1] + 0.03
        ys, xs = torch.nonzero(one != i, as_tuple=True)
        assert (ys.max() - ys.min() + 1) * (xs.max() - xs.min() + 1) == len(ys)  # a box


def test_the_weak_view_mirrors_some():
    torch.manual_seed(0)
    images = torch.rand(16, 3, 4, 4)
    mirrored = [bool((weak == image.flip(2)).all()) for weak, image in zip(mirror_some(images), images, strict=True)]
    assert 4 < sum(mirrored) < 12


def test_v4_learns_from_portraits_that_nobody_labelled(tmp_path, monkeypatch, models, pairs):
    monkeypatch.chdir(tmp_path)
    settings = UnetTrainConfig(
        encoder_weights=None,
        width="tiny",
        class_weights={},
        patience=10,
        decoder="upsample",
        downscale=1,
        training=TrainingConfig(images=240, batch=4, learning_rate=3e-3),
    )
    train, validation, portraits = (pairs(n, r) for n, r in (("t", range(4)), ("v", range(90, 92)), ("p", range(40))))
    images = list(read_rows([portraits], ["id", "image"]))
    write_shard(portraits, images, pa.schema([("id", pa.string()), ("image", IMAGE)]))
    shared = {"size": 64, "seed": 1, "train": [train], "validation": [validation]}
    paths = [(tmp_path / name / "model.safetensors", tmp_path / f"{name}.csv") for name in ("v3", "v4", "again")]
    train_unet.train_unet("v3", settings, model=paths[0][0], curves=paths[0][1], **shared)
    for model, curves in paths[1:]:
        self_train_unet(
            SelfTrainingConfig(confidence=0.4, training=TrainingConfig(images=40, batch=4, learning_rate=1e-3)),
            settings,
            teacher=paths[0][0],
            portraits=[portraits],
            labelled=[train, validation],
            model=model,
            curves=curves,
            **shared,
        )
    with pytest.raises(UserError, match="self_training: every portrait is labelled"):
        self_train_unet(
            SelfTrainingConfig(confidence=0.4, training=TrainingConfig(images=40, batch=4, learning_rate=1e-3)),
            settings,
            teacher=paths[0][0],
            portraits=[portraits],
            labelled=[train, validation, portraits],
            model=tmp_path / "none",
            curves=tmp_path / "none",
            **shared,
        )
    v3, v4, again = (load_model(Unet, model).state_dict() for model, _ in paths)
    assert all(torch.equal(v4[name], again[name]) for name in v4)
    assert not all(torch.equal(v4[name], v3[name]) for name in v4)
    header, *lines = paths[1][1].read_text().splitlines()
    believed_share = [float(line.split(",")[header.split(",").index("sure")]) for line in lines]
    assert 0 < np.mean(believed_share) <= 1
