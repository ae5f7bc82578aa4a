import cv2
import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from sigforge.core.errors import UserError
from sigforge.evaluation.realism.compare import LEAST, MEASURES, compare, distances, measure_realism
from sigforge.evaluation.realism.image_statistics import measure_images

SIDE = 64


def scenes(count, seed):
    """Images with edges and smooth regions: thresholded smooth noise, softened."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        field = cv2.GaussianBlur(random.normal(size=(SIDE, SIDE)), (0, 0), random.uniform(2, 5))
        grey = random.uniform(0.3, 0.5) + random.uniform(0.1, 0.2) * np.sign(field)
        found.append(np.clip(cv2.GaussianBlur(grey, (0, 0), 0.7) + random.normal(0, 0.01, field.shape), 0, 1))
    return found


@pytest.fixture(scope="module")
def real():
    return scenes(40, 0)


@pytest.fixture(scope="module")
def other():
    """Of the same kind as ``real``."""
    return scenes(40, 2)


def from_real(real, images):
    return distances(measure_images(real, side=SIDE), measure_images(images, side=SIDE))


def blur(images, sigma):
    return [cv2.GaussianBlur(image, (0, 0), sigma) for image in images]


def test_more_of_the_same_is_as_near_as_two_halves(real, other):
    found = measure_realism(real, None, other, side=SIDE)
    assert found.images == {"real": 40, "after": 40}
    for row in found.rows:
        assert row.before is None
        if row.measure != "auc":
            assert 0 < row.after.value < 1.6 * row.real.value, row
    auc = found.row("auc")
    assert auc.real.low < 0.5 < auc.real.high and auc.after.low < 0.5 < auc.after.high


def test_a_set_is_at_no_distance_from_itself(real):
    assert max(from_real(real, real).values()) < 1e-9


def test_gain_moves_power_and_grey_levels_but_neither_kurtosis_nor_slope(real):
    plain = measure_images(real, side=SIDE)
    for gain in (0.5, 0.8):
        found = distances(plain, measure_images([gain * image for image in real], side=SIDE))
        decibels = -20 * np.log10(gain)
        assert found["level"] == pytest.approx(decibels, abs=0.4)
        assert found["spectrum"] == pytest.approx(decibels, abs=0.4)
        assert found["kurtosis"] < 0.03 and found["slope"] < 0.05
        mean = 255 * np.mean(real)
        assert found["intensity_w1"] == pytest.approx((1 - gain) * mean, rel=0.02)


def test_brightness_moves_grey_levels_alone(real):
    found = from_real(real, [image + 10 / 255 for image in real])
    assert found["intensity_w1"] == pytest.approx(10, abs=0.01)
    assert max(value for name, value in found.items() if not name.startswith("intensity")) < 0.01


@pytest.mark.parametrize(
    ("change", "measures"),
    [
        (
            lambda images, much: blur(images, 0.5 + much),
            ("level", "level.5", "spectrum", "slope", "gradient_w1", "auc"),
        ),
        (
            lambda images, much: [
                np.clip(image + np.random.default_rng(k).normal(0, 0.03 * much, image.shape), 0, 1)
                for k, image in enumerate(images)
            ],
            ("level", "level.5", "kurtosis", "kurtosis.5", "spectrum", "slope", "gradient_w1", "gradient_js"),
        ),
        (
            lambda images, much: [image * (1 - much / 4) for image in images],
            ("level.1", "intensity_w1", "intensity_js"),
        ),
    ],
    ids=["blur", "noise", "gain"],
)
def test_more_of_a_change_is_farther(real, other, change, measures):
    near, far = (measure_images(change(other, much), side=SIDE) for much in (0.5, 1.5))
    found = compare(measure_images(real, side=SIDE), near, far)
    for name in measures:
        row = found.row(name)
        assert row.real.value < row.before.value, name
        assert row.before.value < row.after.value or row.before.value == 1.0, name
    assert found.row("auc").after.value > 0.95


def test_blur_and_noise_move_the_slope_in_opposite_directions(real, other):
    random = np.random.default_rng(0)
    noisy = [np.clip(image + random.normal(0, 0.05, image.shape), 0, 1) for image in other]
    slopes = measure_realism(real, blur(other, 1.0), noisy, side=SIDE).slopes
    assert slopes["before"] < slopes["real"] - 0.2 and slopes["after"] > slopes["real"] + 0.2


def test_distances_agree_with_scipy(real, other):
    other = blur(other, 1.0)
    found = from_real(real, other)
    greys = [np.rint(255 * np.array(images)).ravel() for images in (real, other)]
    assert found["intensity_w1"] == pytest.approx(wasserstein_distance(*greys), rel=1e-6)
    shares = [np.bincount(grey.astype(int), minlength=256) / len(grey) for grey in greys]
    assert found["intensity_js"] == pytest.approx(jensenshannon(*shares, base=2) ** 2, rel=1e-6)
    one, two = measure_images(real, side=SIDE), measure_images(other, side=SIDE)
    assert found["slope"] == pytest.approx(wasserstein_distance(one.slope, two.slope))
    both = [wasserstein_distance(one.level[:, d, 4], two.level[:, d, 4]) for d in (0, 1)]
    assert found["level.5"] == pytest.approx(np.mean(both))
    assert found["level"] == pytest.approx(np.mean([found[f"level.{z}"] for z in range(1, 6)]))


def test_columns_are_of_equally_many_images(real, other):
    """A larger set must not look nearer for its size: W1 between samples shrinks as they grow."""
    few = measure_realism(real[:16], None, other[:16], side=SIDE)
    many = measure_realism(real[:16], None, scenes(150, 3), side=SIDE)
    names = [name for name in MEASURES if name != "auc"]
    assert np.mean([many.row(name).after.value / few.row(name).after.value for name in names]) > 0.9
    every = distances(measure_images(real[:16], side=SIDE), measure_images(scenes(150, 3), side=SIDE))
    assert np.mean([every[name] / many.row(name).after.value for name in names]) < 0.85  # what it would be else
    assert [row.real for row in few.rows] == [row.real for row in many.rows]


def test_same_seed_same_numbers_and_images_in_any_size(real, other):
    sets = real[:10], other[:10], blur(other[10:20], 1.0)
    assert measure_realism(*sets, side=SIDE).rows == measure_realism(*sets, side=SIDE).rows
    assert measure_realism(*sets, side=SIDE, seed=1).rows != measure_realism(*sets, side=SIDE).rows
    framed = [[np.pad(image, ((3, 4), (20, 20))) for image in images] for images in sets]
    assert measure_realism(*framed, side=SIDE).rows == measure_realism(*sets, side=SIDE).rows


def test_constant_images_do_not_crash(real):
    flat = [np.full((SIDE, SIDE), grey) for grey in np.linspace(0, 1, 8)]
    found = measure_realism(flat, real[:8], flat, side=SIDE)
    values = [one.value for row in found.rows for one in (row.real, row.before, row.after)]
    assert np.isfinite(values).all()
    assert found.row("level").after.value == pytest.approx(0, abs=1e-9) and found.row("level").before.value > 10
    assert all(np.isfinite(curves).all() for curves in found.spectra.values())


def test_spectra_are_quartiles_per_ring(real, other):
    found = measure_realism(real, other, blur(other, 1.0), side=SIDE)
    assert {curves.shape for curves in found.spectra.values()} == {(3, SIDE // 2)} and found.side == SIDE
    low, middle, high = found.spectra["after"]
    assert (low <= middle).all() and (middle <= high).all()
    assert (found.spectra["real"][1] - middle)[-8:].min() > 5


def test_rows_are_labelled(real):
    found = measure_realism(real[:6], None, real[6:12], side=SIDE)
    assert [row.measure for row in found.summary] == list(MEASURES)
    assert len(found.rows) == len(MEASURES) + 10
    assert (found.row("level.3").label, found.row("level.3").unit) == ("subband power 3", "dB")


def test_too_few_or_too_small_images_are_a_users_mistake(real, other):
    for position, name in enumerate(("real", "before", "after")):
        sets = [real[:6], other[:6], other[:6]]
        sets[position] = sets[position][: LEAST - 1]
        with pytest.raises(UserError, match=f"{name}: 5 images are too few to be compared: give at least 6"):
            measure_realism(*sets, side=SIDE)
    with pytest.raises(UserError, match="after: image 0 is 64x64, smaller than crops of 128"):
        measure_realism([np.zeros((128, 128))] * 6, None, other, side=128)
    with pytest.raises(ValueError, match="different sizes"):
        compare(measure_images(real, side=64), None, measure_images(other, side=32))
