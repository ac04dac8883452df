"""Figures of translations, against numbers worked by hand."""

import numpy as np
import pytest

from facemill.data.classes import IGNORE, ROLES
from facemill.metrics.distances import frechet_distance
from facemill.translate.figures import (
    HALVES,
    Features,
    are_faces,
    color_correlations,
    diversity,
    frechet_error,
    frechet_figures,
    l1,
    mask_figures,
    mious,
    no_face,
    resized_masks,
    truth_figures,
)

ID = {role: index for index, role in enumerate(ROLES)}


def flat(*values: int, size: int = 16) -> np.ndarray:
    """Gray images of these values, (N, size, size, 3)."""
    return np.stack([np.full((size, size, 3), value, np.uint8) for value in values])


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), np.uint8)


def halves(count: int, size: int = 16) -> np.ndarray:
    """Masks of hair above, and below a face with eyes and a mouth in its corners."""
    masks = np.full((count, size, size), ID["face"], np.uint8)
    masks[:, : size // 2] = ID["hair"]
    masks[:, -1, 0], masks[:, -1, -1] = ID["eye"], ID["mouth"]
    return masks


def drawn(seed: int, count: int = 200, shift: float = 0, scale: float = 1) -> np.ndarray:
    return (np.random.default_rng(seed).normal(0, scale, (count, 8)) + shift).astype(np.float32)


def test_l1_is_the_mean_difference_of_each_two_images_without_overflow():
    assert l1(flat(0, 200), flat(255, 190)).tolist() == [255, 10]


def test_the_truth_is_0_for_the_true_answers_and_1_for_doing_nothing():
    source, truth = noise(4), noise(4, 1)
    assert truth_figures(source, truth, truth, None)["truth"] == 0
    assert truth_figures(source, source, truth, None)["truth"] == 1


def test_the_truth_is_a_ratio_of_mean_differences_by_hand():
    found = truth_figures(flat(100, 100), flat(130, 140), flat(150, 150), None)
    assert found == {"truth": pytest.approx(0.3), "truth_l1": 15, "nothing_l1": 50}


def test_by_region_each_pixel_counts_in_the_region_of_the_true_answer():
    source, truth, masks = flat(100, 100), flat(200, 200), halves(2)
    results = truth.copy()
    results[:, :8] = 150  # hair: half of the way
    found = truth_figures(source, results, truth, masks)
    assert found["truth_by_region"] == {"hair": 0.5, "face": 0, "eye": 0, "mouth": 0, "background": None}
    assert found["truth"] == pytest.approx(0.25)
    assert found["truth_color"]["skin"] == 0 < found["truth_color"]["hair"] < found["nothing_color"]["hair"]


def test_masks_of_another_size_tell_the_same():
    source, truth = noise(2), noise(2, 1)
    large = halves(2).repeat(4, 1).repeat(4, 2)
    results = noise(2, 2)
    assert truth_figures(source, results, truth, large) == truth_figures(source, results, truth, halves(2))
    assert (resized_masks(large, (16, 16)) == halves(2)).all()


def features(results: np.ndarray) -> Features:
    """Features of results between two collections that lie 10 apart."""
    return Features(results, drawn(1), drawn(2, shift=10), drawn(3, 500, shift=10))


def test_the_scaled_distance_is_0_of_unseen_real_portraits_and_1_of_untranslated_ones():
    assert frechet_figures(features(drawn(2, shift=10)))["frechet_scaled"] == 0
    assert frechet_figures(features(drawn(1)))["frechet_scaled"] == 1
    halfway = frechet_figures(features(drawn(5, shift=5)))["frechet_scaled"]
    assert halfway == pytest.approx(0.25, abs=0.02), "distances are squared"


def test_there_is_no_scale_where_untranslated_portraits_are_as_near_as_unseen_ones():
    nearer = features(drawn(5, shift=5))._replace(source=drawn(3, 500, shift=10))
    found = frechet_figures(nearer)
    assert found["frechet_scaled"] is None and found["frechet_scaled_error"] is None
    assert found["frechet_nothing"] < found["frechet_floor"] < found["frechet_distance"]


@pytest.mark.parametrize("count", [12, 48])
def test_the_standard_error_is_the_deviation_over_halves(count):
    points, reference, random = drawn(5, count, shift=5), drawn(3, 500, shift=10), np.random.default_rng(0)
    halves_of = [points[random.permutation(count)[: count // 2]] for _ in range(HALVES)]
    distances = [frechet_distance(half, reference) for half in halves_of]
    assert frechet_error(points, reference) == pytest.approx(np.std(distances, ddof=1), rel=1e-3)


def test_the_standard_error_tells_how_far_distances_of_few_portraits_spread():
    figures = [frechet_figures(features(drawn(seed, 48, shift=6))) for seed in range(100, 140)]
    spread = np.std([found["frechet_scaled"] for found in figures])
    assert np.mean([found["frechet_scaled_error"] for found in figures]) == pytest.approx(spread, rel=0.3)


def test_the_three_distances_are_of_as_many_portraits():
    """Few portraits are farther from the rest than many of the same kind."""
    few = features(drawn(2, 20, shift=10))
    assert frechet_figures(few)["frechet_scaled"] == 0
    assert frechet_figures(few._replace(results=drawn(2, 200, shift=10)))["frechet_scaled"] < 0.01


def test_diversity_is_1_of_portraits_that_differ_as_real_ones_do_and_0_of_one_for_all():
    assert diversity(features(drawn(2) + 3)) == pytest.approx(1, abs=1e-5)
    assert diversity(features(drawn(2) * 0.5)) == pytest.approx(0.5, abs=1e-5)
    assert diversity(features(np.ones((50, 8), np.float32))) == 0


def test_layout_that_is_kept_has_the_mask_miou_of_real_portraits():
    found = mask_figures(halves(3), halves(3), halves(2), halves(2))
    assert found["mask_miou"] == found["mask_miou_ceiling"] == found["mask_miou_parts"] == 1
    assert found["mask_iou"]["background"] is None, "no pixel"


def test_mask_ious_by_hand():
    truth = halves(2)
    seen = truth.copy()
    seen[:, 4:8] = ID["face"]  # half of the hair: 64 of 128 pixels; the face has 126
    found = mask_figures(seen, truth, truth, truth)
    assert found["mask_iou"]["hair"] == 0.5
    assert found["mask_iou"]["face"] == pytest.approx(126 / 190)
    assert found["mask_miou_parts"] == pytest.approx((1 + 126 / 190 + 0.5) / 3)
    assert mious(seen, truth) == pytest.approx(np.full(2, (1 + 1 + 126 / 190 + 0.5) / 4))


def test_pixels_without_a_role_count_nowhere():
    truth, seen = halves(2), halves(2)
    truth[:, :4] = IGNORE
    assert mask_figures(seen, truth, seen, truth)["mask_miou"] == 1


def test_a_face_has_a_face_eyes_and_a_mouth():
    masks = halves(4)
    for mask, role in zip(masks, ("face", "eye", "mouth"), strict=False):
        mask[mask == ID[role]] = ID["skin"]
    assert are_faces(masks).tolist() == [False, False, False, True]


def test_the_share_without_a_face_is_that_of_women_and_men_apart():
    masks = halves(5)
    masks[:2][masks[:2] == ID["eye"]] = ID["face"]
    sexes = ["women", "women", "men", "women", ""]
    masks[1][masks[1] == ID["mouth"]] = ID["face"]
    found = no_face(masks, sexes)
    assert found.pop("without") == {"face": 0, "eye": 0.4, "mouth": 0.2}
    assert found == {"all": 0.4, "women": pytest.approx(2 / 3), "men": 0}
    assert no_face(masks[:2], ["", ""]).keys() == {"all", "without"}, "no tags: no shares of their own"


def test_colors_that_stay_correlate_and_inverted_ones_correlate_negatively():
    source = np.stack([np.full((16, 16, 3), color, np.uint8) for color in noise(12)[:, 0, 0]])
    masks = halves(12)
    same = color_correlations(source, source // 2 + 60, masks)
    assert same["hair"]["L"] > 0.95 and same["hair"]["a"] > 0.7 and same["hair"]["b"] > 0.7
    inverted = color_correlations(source, 255 - source, masks)
    assert max(inverted["hair"].values()) < -0.5 and max(inverted["all"].values()) < -0.5


def test_a_region_that_is_not_in_the_result_does_not_count():
    source = np.stack([np.full((16, 16, 3), color, np.uint8) for color in noise(12)[:, 0, 0]])
    moved = halves(12)
    moved[0] = ID["background"]
    assert color_correlations(source, source, halves(12), moved)["hair"]["L"] == pytest.approx(1)


def test_colors_of_one_picture_for_all_have_no_correlation():
    assert color_correlations(noise(6), flat(*[90] * 6), halves(6))["hair"] == {"L": None, "a": None, "b": None}
