"""Signatures read from sources."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from facemill.config.fields import TrainingConfig
from facemill.workflow.signatures import door_of, read_options, read_signature

MODULE = '''
import no_such_module
from pathlib import Path
from typing import Literal
from no_such_module import Tensor
from facemill.config.fields import TrainingConfig as Training

def helper(x: Tensor): ...

def work(
    *,
    settings: Training,
    inputs: list[Path],
    kind: Literal["a", "b"] = "a",
    out: Path | None = None,
    share: float = -0.5,
) -> None:
    """Works.

    Args:
        inputs: files
    """

def share(what: str, dataset: str | None = None, *, remote: str | None = None) -> None:
    """Shares."""
'''


@pytest.fixture
def module(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "a_module_to_read.py"
    path.write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return path


def test_a_signature_is_read_without_what_else_the_module_imports(module):
    signature, text = read_signature("a_module_to_read:work")
    kinds = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    assert kinds["settings"] is TrainingConfig and kinds["inputs"] == list[Path] and kinds["out"] == Path | None
    defaults = {name: parameter.default for name, parameter in signature.parameters.items()}
    assert defaults == {
        "settings": inspect.Parameter.empty,
        "inputs": inspect.Parameter.empty,
        "kind": "a",
        "out": None,
        "share": -0.5,
    }
    assert text.startswith("Works.") and "inputs: files" in text


def test_options_are_named_and_say_whether_they_are_required(module):
    required = {"settings": True, "inputs": True, "kind": False, "out": False, "share": False}
    assert read_options(module, "work") == required


def test_a_door_names_its_function(tmp_path):
    door = tmp_path / "door.py"
    door.write_text('from x import run\n\nif __name__ == "__main__":\n    run("facemill.a.b:c", gpu=True)\n')
    assert door_of(door) == "facemill.a.b:c"
    door.write_text("print(1)")
    with pytest.raises(ValueError, match=r"calls no run"):
        door_of(door)


DOORS = sorted((Path(__file__).parents[3] / "scripts").glob("*.py"))


@pytest.mark.parametrize("door", DOORS, ids=lambda path: path.stem)
def test_every_option_of_every_door_is_typed_and_explained(door):
    signature, text = read_signature(door_of(door))
    assert text.splitlines()[0].endswith(".") or len(text.splitlines()[0]) > 100
    for name, parameter in signature.parameters.items():
        assert parameter.annotation is not inspect.Parameter.empty, name
        assert f"    {name}: " in text, name


HELP = """
import runpy, sys
sys.argv = [sys.argv[1], "--help"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit:
    print("torch" in sys.modules)
"""


@pytest.mark.parametrize("door", ["predict_masks", "train_gaugan"])
def test_help_imports_no_torch(door):
    script = next(path for path in DOORS if path.stem == door)
    done = subprocess.run([sys.executable, "-c", HELP, script], capture_output=True, text=True)
    assert "--model" in done.stdout and done.stdout.endswith("False\n"), done.stderr


def test_parameters_that_may_be_given_without_a_name_come_first(module):
    signature, _ = read_signature("a_module_to_read:share")
    assert str(signature) == "(what: str, dataset: str | None = None, *, remote: str | None = None)"
