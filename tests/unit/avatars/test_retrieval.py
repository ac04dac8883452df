"""How often the nearest part is the true one."""

import numpy as np
import pytest

from facemill.avatars.drawn import Drawer, draw_all
from facemill.avatars.matching import Library
from facemill.avatars.retrieval import (
    Answers,
    all_answers,
    described,
    nearest_choices,
    statistics_of,
    summary,
    told_components,
    variant_name,
)
from facemill.avatars.styles import DrawingStyle


def test_scores_count_the_first_answer_the_first_five_and_each_variant_alike():
    answers = Answers(["a", "a", "a", "b"], [["a"], ["a", "b"], ["b", "a"], ["c", "d"]], 8)
    assert answers.scores() == {"top1": 0.5, "macro": pytest.approx(1 / 3), "top5": 0.75, "chance": 1 / 8, "n": 4}


def test_a_part_that_the_mask_does_not_show_is_a_wrong_answer():
    answers = Answers(["a", "a"], [[], ["a"]], 2)
    assert answers.scores()["top1"] == 0.5
    assert answers.confusion()[1:] == (["a", ""], pytest.approx(np.array([[0.5, 0.5]])))
    assert list(answers.rows()) == [{"variant": "a", "n": 2, "top1": 0.5, "taken_for": "none"}]


def test_without_portraits_nothing_is_measured():
    scores = Answers([], [], 4).scores()
    assert scores == {"top1": None, "macro": None, "top5": None, "chance": 0.25, "n": 0}
    assert summary({"eyes": Answers([], [], 4)})["mean"] is None


def test_the_mean_is_of_roles():
    whole, half = Answers(["a"], [["a"]], 2), Answers(["a", "a"], [["a"], ["b"]], 2)
    assert summary({"eyes": whole, "mouth": half})["mean"] == 0.75


def test_hair_and_rear_hair_must_be_right_the_beard_need_not():
    style = DrawingStyle.load("toon-head")
    told = told_components(style, "hair")
    assert told == ("hair", "rearHair")
    assert variant_name({"hair": "bun", "beard": "chin"}, told) == "bun + none"


def test_what_a_style_draws_comes_back_to_parts_of_the_same_drawings():
    style, drawer = DrawingStyle.load("emoji"), Drawer(96, 1)
    [drawn] = draw_all({"emoji": style}, 40, drawer, 3).values()
    descriptors = [described(portrait.parts) for portrait in drawn]
    rows, candidates = {}, {}
    for role, choices in style.candidates.items():
        shown = [portrait for portrait in drawn if role in portrait.parts]
        rows[role] = np.stack([portrait.parts[role].descriptor for portrait in shown])
        candidates[role] = np.array([choices.index(portrait.choices[role]) for portrait in shown])
    library = Library.of(style, style.candidates, rows, candidates, {})
    nearest = nearest_choices(library, descriptors, statistics_of(descriptors))
    answers = all_answers(style, [portrait.variants for portrait in drawn], nearest)
    assert {role: of.scores()["top1"] for role, of in answers.items()} == dict.fromkeys(style.candidates, 1)
    wrong = all_answers(style, [portrait.variants for portrait in drawn[1:] + drawn[:1]], nearest)
    assert summary(wrong)["mean"] < 0.6


def test_portraits_of_a_style_do_not_depend_on_other_styles():
    styles = {name: DrawingStyle.load(name) for name in ("emoji", "toon-head")}
    drawer = Drawer(48, 1)
    [alone], both = draw_all({"emoji": styles["emoji"]}, 2, drawer, 1).values(), draw_all(styles, 2, drawer, 1)
    assert [portrait.options for portrait in alone] == [portrait.options for portrait in both["emoji"]]
    assert both["emoji"][0].options != both["emoji"][1].options
