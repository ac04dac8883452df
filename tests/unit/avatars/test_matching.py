import json

import numpy as np
import pytest

from facemill.avatars.descriptors import DIMENSIONS, GRAY, PROPORTIONS, SILHOUETTE, mirrored
from facemill.avatars.matching import NEAREST, Library, Prototypes, choose_weights, row_weights, standardize_both
from facemill.avatars.part_maps import over, picture, seven_mask
from facemill.avatars.regions import cut_parts
from facemill.avatars.statistics import Statistics
from facemill.avatars.styles import DrawingStyle, random_options
from facemill.errors import UserError
from tests.unit.avatars.test_regions import posed

SIZE = 192


@pytest.fixture
def rows() -> np.ndarray:
    """Ten parts: two of each of five candidates."""
    rng = np.random.default_rng(0)
    five = rng.normal(0, 1, (5, DIMENSIONS))
    return (np.repeat(five, 2, 0) + rng.normal(0, 0.05, (10, DIMENSIONS))).astype(np.float32)


CANDIDATES = np.repeat(np.arange(5), 2)


def test_distance_is_the_root_of_the_weighted_mean_squares():
    part, query = np.zeros((1, DIMENSIONS), np.float32), np.zeros((1, DIMENSIONS), np.float32)
    query[:, SILHOUETTE], query[:, GRAY], query[:, PROPORTIONS] = 2, 3, 4
    distance = Prototypes(part, np.array([0]), (0.5, 0.25, 0.1)).distances(query)
    assert distance[0, 0] == pytest.approx(np.sqrt(0.5 * 4 + 0.25 * 9 + 0.1 * 16))


def test_a_candidate_is_as_near_as_its_nearest_part_and_one_without_parts_infinitely_far(rows):
    candidates = np.where(CANDIDATES == 1, 0, CANDIDATES)
    distances = Prototypes(rows, candidates).distances(rows[3:4])
    assert distances[0, 0] == pytest.approx(0, abs=1e-3) and np.isinf(distances[0, 1])


def test_a_mirrored_part_is_its_candidate_and_of_two_that_mirror_one_another_the_true_one_wins(rows):
    prototypes = Prototypes(rows, CANDIDATES)
    assert prototypes.top_1(mirrored(rows), CANDIDATES) == 1
    both = Prototypes(np.concatenate([rows[:1], mirrored(rows[:1])]), np.array([0, 1]))
    noisy = np.concatenate([rows[:1], mirrored(rows[:1])]) + np.float32(0.05) * rows[5]
    assert both.top_1(noisy, np.array([0, 1])) == 1


def library(rows: np.ndarray) -> Library:
    choices = tuple({"eyes": name} for name in ("happy", "wide", "wink", "bow", "humble"))
    return Library.of(DrawingStyle.load("toon-head"), {"eyes": choices}, {"eyes": rows}, {"eyes": CANDIDATES}, {})


def test_nearest_are_distinct_candidates_in_order(rows):
    made = library(rows)
    nearest = made.nearest("eyes", rows, made.statistics)
    np.testing.assert_array_equal(nearest.candidates[:, 0], CANDIDATES)
    assert nearest.candidates.shape == (10, NEAREST)
    assert all(len(set(line)) == NEAREST for line in nearest.candidates.tolist())
    assert (np.diff(nearest.distances) >= 0).all()
    np.testing.assert_allclose(nearest.margin, 1 - nearest.distances[:, 0] / nearest.distances[:, 1])
    assert made.choices("eyes", 2) == {"eyes": "wink"}


def test_standardizing_changes_nothing_where_both_domains_are_one_and_cures_a_shifted_domain(rows):
    made = library(rows)
    own = Statistics.of({"eyes": rows})
    plain = made.nearest("eyes", rows, made.statistics)
    np.testing.assert_allclose(made.nearest("eyes", rows, own).distances, plain.distances, atol=1e-4)
    other = 0.2 * rows + 4
    there = Statistics.of({"eyes": other})
    np.testing.assert_array_equal(made.nearest("eyes", other, there).candidates[:, 0], CANDIDATES)
    assert len(set(made.nearest("eyes", other, made.statistics).candidates[:, 0])) < 5


def test_a_role_that_the_collection_lacks_is_compared_by_the_library_s_own_statistics(rows):
    made = library(rows)
    np.testing.assert_array_equal(made.nearest("eyes", rows, Statistics({}, {})).candidates[:, 0], CANDIDATES)


def test_weights_are_of_what_tells_candidates_apart_and_else_of_silhouettes(rows):
    queries = rows + np.random.default_rng(1).normal(0, 0.05, rows.shape).astype(np.float32)
    assert choose_weights(rows, CANDIDATES, queries, CANDIDATES) == (1, 0, 0)
    for block in (SILHOUETTE, PROPORTIONS):
        rows[:, block] = queries[:, block] = 0
    _, gray, _ = choose_weights(rows, CANDIDATES, queries, CANDIDATES)
    assert gray > 0


def test_both_domains_are_standardized_by_their_own(rows):
    parts, queries = standardize_both(rows, 3 * rows + 9)
    assert abs(parts.mean()) < 0.01 and abs(queries.mean()) < 0.2
    assert queries.std() == pytest.approx(parts.std(), rel=0.1)


@pytest.fixture(scope="module")
def drawn() -> tuple[DrawingStyle, dict, dict]:
    """Parts of 40 figures of toon-head, and their candidates."""
    style, rng = DrawingStyle.load("toon-head"), np.random.default_rng(3)
    descriptors: dict = {"eyes": [], "mouth": []}
    candidates: dict = {"eyes": [], "mouth": []}
    for i in range(40):
        given = {role: style.candidates[role][(i + (role == "mouth")) % 5] for role in descriptors}
        options, _ = random_options(style, rng, given)
        svg = style.svg(options)
        parts = cut_parts(over(picture(svg, SIZE)), seven_mask(svg, style, SIZE), looks=4, roles=descriptors.keys())
        for role, part in parts.items():
            descriptors[role].append(part.descriptor)
            candidates[role].append(style.candidates[role].index(given[role]))
    return style, {r: np.stack(d) for r, d in descriptors.items()}, {r: np.array(c) for r, c in candidates.items()}


@pytest.mark.parametrize(("angle", "scale", "shift"), [(0, 1, (0, 0)), (8, 1.1, (5, -5)), (-8, 0.9, (-7, 4))])
def test_a_part_moved_turned_and_scaled_has_the_same_nearest_variant(drawn, angle, scale, shift):
    style, descriptors, candidates = drawn
    weights = dict.fromkeys(descriptors, (0.75, 0.25, 0.1))
    made = Library.of(style, {r: style.candidates[r] for r in descriptors}, descriptors, candidates, weights)
    rng, right = np.random.default_rng(4), []
    for _ in range(8):
        options, choices = random_options(style, rng)
        svg = style.svg(options)
        image, mask = posed(over(picture(svg, SIZE)), seven_mask(svg, style, SIZE), angle, scale, shift)
        for role, part in cut_parts(image, mask, looks=4, roles=descriptors.keys()).items():
            best = made.nearest(role, part.descriptor[None], made.statistics).candidates[0, 0]
            right.append(made.choices(role, best) == choices[role])
    assert np.mean(right) > 0.9


def test_a_file_that_says_nothing_of_parts_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        Library.load(tmp_path / "a.parquet", tmp_path / "a.json")
    (tmp_path / "a.json").write_text(json.dumps({"style": "toon-head"}))
    with pytest.raises(UserError, match="says nothing"):
        Library.load(tmp_path / "a.parquet", tmp_path / "a.json")


def test_rows_count_as_often_as_a_style_draws_their_candidate():
    weights = row_weights(np.array([0, 0, 1, 3]), np.array([0.5, 0.25, 0.15, 0.1]))
    assert weights.tolist() == [0.25, 0.25, 0.25, 0.1]
    rows = np.zeros((4, DIMENSIONS), np.float32)
    rows[3] = 1
    statistics = Statistics.of({"hair": rows}, {"hair": weights})
    np.testing.assert_allclose(statistics.means["hair"], 0.1 / 0.85, rtol=1e-5)


def test_beards_are_as_rare_in_a_librarys_statistics_as_in_what_the_style_draws():
    style = DrawingStyle.load("toon-head")
    choices = style.candidates["hair"]
    rows = np.zeros((len(choices), DIMENSIONS), np.float32)
    rows[[choice["beard"] != "none" for choice in choices]] = 1  # five of six
    made = Library.of(style, {"hair": choices}, {"hair": rows}, {"hair": np.arange(len(choices))}, {})
    np.testing.assert_allclose(made.statistics.means["hair"], 0.5, atol=1e-5)
