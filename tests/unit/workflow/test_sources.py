"""The files that a config names: listed, copied, put back in another clone."""

from pathlib import Path

import pytest
import yaml
from helpers.configs import overlaid

from facemill.errors import UserError
from facemill.workflow.sources import Sources


def write_config(folder: Path, **source) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(overlaid("folder", source=source)))
    return path


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """A clone that is the working directory, with a collection in it, a part of it labelled, and tags outside."""
    folder = tmp_path / "clone"
    for name in ("pics/a.png", "pics/labelled/b.png", "pics/labelled/b.json", "pics/._a.png", "../tags.csv"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def sources(clone) -> Sources:
    settings = write_config(clone, images="pics", labelled="pics/labelled", tags=str(clone.parent / "tags.csv"))
    return Sources(settings, Path("datasets/mine/sources"))


def test_what_was_copied_is_put_back_where_the_config_names_it_but_not_outside_the_clone(sources, clone):
    shared = sources.listing()
    sources.copy()
    (clone / "pics").rename(clone / "elsewhere")
    (clone.parent / "tags.csv").unlink()
    sources.put_back()
    assert Path("pics/labelled/b.json").read_text() == "pics/labelled/b.json"
    assert Path("pics").is_symlink() and not Path("pics/._a.png").exists()
    [line] = sources.missing()
    assert line.startswith(f"source.tags: {clone.parent}/tags.csv is not there; its copy is")
    source, target = line.split("ln -s ")[1].split()
    assert not Path(target).exists()
    Path(target).symlink_to(source)  # as the line says
    assert not sources.missing() and not sources.changed(shared)


def test_what_was_put_back_can_be_copied_again(sources, clone):
    sources.copy()
    (clone / "pics").rename(clone / "elsewhere")
    sources.put_back()
    before = sources.listing()
    sources.copy()
    assert sources.listing() == before and Path("pics/a.png").read_text() == "pics/a.png"


def test_what_is_there_is_never_replaced(sources, clone):
    sources.copy()
    Path("pics/a.png").write_text("another")
    sources.put_back()
    assert Path("pics/a.png").read_text() == "another" and not Path("pics").is_symlink()
    (clone / "pics").rename(clone / "elsewhere")
    Path("pics").symlink_to("nowhere")
    sources.put_back()
    assert str(Path("pics").readlink()) == "nowhere"


@pytest.mark.parametrize("change", ["added", "removed", "another size", "renamed"])
def test_other_files_than_those_of_the_results_are_named(sources, change):
    shared = sources.listing()
    path = Path("pics/a.png")
    match change:
        case "added":
            Path("pics/new.png").write_text("new")
        case "removed":
            path.unlink()
        case "another size":
            path.write_text("longer than before")
        case "renamed":
            path.rename("pics/c.png")
    [line] = sources.changed(shared)
    assert line.startswith("source.images: ") and "the results are those of 3 files, 49 bytes at pics" in line


def test_files_that_were_not_shared_are_named(sources, clone):
    (clone / "pics").rename(clone / "elsewhere")
    sources.put_back()
    assert [line.split(" is not there; ")[0] for line in sources.missing()] == [
        "source.images: pics",
        "source.labelled: pics/labelled",
    ]
    assert all("--with-sources" in line for line in sources.missing())


def test_links_out_of_the_collection_are_not_copied_and_said(sources, clone, caplog):
    (clone.parent / "secret.png").write_text("secret")
    Path("pics/link.png").symlink_to(clone.parent / "secret.png")
    sources.copy()
    assert not list(Path("datasets").rglob("link.png"))
    assert "source.images pics: 1 left out" in caplog.text and "outside the root" in caplog.text


def test_settings_of_another_version_are_one_line(clone):
    path = write_config(clone, images="pics")
    path.write_text(path.read_text().replace("holdout:", "hold_out:"))
    with pytest.raises(UserError, match=r"^config.yaml: not settings of this version; "):
        Sources(Path("config.yaml"), Path("copies"))
