"""A training that is stopped and started again ends with the very weights of one that was not."""

import os
import signal

import pytest
import torch
from torch import nn

from facemill.errors import UserError
from facemill.training.run import Run, ema_of, rising_decay, set_rate, update_ema, warm_cosine

IMAGES, BATCH = 80, 4


def train(stop_after=None, loss_of=lambda loss: loss, by=signal.SIGTERM):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.Conv2d(8, 4, 3)]
    network = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    ema = ema_of(network)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    run = Run("toy", {"width": 8}, [], {"network": network, "ema": ema}, {"adamw": optimizer})
    for step in run.steps(IMAGES, BATCH, seed=3):
        set_rate(optimizer, 0.01 * warm_cosine(step, IMAGES // BATCH))
        loss = loss_of(network(torch.randn(BATCH, 3, 6, 6)).pow(2).mean())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        update_ema(ema, network, rising_decay(step))
        run.record(loss=loss)
        if step % 5 == 0:
            run.kept["step"] = step
        if step == stop_after:
            os.kill(os.getpid(), by)
    return run, network, ema


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_training_saves_and_the_next_run_ends_the_same(tmp_path, monkeypatch, by):
    monkeypatch.chdir(tmp_path)
    whole_run, network, ema = train()
    with pytest.raises(SystemExit) as stopped:
        train(stop_after=6, by=by)
    assert stopped.value.code == 128 + by
    assert list(tmp_path.glob("work/toy-*/checkpoint.safetensors"))
    resumed_run, resumed, resumed_ema = train()
    for left, right in ((network, resumed), (ema, resumed_ema)):
        for name, tensor in left.state_dict().items():
            assert torch.equal(tensor, right.state_dict()[name]), name
    assert resumed_run.curves == whole_run.curves
    resumed_run.finish(tmp_path / "curves.csv")
    assert not list(tmp_path.glob("work/toy-*/checkpoint.safetensors"))
    assert (tmp_path / "curves.csv").read_text().splitlines()[-1].startswith("80,")


def test_a_damaged_checkpoint_is_named_and_the_training_begins_anew(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    _, network, _ = train()
    with pytest.raises(SystemExit):
        train(stop_after=6)
    [checkpoint] = tmp_path.glob("work/toy-*/checkpoint.safetensors")
    os.truncate(checkpoint, 1000)
    _, anew, _ = train()
    assert "toy: the checkpoint is damaged" in caplog.text
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), anew.parameters(), strict=True))


@pytest.mark.parametrize(("factor", "said"), [(float("nan"), "nan"), (float("inf"), "inf"), (1e9, r"\d.*e\+0\d")])
def test_a_loss_that_is_not_finite_or_diverges_stops_with_one_line(tmp_path, monkeypatch, factor, said):
    monkeypatch.chdir(tmp_path)
    calls = iter(range(IMAGES))
    with pytest.raises(UserError, match=f"toy: loss is {said} after 24 images; lower the learning rate"):
        train(loss_of=lambda loss: loss * factor if next(calls) == 5 else loss)


def test_a_checkpoint_is_never_written_after_a_loss_that_is_not_finite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("facemill.training.run.LINES", 1)  # the only line is at the end
    with pytest.raises(SystemExit):
        train(stop_after=2)
    good = next(tmp_path.glob("work/toy-*/checkpoint.safetensors"))
    before = good.read_bytes()
    calls = iter(range(IMAGES))
    with pytest.raises(UserError, match="toy: loss is nan after 24 images"):
        train(stop_after=5, loss_of=lambda loss: loss * float("nan") if next(calls) == 1 else loss)
    assert good.read_bytes() == before


def test_warm_cosine_rises_then_falls_to_zero():
    rates = [warm_cosine(step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.2) and rates[4] == rates[5] == 1 and rates[100] == pytest.approx(0)
    assert rates[5:] == sorted(rates[5:], reverse=True)


def test_ema_is_the_weighted_mean():
    network = nn.Linear(1, 1, bias=False)
    ema = ema_of(network)
    nn.init.zeros_(ema.weight)
    nn.init.ones_(network.weight)
    update_ema(ema, network, decay=0.9)
    assert ema.weight.item() == pytest.approx(0.1)
