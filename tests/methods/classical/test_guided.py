import numpy as np
import pytest
import torch

from sigforge.methods.classical.guided import guided_filter


def by_definition(guide, image, radius, eps):
    """Fit a line in every window, then average the lines of the windows that hold a pixel (float64 loops)."""
    height, width = guide.shape
    window = lambda y, x: np.s_[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]  # noqa: E731
    a, b = np.empty_like(guide), np.empty_like(guide)
    for y, x in np.ndindex(height, width):
        I, p = guide[window(y, x)], image[window(y, x)]  # noqa: E741
        a[y, x] = ((I - I.mean()) * (p - p.mean())).mean() / (I.var() + eps)
        b[y, x] = p.mean() - a[y, x] * I.mean()
    mean_a = np.array([[a[window(y, x)].mean() for x in range(width)] for y in range(height)])
    mean_b = np.array([[b[window(y, x)].mean() for x in range(width)] for y in range(height)])
    return mean_a * guide + mean_b


@pytest.mark.parametrize(("radius", "eps"), [(1, 1e-6), (3, 0.01), (30, 0.3)])
def test_agrees_with_the_definition(radius, eps):
    guide, image = np.random.default_rng(0).random((2, 13, 17))
    filtered = guided_filter(torch.from_numpy(guide), torch.from_numpy(image), radius=radius, eps=eps)
    np.testing.assert_allclose(filtered, by_definition(guide, image, radius, eps), atol=1e-9)


def test_float32_survives_the_cancellation_in_a_nearly_flat_guide():
    """The guide's contrast is 1e-3 on 0.9: in float32 its variance would be rounding noise."""
    rng = np.random.default_rng(1)
    guide = (0.9 + 1e-3 * rng.random((20, 20))).astype(np.float32)
    image = (rng.random((20, 20)) > 0.5).astype(np.float32)
    filtered = guided_filter(torch.from_numpy(guide), torch.from_numpy(image), radius=2, eps=1e-6)
    assert filtered.dtype == torch.float32
    expected = by_definition(guide.astype(float), image.astype(float), 2, 1e-6)
    np.testing.assert_allclose(filtered, expected, atol=1e-5)


def test_edges_of_the_guide_survive_and_texture_below_eps_does_not():
    columns = torch.arange(40)
    texture = 0.02 * (columns % 2)
    edge = (columns >= 20).float() * 0.8
    guide = (edge + texture).expand(40, 40)
    filtered = guided_filter(guide, guide, radius=3, eps=0.01)
    assert filtered[20, 25] - filtered[20, 14] > 0.75
    assert (filtered[20, 5:12] - filtered[20, 6:13]).abs().max() < 0.002
