"""Faults in words: without addresses, counted by kind, the first ten named."""

import io
import zipfile

import pytest
from PIL import Image

from facemill.data.image_files import read_rgb
from facemill.errors import first_line, first_names, list_faults


def test_a_reason_holds_no_address_and_is_the_same_in_each_run():
    reasons = set()
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            read_rgb(b"no image")
        reasons.add(str(caught.value))
    assert reasons == {"cannot be read (cannot identify image file)"}


def test_a_reason_names_no_object_of_a_library(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.jpg", "no image")
    with zipfile.ZipFile(content) as archive, archive.open("a.jpg") as member, pytest.raises(OSError) as caught:
        Image.open(member)
    assert "cannot identify image file" in first_line(caught.value)
    assert first_line(ValueError("not <object at 0x7fa9011248b0> alone\nsecond line")) == "not alone"
    assert first_line(OSError("cannot identify image file '/a/b c.png'")) == "cannot identify image file"
    assert first_line(ValueError("a file of <b> and 0x10")) == "a file of <b> and 0x10"
    assert first_line(EOFError()) == "EOFError"


def test_one_fault_in_many_places_is_one_line():
    lines = list_faults([(f"{number}.json", "label 'ear' is unknown") for number in range(12)])
    names = ", ".join(f"{number}.json" for number in range(10))
    assert lines == [f"12 times: label 'ear' is unknown: {names} and 2 more"]


def test_what_is_accepted_stands_after_the_places():
    lines = list_faults([(name, "mode RGB; accepted: P or L") for name in ("a.png", "b.png")])
    assert lines == ["2 times: mode RGB: a.png, b.png; accepted: P or L"]


def test_faults_of_one_kind_are_counted_and_those_of_other_kinds_are_not_hidden():
    names = ["a.jpg", "b/c", "7_hair", *(f"x{number}" for number in range(22))]
    faults = [(f"{number}.png", f"no image named {name}") for number, name in enumerate(names)]
    lines = list_faults([*faults, ("b.png", "mode RGB")])
    assert lines[:2] == ["0.png: no image named a.jpg", "1.png: no image named b/c"]
    assert lines[9:] == ["9.png: no image named x6", "and 15 more of this kind", "b.png: mode RGB"]


def test_two_labels_are_two_lines():
    faults = [("a.json", "label 'ear' is unknown"), ("a.json", "label 'paw' is unknown")]
    assert list_faults(faults) == [f"{place}: {fault}" for place, fault in faults]


def test_names_are_listed_once():
    assert first_names(["b", "a", "b"]) == "b, a"
    assert first_names(range(11)).endswith("8, 9 and 1 more")
