"""A project with the stages that train on more than portraits and masks, made once for all tests of them."""

import shutil
from pathlib import Path

import pytest
from helpers.running import made_once, snakemake


@pytest.fixture(scope="session")
def enough(finished, tmp_path_factory) -> Path:
    """The finished run, with the stages `stylegan`, `mask_generator` and `cyclegan`."""

    def make(folder: Path) -> None:
        project = shutil.copytree(finished, folder / "facemill")
        code, said = snakemake(project, "--", "stylegan", "mask_generator", "cyclegan")
        assert code == 0, said

    return made_once(tmp_path_factory, "enough", make) / "facemill"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The second of two processes, which starts in the middle, begins with what needs no finished run.

    The first meanwhile makes that run, for which the second would have to wait.
    """
    others = [item for item in items if "finished" not in item.fixturenames]
    rest = [item for item in items if "finished" in item.fixturenames]
    middle = len(items) // 2
    items[:] = rest[:middle] + others + rest[middle:]
