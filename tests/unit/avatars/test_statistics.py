import numpy as np
import pytest
from safetensors.numpy import save_file

from facemill.avatars.descriptors import DIMENSIONS
from facemill.avatars.statistics import Statistics
from facemill.errors import Damaged, UserError


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(3, 2, (50, DIMENSIONS)).astype(np.float32)


def test_standardized_descriptors_have_no_mean_and_deviation_1(rows):
    standardized = Statistics.of({"eyes": rows}).standardize("eyes", rows)
    assert standardized.dtype == np.float32
    np.testing.assert_allclose(standardized.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(standardized.std(0), 1, atol=1e-4)


def test_batches_give_the_same_as_all_at_once(rows):
    once, batches = Statistics.of({"eyes": rows}), Statistics.of_batches({"eyes": part} for part in np.split(rows, 5))
    np.testing.assert_allclose(batches.means["eyes"], once.means["eyes"], atol=1e-5)
    np.testing.assert_allclose(batches.deviations["eyes"], once.deviations["eyes"], atol=1e-5)


def test_numbers_that_do_not_vary_are_not_blown_up(rows):
    rows[:, 0] = 0.5
    changed = rows[:1] + np.eye(1, DIMENSIONS, dtype=np.float32) * 0.1
    statistics = Statistics.of({"eyes": rows})
    assert abs(statistics.standardize("eyes", changed)[0, 0]) < 0.5


def test_a_role_without_rows_has_no_statistics(rows):
    assert set(Statistics.of({"eyes": rows, "mouth": rows[:0]}).means) == {"eyes"}


def test_means_that_differ_by_little_count_as_the_same_and_others_by_what_is_beyond(rows):
    library = Statistics.of({"eyes": rows})
    near, far = rows + 0.04, rows + 5
    as_library = library.standardize("eyes", near)
    np.testing.assert_allclose(Statistics.of({"eyes": near}).standardize("eyes", near, library), as_library, atol=1e-3)
    own = Statistics.of({"eyes": far}).standardize("eyes", far, library)
    assert abs(own.mean()) < 0.1 < abs(library.standardize("eyes", far).mean())


def test_statistics_come_back_from_their_file(rows, tmp_path):
    statistics = Statistics.of({"eyes": rows, "hair": rows + 1})
    statistics.save(tmp_path / "s.safetensors")
    again = Statistics.load(tmp_path / "s.safetensors")
    assert set(again.means) == {"eyes", "hair"}
    np.testing.assert_array_equal(again.standardize("hair", rows), statistics.standardize("hair", rows))


@pytest.mark.parametrize("tensors", [{}, {"a": np.ones(3)}, {"eyes.mean": np.ones(3), "eyes.deviation": np.ones(3)}])
def test_a_file_of_something_else_is_no_statistics(tensors, tmp_path):
    save_file(tensors, tmp_path / "s.safetensors")
    with pytest.raises(Damaged, match="vectors of"):
        Statistics.load(tmp_path / "s.safetensors")


def test_a_missing_or_damaged_file_is_one_line(rows, tmp_path):
    path = tmp_path / "s.safetensors"
    with pytest.raises(UserError, match="no such file"):
        Statistics.load(path)
    Statistics.of({"eyes": rows}).save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Damaged):
        Statistics.load(path)
