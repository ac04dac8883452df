"""A training that is stopped and started again ends with the very weights of one that was not."""

import os
import signal
from types import SimpleNamespace

import pytest
import torch
from accelerate import PartialState
from torch import nn

from facemill.errors import TrainingDiverged
from facemill.training.learner import EmaLearner
from facemill.training.optimization import cosine_with_warmup, make_accelerator
from facemill.training.run import Run

IMAGES, BATCH = 80, 4


def learning_rate(step: int) -> float:
    return 0.01 * cosine_with_warmup(step, IMAGES // BATCH)


def train(stop_after=None, loss_of=lambda loss: loss, by=signal.SIGTERM):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.Conv2d(8, 4, 3)]
    network = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    learner = EmaLearner(
        make_accelerator(), network, optimizer, lambda step: 0.01 * cosine_with_warmup(step, IMAGES // BATCH)
    )
    best = nn.Linear(1, 1)
    run = Run("toy", {"width": 8}, [], {"network": learner}, {"best": best})
    for step in run.steps(IMAGES, BATCH, seed=3):
        loss = loss_of(learner.net(torch.randn(BATCH, 3, 6, 6)).pow(2).mean())
        learner.step(loss, step)
        run.record(loss=loss)
        if step % 5 == 0:
            run.extra_metrics["step"] = step
            nn.init.constant_(best.weight, step)
        if step == stop_after:
            os.kill(os.getpid(), by)
    return run, learner, best


def same_weights(left: nn.Module, right: nn.Module) -> bool:
    return all(torch.equal(tensor, right.state_dict()[name]) for name, tensor in left.state_dict().items())


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_training_saves_and_the_next_run_ends_the_same(tmp_path, monkeypatch, by):
    monkeypatch.chdir(tmp_path)
    uninterrupted, learner, best = train()
    with pytest.raises(SystemExit) as stopped:
        train(stop_after=6, by=by)
    assert stopped.value.code == 128 + by
    assert list(tmp_path.glob("work/toy-*/checkpoint.safetensors"))
    resumed, resumed_learner, resumed_best = train()
    assert same_weights(learner.raw, resumed_learner.raw) and same_weights(learner.ema, resumed_learner.ema)
    assert same_weights(best, resumed_best)
    assert resumed.curves == uninterrupted.curves
    resumed.finish(tmp_path / "curves.csv")
    assert not list(tmp_path.glob("work/toy-*/checkpoint.safetensors"))
    assert (tmp_path / "curves.csv").read_text().splitlines()[-1].startswith("80,")


@pytest.mark.parametrize("process", [0, 1, 3])
def test_each_process_draws_its_own_numbers(tmp_path, monkeypatch, process):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PartialState(cpu=True)._shared_state, "process_index", process)
    run = Run("toy", {}, [], {})
    seeds = [torch.initial_seed() for _ in run.steps(8, 4, seed=3)]
    if run._board:
        run._board.close()
    assert (seeds == [3_000_009, 3_000_010]) == (process == 0)  # as ever where one process trains alone
    assert len({*seeds, 3_000_009, 3_000_010}) == (4 if process else 2)


def test_checkpoints_that_take_long_are_rare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clock = iter(range(0, 100_000, 10))  # a step takes ten seconds, a checkpoint a hundred
    monkeypatch.setattr("facemill.training.run.time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr("facemill.training.run.progress", lambda steps, *_, **__: steps)
    saved: list[int] = []
    monkeypatch.setattr(Run, "_write", lambda run: saved.append(run.step) or [next(clock) for _ in range(9)])
    run = Run("toy", {}, [], {})
    for _ in run.steps(400, 1, seed=3):
        run.record(loss=torch.zeros(()))
    run.finish(tmp_path / "curves.csv")
    assert saved == [7, 7 + 2000 // 10 + 1]  # after a minute, then after twenty times as long as the first took


def test_a_checkpoint_of_other_code_is_named_and_not_resumed(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO", logger="facemill")
    monkeypatch.setenv("FACEMILL_CODE", "aaaaaaaa0000")
    with pytest.raises(SystemExit):
        train(stop_after=6)
    [folder] = tmp_path.glob("work/toy-*-aaaaaaaa")

    monkeypatch.setenv("FACEMILL_CODE", "bbbbbbbb0000")
    other, learner, _ = train()
    assert f"toy: the checkpoint in work/{folder.name} was made by other code; restarts from scratch" in caplog.messages
    assert not any("resumes after" in message for message in caplog.messages)
    assert other.folder.name == folder.name.replace("aaaaaaaa", "bbbbbbbb")

    caplog.clear()
    monkeypatch.setenv("FACEMILL_CODE", "aaaaaaaa0000")
    _, resumed, _ = train()
    assert caplog.messages[0] == "toy: resumes after step 7"
    assert not any("other code" in message for message in caplog.messages)
    assert same_weights(learner.raw, resumed.raw)  # the code is the same after all


def test_a_damaged_checkpoint_is_named_and_the_training_restarts_from_scratch(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    _, learner, _ = train()
    with pytest.raises(SystemExit):
        train(stop_after=6)
    [checkpoint] = tmp_path.glob("work/toy-*/checkpoint.safetensors")
    os.truncate(checkpoint, 1000)
    _, restarted, _ = train()
    assert "toy: the checkpoint is damaged" in caplog.text and "restarts from scratch" in caplog.text
    assert same_weights(learner.raw, restarted.raw)


@pytest.mark.parametrize(("factor", "shown"), [(float("nan"), "nan"), (float("inf"), "inf"), (1e9, r"\d.*e\+0\d")])
def test_a_loss_that_is_not_finite_or_diverges_stops_with_one_line(tmp_path, monkeypatch, factor, shown):
    monkeypatch.chdir(tmp_path)
    calls = iter(range(IMAGES))
    with pytest.raises(TrainingDiverged, match=f"toy: loss is {shown} after 24 images; lower the learning rate"):
        train(loss_of=lambda loss: loss * factor if next(calls) == 5 else loss)


def test_a_checkpoint_is_never_written_after_a_loss_that_is_not_finite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("facemill.training.run.CURVE_POINTS", 1)  # the only point is at the end
    with pytest.raises(SystemExit):
        train(stop_after=2)
    good = next(tmp_path.glob("work/toy-*/checkpoint.safetensors"))
    before = good.read_bytes()
    calls = iter(range(IMAGES))
    with pytest.raises(TrainingDiverged, match="toy: loss is nan after 24 images"):
        train(stop_after=5, loss_of=lambda loss: loss * float("nan") if next(calls) == 1 else loss)
    assert good.read_bytes() == before
