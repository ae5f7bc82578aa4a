from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Scene = tuple[Tensor, Tensor, Tensor]


def textures(count: int, height: int, width: int, seed: int) -> Tensor:
    """Images with structure at several scales and in both directions, (count, 1, H, W) on the 8-bit grid of [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(count, 1, height, width)
    for cells, weight in ((4, 1.0), (9, 0.6), (23, 0.3)):
        coarse = torch.rand(count, 1, cells, cells + 2, generator=generator)
        total += weight * torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    total += 0.1 * torch.rand(total.shape, generator=generator)
    low, high = total.amin((-2, -1), keepdim=True), total.amax((-2, -1), keepdim=True)
    return ((total - low) / (high - low).clamp(min=1e-6)).mul(255).round().div(255)


@pytest.fixture
def scene() -> Callable[..., Scene]:
    """Make (fused, a, b), each (B, 1, H, W): two unrelated textures and a lopsided mean of them."""

    def make(height: int = 64, width: int = 64, batch: int = 1, seed: int = 0) -> Scene:
        a, b = textures(2 * batch, height, width, seed).chunk(2)
        return (0.6 * a + 0.4 * b).mul(255).round().div(255), a, b

    return make
