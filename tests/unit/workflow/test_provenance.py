"""Digests of the code behind a door: what is in them, what is not, and which modules a door reaches."""

import ast
import re
from pathlib import Path

import pytest

from facemill.workflow.provenance import code_digest, code_files, imported_files

ROOT = Path(__file__).parents[3]
DOORS = [
    path
    for path in sorted((ROOT / "scripts").glob("*.py"))
    if "facemill.workflow" not in path.read_text().split("run(")[1]
]

LAYERS = [
    "facemill data imaging config",
    "networks",
    "training metrics taggers inference",
    *[
        "ingest",
        "label",
        "segment",
        "review",
        "synthesize",
        "latent",
        "avatars",
        "stylegan",
        "mask_generator",
        "translate",
        "swap",
        "report",
        "studio",
    ],
]
"""Packages in the order in which they may import each other; those of one line may import one another."""


@pytest.fixture
def project(tmp_path):
    """A function that writes a door and a library; the same library in another folder with changes."""
    number = iter(range(100))

    def write(**modules: str) -> Path:
        root = tmp_path / str(next(number))
        files = {"facemill/__init__.py": "", "facemill/stage/__init__.py": "", "facemill/workflow/__init__.py": ""}
        files["scripts/work.py"] = 'from facemill.workflow.command import run\nrun("facemill.stage.work:work")\n'
        files |= {f"facemill/{name.replace('__', '/')}.py": text for name, text in modules.items()}
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root / "scripts/work.py"

    return write


def names(script: Path) -> list[str]:
    return [str(path.relative_to(script.parents[1])) for path in code_files(script)]


def test_a_door_reaches_imports_of_every_form_in_functions_and_in_circles(project):
    script = project(
        stage__work="import os, facemill.one\nfrom facemill import two\n"
        "def work():\n    from facemill.stage.three import f",
        one="import facemill.two",
        two="import facemill.one\nimport numpy",
        stage__three="f = 1",
        stage__other="",
    )
    modules = ["__init__", "one", "stage/__init__", "stage/three", "stage/work", "two"]
    assert names(script) == [f"facemill/{name}.py" for name in modules]


def test_what_carries_the_workflow_and_what_is_only_written_down_is_not_reached(project):
    script = project(
        stage__work="# import facemill.one\n'import facemill.one'\n"
        "from facemill.log import log\nimport facemill.workflow.gpu",
        one="",
        log="import facemill.one",
        workflow__gpu="",
    )
    assert names(script) == ["facemill/__init__.py", "facemill/stage/work.py"]


CODE = '''"""Works."""
from facemill.one import CONSTANT


class Work:
    """A class."""

    size: int = 3
    """In pixels."""


def work(*, out: str) -> None:
    """Writes.

    Args:
        out: a name
    """
    print(f"{out} {CONSTANT:.3f}")  # to the terminal
'''
ONE = "from pydantic import Field\nCONSTANT = 1\nFIELD = Field(description='a key')\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Works."""', '"""Works hard.\n\nAnd more.\n"""'),
        ("  # to the terminal", "\n    # elsewhere"),
        ('    """In pixels."""\n', ""),
        ("a name", "a text"),
        ('    """A class."""\n\n', ""),
        ("def work(*, out: str)", "def work(\n    *,\n    out: str,\n)"),
        ('f"{out} {CONSTANT:.3f}"', "f'{out} {CONSTANT:.3f}'"),
    ],
)
def test_comments_docstrings_and_formatting_are_not_in_a_digest(project, old, new):
    assert old in CODE
    changed = project(stage__work=CODE.replace(old, new), one=ONE.replace("a key", "another description"))
    assert code_digest(changed) == code_digest(project(stage__work=CODE, one=ONE))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("size: int = 3", "size: int = 4"),
        (".3f", ".4f"),
        ("{out} {C", "{out}, {C"),
        ("print(", "repr("),
        ("None", "int"),
    ],
)
def test_code_is_in_a_digest(project, old, new):
    assert old in CODE
    assert code_digest(project(stage__work=CODE.replace(old, new), one=ONE)) != code_digest(
        project(stage__work=CODE, one=ONE)
    )


def test_a_constant_is_in_the_digests_of_the_doors_that_reach_it_alone(project):
    before, after = (project(stage__work=CODE, one=ONE.replace("1", n), other=f"X = {n}") for n in "12")
    assert code_digest(before) != code_digest(after)
    before, after = (project(stage__work=CODE, one=ONE, other=f"X = {n}") for n in "12")
    assert code_digest(before) == code_digest(after)


@pytest.mark.parametrize("door", DOORS, ids=lambda path: path.stem)
def test_every_door_reaches_a_function_of_its_name(door):
    target = re.search(r'run\("(facemill\.\w+\.(\w+):(\w+))"', door.read_text())
    assert target and target[2] == target[3] == door.stem
    assert len(door.read_text().splitlines()) <= 12
    assert not any("workflow" in name for name in names(door))


def test_no_package_imports_a_later_one():
    rank = {package: number for number, line in enumerate(LAYERS) for package in line.split()}
    for module in sorted((ROOT / "facemill").rglob("*.py")):
        package = module.parent.name
        if package == "workflow":
            continue
        imported = {path.parent.name for path in imported_files(module, ROOT)}
        assert not {name for name in imported if rank.get(name, 99) > rank[package]}, module


@pytest.mark.parametrize("module", sorted((ROOT / "facemill").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_and_functions_fit_a_reader(module):
    text = module.read_text()
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name
