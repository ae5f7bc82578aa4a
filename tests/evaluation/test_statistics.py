import itertools

import numpy as np
import pytest

from sigforge.evaluation import statistics
from sigforge.evaluation.statistics import bootstrap_interval, permutation_test


def scores(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def coverage(pairs, trials=300):
    """Share of samples of a standard normal whose interval holds the true mean, 0; one column per sample."""
    low, high = bootstrap_interval(scores(5, pairs, trials), resamples=2000)
    return ((low <= 0) & (high >= 0)).mean()


@pytest.mark.parametrize("pairs", [6, 12, 60])
def test_intervals_hold_the_true_mean_as_often_as_promised(pairs):
    # 300 trials scatter by 1.3 %; plain percentiles reach 87 % on 6 pairs.
    assert 0.92 <= coverage(pairs) <= 0.98


def test_interval_of_many_pairs_is_that_of_the_normal_law():
    values = scores(1, 2000, 1) * 3 + 7
    half = 1.96 * values.std() / np.sqrt(2000)
    low, high = bootstrap_interval(values)
    assert [low[0], high[0]] == pytest.approx([values.mean() - half, values.mean() + half], abs=0.06 * half)


def test_resamples_are_shared_by_the_methods():
    x = scores(2, 15)
    low, high = bootstrap_interval(np.stack((x, x + 10, -x), axis=1))
    assert low[1] - low[0] == pytest.approx(10) and high[1] - high[0] == pytest.approx(10)
    assert low[2] == pytest.approx(-high[0]) and high[2] == pytest.approx(-low[0])


def test_same_seed_same_numbers_in_blocks_of_any_size(monkeypatch):
    values, x, y = scores(3, 30, 2), *scores(4, 2, 30)
    whole = bootstrap_interval(values), permutation_test(x, y, rounds=2000)
    monkeypatch.setattr(statistics, "BLOCK", 30 * 150)
    assert np.array_equal(bootstrap_interval(values), whole[0])
    assert not np.array_equal(bootstrap_interval(values, seed=1), whole[0])
    assert permutation_test(x, y, rounds=2000) == pytest.approx(whole[1], abs=0.05)


def test_spread_of_one_pair_is_unknown():
    assert np.isnan(bootstrap_interval(np.ones((1, 3)))).all()
    assert bootstrap_interval(np.full((5, 1), 0.3)).ravel() == pytest.approx([0.3, 0.3])


def test_small_tests_count_every_sign():
    x, y = scores(6, 2, 9)
    difference = x - y
    sums = [abs(np.dot(signs, difference)) for signs in itertools.product((1, -1), repeat=9)]
    expected = np.mean(np.array(sums) >= abs(difference.sum()) - 1e-9)
    assert permutation_test(x, y) == pytest.approx(expected, abs=1e-12)
    assert permutation_test(y, x) == permutation_test(x, y)


def test_random_signs_agree_with_all_of_them(monkeypatch):
    x = scores(7, 18)
    y = x - 0.25 + 0.8 * scores(8, 18)
    exact = permutation_test(x, y)
    monkeypatch.setattr(statistics, "EXACT_PAIRS", 0)
    assert 0.01 < exact < 0.5
    assert permutation_test(x, y, rounds=40_000) == pytest.approx(exact, abs=4 * np.sqrt(exact / 40_000))


def test_smallest_p_and_equal_methods():
    ones = np.ones(5)
    assert permutation_test(ones * 2, ones) == 2 / 2**5
    assert permutation_test(ones, ones) == 1.0
    # 0.1 + 0.2 and 0.3 differ in the last bit; the sums of equal sizes still count as equal.
    assert permutation_test(np.array([0.1, 0.2, -0.3]), np.zeros(3)) == 1.0
    assert permutation_test(np.arange(50.0) + 1, np.zeros(50), rounds=999) == 1 / 1000
    assert np.isnan(permutation_test(np.array([]), np.array([])))


def test_p_values_of_equal_methods_are_uniform():
    p = [permutation_test(*scores(100 + n, 2, 10)) for n in range(300)]
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.09 and 0.42 <= np.mean(np.array(p) <= 0.5) <= 0.58


@pytest.mark.parametrize("bad", [np.array([[1.0, np.nan]]), np.array([[np.inf]]), np.array([1.0])])
def test_scores_that_cannot_be_averaged_are_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        bootstrap_interval(bad)


def test_a_paired_test_needs_pairs():
    with pytest.raises(ValueError, match="3 and 2 scores"):
        permutation_test(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="finite"):
        permutation_test(np.array([1.0, np.nan]), np.ones(2))
