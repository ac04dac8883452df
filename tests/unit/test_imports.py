from pathlib import Path

import pytest

from facemill.imports import code_files

ROOT = Path(__file__).parents[2]


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


def test_no_stage_imports_a_later_one():
    stages = ["ingest", "label", "segment", "synthesize", "latent"]
    shared = {"facemill", "config", "taggers"}
    for number, stage in enumerate(stages):
        for module in (ROOT / "facemill" / stage).glob("*.py"):
            found = {path.parent.name for path in code_files_of(module)} - shared
            assert found <= set(stages[: number + 1]), f"{module} imports {found}"


def code_files_of(module: Path) -> list[Path]:
    from facemill.imports import imported_files

    found, queue = {module}, [module]
    while queue:
        new = set(imported_files(queue.pop(), ROOT)) - found
        found |= new
        queue += new
    return list(found)
