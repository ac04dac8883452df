import io
import os
import re
import tarfile
import zipfile
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from facemill.errors import UserError
from facemill.ingest.archives import read_image
from facemill.ingest.images import list_images, without_repeats


def png(color: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6, 4), color).save(file, "PNG")
    return file.getvalue()


def listed(*roots: Path, follow_links: bool = False) -> tuple[pl.DataFrame, dict[str, str]]:
    rejects: dict[str, str] = {}
    return list_images(list(roots), rejects.__setitem__, follow_links), rejects


def opened(images: pl.DataFrame) -> dict[str, tuple[int, int]]:
    """The red, green and blue of each image, as it is read back."""
    rows = images.select("id", "path", "offset", "length").rows()
    return {image_id: Image.open(io.BytesIO(read_image(*image))).getpixel((0, 0)) for image_id, *image in rows}


def tar(path: Path, members: dict[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                archive.addfile(info)
    return path


def link(target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def test_folders_zips_and_tars_are_read_alike(tmp_path: Path, picture, caplog):
    picture(tmp_path / "folder/0001/1.png")
    (tmp_path / "folder/notes.txt").write_text("not an image")
    with zipfile.ZipFile(tmp_path / "some.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/2.png", png("lime"))
        archive.writestr("__MACOSX/deep/._2.png", b"")
    tar(tmp_path / "some.tar", {"0003/3.png": png("blue"), "0003/movie.mp4": b"-"})
    with caplog.at_level("INFO", "facemill"):
        images, rejects = listed(tmp_path / "folder", tmp_path / "some.zip", tmp_path / "some.tar")
    assert rejects == {}
    assert opened(images) == {"1": (255, 0, 0), "2": (0, 255, 0), "3": (0, 0, 255)}
    assert set(images["name"]) == {"0001/1.png", "deep/2.png", "0003/3.png"}
    assert f"zip://deep/2.png::{tmp_path}/some.zip" in images["path"].to_list()
    assert "1 .mp4" in caplog.text and "1 .txt" in caplog.text


def test_links_out_of_the_root_are_rejected_unless_followed(tmp_path: Path, picture):
    picture(tmp_path / "outside/1.png")
    picture(tmp_path / "inside/2.png")
    (tmp_path / "inside/3.png").symlink_to(tmp_path / "outside/1.png")
    (tmp_path / "inside/folder").symlink_to(tmp_path / "outside")
    (tmp_path / "inside/4.png").symlink_to("2.png")
    (tmp_path / "inside/5.png").symlink_to("nowhere.png")
    (tmp_path / "inside/circle").symlink_to(".")
    images, rejects = listed(tmp_path / "inside")
    assert set(images["id"]) == {"2"}  # of which 4 is another name
    nowhere = f"a link to {tmp_path}/inside/nowhere.png, which is not there"
    assert rejects == {
        f"{tmp_path}/inside/3.png": f"a link that points outside the root, to {tmp_path}/outside/1.png",
        f"{tmp_path}/inside/5.png": nowhere,
        f"{tmp_path}/inside/folder": f"a link that points outside the root, to {tmp_path}/outside",
    }
    followed, rejects = listed(tmp_path / "inside", follow_links=True)
    assert set(followed["id"]) == {"2", "3"}  # 3 is the file in `folder`, which is followed after it
    assert rejects == {f"{tmp_path}/inside/5.png": nowhere}


def test_each_image_is_listed_once_whatever_roots_lead_to_it(tmp_path: Path, picture, caplog):
    for name in ("all/x.png", "all/new/0.png", "all/new/1.png"):
        picture(tmp_path / name)
    (tmp_path / "link").symlink_to("all")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("2.png", png())
    archives = [tmp_path / "a.zip"] * 2
    for roots in (["all", "all/new", "link"], ["all/new", "all"]):
        images, rejects = listed(*(tmp_path / root for root in roots), *archives)
        assert sorted(images["id"]) == ["0", "1", "2", "x"] and rejects == {}
    with caplog.at_level("INFO", "facemill"):
        listed(tmp_path / "all", tmp_path / "all/new", *archives)
    assert "source.images: left out: 1 folder read already, 1 archive read already; accepted: .apng, " in caplog.text


def test_hidden_and_system_folders_are_left_out_in_archives_too(tmp_path: Path, picture, caplog):
    names = ["./1.png", ".x/2.png", "__MACOSX/3.png", "a/._4.png", "a/.ipynb_checkpoints/5.png", "@eaDir/6.jpg"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, png())
            picture(tmp_path / "folder" / name)
    tar(tmp_path / "a.tar", dict.fromkeys(names, png()))
    for root in ("folder", "a.zip", "a.tar"):
        caplog.clear()
        with caplog.at_level("INFO", "facemill"):
            images, rejects = listed(tmp_path / root)
        assert images["id"].to_list() == ["1"] and rejects == {} and "left out: 5 hidden" in caplog.text


def test_names_of_another_system_become_ids(tmp_path: Path):
    """Shift-JIS of an old zip, which polars refuses, and decomposed letters of a Mac."""
    (tmp_path / "e\u0301.png").write_bytes(png())
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\x8a.png")).write_bytes(png("lime"))
    images, _ = listed(tmp_path)
    assert opened(images) == {"\u00e9": (255, 0, 0), "\\x8a": (0, 255, 0)}
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:  # a letter of two bytes, the second a backslash
        archive.writestr("\u00f2\\.png", png())
    images, _ = listed(tmp_path / "old.zip")
    assert opened(images) == {"\u00f2/.png": (255, 0, 0)}


def test_suffixes_of_any_case_and_of_any_program_are_those_of_images(tmp_path: Path, caplog):
    names = ["a.JPG", "b.jfif", "c.jpe", "d.Png", "e.jpg_large", "f.heic", "g"]
    for name in names:
        (tmp_path / name).write_bytes(png())
    with caplog.at_level("INFO", "facemill"):
        images, _ = listed(tmp_path)
    assert sorted(images["id"]) == [*"abcde"] and "left out: 1 .heic, 1 no suffix; accepted: " in caplog.text


def test_members_that_point_outside_the_archive_are_rejected(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", png())
        archive.writestr("../2.png", png())
        archive.writestr("/etc/3.png", png())
        info = zipfile.ZipInfo("4.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "../../5.png")
        archive.writestr("9.png", png())
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # the last member of the directory is encrypted
    (tmp_path / "a.zip").write_bytes(content)
    device = tarfile.TarInfo()
    device.type = tarfile.CHRTYPE
    members = {"6.png": png(), "../7.png": png(), "8.png": link("/etc/passwd"), "10.png": device}
    tar(tmp_path / "b.tar", members)
    images, rejects = listed(tmp_path / "a.zip", tmp_path / "b.tar")
    assert set(images["id"]) == {"1", "6"}
    reasons = {path.split("::")[0].split("://")[1]: reason for path, reason in rejects.items()}
    outside, a_link = "a member that points outside the archive", "a link, not a file"
    assert reasons == {
        "../2.png": outside,
        "/etc/3.png": outside,
        "4.png": a_link,
        "../7.png": outside,
        "8.png": a_link,
        "9.png": "an encrypted member",
        "10.png": "not a plain file",
    }


def test_members_that_would_inflate_without_end_are_rejected(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("facemill.ingest.archives.MAX_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", png())
        archive.writestr("2.png", bytes(10_000))
    tar(tmp_path / "b.tar", {"3.png": bytes(10_000)})
    images, rejects = listed(tmp_path / "a.zip", tmp_path / "b.tar")
    assert images["id"].to_list() == ["1"] and len(rejects) == 2
    assert all("10000 bytes" in reason for reason in rejects.values())
    (tmp_path / "4.png").write_bytes(bytes(2000))
    with pytest.raises(ValueError, match="2000 bytes; accepted: up to 1000"):
        read_image(str(tmp_path / "4.png"))


def test_damaged_members_and_empty_files(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", png())
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(b"IHDR", b"IDHR"))
    (path,) = listed(tmp_path / "a.zip")[0]["path"]
    with pytest.raises(ValueError, match="damaged archive .*CRC"):
        read_image(path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(ValueError, match="an empty file"):
        read_image(str(tmp_path / "empty.png"))


@pytest.mark.parametrize(
    ("packing", "reason"),
    [
        (zipfile.ZIP_DEFLATED, "damaged archive (Error -3 while decompressing"),
        (zipfile.ZIP_BZIP2, "Invalid data stream"),
        (zipfile.ZIP_LZMA, "damaged archive (Invalid or unsupported options)"),
    ],
)
def test_damaged_members_of_every_packing(tmp_path: Path, packing: int, reason: str):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", packing) as archive:
        archive.writestr("1.png", png())
        start, end = archive.infolist()[0].header_offset + 30 + len("1.png"), archive.start_dir
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[start:end] = bytes(end - start)
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        read_image(f"zip://1.png::{tmp_path / 'a.zip'}")


@pytest.mark.parametrize(
    ("sound", "damaged"),
    [("é.png".encode(), b"\xc3\xc3.png"), (b"PK\1\2\x14\x03\x14", b"PK\1\2\x14\x03\xff"), (b"PK\1\2", b"PK\0\0")],
    ids=["name", "version", "mark"],
)
def test_a_damaged_list_of_members(tmp_path: Path, sound: bytes, damaged: bytes):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("é.png", png())
    content = (tmp_path / "a.zip").read_bytes()
    assert sound in content
    (tmp_path / "a.zip").write_bytes(content.replace(sound, damaged))
    with pytest.raises(UserError, match="a.zip: not a readable zip archive"):
        listed(tmp_path / "a.zip")


def test_a_truncated_tar(tmp_path: Path):
    path = tar(tmp_path / "a.tar", {"1.png": png(), "2.png": png() + bytes(9000)})
    os.truncate(path, 2200)
    images, rejects = listed(path)
    assert opened(images.filter(pl.col("id") == "1")) == {"1": (255, 0, 0)}
    if "2" in images["id"]:
        with pytest.raises(ValueError, match="truncated"):
            read_image(*images.filter(pl.col("id") == "2").select("path", "offset", "length").row(0))
    assert list(rejects) == [str(path)]


def test_other_files_are_no_roots(tmp_path: Path, picture):
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(picture(tmp_path / "1.png"), "1.png")
    (tmp_path / "empty").mkdir()
    for name, reason in {
        "a.rar": "no folder, zip or tar",
        "a.tar.gz": "a compressed tar",
        "empty": "no image under",
        "nowhere": "nowhere': no such folder or archive",
    }.items():
        with pytest.raises(UserError, match=f"source.images: .*{reason}"):
            listed(tmp_path / name)


def test_of_two_images_with_one_id_the_later_is_rejected(tmp_path: Path, picture):
    first, second = picture(tmp_path / "0001/1.jpg"), picture(tmp_path / "0001/1.png")
    picture(tmp_path / ".hidden.png")
    rejects: dict[str, str] = {}
    assert without_repeats(listed(tmp_path)[0], rejects.__setitem__)["path"].to_list() == [str(first)]
    assert rejects == {str(second): f"{first} has the same id"}
