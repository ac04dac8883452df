import codecs

import pytest

from facemill.data.text import decode_text, read_text

TEXT = '{"名前": "é"}\r\n'


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
    ],
)
def test_one_text_in_every_encoding(tmp_path, content: bytes):
    (tmp_path / "a.json").write_bytes(content)
    assert read_text(tmp_path / "a.json") == TEXT


@pytest.mark.parametrize("text", ["", "\ufeff"])
def test_an_empty_file(text: str):
    assert decode_text(text.encode()) == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("画像".encode("gbk"), "not UTF-8 (byte 0xbb at 0); accepted: a text file saved as UTF-8"),
        ("id,é".encode("latin-1"), "not UTF-8 (byte 0xe9 at 3); accepted: a text file saved as UTF-8"),
        (b"PK\3\4abc\0", "holds zeros; accepted: a text file saved as UTF-8"),
        (codecs.BOM_UTF16_LE + b"a\0b", "not UTF-16-LE (byte 0x62 at 2); accepted: a text file saved as UTF-8"),
    ],
)
def test_what_is_no_text_is_named(content: bytes, reason: str):
    with pytest.raises(ValueError) as error:
        decode_text(content)
    assert str(error.value) == reason
