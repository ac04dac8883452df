import json
import math
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import facemill
from facemill.files import atomic_write, digest, write_json


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_write(path) as tmp:
        tmp.write_text("half")
        assert not path.exists()
        assert tmp.suffix == ".txt"
    assert path.read_text() == "half"
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


def test_a_failing_block_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as tmp:
        tmp.write_text("half")
        1 / 0  # noqa: B018
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_killed_writer_leaves_no_output_and_does_not_disturb_the_next(tmp_path):
    path = tmp_path / "a.txt"
    code = f"""
from pathlib import Path
from facemill.files import atomic_write
import os, signal
with atomic_write(Path({str(path)!r})) as tmp:
    tmp.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert not path.exists()
    with atomic_write(path) as tmp:
        tmp.write_text("all of it")
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_json_keeps_the_order_of_keys_and_the_letters(tmp_path):
    write_json(tmp_path / "a.json", {"z": 0.1, "a": ["ä"]})
    text = (tmp_path / "a.json").read_text()
    assert text.endswith("}\n") and text.index('"z"') < text.index('"a"') and "ä" in text
    assert json.loads(text) == {"z": 0.1, "a": ["ä"]}


def test_numbers_that_are_none_are_null(tmp_path):
    numbers = {"a": math.nan, "b": [1.5, np.float64("inf")], "c": ({"d": -math.inf}, 0.0)}
    write_json(tmp_path / "a.json", numbers)

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    content = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert content == {"a": None, "b": [1.5, None], "c": [{"d": None}, 0.0]}


def test_every_json_file_of_the_library_is_written_by_write_json():
    root = Path(facemill.__file__).parent
    texts = {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*.py")}
    writers = [name for name, text in texts.items() if re.search(r"json\.dump\(|write_(text|bytes)\(\s*json", text)]
    assert writers == ["files.py"]
    takes_metrics = {name for name, text in texts.items() if re.search(r"^    (metrics|summary): Path,", text, re.M)}
    measuring = {name for name in takes_metrics if not name.startswith("report/describe_")}  # those read them
    assert measuring and all("write_json(" in texts[name] for name in measuring)


def test_digest_depends_on_settings_contents_and_their_order_alone(tmp_path):
    a, b, c = (tmp_path / name for name in "abc")
    a.write_bytes(b"1")
    b.write_bytes(b"2")
    c.write_bytes(b"1")
    found = digest({"x": 1, "y": 2}, [a, b])
    assert len(found) == 16
    assert found == digest({"y": 2, "x": 1}, [c, b])
    assert len({found, digest({"x": 2, "y": 2}, [a, b]), digest({"x": 1, "y": 2}, [b, a]), digest({}, [])}) == 4
