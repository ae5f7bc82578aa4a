import numpy as np
import pytest
import torch
from scipy import ndimage

from sigforge.methods.classical.two_scale import median
from sigforge.methods.registry import get_method

fuse = get_method("two_scale").fuse


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize(("mean_radius", "median_radius"), [(17, 1), (4, 2)])
def test_agrees_with_the_method_written_out(n, mean_radius, median_radius, random_sources):
    sources = random_sources(n, 1, 1, 61, 83)
    images = np.stack([s[0, 0].double().numpy() for s in sources])
    base = np.stack([ndimage.uniform_filter(x, 2 * mean_radius + 1, mode="nearest") for x in images])
    saliency = np.abs(
        base - np.stack([ndimage.median_filter(x, 2 * median_radius + 1, mode="reflect") for x in images])
    )
    weights = (saliency + 1e-12) / (saliency + 1e-12).sum(0)
    expected = (base.mean(0) + (weights * (images - base)).sum(0)).clip(0, 1)
    fused = fuse(*sources, mean_radius=mean_radius, median_radius=median_radius)
    np.testing.assert_allclose(fused[0, 0], expected, atol=1e-4)


def test_details_come_from_the_source_that_has_them(camera):
    flat = torch.full_like(camera, 0.5)
    fused = fuse(camera, flat)
    texture = lambda image: float(image.diff(dim=-1).abs().mean())  # noqa: E731
    assert texture(fused) > 0.9 * texture(camera)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 4)], ids=str)
def test_median_of_small_images(size):
    image = torch.rand(*size, generator=torch.Generator().manual_seed(1))
    np.testing.assert_array_equal(median(image, 2), ndimage.median_filter(image.numpy(), 5, mode="reflect"))
