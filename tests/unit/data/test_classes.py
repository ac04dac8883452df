import itertools
import re

import numpy as np
import pytest
import yaml
from helpers.configs import ROOT
from pydantic import ValidationError
from skimage.color import deltaE_ciede2000, rgb2lab

from facemill.data.classes import ROLES, SEVEN, ClassTable, parse_classes
from facemill.errors import UserError

VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""What becomes of linear RGB: Machado et al. 2009, "A physiologically-based model for simulation of color vision
deficiency", severity 1 (https://www.inf.ufrgs.br/~oliveira/pubs_files/CVD_Simulation/CVD_Simulation.html)."""


def table(*names: str, roles: dict | None = None) -> ClassTable:
    roles = {"background": "background"} | (roles or {})
    return ClassTable.model_validate([{"name": n, "color": "#a0b1c2", "role": roles.get(n)} for n in names])


def simulated(colors: np.ndarray, vision: str) -> np.ndarray:
    """CIELAB of sRGB colors, uint8 (N, 3), as a kind of vision has them: float (N, 3)."""
    srgb = colors / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.transpose(VISIONS[vision]), 0, 1)
    return rgb2lab(np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055))


def least_difference(classes: ClassTable, vision: str) -> float:
    """CIEDE2000 between the two nearest colors of a table."""
    labs = simulated(np.array(classes.colors, np.uint8), vision)
    return min(float(deltaE_ciede2000(a, b)) for a, b in itertools.combinations(labs, 2))


@pytest.mark.parametrize("vision", VISIONS)
def test_no_two_of_the_default_colors_are_alike(vision):
    assert least_difference(SEVEN, vision) >= 26


def test_the_fine_colors_differ_as_their_file_tells():
    text = (ROOT / "config/fine.yaml").read_text().replace("\n# ", " ")
    fine = ClassTable.model_validate(yaml.safe_load(text)["classes"])
    normal, blind = re.search(r"CIEDE2000 ([\d.]+) in normal vision, ([\d.]+) in simulated", text).groups()
    differences = {vision: least_difference(fine, vision) for vision in VISIONS}
    assert f"{differences.pop('normal'):.1f}" == normal and f"{min(differences.values()):.1f}" == blind


def test_color_blindness_is_simulated():
    red_and_green = np.array([[160, 60, 0], [90, 90, 0]], np.uint8)
    assert deltaE_ciede2000(*simulated(red_and_green, "normal")) > 30
    assert deltaE_ciede2000(*simulated(red_and_green, "protanopia")) < 10


def test_the_default_classes_are_the_roles():
    assert SEVEN.names == ROLES and len(SEVEN) == 7
    assert [SEVEN.role_ids(role) for role in ROLES] == [(i,) for i in range(7)]
    assert SEVEN.role_ids("skin", "face") == (1, 2)


def test_classes_may_share_a_role_or_have_none():
    fine = table("background", "pupil", "tail", "eyeball", roles={"pupil": "eye", "eyeball": "eye"})
    assert fine.role_ids("eye") == (1, 3) and fine.role_ids("hair") == () and fine.role_ids() == ()


def test_the_palette_shows_other_ids_white():
    two = table("background", "hair")
    assert two.colors == ((0xA0, 0xB1, 0xC2),) * 2
    assert two.palette == bytes([0xA0, 0xB1, 0xC2] * 2 + [255] * (768 - 6))


def test_equal_tables_have_equal_hashes():
    copy = ClassTable.model_validate(SEVEN.model_dump())
    assert copy == SEVEN and hash(copy) == hash(SEVEN) and copy is not SEVEN
    assert SEVEN.names and hash(copy) == hash(SEVEN) and copy == SEVEN, "cached names count in neither"
    assert table("background", "hair") != table("background", "hat")


def test_a_table_survives_json():
    for classes in (SEVEN, table("background", "tail")):
        assert parse_classes(classes.model_dump_json()) == classes
    with pytest.raises(ValueError):
        parse_classes("[]")


def test_another_table_is_refused_by_its_names():
    two = table("background", "hair")
    SEVEN.check_same(SEVEN, "model.safetensors")
    two.check_same(ClassTable.model_validate([c.model_dump() | {"color": "#000000"} for c in two.root]), "a.png")
    with pytest.raises(UserError, match="^a.png: has the classes background, hair; accepted: background, skin, face, "):
        SEVEN.check_same(two, "a.png")
    with pytest.raises(UserError, match="has the classes background, eye, hair"):
        table("background", "hair", "eye").check_same(table("background", "eye", "hair"), "a.png")


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["background"], "found 1 classes; accepted: 2 to 64"),
        (["background", *(f"c{i}" for i in range(64))], "found 65 classes; accepted: 2 to 64"),
        (["hair", "background"], "found 'hair' first; accepted: a class of role background"),
        (["background", "hair", "hair"], "found 'hair' twice; accepted: each name once"),
        (["background", "a b"], "String should match pattern"),
        (["background", "_hidden"], "String should match pattern"),
        (["background", ""], "String should match pattern"),
    ],
)
def test_faults_of_a_table(names, line):
    with pytest.raises(ValidationError, match=line):
        table(*names)


@pytest.mark.parametrize("color", ["red", "#fff", "#a0b1c", "#a0b1g2", "a0b1c2#", "#a0b1c2d3"])
def test_a_color_is_hexadecimal(color):
    with pytest.raises(ValidationError, match=f"found '{color}'; accepted: a color such as '#a0b1c2'"):
        ClassTable.model_validate([{"name": "background", "color": color, "role": "background"}] * 2)
