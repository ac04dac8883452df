"""Measures of extractors, on parts of one color, whose vectors and distances are known."""

import numpy as np
import pytest

from facemill.avatars.compared_parts import ComparedParts, Filmed, Moved, Named
from facemill.avatars.descriptors import DIMENSIONS
from facemill.avatars.extractor_measures import Measures, Vectors, majority_changes
from facemill.avatars.extractors import RAW_SIZE, Raw, Shape
from facemill.avatars.matching import EVEN
from facemill.avatars.regions import CROP, Part

KEY = ("toon-head", "mouth")


def part(color: tuple[int, int, int]) -> Part:
    crop = np.full((CROP, CROP, 4), (*color, 255), np.uint8)
    return Part(crop, np.full(DIMENSIONS, color[0] / 255, np.float32), None, None)


RED, BLUE = part((255, 0, 0)), part((0, 0, 255))


@pytest.fixture
def parts() -> ComparedParts:
    drawn = Named([RED, RED, BLUE], np.array(["open", "closed", "closed"]))
    return ComparedParts(
        libraries={KEY: Named([RED, BLUE], np.array(["open", "closed"]))},
        weights={KEY: EVEN},
        drawn={KEY: drawn},
        collection={"mouth": [RED, RED, RED, BLUE]},
        moved={"mouth": Moved([RED, BLUE], [RED, RED])},
        own={"mouth": drawn},
        film={
            "mouth": Filmed(
                [RED, RED, BLUE, BLUE, BLUE, RED], np.repeat(["open", "closed"], 3), np.repeat([True, False], 3)
            )
        },
    )


@pytest.fixture
def raw(parts) -> dict:
    return Measures(Raw(), parts, Vectors.of(Raw(), parts)).summary()


def test_top_1_is_the_share_of_parts_that_come_back(raw):
    assert raw["native"] == "plain"
    assert raw["mouth"] == raw["mean"] == raw["plain"]["styles"]["toon-head"]["mouth"] == pytest.approx(2 / 3)
    assert raw["plain"]["own"] == pytest.approx({"mouth": 2 / 3, "mean": 2 / 3, "n": 3})


def test_stability_and_effective_variants_stand_side_by_side(raw):
    portraits = raw["plain"]["portraits"]["mouth"]
    assert portraits["unchanged"] == 0.5
    assert portraits["effective"] == pytest.approx(np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25)))
    assert (portraits["of"], portraits["n"], portraits["moves"]) == (2, 4, 2)
    assert portraits["share"] == portraits["effective"] / 2


def test_of_the_film_what_changes_while_nothing_happens_and_what_follows_when_something_does(raw):
    film = raw["plain"]["film"]["mouth"]
    assert (film["n"], film["still"], film["differs"], film["unchanged"], film["choices"]) == (6, 3, 0.5, 0.5, 2)
    assert film["right"] == pytest.approx(2 / 3)
    assert (film["followed"], film["changes"]) == (1, 1)
    between = 1 - (2 + 2) / (4 + 1)  # the cosine of two red and one blue with one red and two blue
    assert film["noise"] == pytest.approx(np.sqrt(2) / 2 / np.sqrt(2 * between), rel=1e-4)


def test_numbers_that_never_change_are_dead(raw):
    assert raw["dimensions"] == 3 * RAW_SIZE**2
    assert raw["dead"] == RAW_SIZE**2  # green
    assert raw["cosine"] == pytest.approx(
        0.5, abs=1e-4
    )  # three pairs of six are alike, the others have nothing in common
    assert raw["effective_dimensions"] == pytest.approx(1, abs=1e-4)


def test_shape_is_compared_standardized_with_the_weights_of_the_style(parts):
    shape = Measures(Shape(), parts, Vectors.of(Shape(), parts)).summary()
    assert shape["native"] == "standardized"
    assert shape["mouth"] == shape["standardized"]["retrieval"]["mouth"] == pytest.approx(2 / 3)


def test_a_style_that_lacks_a_role_has_no_measures_of_it(parts):
    other = ComparedParts({}, {}, {}, parts.collection, parts.moved, parts.own, parts.film)
    summary = Measures(Raw(), other, Vectors.of(Raw(), other)).summary()
    assert summary["mean"] is None
    assert summary["plain"]["portraits"] == summary["plain"]["film"]["mouth"] == {}


@pytest.mark.parametrize(
    ("truths", "chosen", "followed"),
    [
        ("aabb", "xxyy", [True]),
        ("aabb", "xxxx", [False]),
        ("aaabbbaaa", "xyxyyxxxx", [True, True]),
        ("aaaa", "xyzx", []),
    ],
)
def test_a_change_is_followed_when_the_most_frequent_choice_changes(truths, chosen, followed):
    assert majority_changes(np.array(list(truths)), np.array(list(chosen))) == followed
