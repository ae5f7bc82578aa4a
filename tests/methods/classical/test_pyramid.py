import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sigforge.methods.classical.pyramid import collapse, gaussian_pyramid, laplacian_pyramid, max_levels

SIDES = st.integers(1, 40)


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2))


@settings(max_examples=40, deadline=None)
@given(height=SIDES, width=SIDES, levels=st.integers(0, 6), a=st.sampled_from([0.3, 0.375, 0.4, 0.6]))
def test_collapse_undoes_the_decomposition(height, width, levels, a):
    image = noise(2, 1, height, width)
    layers = laplacian_pyramid(image, levels, a=a)
    assert len(layers) == levels + 1
    torch.testing.assert_close(collapse(layers, a=a), image, atol=2e-6, rtol=0)


@settings(max_examples=25, deadline=None)
@given(height=SIDES, width=SIDES, a=st.sampled_from([0.375, 0.4]))
def test_a_flat_image_has_no_detail(height, width, a):
    *details, rest = laplacian_pyramid(torch.full((height, width), 0.7), 3, a=a)
    assert max(layer.abs().max() for layer in details) < 1e-6
    torch.testing.assert_close(rest, torch.full_like(rest, 0.7))


@pytest.mark.parametrize("size", [(32, 32), (61, 83), (7, 20), (8, 3)], ids=str)
@pytest.mark.parametrize("a", [0.375, 0.4])
def test_layers_agree_with_zero_insertion(size, a, burt):
    image = noise(*size).double()
    gaussian, laplacian = burt.analyse(image.numpy(), 3, a)
    for layer, expected in zip(gaussian_pyramid(image, 3, a=a), gaussian, strict=True):
        np.testing.assert_allclose(layer, expected, atol=1e-12)
    for layer, expected in zip(laplacian_pyramid(image, 3, a=a), laplacian, strict=True):
        np.testing.assert_allclose(layer, expected, atol=1e-12)


def test_the_kernel_is_the_papers():
    spike = torch.zeros(9, 9)
    spike[4, 4] = 1
    reduced = gaussian_pyramid(spike, 1, a=0.4)[1]
    torch.testing.assert_close(reduced[2], 0.4 * torch.tensor([0, 0.05, 0.4, 0.05, 0]))


@pytest.mark.parametrize(("size", "levels"), [((1, 9), 0), ((2, 9), 1), ((9, 3), 1), ((8, 8), 3), ((61, 83), 5)])
def test_max_levels_ends_at_one_pixel(size, levels):
    image = torch.zeros(1, 1, *size)
    assert max_levels(image) == levels
    assert levels == 0 or min(gaussian_pyramid(image, levels - 1, a=0.4)[-1].shape[-2:]) >= 2
