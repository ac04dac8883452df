"""Models load as they were saved; damaged ones, other kinds and other class tables are refused in one line."""

import pytest
import torch

from facemill.data.classes import SEVEN, Class, ClassTable
from facemill.errors import UserError
from facemill.networks.spade import Generator
from facemill.networks.store import load_model, model_classes, save_model
from facemill.networks.vae import Vae

ARGUMENTS = {"size": 32, "z_dim": 4, "width": 8}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, Vae(**ARGUMENTS), ARGUMENTS, {"seed": 1})
    return path


def test_round_trip_by_file_and_by_folder(model):
    images = torch.rand(2, 3, 32, 32)
    by_file, by_folder = load_model(Vae, model).cpu(), load_model(Vae, model.parent).cpu()
    assert not by_file.training
    assert torch.equal(by_file.encode(images)[0], by_folder.encode(images)[0])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: path.unlink(), "no such model file"),
        (lambda path: path.with_suffix(".json").unlink(), "no such model file"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "damaged .its SHA-256"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"), "damaged .its SHA-256"),
        (lambda path: path.with_suffix(".json").write_text("{"), "not a readable model"),
        (
            lambda path: path.with_suffix(".json").write_text('{"network": "Vae", "arguments": {}}'),
            "not a readable model",
        ),
    ],
)
def test_files_that_are_no_model_are_refused(model, harm, message):
    harm(model)
    with pytest.raises(UserError, match=message):
        load_model(Vae, model)


def test_another_kind_of_model_is_refused(model):
    with pytest.raises(UserError, match="holds a Vae; accepted: a Generator"):
        load_model(Generator, model)


def test_a_model_of_another_class_table_is_refused(tmp_path):
    two = ClassTable(
        (Class(name="around", color="#000000", role="background"), Class(name="head", color="#ff0000", role="face"))
    )
    arguments = {"size": 32, "z_dim": 4, "ngf": 4, "nhidden": 4, "classes": 2}
    save_model(tmp_path / "model.safetensors", Generator(**arguments), arguments, {}, two)
    assert model_classes(tmp_path) == two
    assert load_model(Generator, tmp_path, two).classes == 2
    with pytest.raises(UserError, match=r"model.safetensors: has the classes around, head; accepted: background"):
        load_model(Generator, tmp_path, SEVEN)


def test_a_model_without_a_class_table_names_none(model):
    with pytest.raises(UserError, match=r"model.json: names no classes"):
        model_classes(model)
