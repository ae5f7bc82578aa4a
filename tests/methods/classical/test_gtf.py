import math

import pytest
import torch

from sigforge.methods.classical.gtf import _cosines, _gradient, tv_l1
from sigforge.methods.registry import get_method

fuse = get_method("gtf").fuse


def disc(radius, size=64):
    y, x = torch.meshgrid(*[torch.arange(size) - (size - 1) / 2] * 2, indexing="ij")
    return (x.square() + y.square() <= radius**2).float()


@pytest.mark.parametrize(("radius", "height"), [(4, 0.0), (6, 0.0), (11, 1.0), (16, 1.0)])
def test_discs_below_twice_the_weight_vanish_and_others_stay(radius, height):
    """Removing a disc costs its area, keeping it the weight times its edge: the balance is at a radius of two weights."""
    weight = 4.0
    assert (math.pi * radius**2 < weight * 2 * math.pi * radius) == (height == 0)
    solution = tv_l1(disc(radius), weight, 400)
    assert float(solution[32, 32]) == pytest.approx(height, abs=0.02)
    assert float(solution[2, 2]) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("weight", [0.5, 4.0])
def test_nothing_near_the_solution_is_better(weight):
    image = torch.rand(24, 31, generator=torch.Generator().manual_seed(0)).double()
    cost = lambda z: float((z - image).abs().sum() + weight * _gradient(z).square().sum(0).sqrt().sum())  # noqa: E731
    solution = tv_l1(image, weight, 2000)
    assert cost(solution) < min(cost(image), cost(torch.full_like(image, float(image.median())))) + 1e-3
    for seed in range(20):
        step = torch.randn(24, 31, generator=torch.Generator().manual_seed(seed)).double()
        assert all(cost(solution + size * step) > cost(solution) - 2e-3 for size in (0.1, 0.01, 0.001))


def test_the_given_iterations_are_enough(camera):
    infrared = 1 - camera
    few, many = fuse(infrared, camera), fuse(infrared, camera, iterations=500)
    assert float((few - many).abs().mean()) < 0.004


def test_intensity_of_the_first_texture_of_the_second(camera):
    infrared = torch.full_like(camera, 0.3)
    infrared[..., 40:120, 40:120] = 0.9
    visible = 0.5 + 0.2 * (camera - 0.5)
    fused = fuse(infrared, visible)
    inside, outside = fused[..., 50:110, 50:110], fused[..., :30, :]
    assert float(inside.mean()) == pytest.approx(0.9, abs=0.05)
    assert float(outside.mean()) == pytest.approx(0.3, abs=0.05)
    texture = lambda image: float(image[..., 50:110, 50:110].diff(dim=-1).abs().mean())  # noqa: E731
    assert texture(fused) == pytest.approx(texture(visible), rel=0.2)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_cosines_are_orthonormal(size):
    matrix = _cosines(size, torch.zeros(1, dtype=torch.float64))
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(size, dtype=torch.float64))
