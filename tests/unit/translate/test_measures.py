"""What is measured of a direction, by translators that are perfect, that do nothing, and that hide what they saw."""

import dataclasses

import numpy as np
import pytest
from helpers.translations import Lazy, Perfect, Sly, SlyBack, ways

from facemill.imaging.figures import CAPTION
from facemill.translate import classifier
from facemill.translate.measures import translate, way_figures
from facemill.translate.pictures import CELL, extremes, first_portraits

DIRECTIONS = ["a2b", "b2a"]


def measured(way) -> dict:
    return way_figures(way, translate(way))


@pytest.fixture(scope="module", autouse=True)
def few_steps():
    """The two collections are told apart by the mean color."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "STEPS", 30)
        yield


@pytest.fixture(scope="module")
def perfect() -> dict:
    return {name: measured(way) for name, way in ways(Perfect, Perfect).items()}


@pytest.fixture(scope="module")
def lazy() -> dict:
    return {name: measured(way) for name, way in ways(Lazy, Lazy).items()}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_a_perfect_translator(perfect, name):
    figures = perfect[name]
    assert figures["truth"] == figures["truth_l1"] == figures["cycle"] == figures["frechet_scaled"] == 0
    assert set(figures["truth_by_region"].values()) == {0} and set(figures["truth_color"].values()) == {0}
    assert figures["changed"] == figures["diversity"] == 1
    assert figures["mask_miou"] == figures["mask_miou_ceiling"] > 0.8, "portraits are enlarged for the U-Net"
    assert figures["called"] == {"results": 1, "real": 1, "source": 0}
    assert figures["no_face"] == figures["no_face_real"] and figures["no_face"]["all"] == 0
    assert min(figures["color_correlation"]["hair"].values()) > 0.7


@pytest.mark.parametrize("name", DIRECTIONS)
def test_a_translator_that_does_nothing(lazy, name):
    figures = lazy[name]
    assert figures["truth"] == figures["frechet_scaled"] == 1
    assert set(figures["truth_by_region"].values()) == {1}
    assert figures["truth_color"] == figures["nothing_color"] and figures["truth_color"]["hair"] > 10
    assert figures["changed"] == figures["changed_l1"] == figures["cycle"] == 0
    assert figures["called"]["results"] == figures["called"]["source"] == 0
    assert figures["mask_miou"] < 0.8 < figures["mask_miou_ceiling"], "the other's U-Net does not know these colors"


def test_a_message_that_is_hidden_in_the_lowest_bits_does_not_survive_a_jpeg(perfect):
    figures = measured(ways(Sly, SlyBack)["a2b"])
    assert figures["truth"] < 0.05 and figures["cycle"] < 30, "all seems well"
    assert figures["hidden_messages"] > 2
    way = ways(Perfect, Lazy)["a2b"]
    assert measured(way)["hidden_messages"] == pytest.approx(1, abs=0.05), "no message"
    assert perfect["a2b"]["hidden_messages"] is None, "nothing is lost"


def test_without_true_answers_change_is_measured_by_other_portraits():
    figures = measured(ways(Perfect, Perfect, paired=False)["a2b"])
    assert figures.keys() & {"truth", "truth_l1", "truth_by_region"} == set()
    assert figures["changed"] == pytest.approx(1), "this collection's others are the true answers, in their order"
    assert figures["mask_miou"] == figures["mask_miou_ceiling"] > 0.8, "the source's masks are the same"


def test_what_is_not_known_has_no_figures():
    way = ways(Perfect, Perfect, paired=False)["a2b"]
    blind = dataclasses.replace(way, back=None, segmenter=None, source=dataclasses.replace(way.source, masks=None))
    known = measured(blind)
    assert {"frechet_scaled", "called", "changed", "diversity"} <= known.keys()
    assert not known.keys() & {"cycle", "hidden_messages", "mask_miou", "no_face", "color_correlation"}


def test_women_and_men_are_measured_apart_and_beside_real_portraits():
    sexes = ["women"] * 12 + ["men"] * 12
    way = ways(Perfect, Perfect, sexes=sexes)["a2b"]
    way.there.answers = way.there.answers.copy()
    way.there.answers[:3] = way.there.answers[0, 0, 0]  # three women become background
    figures = measured(way)
    shares, real = (
        {key: figures[name][key] for key in ("all", "women", "men")} for name in ("no_face", "no_face_real")
    )
    assert shares == {"all": 0.125, "women": 0.25, "men": 0}
    assert real == {"all": 0, "women": 0, "men": 0}


def test_scores_are_best_for_the_nearest_to_the_true_answers():
    way = ways(Perfect, Perfect)["a2b"]
    way.there.answers = way.there.answers.copy()
    way.there.answers[7] = 0
    assert translate(way).scores.argmin() == 7
    unpaired = dataclasses.replace(way, paired=False)
    assert translate(unpaired).scores.argmin() == 7, "its mask is lost"


def test_the_best_and_the_worst_translations_are_shown_in_the_order_of_their_scores():
    made = ways(Perfect, Perfect)
    way = made["a2b"]
    way.there.answers = way.there.answers.copy()
    way.there.answers[7], way.there.answers[9] = 0, 255 - way.there.answers[9]
    done = {name: (of_name, translate(of_name)) for name, of_name in made.items()}
    order = np.argsort(-done["a2b"][1].scores, kind="stable")
    assert set(order[-2:]) == {7, 9}
    grid = np.asarray(extremes({"a2b": done["a2b"]}))
    cell = CELL + 6
    row = grid[CAPTION + 14 :][:CELL, -12 * cell :]  # of the portraits as they are
    for column in (0, 5, 6, 11):
        shown = row[:, column * cell : column * cell + CELL]
        chosen = way.source.images[[*order[:6], *order[-6:]][column]]
        assert (shown[CELL // 2, CELL // 2] == chosen[32, 32]).all()
    first = np.asarray(first_portraits({"a2b": done["a2b"]}))[6:][:CELL, -12 * cell :]
    assert all((first[48, i * cell + 48] == way.source.images[i, 32, 32]).all() for i in range(12)), "as they come"


def test_portraits_that_only_one_collection_has_are_no_pairs():
    way = ways(Perfect, Perfect)["a2b"]
    assert way.truth().ids == way.source.ids
    assert (way.truth().images == way.target.images).all()
    shuffled = dataclasses.replace(way, target=way.target.of(way.target.ids[::-1]))
    assert (shuffled.truth().images == way.target.images).all(), "by id, not by place"


def test_masks_that_results_should_have_are_those_of_the_true_answers():
    way = ways(Perfect, Perfect)["a2b"]
    turned = dataclasses.replace(way.target, masks=way.target.masks[:, ::-1])
    assert (dataclasses.replace(way, target=turned).expected_masks()[:, ::-1] == way.expected_masks()).all()
    assert np.unique(way.expected_masks()).tolist() == np.unique(way.source.masks).tolist(), (
        "enlarged without new values"
    )
