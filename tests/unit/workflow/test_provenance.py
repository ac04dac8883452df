from pathlib import Path

import pytest

from facemill.workflow.provenance import code_files, imported_files

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path):
    def write(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for folder in ("facemill", "facemill/stage"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / "__init__.py").touch()
        return tmp_path / "scripts/command.py"

    return write


def names(script: Path) -> list[str]:
    return [str(path.relative_to(script.parent.parent)) for path in code_files(script)]


def test_direct_imports_of_every_form(project):
    script = project(
        scripts__command="import os, facemill.one\nfrom facemill import two\nfrom facemill.stage.three import name",
        facemill__one="",
        facemill__two="",
        facemill__stage__three="name = 1",
        facemill__stage__other="",
    )
    assert names(script) == [
        "scripts/command.py",
        "facemill/__init__.py",
        "facemill/one.py",
        "facemill/stage/__init__.py",
        "facemill/stage/three.py",
        "facemill/two.py",
    ]


def test_imports_of_imports_and_in_functions_and_in_circles(project):
    script = project(
        scripts__command="def main():\n    from facemill.one import f",
        facemill__one="import facemill.two",
        facemill__two="import facemill.one\nimport numpy",
    )
    assert names(script) == ["scripts/command.py", "facemill/__init__.py", "facemill/one.py", "facemill/two.py"]


def test_strings_and_comments_import_nothing(project):
    script = project(scripts__command="# import facemill.one\n'import facemill.one'", facemill__one="")
    assert names(script) == ["scripts/command.py"]


LAYERS = [
    "facemill data imaging config",
    "networks",
    "training metrics taggers inference",
    *["ingest", "label", "segment", "review", "synthesize", "latent"],
]
"""Packages in the order in which they may import each other; those of one line may import one another."""


def test_no_package_imports_a_later_one():
    rank = {package: number for number, line in enumerate(LAYERS) for package in line.split()}
    for module in (ROOT / "facemill").rglob("*.py"):
        package = module.parent.name
        if package == "workflow":
            continue
        later = {p.parent.name for p in imported_files(module, ROOT)} - {"workflow"}
        later = {name for name in later if rank[name] > rank[package]}
        assert not later, f"{module} imports {later}"
