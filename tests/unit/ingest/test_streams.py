import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from facemill.errors import UserError
from facemill.ingest.streams import read_blocks

LINES = b"".join(b'{"id": %d}\n' % i for i in range(1000))


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, "zstd"))


PACKED = {"plain": bytes, "gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress, "zst": zstd}


def in_a_tar(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("inside", ["file", "tar"])
def test_blocks_of_whole_lines_from_every_packing(tmp_path: Path, packing: str, inside: str):
    content = in_a_tar({"metadata/0": LINES, "metadata/1": gzip.compress(LINES)}) if inside == "tar" else LINES
    path = tmp_path / "posts"  # its name says nothing
    path.write_bytes(PACKED[packing](content))
    blocks = list(read_blocks(path, 1000))
    sources = [str(path)] if inside == "file" else [f"{path}:metadata/0", f"{path}:metadata/1"]
    for source in sources:
        mine = [block for block in blocks if block.source == source]
        assert len(mine) > 5 and b"".join(block.records for block in mine) == LINES
        first = 1
        for block in mine:
            assert block.first == first and block.records.endswith(b"\n")
            first += block.records.count(b"\n")
    assert {block.source for block in blocks} == set(sources)


def test_a_last_line_without_end_and_a_line_longer_than_a_block(tmp_path: Path):
    (tmp_path / "m").write_bytes(b"1\n" + b"2" * 50 + b"\n3")
    blocks = [(block.first, block.records) for block in read_blocks(tmp_path / "m", 8)]
    assert b"".join(records for _, records in blocks) == b"1\n" + b"2" * 50 + b"\n3"
    assert [first for first, _ in blocks] == [1, 3]


def test_a_json_list(tmp_path: Path):
    (tmp_path / "m").write_bytes(b'[{"id": 1},\n {"id": 2}]')
    assert list(read_blocks(tmp_path / "m", 8)) == [(str(tmp_path / "m"), 1, [b'{"id": 1}', b'{"id": 2}'])]
    (tmp_path / "m").write_bytes(b'[{"id": 1},\n {"id')
    with pytest.raises(UserError, match="m: not a complete JSON list .*; accepted: JSON lines or a JSON list"):
        list(read_blocks(tmp_path / "m", 8))


def test_a_list_that_is_nested_too_deeply(tmp_path: Path):
    (tmp_path / "m").write_text("[" * 9999 + "]" * 9999)
    with pytest.raises(UserError, match="m: not a complete JSON list .*recursion"):
        list(read_blocks(tmp_path / "m", 8))


LIST = '[{"id": 1},\r\n {"id": 2}]'


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize(
    "content", [("\ufeff" + LIST).encode(), ("\r\n " + LIST).encode(), LIST.encode("utf-16"), LIST.encode("utf-16-be")]
)
def test_a_list_after_a_byte_order_mark_or_space(tmp_path: Path, packing: str, content: bytes):
    (tmp_path / "m").write_bytes(PACKED[packing](content))
    assert [block.records for block in read_blocks(tmp_path / "m", 8)] == [[b'{"id": 1}', b'{"id": 2}']]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lines_after_a_byte_order_mark(tmp_path: Path, encoding: str):
    (tmp_path / "m").write_bytes(LINES.decode().encode(encoding))
    assert b"".join(block.records for block in read_blocks(tmp_path / "m", 1000)) == LINES


def test_an_indented_object_is_a_record(tmp_path: Path):
    (tmp_path / "m").write_bytes(b'{\n  "id": 1\n}\n')
    assert list(read_blocks(tmp_path / "m", 100)) == [(str(tmp_path / "m"), 1, [b'{\n  "id": 1\n}\n'])]


ONE, TWO = (
    b'{\n  "id": 1, "tags": [\n    {"a": "}\\n{"},\n    {}\n  ]\n}',
    b'{\r\n"id": 2,\r\n"tags": [\r\n{\r\n}\r\n]\r\n}',
)


@pytest.mark.parametrize("size", [40, 60, 1000])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n \n"])
def test_objects_of_several_lines_follow_each_other(tmp_path: Path, size: int, end: bytes):
    """As `jq .` prints them; in lists at the beginning of lines, too, where programs indent by nothing."""
    (tmp_path / "m").write_bytes(b"\n".join([ONE, TWO, b'{"id": 3}', ONE]) + end)
    blocks = list(read_blocks(tmp_path / "m", max(size, len(ONE) + 2)))
    assert [record.strip() for block in blocks for record in block.records] == [ONE, TWO, b'{"id": 3}', ONE]
    assert [block.first for block in blocks] == [
        1 + sum(len(b.records) for b in blocks[:i]) for i in range(len(blocks))
    ]


def test_a_first_line_that_is_broken_is_one_line(tmp_path: Path):
    content = b'{"id": 1, "ta\n{"id": 2}\n{"id": 3}\n'
    (tmp_path / "m").write_bytes(content)
    assert list(read_blocks(tmp_path / "m", 1000)) == [(str(tmp_path / "m"), 1, content)]


@pytest.mark.parametrize(
    "content",
    [
        b'{"posts": [{"id": 1}, {"id": 2}]}',
        b'{\n  "success": true,\n  "posts": [\n    {"id": 1},\n    {"id": 2}\n  ]\n}\n',
        b'{"posts": [{"id": 1}]}\n{"posts": [{"id": 2}]}\n',
        b'[{"id": 1}]\n[]\n[{"id": 2}]\n',
    ],
)
@pytest.mark.parametrize("size", [8, 60, 1000])
def test_lists_in_objects_and_one_after_the_other(tmp_path: Path, content: bytes, size: int):
    (tmp_path / "m").write_bytes(content)
    blocks = list(read_blocks(tmp_path / "m", max(size, 45)))  # the beginning tells the form
    assert [record for block in blocks for record in block.records] == [b'{"id": 1}', b'{"id": 2}']


def in_a_zip(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("metadata")
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("pack", [in_a_zip, in_a_tar])
def test_archives_of_metadata_beside_images(tmp_path: Path, pack):
    hidden = {"._0.json": b"\0\5\x16\7", "__MACOSX/._0.json": b"\0\5\x16\7", "1.JPG": b"\xff\xd8"}
    (tmp_path / "m").write_bytes(pack({"./metadata/0.json": LINES, "1.json.gz": gzip.compress(LINES)} | hidden))
    blocks = list(read_blocks(tmp_path / "m", 1 << 20))
    assert [(block.source, block.records) for block in blocks] == [
        (f"{tmp_path}/m:./metadata/0.json", LINES), (f"{tmp_path}/m:1.json.gz", LINES)
    ]  # fmt: skip
    (tmp_path / "m").write_bytes(pack(hidden))
    with pytest.raises(UserError, match="m: no file of metadata in it; accepted: JSON lines or a JSON list"):
        list(read_blocks(tmp_path / "m", 1000))


@pytest.mark.parametrize(
    "damage", [lambda content: content[: len(content) // 2], lambda content: content.replace("é".encode(), b"\xff\xff")]
)
def test_a_damaged_zip(tmp_path: Path, damage):
    (tmp_path / "m").write_bytes(damage(in_a_zip({"é.json": LINES})))
    with pytest.raises(UserError, match=r"m: cannot be read to its end \(.+\)"):
        list(read_blocks(tmp_path / "m", 1000))


def test_what_is_no_text_is_named(tmp_path: Path):
    (tmp_path / "m").write_bytes(b"\xff\xfea\0b")
    with pytest.raises(UserError, match="m: not UTF-16-LE .*; accepted: a text file saved as UTF-8"):
        list(read_blocks(tmp_path / "m", 8))


@pytest.mark.parametrize("packing", ["gz", "xz", "zst"])
def test_a_truncated_packed_file(tmp_path: Path, packing: str):
    content = PACKED[packing](LINES * 100)
    (tmp_path / "m").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"m: cannot be read to its end \(.+\)"):
        list(read_blocks(tmp_path / "m", 1000))


def test_xml_is_named(tmp_path: Path):
    (tmp_path / "m.xml").write_text("<?xml version='1.0'?>")
    with pytest.raises(UserError, match="m.xml: XML or HTML; accepted: JSON lines or a JSON list"):
        list(read_blocks(tmp_path / "m.xml", 1000))
