"""The studio as one file: what is wrong is said before a model is loaded; the page itself is tested in a browser."""

import pytest
from helpers.studio_models import write_models

from facemill.errors import UserError
from facemill.studio.export_page import export_page
from facemill.studio.paths import find_paths
from facemill.studio.studio import PAGE


@pytest.fixture
def paths(tmp_path):
    write_models(tmp_path / "results")
    return find_paths(tmp_path / "results")


def test_a_folder_is_no_page(paths, tmp_path):
    with pytest.raises(UserError, match=f"--export {tmp_path}: a folder; accepted: an HTML file, such as .*/page.html"):
        export_page(paths, PAGE.read_text("utf-8"), tmp_path)


def test_no_page_without_its_runtime(paths, tmp_path, monkeypatch):
    for name in ("npm_config_registry", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="cannot be fetched from npm's registry"):
        export_page(paths, PAGE.read_text("utf-8"), tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
