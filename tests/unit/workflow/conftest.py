"""The workflow as Snakemake parses it, for the tests that ask it."""

import atexit
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from facemill.workflow.parsed import Parsed, parse

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def parsed() -> Iterator[Parsed]:
    """The parsed workflow of the sample; the environment is afterwards as it was."""
    environment, folder = dict(os.environ), Path.cwd()
    with parse(ROOT) as workflow:
        os.chdir(folder)
        atexit.unregister(gc.freeze)  # of `bootstrap`: libraries would report what is left at the end as leaks
        yield workflow
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
