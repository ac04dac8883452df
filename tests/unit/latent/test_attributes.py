"""Labels of groups and booleans, and control columns, from rows of tags."""

import numpy as np
import pytest

from facemill.errors import UserError
from facemill.latent.attributes import attribute_labels, control_columns

ROWS = [
    {"hair_color": "Black_Hair", "tags": ["Black_Hair", "Smiling"], "hair": [10.0, 0.0, 0.0], "background": None},
    {"hair_color": "Gray_Hair", "tags": ["Gray_Hair"], "hair": [60.0, 0.0, 0.0], "background": [1.0, 2.0, 3.0]},
]


def test_a_name_that_is_a_boolean_too_counts_as_that_alone():
    labels = attribute_labels(ROWS, ["hair_color"], ["Black_Hair", "Smiling"])
    assert labels.groups == {"hair_color": [None, "Gray_Hair"]}
    assert {name: has.tolist() for name, has in labels.booleans.items()} == {
        "Black_Hair": [True, False],
        "Smiling": [True, False],
    }


def test_control_columns_are_colors_and_booleans_in_numbers():
    columns = control_columns(ROWS, ["background", "hair", "Smiling"], ["Smiling"])
    assert columns.keys() == {"background", "hair_color", "Smiling"}  # hair stands under its group's name
    np.testing.assert_array_equal(columns["background"], [[np.nan] * 3, [1, 2, 3]])
    np.testing.assert_array_equal(columns["Smiling"], [[1], [0]])
    nowhere = [row | {"background": None} for row in ROWS]
    assert control_columns(nowhere, ["background"], []) == {}
    with pytest.raises(
        UserError, match="attributes.preserve: found 'Smiling'; accepted: a region or a boolean: hair, skin"
    ):
        control_columns(ROWS, ["Smiling"], [])
