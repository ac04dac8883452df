"""The colors of ControlNet's preprocessor of anime faces."""

import pytest
from helpers.scenes import THREE

from facemill.data.classes import ROLES, SEVEN, ClassTable
from facemill.data.controlnet import CONTROLNET_COLORS, controlnet_colors
from facemill.errors import UserError


def test_every_role_has_a_color_and_no_two_the_same():
    assert set(CONTROLNET_COLORS) == set(ROLES)
    assert len(set(CONTROLNET_COLORS.values())) == len(ROLES)


def test_classes_get_the_colors_of_their_roles_in_their_order():
    assert controlnet_colors(SEVEN)[SEVEN.names.index("hair")] == (0, 0, 255)
    assert controlnet_colors(SEVEN)[0] == (255, 255, 0)
    iris = SEVEN.root[3].model_copy(update={"name": "iris"})
    eyes = ClassTable((*SEVEN.root[:1], iris, SEVEN.root[3]))
    assert controlnet_colors(eyes) == ((255, 255, 0), (255, 0, 0), (255, 0, 0))


def test_a_class_without_a_role_is_named():
    with pytest.raises(UserError, match="no role of hat; accepted: classes of the roles background, skin, face"):
        controlnet_colors(THREE)
