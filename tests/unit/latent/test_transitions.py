"""The choice of the picture's rows: black to silver first, no portrait and no color twice."""

import numpy as np
import pytest

from facemill.config.latent import TagsConfig
from facemill.inference.vectors import Vectors
from facemill.latent.transitions import Edit, choose_transitions, transition_rows

NAMES = ["black_hair", "grey_hair", "red_hair"]


def test_black_to_silver_comes_first(palette):
    hair = {"1": "red_hair", "2": "grey_hair", "3": "black_hair", "4": "red_hair", "5": "black_hair"}
    assert choose_transitions(hair, NAMES, palette, 8) == [("3", "grey_hair"), ("1", "black_hair"), ("2", "red_hair")]
    assert choose_transitions(hair, NAMES, palette, 2) == [("3", "grey_hair"), ("1", "black_hair")]


def test_without_dark_hair_there_are_other_transitions(palette):
    assert choose_transitions({"1": "red_hair"}, ["black_hair", "red_hair"], palette, 8) == [("1", "black_hair")]


@pytest.mark.parametrize("ids", [["1", "2", "3"], ["1", "3"]])
def test_each_boolean_is_added_and_removed(ids):
    portraits = {row_id: Edit(row_id, np.zeros(2), row_id == "3") for row_id in ids}
    vectors = Vectors({}, {}, {"smile": np.ones(2)})
    rows = transition_rows({"smile": list(portraits.values())}, vectors, TagsConfig(sources=["tags"]))
    assert rows == [("smile", portraits["1"]), ("smile", portraits["3"])]
