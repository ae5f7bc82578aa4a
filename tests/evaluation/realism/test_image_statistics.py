import dataclasses

import cv2
import numpy as np
import pytest

from sigforge.core.errors import UserError
from sigforge.evaluation.realism.image_statistics import CUTS, ROUNDING, WIDTHS, ImageStatistics, crops, measure_images


def noise(count, side=64, deviation=20.0, seed=0):
    """White noise about middle grey, deviation in grey levels."""
    return np.clip(0.5 + np.random.default_rng(seed).normal(0, deviation / 255, (count, side, side)), 0, 1)


def power_law(count, exponent, side=128, seed=0):
    """Images whose power falls as frequency to ``exponent``; deviation 30 grey levels."""
    spectrum = np.fft.fft2(np.random.default_rng(seed).normal(size=(count, side, side)))
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side))
    radius[0, 0] = np.inf
    image = np.fft.ifft2(spectrum * radius ** (exponent / 2)).real
    image *= 30 / 255 / image.std(axis=(1, 2), keepdims=True)
    return np.clip(0.5 + image, 0, 1)


def test_white_noise_has_the_power_that_it_has():
    found = measure_images(noise(20, deviation=20.0), side=64)
    power = 20**2 + 2 * ROUNDING
    assert found.spectrum.mean(axis=0)[2:] == pytest.approx(10 * np.log10(power), abs=0.5)
    # A tight frame: subbands share the power by their widths.
    assert found.level.mean(axis=(0, 1)) == pytest.approx(10 * np.log10(power * WIDTHS), abs=0.6)
    assert (10 ** (found.level / 10)).sum(axis=2).mean() == pytest.approx(power, rel=0.02)
    # Even extension doubles the variance of a narrow band at the border, so tails are a little heavier.
    assert found.kurtosis.mean(axis=0)[2:] == pytest.approx(np.log(3), abs=0.06)
    assert found.slope.mean() == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize("exponent", [-1.0, -2.0, -3.0])
def test_slope_is_the_exponent_of_a_power_law(exponent):
    assert measure_images(power_law(8, exponent)).slope.mean() == pytest.approx(exponent, abs=0.15)


def test_a_wave_lies_in_its_ring_and_its_subband():
    x = np.arange(128)
    for cycles in (2, 6, 12, 24, 48):
        image = np.tile(0.5 + 0.2 * np.sin(2 * np.pi * cycles * x / 128), (128, 1))
        found = measure_images([image])
        assert found.spectrum[0].argmax() + 1 == cycles
        band = np.searchsorted(CUTS, cycles / 64)
        rows, columns = found.level[0]
        assert rows.argmax() == band
        # Along a column nothing changes, but the lowest subband keeps how columns differ.
        assert columns.argmax() == 0 and columns[1:].max() < 0
        # Values of a sine have a kurtosis of 1.5, and where there is nothing that of noise is 3.
        columns_kurtosis = 1.5 if band == 0 else 3
        assert found.kurtosis[0, band] == pytest.approx(np.log([1.5, columns_kurtosis]).mean(), abs=0.1)


def test_directions_are_rows_then_columns():
    image = power_law(1, -2)[0]
    one, turned = measure_images([image]), measure_images([image.T])
    assert np.allclose(one.level, turned.level[:, ::-1]) and not np.allclose(one.level[:, 0], one.level[:, 1])
    assert np.allclose(one.spectrum, turned.spectrum) and np.allclose(one.kurtosis, turned.kurtosis)


def test_histograms_count_grey_levels_and_gradients():
    step = np.zeros((32, 32))
    step[:, 16:] = 100 / 255
    found = measure_images([step], side=32)
    assert found.intensity[0, [0, 100]].tolist() == [0.5, 0.5]
    assert found.gradient[0, 100] == pytest.approx(1 / 31) and found.gradient[0, 0] == pytest.approx(30 / 31)
    corner = np.eye(32)[::-1] * 0
    corner[10, 10] = 1
    assert measure_images([corner], side=32).gradient[0, 361] == pytest.approx(1 / 31**2)


def test_gain_moves_levels_by_its_decibels_and_brightness_moves_grey_levels_only():
    image = np.rint(127 * power_law(3, -2)) / 255
    plain, halved, brighter = (measure_images(images) for images in (image, image / 2, image + 20 / 255))
    assert plain.level - halved.level == pytest.approx(np.full_like(plain.level, 6.02), abs=0.3)
    for name in ("level", "kurtosis", "spectrum", "slope", "gradient"):
        assert np.allclose(getattr(plain, name), getattr(brighter, name), atol=1e-3)
    levels = np.arange(256)
    assert (brighter.intensity - plain.intensity) @ levels == pytest.approx([20] * 3)


def test_colour_is_measured_as_luma_and_size_does_not_matter():
    grey = np.rint(power_law(2, -2) * 255) / 255
    coloured = np.repeat(grey[..., None], 3, axis=-1)
    for field in dataclasses.fields(ImageStatistics):
        assert np.allclose(getattr(measure_images(grey), field.name), getattr(measure_images(coloured), field.name)), (
            field.name
        )
    padded = np.zeros((140, 150))
    padded[6:134, 11:139] = grey[0]
    assert np.array_equal(crops(padded, 128), crops(grey[0], 128))


def test_crops_lie_in_the_middles_of_equal_parts_and_never_overlap():
    rows, columns = np.meshgrid(np.arange(200), np.arange(150), indexing="ij")
    cut = crops(np.stack([rows / 255, columns / 255, 0 * rows], axis=-1)[..., 0], 64)
    assert cut[:, 0, 0].tolist() == [18, 18, 118, 118]
    assert [len(crops(np.zeros(shape), 64)) for shape in ((64, 64), (127, 128), (1000, 64), (1000, 999))] == [
        1,
        2,
        2,
        4,
    ]
    assert crops(np.zeros((63, 500)), 64).shape == (0, 64, 64)


def test_every_image_weighs_the_same():
    found = measure_images([np.zeros((64, 64)), np.ones((200, 200)) * 0.4], side=64)
    assert found.owner.tolist() == [0, 1, 1, 1, 1] and found.images == 2
    assert found.weights == pytest.approx([0.5, *[0.125] * 4])
    assert found.weights @ found.intensity[:, [0, 102]] == pytest.approx([0.5, 0.5])


def test_taking_images_numbers_them_anew():
    images = [np.full((64, width), grey / 255) for grey, width in ((10, 64), (20, 130), (30, 64))]
    found = measure_images(images, side=64)
    taken = found.take(np.array([2, 1]))
    assert taken.images == 2
    assert [taken.intensity[taken.owner == k].argmax(axis=1).tolist() for k in (0, 1)] == [[30], [20, 20]]


def test_features_are_finite_also_of_constant_images():
    found = measure_images([np.full((64, 64), grey) for grey in (0.0, 0.5, 1.0)], side=64)
    assert found.features.shape == (3, 24) and np.isfinite(found.features).all()
    assert found.kurtosis == pytest.approx(np.full((3, 5), np.log(3)))
    assert found.spectrum == pytest.approx(np.full((3, 32), 10 * np.log10(ROUNDING)))


def test_blur_takes_high_subbands_most():
    image = power_law(2, -2)
    blurred = np.stack([cv2.GaussianBlur(one, (0, 0), 1) for one in image])
    loss = (measure_images(image).level - measure_images(blurred).level).mean(axis=(0, 1))
    assert (np.diff(loss) > 0).all() and loss[0] < 0.5 and loss[-1] > 8


def test_what_cannot_be_measured_is_said_in_one_line():
    with pytest.raises(UserError, match=r"real: image 1 is 70x60, smaller than crops of 64"):
        measure_images([np.zeros((64, 64)), np.zeros((60, 70))], side=64, name="real")
    with pytest.raises(UserError, match="before: holds no image"):
        measure_images([], name="before")
    with pytest.raises(UserError, match="crops of 16 pixels are too small"):
        measure_images([np.zeros((64, 64))], side=16)
