"""Colors of avatars: asked, given, drawn."""

import numpy as np
import pytest

from facemill.avatars.colors import asked_of, compared, corrected, hex_color, lab_color
from facemill.imaging.colors import difference


@pytest.mark.parametrize("color", ["#000000", "#ffffff", "#a0b1c2", "#7a4a2e", "#ff0000"])
def test_a_color_comes_back_from_cielab(color):
    assert hex_color(lab_color(color)) == color


def test_a_color_that_srgb_lacks_becomes_one_that_it_has():
    assert hex_color(np.float32([120, 0, 0])) == "#ffffff"
    assert hex_color(np.float32([50, -200, 0]))[1:3] == "00"


def test_what_shading_takes_is_added():
    asked = lab_color("#a06040")
    darker = asked - np.float32([8, 2, -3])
    assert difference(lab_color(corrected("#a06040", asked, darker)), asked + np.float32([8, 2, -3])) < 1


def test_eyes_as_light_as_the_skin_keep_the_color_of_the_style():
    colors = {"eye": np.float32([70, 0, 0]), "skin": np.float32([80, 0, 0]), "hair": np.float32([20, 0, 0])}
    assert set(asked_of(["hair", "eye", "clothes"], colors)) == {"hair"}
    assert set(asked_of(["hair", "eye"], colors | {"eye": np.float32([30, 0, 0])})) == {"hair", "eye"}


def test_regions_that_nothing_shows_have_no_difference():
    asked = {"hair": lab_color("#804020"), "skin": lab_color("#c08060"), "eye": lab_color("#204080")}
    given = {region: hex_color(lab) for region, lab in asked.items()}
    colors = compared(asked, given, {"hair": None, "skin": lab_color("#c08060"), "eye": lab_color("#ffffff")})
    assert (colors["hair"].rendered, colors["hair"].difference) == (None, None)
    assert (colors["skin"].rendered, colors["skin"].difference) == ("#c08060", pytest.approx(0, abs=0.01))
    assert (colors["eye"].given, colors["eye"].difference) == ("#204080", None)
