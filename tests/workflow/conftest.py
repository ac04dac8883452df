"""A project with the stages that need more portraits than the tiny config has, made once for all tests of them."""

from pathlib import Path

import pytest
from helpers.running import ENOUGH, made_once, snakemake


@pytest.fixture(scope="session")
def enough(tmp_path_factory) -> Path:
    """The results of the stages `stylegan` and `translate`."""

    def make(project: Path) -> None:
        code, said = snakemake(project, "--config", ENOUGH, "--", "stylegan", "cyclegan")
        assert code == 0, said

    return made_once(tmp_path_factory, "enough", make)
