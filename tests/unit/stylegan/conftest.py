"""A small generator with random weights, with conditions and without, and the command line."""

import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from facemill import files
from facemill.networks.store import save_model
from facemill.networks.stylegan2 import StyleGenerator
from facemill.workflow.command import run


@pytest.fixture
def save_generator(tmp_path):
    """A function that saves a generator of 32 px portraits in a folder of a name."""

    def save(name: str = "stylegan", ratio: int = 1, conditions: dict | None = None, seed: int = 0) -> Path:
        torch.manual_seed(seed)
        arguments = {"height": 32, "ratio": ratio, "channels": [8] * (4 if ratio == 1 else 3), "z_dim": 8, "w_dim": 8}
        arguments |= {"mapping": 1, "conditions": conditions or {}, "combinations": 2 if conditions else 1}
        generator = StyleGenerator(**arguments)
        if conditions:
            generator.combinations.copy_(torch.tensor([[0] * len(conditions), [1] * len(conditions)]))
            generator.shares.copy_(torch.tensor([0.25, 0.75]))
        generator.w_mean.copy_(torch.linspace(-0.1, 0.1, 8))
        save_model(tmp_path / name / "model.safetensors", generator, arguments, {})
        return tmp_path / name

    return save


@pytest.fixture
def command(monkeypatch, capsys):
    """A function that calls a command of StyleGAN with words of the command line; returns its fault, or None."""

    def call(name: str, *words: object) -> str | None:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, words)])
        monkeypatch.setattr(files, "_given", Counter())
        try:
            run(f"facemill.stylegan.{name}:{name}")
        except SystemExit as end:
            assert end.code != 1, capsys.readouterr()  # the command line itself was not understood
            return end.code or None
        return None

    return call


@pytest.fixture
def sampled(save_generator, command, tmp_path):
    """A model, and a folder of the portraits of seeds 0 to 5."""
    model = save_generator()
    assert command("sample_portraits", "--model", model, "--seeds", "0-3", "4,5", "--out", tmp_path / "a") is None
    return model, tmp_path / "a"
