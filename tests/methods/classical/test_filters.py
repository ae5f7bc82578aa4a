import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from sigforge.methods.classical.filters import average, box_mean, contrast, correlate, gaussian, mirrored, separable

TAPS = (0.5, -1.0, 3.0, 0.25, 2.0)


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(("border", "mode"), [("replicate", "nearest"), ("symmetric", "reflect")])
@pytest.mark.parametrize("dim", [-1, -2])
@pytest.mark.parametrize("size", [(9, 14), (2, 3)], ids=str)
def test_correlation_agrees_with_scipy(border, mode, dim, size):
    image = noise(3, *size)
    expected = ndimage.correlate1d(image.numpy(), TAPS, dim, mode=mode)
    np.testing.assert_allclose(correlate(image, TAPS, dim, border), expected, atol=1e-14)


@pytest.mark.parametrize("border", ["replicate", "symmetric"])
def test_a_single_pixel_continues_as_itself(border):
    image = torch.full((1, 1), 2.0)
    assert correlate(image, TAPS, -1, border).item() == pytest.approx(2 * sum(TAPS))


def test_separable_filters_both_directions():
    spike = torch.zeros(7, 7)
    spike[3, 3] = 1
    flipped = torch.tensor(TAPS).flip(0)
    torch.testing.assert_close(separable(spike, TAPS)[1:6, 1:6], flipped[:, None] * flipped)


def test_contrast_is_the_magnitude_of_the_four_neighbour_mask():
    image, mask = noise(8, 11), [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    np.testing.assert_allclose(
        contrast(image), np.abs(ndimage.correlate(image.numpy(), mask, mode="nearest")), atol=1e-14
    )


@pytest.mark.parametrize("depth", [255, 65535])
def test_contrast_keeps_single_steps_and_drops_rounding(depth):
    ramp = torch.arange(200).expand(3, 200) / depth
    assert torch.equal(contrast(ramp)[:, 1:-1], torch.zeros(3, 198))
    step = torch.zeros(5, 5)
    step[2, 2] = 1 / depth
    assert (contrast(step) > 0).sum() == 5


def test_average_agrees_with_scipy_even_where_the_window_exceeds_the_image():
    image = noise(6, 9)
    for radius in (1, 4, 12):
        expected = ndimage.uniform_filter(image.numpy(), 2 * radius + 1, mode="nearest")
        np.testing.assert_allclose(average(image, radius), expected, atol=1e-12)


def test_gaussian_agrees_with_scipy_at_the_same_truncation():
    image = noise(20, 31)
    expected = ndimage.gaussian_filter(image.numpy(), 5.0, radius=5, mode="nearest")
    np.testing.assert_allclose(gaussian(image, 5, 5.0), expected, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9), radius=st.integers(1, 12))
def test_box_mean_is_the_mean_over_the_window_inside_the_image(height, width, radius):
    image = noise(height, width).numpy()
    expected = np.empty((height, width))
    for y, x in np.ndindex(height, width):
        expected[y, x] = image[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1].mean()
    np.testing.assert_allclose(box_mean(torch.from_numpy(image), radius), expected, atol=1e-12)


def test_box_mean_sums_in_double_precision():
    means = box_mean(torch.full((3, 4096), 0.1), 3)
    assert means.dtype == torch.float64
    assert (means - float(torch.tensor(0.1))).abs().max() < 1e-12


def test_leading_dimensions_are_filtered_one_by_one():
    stack = noise(2, 3, 1, 12, 10)
    filters = (contrast, lambda x: gaussian(x, 2, 1.0), lambda x: average(x, 3), lambda x: box_mean(x, 3))
    for function in filters:
        assert torch.equal(function(stack)[1, 2, 0], function(stack[1, 2, 0].clone()))


@pytest.mark.parametrize(("size", "before", "after"), [(5, 2, 3), (3, 7, 11), (1, 4, 0)])
def test_mirrored_is_numpys_symmetric_padding(size, before, after):
    image = torch.arange(2 * size).reshape(2, size)
    expected = np.pad(image.numpy(), ((0, 0), (before, after)), "symmetric")
    np.testing.assert_array_equal(mirrored(image, before, after, -1), expected)
