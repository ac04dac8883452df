"""Command lines that rules get from their names."""

import shlex
from pathlib import Path

import pytest

from facemill.config.fields import TrainingConfig
from facemill.workflow.doors import door
from facemill.workflow.provenance import code_digest


class Named(dict):
    """Stands in for Snakemake's inputs, outputs and wildcards."""

    def __getattr__(self, name):
        return self[name]


@pytest.fixture
def root(tmp_path) -> Path:
    files = {
        "facemill/__init__.py": "",
        "facemill/work.py": "def work(*, a: str, b: str = '', n: int = 0, shard: str = '', flag: bool = False, "
        "threads: int = 1): ...",
        "scripts/work.py": 'run("facemill.work:work")',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def command(root: Path, inputs: dict, outputs: dict, *, wildcards=(), launcher="", **settings) -> list[str]:
    params = door(root, "work", wildcards, launcher, **settings)
    assert params["code"](None) == code_digest(root / "scripts/work.py")
    code, *words = shlex.split(params["command"](Named(shard="0003"), Named(inputs), Named(outputs)))
    assert code == f"FACEMILL_CODE={params['code'](None)}"
    return words


def test_names_become_options_and_values_are_quoted(root):
    hostile = 'x\'; rm -rf $HOME `id` "{y}"\n'
    words = command(root, {"a": ["1", hostile]}, {"b": Path("p q")}, wildcards=["shard"], n=3)
    assert words[:2] == ["python", f"{root}/scripts/work.py"]
    assert words[2:] == ["--a", "1", hostile, "--b", "p q", "--n", "3", "--shard", "0003"]


def test_settings_hold_the_options_that_are_no_files(root):
    params = door(root, "work", ["shard"], n=3, b=None)
    assert params["settings"](Named(shard="0003")) == "--n 3 --shard 0003"


def test_sections_become_json_and_functions_are_called_with_the_wildcards(root):
    training = TrainingConfig(images=8, batch=4, learning_rate=0.5)
    words = command(root, {"a": "1"}, {}, b=training, n=lambda wildcards: int(wildcards.shard))
    assert TrainingConfig.model_validate_json(words[words.index("--b") + 1]) == training
    assert words[words.index("--n") + 1] == "3"


def test_nothing_is_left_out_and_a_launcher_stands_before_the_script(root):
    words = command(root, {"a": "1", "b": []}, {}, n=None, launcher="-m launch 2")
    assert words == ["python", "-m", "launch", "2", f"{root}/scripts/work.py", "--a", "1"]


@pytest.mark.parametrize(("value", "options"), [(True, ["--flag"]), (False, [])])
def test_a_boolean_is_an_option_alone_or_none(root, value, options):
    assert command(root, {"a": "1"}, {}, flag=value)[2:] == ["--a", "1", *options]


def test_names_that_the_door_does_not_take_or_lacks_raise(root):
    with pytest.raises(ValueError, match="work.py takes no --c; accepted: a, b, n, shard, flag, threads"):
        door(root, "work", c=1)
    with pytest.raises(ValueError, match="takes no --fold"):
        door(root, "work", ["fold"])
    with pytest.raises(ValueError, match="takes no --inn"):
        command(root, {"a": "1", "inn": "2"}, {})
    with pytest.raises(ValueError, match="needs --a, which its rule does not give"):
        command(root, {}, {"b": "1"})
    with pytest.raises(ValueError, match="two of its rule's inputs, outputs and settings have one name"):
        command(root, {"a": "1"}, {"a": "2"})
