import numpy as np
import pytest
from scipy.stats import binomtest, norm

from sigforge.evaluation.realism import two_sample
from sigforge.evaluation.realism.two_sample import two_sample_auc, with_interval


def normal(count, seed, shift=0.0, spread=1.0, features=6):
    return shift + spread * np.random.default_rng(seed).normal(size=(count, features))


def auc(first, second, **options):
    return two_sample_auc(first, second, owners=np.arange(len(first)), second_owners=np.arange(len(second)), **options)


def test_equal_sets_are_not_told_apart():
    found = [auc(normal(25, seed), normal(40, 100 + seed), seed=seed) for seed in range(40)]
    assert np.mean([one.value for one in found]) == pytest.approx(0.5, abs=0.04)
    # Promised: 95 %.
    assert np.mean([one.low <= 0.5 <= one.high for one in found]) >= 0.9


def test_permuted_labels_are_not_told_apart():
    both = np.concatenate((normal(30, 0), normal(30, 1, shift=2.0)))
    assert auc(both[:30], both[30:]).value > 0.95
    values = []
    for seed in range(30):
        order = np.random.default_rng(seed).permutation(60)
        values.append(auc(both[order[:30]], both[order[30:]], seed=seed).value)
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)


def test_auc_of_a_known_shift_and_its_order():
    # One feature of two: the best AUC is Phi(d / sqrt 2).
    values = []
    for shift in (0.5, 1.0, 2.0):
        first, second = normal(400, 0, features=2), normal(400, 1, features=2)
        second[:, 0] += shift
        values.append(auc(first, second).value)
        assert values[-1] == pytest.approx(norm.cdf(shift / np.sqrt(2)), abs=0.04)
    assert values == sorted(values)


def test_sets_that_differ_in_spread_alone_are_told_apart():
    assert auc(normal(100, 0), normal(100, 1, spread=2.0)).value > 0.9


def test_sides_units_and_order_do_not_matter():
    first, second = normal(30, 0), normal(50, 1, shift=0.4)
    value = auc(first, second).value
    assert auc(second, first).value == pytest.approx(value, abs=0.06)
    assert auc(
        first * [1, 10, 100, 1e3, 1e4, 1e-2] + 5, second * [1, 10, 100, 1e3, 1e4, 1e-2] + 5
    ).value == pytest.approx(value, abs=2e-3)
    assert auc(first, second) == auc(first, second) != auc(first, second, seed=1)


def test_crops_of_an_image_never_straddle_folds():
    # Five copies of every image: a classifier that had seen one of them would know the others.
    rows = np.repeat(np.arange(20), 5)
    kept = []
    for seed in range(20):
        first, second = normal(20, seed, features=30)[rows], normal(20, 50 + seed, features=30)[rows]
        kept.append(two_sample_auc(first, second, owners=rows, second_owners=rows, seed=seed).value)
    assert np.mean(kept) == pytest.approx(0.5, abs=0.07)
    first, second = normal(20, 0, features=30)[rows], normal(20, 50, features=30)[rows]
    assert auc(first, second).value > 0.9  # what forgetting the owners would give


def test_every_image_weighs_the_same_however_many_crops_it_has():
    first, second = normal(20, 0), normal(20, 1, shift=0.7)
    rows = np.repeat(np.arange(20), [1 + 3 * (k % 2) for k in range(20)])
    wins = two_sample._mean_wins(np.arange(20.0)[rows], np.array([9.5]), rows, np.array([0]))
    assert wins.shape == (20, 1) and wins.mean() == 0.5
    assert two_sample_auc(first[rows], second, owners=rows, second_owners=np.arange(20)).value == pytest.approx(
        auc(first, second).value, abs=0.08
    )


def test_interval_is_wilsons():
    for wins, cases in ((0, 7), (5, 10), (33, 66), (66, 66)):
        found, expected = with_interval(wins / cases, cases), binomtest(wins, cases).proportion_ci(method="wilson")
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_complete_separation_of_few_images_stays_uncertain():
    found = auc(normal(6, 0), normal(50, 1, shift=50.0))
    assert found.value == 1.0 and found.high == 1.0 and 0.5 < found.low < 0.65


def test_features_without_spread_are_no_trouble():
    assert auc(np.zeros((8, 3)), np.zeros((8, 3))).value == 0.5
    assert auc(np.zeros((8, 3)), np.ones((8, 3))).value == 1.0


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(ValueError, match="1 and 5 images"):
        auc(normal(1, 0), normal(5, 1))
    bad = normal(5, 0)
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        auc(bad, normal(5, 1))
