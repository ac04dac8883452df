"""What all tests share."""

import os
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: small work, and several tests at once


@pytest.fixture
def script() -> Callable[[str], Callable[..., None]]:
    """The `main` of a script, by the script's name."""
    folder = Path(__file__).parents[1] / "scripts"
    return lambda name: runpy.run_path(str(folder / f"{name}.py"))["main"]
