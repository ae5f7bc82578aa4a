import cv2
import numpy as np
import pytest

from sigforge.core.errors import UserError
from sigforge.evaluation.realism.pair_compare import PAIR_MEASURES, compare_pairs, shuffled_pairs
from sigforge.evaluation.realism.pair_statistics import correlation, measure_pairs

SIDE = 64


def field(random, sigma=4.0):
    smooth = cv2.GaussianBlur(random.normal(size=(SIDE, SIDE)), (0, 0), sigma)
    return np.clip(0.5 + 0.15 * np.sign(smooth) + random.normal(0, 0.02, smooth.shape), 0, 1)


def complementary(count, seed):
    """Pairs of which a has the left half's detail and b the right one's, on brightness of their own."""
    random, left = np.random.default_rng(seed), np.arange(SIDE) < SIDE // 2
    return [(np.where(left, field(random), 0.3), np.where(left, 0.7, field(random))) for _ in range(count)]


@pytest.fixture(scope="module")
def real():
    return measure_pairs(complementary(24, 0), side=SIDE)


def test_an_image_twice_says_the_same_everywhere():
    image = field(np.random.default_rng(3))
    one = measure_pairs([(image, image)], side=SIDE)
    assert one.correlation[0] == pytest.approx(1) and one.gradient_correlation[0] == pytest.approx(1)
    np.testing.assert_allclose(one.subband_correlation, 1, atol=1e-5)
    np.testing.assert_allclose(one.subband_share, 0.5)
    assert one.strong_share[0] == 0.5 and one.brighter_share[0] == 0 and one.decided.max() < 1e-6


def test_swapping_the_sources_swaps_what_they_win():
    pairs = complementary(6, 1)
    one, other = measure_pairs(pairs, side=SIDE), measure_pairs([(b, a) for a, b in pairs], side=SIDE)
    np.testing.assert_allclose(one.strong_share, 1 - other.strong_share)
    np.testing.assert_allclose(one.subband_share, 1 - other.subband_share)
    np.testing.assert_allclose(one.decided, other.decided)
    np.testing.assert_allclose(one.correlation, other.correlation)
    np.testing.assert_array_equal(one.contrast, other.contrast[:, ::-1])
    np.testing.assert_allclose(one.joint, other.joint.transpose(0, 2, 1))


def test_detail_on_one_side_of_the_image_is_seen_as_such():
    a = np.full((SIDE, SIDE), 0.5)
    a[:, : SIDE // 2] += np.random.default_rng(0).normal(0, 0.1, (SIDE, SIDE // 2))
    one = measure_pairs([(np.clip(a, 0, 1), np.full((SIDE, SIDE), 0.5))], side=SIDE)
    assert one.strong_share[0] == 1 and one.subband_share[0, 1:].min() > 0.95
    # Half of the place is won by a, half by nobody, which counts as b's: both are whole regions.
    assert 0.4 < one.region[0] < 0.6 and one.run_length[0] > SIDE / 2


def test_inverted_contrast_is_negative_and_information_does_not_mind():
    image = field(np.random.default_rng(5))
    one, same = measure_pairs([(image, 1 - image)], side=SIDE), measure_pairs([(image, image)], side=SIDE)
    assert one.correlation[0] == pytest.approx(-1, abs=1e-3) and one.subband_correlation.max() < -0.99
    assert one.gradient_correlation[0] > 0.99
    assert one.information[0] == pytest.approx(same.information[0], rel=0.05)


def test_correlation_of_a_constant_is_nothing():
    assert correlation(np.ones((4, 4)), np.eye(4)) == 0


def test_more_of_the_same_is_near_and_the_ends_of_the_scale_are_far(real):
    pairs = complementary(24, 9)
    twice = [(a, a) for a, _ in pairs]
    found = compare_pairs(real, measure_pairs(pairs, side=SIDE), twice=measure_pairs(twice, side=SIDE))
    assert [row.measure for row in found.rows] == list(PAIR_MEASURES)
    assert found.pairs == {"real": 24, "synthetic": 24, "twice": 24}
    auc = found.row("auc").values
    assert 0.2 < auc["real"].value < 0.75 and auc["synthetic"].value < 0.75 and auc["twice"].value > 0.95
    row = found.row("gradient_correlation")
    assert row.near and row.values["twice"].value == pytest.approx(1) and row.gap < 0.2
    assert found.row("joint_js").values["twice"].value > 3 * found.row("joint_js").values["synthetic"].value
    assert found.row("auc").near is None


def test_a_pair_twice_is_not_near(real):
    found = compare_pairs(real, measure_pairs([(a, a) for a, _ in complementary(12, 2)], side=SIDE))
    assert not found.row("correlation").near and not found.row("decided").near
    assert found.row("auc").values["synthetic"].low > 0.6


def test_shuffled_partners_are_cut_to_what_they_share():
    images = [np.full((40 + index, 50 - index), index / 10) for index in range(4)]
    shuffled = list(shuffled_pairs(lambda index: (images[index], images[index]), 4))
    assert [a.shape == b.shape for a, b in shuffled] == [True] * 4
    assert shuffled[0][0].shape == (40, 49) and shuffled[0][1].max() == pytest.approx(0.1)
    assert shuffled[3][1].max() == 0


def test_bad_pairs_are_one_line():
    image = np.zeros((64, 64))
    with pytest.raises(UserError, match="made: pair 0 has sources of .64, 64. and .64, 63.: register them"):
        measure_pairs([(image, image[:, 1:])], name="made")
    with pytest.raises(UserError, match="measured on less than 32 pixels"):
        measure_pairs([(image[:20], image[:20])])
    with pytest.raises(UserError, match="made: holds no pair"):
        measure_pairs([], name="made")
    few = measure_pairs([(image, image)] * 3)
    with pytest.raises(UserError, match="real: 3 pairs are too few to be compared: give at least 6"):
        compare_pairs(few, few)
