"""One walk over folders: what it lists, once, and what it leaves out and says."""

import os
from pathlib import Path

import pytest

from facemill.data.walk import Walk, check_out, files_in, listing
from facemill.errors import UserError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def names_of(folder: Path) -> list[str]:
    return [file.name for file in files_in("--images", folder, (".png",), "image")]


def test_hidden_files_are_left_out_and_all_that_is_left_out_is_counted(tmp_path, caplog):
    touch(tmp_path, "a.png", "b.PNG", "sub/c.Png", "._a.png", ".ipynb_checkpoints/a.png", "x.txt", "y.TXT", "z")
    os.mkfifo(tmp_path / "pipe.png")
    with caplog.at_level("INFO", "facemill"):
        assert names_of(tmp_path) == ["a.png", "b.PNG", "sub/c.Png"]
    said = f"--images {tmp_path}"
    assert caplog.messages == [
        f"{said}: left out: 2 hidden, 2 .txt, 1 no suffix; accepted: .png",
        f"{said}: 1 left out\n  {tmp_path}/pipe.png: not a plain file",
    ]


def test_a_hidden_folder_above_hides_nothing(tmp_path):
    touch(tmp_path / ".cache", "a.png")
    assert names_of(tmp_path / ".cache") == ["a.png"]


def test_links_are_followed_and_each_real_file_is_listed_once_by_its_plain_name(tmp_path, caplog):
    touch(tmp_path, "top/a.png", "top/sub/b.png", "elsewhere/c.png", "elsewhere/d", "single.png", "top/.annex/e.png")
    links = {
        "top/0-sub": "sub",
        "top/0-a.png": "a.png",
        "top/circle": ".",
        "top/parent": "..",
        "top/batch2": "../elsewhere",
        "top/again": "../elsewhere",
        "top/d.png": "../elsewhere/d",
        "top/e.png": ".annex/e.png",
        "top/single.png": "../single.png",
        "elsewhere/up": "../top",
        "top/gone.png": "nowhere.png",
        "top/loop.png": "loop.png",
    }
    for link, target in links.items():
        (tmp_path / link).symlink_to(target)
    expected = ["a.png", "again/c.png", "d.png", "e.png", "single.png", "sub/b.png"]
    assert names_of(tmp_path / "top") == expected
    assert f"{tmp_path}/top/gone.png: a link to {tmp_path}/top/nowhere.png, which is not there" in caplog.text
    assert f"{tmp_path}/top/loop.png: a link to" in caplog.text


def test_links_that_point_outside_are_named_where_they_are_not_followed(tmp_path):
    touch(tmp_path, "top/a.png", "top/.annex/b.png", "elsewhere/c.png")
    (tmp_path / "top/far").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "top/b.png").symlink_to(".annex/b.png")
    walk = Walk((".png",), follow_links=False)
    assert [file.name for file in walk.files(tmp_path / "top")] == ["a.png", "b.png"]
    assert walk.faults == [(f"{tmp_path}/top/far", f"a link that points outside the root, to {tmp_path}/elsewhere")]


def test_a_folder_that_is_none_is_called_so(tmp_path):
    touch(tmp_path, "a.png", "empty/x.txt")
    for name, reason in {
        "none": "no such folder",
        "a.png": "a file; accepted: a folder",
        "empty": "no image among 1 files; accepted: .png",
    }.items():
        with pytest.raises(UserError, match=f"^--images {tmp_path}/{name}: {reason}$"):
            names_of(tmp_path / name)


def change(path: Path) -> None:
    """Replaces a file by another of the same size; only its date tells."""
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize(
    "edit",
    [
        lambda top: touch(top, "sub/new.png"),
        lambda top: (top / "sub/b.png").write_text("longer than before"),
        lambda top: change(top / "sub/b.png"),
        lambda top: (top / "sub/b.png").rename(top / "sub/c.png"),
        lambda top: (top / "sub/b.png").unlink(),
        lambda top: change(top.parent / "a.zip"),
        lambda top: change(top.parent / "elsewhere/far.png"),
    ],
)
def test_a_listing_tells_every_change(tmp_path, edit):
    top = tmp_path / "top"
    touch(top, "a.png", "sub/b.png", "sub/notes.txt")
    touch(tmp_path, "a.zip", "elsewhere/far.png")
    (top / "link").symlink_to(tmp_path / "elsewhere")
    before = listing([top, tmp_path / "a.zip"], (".png",))
    touch(top, "sub/more.txt", ".hidden.png")
    assert listing([top, tmp_path / "a.zip"], (".png",)) == before and before.startswith("4 files, ")
    edit(top)
    assert listing([top, tmp_path / "a.zip"], (".png",)) != before


def test_what_is_written_lies_apart_from_what_is_read(tmp_path):
    touch(tmp_path, "in/a.png", "in/sub/a.png", "in/in/a.png")
    (tmp_path / "link").symlink_to("in")
    read = [tmp_path / "in" / name for name in ("a.png", "sub/a.png", "in/a.png")]

    def check(out: str, *targets: str) -> None:
        check_out("--images", tmp_path / "in", tmp_path / out, [tmp_path / out / name for name in targets], read)

    for out in ("in", "in/.", "link", "in/sub", "in/new", "link/new"):
        with pytest.raises(UserError, match=f"^--out {tmp_path / out}: (is|lies in) --images .* no file is replaced$"):
            check(out)
    with pytest.raises(UserError, match="in/a.png would be replaced, which is read"):
        check("", "in/a.png")
    check("", "a.png", "sub/a.png")
    check("out", "a.png")
