import os
import unicodedata

import pytest

from facemill.data.names import as_file_name, as_key, id_of_file, printable, printed_path

SHIFT_JIS = os.fsdecode("がん.png".encode("shift_jis"))


def test_raw_bytes_are_spelled_and_read_back(tmp_path):
    file = tmp_path / SHIFT_JIS
    file.write_bytes(b"1")
    spelled = printable(str(file))
    assert spelled == f"{tmp_path}/\\x82\\xaa\\x82\\xf1.png" and spelled.encode()
    assert printed_path(spelled) == file and printed_path(spelled).read_bytes() == b"1"
    (tmp_path / r"\x89.png").write_bytes(b"2")  # a name that has these letters
    assert printed_path(str(tmp_path / r"\x89.png")).read_bytes() == b"2"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (unicodedata.normalize("NFD", "がんばる/é.png"), "がんばる/é.png"),
        (r"images\sub\a.png", "images/sub/a.png"),
        (r"..\xy\a.png", "../xy/a.png"),
        ("././a.png", "a.png"),
        (SHIFT_JIS, r"\x82\xaa\x82\xf1.png"),
        (os.fsdecode("表.png".encode("shift_jis")), r"\x95\x5c.png"),
        (os.fsdecode("表紙/能.png".encode("shift_jis")), r"\x95\x5c\x8e\x86/\x94\x5c.png"),
        (r"a\x5c.png", "a/x5c.png"),
        ("100% real #1?.png", "100% real #1?.png"),
    ],
)
def test_spellings_have_one_key(name: str, key: str):
    assert as_key(name) == key == as_key(key)


NAMES = {
    "a/cat.png": "a%2Fcat.png",
    "../../etc/passwd": "%2E.%2F..%2Fetc%2Fpasswd",
    "/root": "%2Froot",
    "CON": "%43ON",
    "nul.png": "%6Eul.png",
    ".hidden": "%2Ehidden",
    "what?": "what%3F",
    "end.": "end%2E",
    "a\nb": "a%0Ab",
    r"\x89": "%5Cx89",
    "50%2F": "50%252F",
    "100% real": "100% real",
    "263162#2": "263162#2",
    "がんばる": "がんばる",
}


@pytest.mark.parametrize(("row_id", "name"), NAMES.items(), ids=str)
def test_an_id_is_one_name_and_the_name_leads_back(row_id: str, name: str):
    assert as_file_name(row_id) == name
    assert id_of_file(name) == row_id


def test_names_that_others_wrote_are_ids_as_they_are():
    assert [id_of_file(name) for name in ("my%20cat", "100%41", "%zz")] == ["my%20cat", "100%41", "%zz"]


def test_long_ids_have_short_names_that_differ():
    names = [as_file_name(f"{'画' * 120}/{i}") for i in range(2)]
    assert len(set(names)) == 2 and all(len(name.encode()) <= 200 for name in names)
    assert [as_file_name(name) for name in names] == names
