"""Rules that need no network import no torch, and those with one no torchvision: each takes seconds of every job."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from facemill.workflow.parsed import Parsed
from facemill.workflow.provenance import code_files
from facemill.workflow.signatures import door_of

ROOT = Path(__file__).parents[3]
TORCH = ("torch", "torchvision", "accelerate", "segmentation_models_pytorch", "safetensors.torch", "openvino")
"""Packages that import torch, or are as slow."""

COMMANDS = {"predict_masks", "generate_portraits", "make_avatar", "export_onnx", "studio"}
COMMANDS |= {"sample_portraits", "mix_portraits", "project_portraits", "translate_images", "compare_translations"}
COMMANDS |= {"preview_swap", "edit_portraits"}
"""Doors with a network that wait for no GPU: commands for users, of no rule."""

DOORS = [
    path
    for path in sorted((ROOT / "scripts").glob("*.py"))
    if "gpu=True" not in path.read_text() and path.stem not in COMMANDS
]

WITH_TORCHVISION = {"self_train_unet", "distill_unet", "export_onnx"}
"""Doors that need torchvision in every run, or what it imports."""

IMPORTS = """
import importlib, sys
import facemill.workflow.command
unwanted, *modules = sys.argv[1:]
for module in modules:
    importlib.import_module(module)
    if unwanted in sys.modules:
        sys.exit(module)
"""


@cache
def imported_names(source: Path) -> set[str]:
    """The dotted names that a source imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_the_doors_of_rules_without_a_gpu_are_tested_here(parsed: Parsed):
    rules = {n for n, rule in parsed.rules.items() if rule.shellcmd and not dict(rule.resources).get("gpu")}
    assert rules <= {door.stem for door in DOORS}
    assert not COMMANDS & parsed.rules.keys()


@pytest.mark.parametrize("door", DOORS, ids=lambda path: path.stem)
def test_no_module_behind_a_door_without_a_network_imports_torch(door):
    for source in code_files(door):
        names = {name for name in imported_names(source) if f"{name}.".startswith(tuple(f"{p}." for p in TORCH))}
        assert not names, source


def test_no_package_behind_these_doors_imports_torch():
    assert_none_imports("torch", DOORS)


def test_no_package_behind_doors_with_a_network_imports_torchvision():
    others = [path for path in sorted((ROOT / "scripts").glob("*.py")) if path.stem not in WITH_TORCHVISION]
    assert_none_imports("torch._dynamo", others)  # imported by torchvision, and by timm, which imports torchvision


def assert_none_imports(unwanted: str, doors: list[Path]) -> None:
    modules = [door_of(door).split(":")[0] for door in doors]
    command = [sys.executable, "-c", IMPORTS, unwanted, *modules]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
