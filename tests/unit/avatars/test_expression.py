"""Whether avatars open their mouths where portraits do."""

import numpy as np
import pytest

from facemill.avatars.drawn import Drawer, draw_all
from facemill.avatars.expression import (
    followed,
    key,
    mouth_openness,
    mouth_pairs,
    open_mouth_accuracy,
    rank_correlation,
)
from facemill.avatars.matching import Library
from facemill.avatars.retrieval import described, statistics_of
from facemill.avatars.styles import DrawingStyle
from facemill.data.splits import in_choice

IDS = [str(i) for i in range(40)]


def test_the_correlation_is_of_ranks_and_of_known_pairs():
    assert rank_correlation([1, 2, 3, None, 9], [10, 20, 1000, 5, None]) == {"spearman": pytest.approx(1), "n": 3}
    assert rank_correlation([1, 2, 3], [3, 2, 1])["spearman"] == pytest.approx(-1)


@pytest.mark.parametrize("second", [[1.0, 1.0, 1.0], [None, None, 2.0]])
def test_what_does_not_vary_has_no_correlation(second):
    assert rank_correlation([1, 2, 3], second)["spearman"] is None


def test_openness_that_tells_open_mouths_has_full_accuracy_on_the_other_half():
    is_open = {row_id: int(row_id) % 2 == 0 for row_id in IDS}
    told = open_mouth_accuracy({i: 0.9 if is_open[i] else None for i in IDS}, is_open)
    assert told == {"balanced_accuracy": 1, "n": sum(not in_choice(i) for i in IDS)}


def test_openness_of_one_value_tells_nothing():
    is_open = {row_id: int(row_id) % 2 == 0 for row_id in IDS}
    assert open_mouth_accuracy(dict.fromkeys(IDS, 0.5), is_open)["balanced_accuracy"] == 0.5


def test_without_tags_nothing_is_told():
    assert open_mouth_accuracy(dict.fromkeys(IDS, 0.5), dict.fromkeys(IDS, False)) == {
        "balanced_accuracy": None,
        "n": 0,
    }


@pytest.fixture(scope="module")
def emoji():
    """Portraits of the style emoji, a library of the same drawings, and how open its mouths are."""
    style = DrawingStyle.load("emoji")
    [drawn] = draw_all({"emoji": style}, 40, Drawer(96, 1), 3).values()
    rows, candidates = {}, {}
    for role, choices in style.candidates.items():
        rows[role] = np.stack([portrait.parts[role].descriptor for portrait in drawn])
        candidates[role] = np.array([choices.index(portrait.choices[role]) for portrait in drawn])
    openness = {key(portrait.choices["mouth"]): portrait.parts["mouth"].openness for portrait in drawn}
    return drawn, Library.of(style, style.candidates, rows, candidates, {}), openness


def test_pairs_differ_in_nothing_but_the_mouth(emoji):
    drawn, _, openness = emoji
    pairs = mouth_pairs(drawn[:4], openness, Drawer(96, 1), np.random.default_rng(0))
    assert len(pairs) == 4
    for closed, opened in pairs:
        assert (closed["eyes"] == opened["eyes"]).all()
        assert (closed["mouth"] != opened["mouth"]).any()


def test_avatars_follow_mouths_that_open_and_none_that_close(emoji):
    drawn, library, openness = emoji
    pairs = mouth_pairs(drawn[:8], openness, Drawer(96, 1), np.random.default_rng(0))
    statistics = statistics_of([described(portrait.parts) for portrait in drawn])
    assert np.mean(followed(pairs, library, statistics, openness)) >= 0.75
    assert not any(followed([pair[::-1] for pair in pairs], library, statistics, openness))


def test_an_avatar_without_a_mouth_is_neither_open_nor_closed(emoji):
    assert mouth_openness({}, emoji[2]) is None
