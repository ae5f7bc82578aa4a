"""Separable linear filters for batches of images of any size.

Written as sums of shifted copies rather than library convolutions: an elementwise sum gives the same bits whatever else
is in the batch, while a convolution may pick another algorithm for another batch size. That matters here because the
fusion rules compare filter responses and would let a last-bit difference flip a whole pixel.

Every filter acts on the last two dimensions and leaves the others alone, so ``(H, W)``, ``(B, 1, H, W)`` and
``(n, B, 1, H, W)`` all work. Borders are defined for any combination of image size and radius: the image continues with
its edge value (``replicate``) or with its mirror image, edge included (``symmetric``); :func:`box_mean` cuts its window
off instead, as the guided filter wants it.
"""

from collections.abc import Sequence
from functools import reduce
from math import exp
from operator import add
from typing import Literal

import torch
from torch import Tensor

Border = Literal["replicate", "symmetric"]
LAPLACIAN_TAPS = (1.0, -2.0, 1.0)
# Second differences of 8-bit and 16-bit values are multiples of 4e-3 and 1.5e-5; stored as float32 they are off by up
# to a few 1e-7, which would decide between sources wherever the true difference is zero in all of them.
ROUNDING = 1e-6


def correlate(image: Tensor, taps: Sequence[float], dim: int, border: Border = "replicate") -> Tensor:
    """Correlate one dimension with an odd number of taps; no side gets shorter.

    Args:
        image: any shape.
        taps: weights, the middle one at the sample itself.
        dim: dimension to filter.
        border: ``replicate`` repeats the edge; ``symmetric`` mirrors, edge included.

    Example:
        >>> correlate(torch.tensor([1.0, 2.0, 4.0]), (1.0, -2.0, 1.0), -1)
        tensor([ 1.,  1., -2.])
    """
    size, radius = image.shape[dim], len(taps) // 2
    index = torch.arange(-radius, size + radius, device=image.device)
    if border == "symmetric":
        index = index.where(index >= 0, -1 - index)
        index = index.where(index < size, 2 * size - 1 - index)
    extended = image.index_select(dim, index.clamp(0, size - 1))
    return reduce(add, (tap * extended.narrow(dim, shift, size) for shift, tap in enumerate(taps)))


def mirrored(image: Tensor, before: int, after: int, dim: int) -> Tensor:
    """Continue one dimension with its mirror image, edge included, as often as it takes.

    Args:
        image: any shape.
        before: samples added in front.
        after: samples added behind.
        dim: dimension to continue.

    Example:
        >>> mirrored(torch.tensor([1, 2, 3]), 2, 4, -1)
        tensor([2, 1, 1, 2, 3, 3, 2, 1, 1])
    """
    size = image.shape[dim]
    index = torch.arange(-before, size + after, device=image.device).remainder(2 * size)
    return image.index_select(dim, index.where(index < size, 2 * size - 1 - index))


def separable(image: Tensor, taps: Sequence[float], border: Border = "replicate") -> Tensor:
    """Correlate rows and columns with the same taps.

    Args:
        image: ``(..., H, W)``.
        taps: an odd number of weights.
        border: as for :func:`correlate`.
    """
    return correlate(correlate(image, taps, -2, border), taps, -1, border)


def contrast(image: Tensor) -> Tensor:
    """Magnitude of the 4-neighbour Laplacian ``[0 1 0; 1 -4 1; 0 1 0]``, exactly zero where it is rounding alone.

    Example:
        >>> ramp = torch.arange(100, 106).expand(3, 6) / 255
        >>> contrast(ramp)[1]
        tensor([0.0039, 0.0000, 0.0000, 0.0000, 0.0000, 0.0039])
    """
    magnitude = (correlate(image, LAPLACIAN_TAPS, -2) + correlate(image, LAPLACIAN_TAPS, -1)).abs()
    return magnitude * (magnitude > ROUNDING)


def average(image: Tensor, radius: int) -> Tensor:
    """Mean over the ``2 * radius + 1`` square window, edge values repeated beyond the border."""
    size = 2 * radius + 1
    return separable(image, [1 / size] * size)


def gaussian(image: Tensor, radius: int, sigma: float) -> Tensor:
    """Gaussian blur, truncated to ``2 * radius + 1`` taps that sum to one.

    Args:
        image: ``(..., H, W)``; edges are repeated.
        radius: in pixels.
        sigma: in pixels.

    Example:
        >>> gaussian(torch.ones(4, 4), 2, 1.0).round(decimals=5).unique()
        tensor([1.])
    """
    weights = [exp(-0.5 * (offset / sigma) ** 2) for offset in range(-radius, radius + 1)]
    return separable(image, [weight / sum(weights) for weight in weights])


def box_mean(image: Tensor, radius: int) -> Tensor:
    """Mean over the ``2 * radius + 1`` square window, cut off at the image border.

    The cost does not depend on the radius. Sums run in float64 and the result stays there: the guided filter subtracts
    two of these means and float32 would leave nothing of the difference.

    Args:
        image: ``(..., H, W)``, any float type.
        radius: in pixels; it may exceed the image.

    Returns:
        Means over the pixels inside the image, ``(..., H, W)`` float64.

    Example:
        >>> box_mean(torch.tensor([[1.0, 2.0, 6.0]]), 1)
        tensor([[1.5000, 3.0000, 4.0000]], dtype=torch.float64)
    """
    # Summing along rows that lie in memory is several times faster than across them.
    rows = _window_mean(image.double(), radius)
    return _window_mean(rows.mT.contiguous(), radius).mT.contiguous()


def _window_mean(image: Tensor, radius: int) -> Tensor:
    size, ends = image.shape[-1], image.shape[:-1]
    total = image.cumsum(-1)
    total = torch.cat((total.new_zeros(*ends, radius + 1), total, total[..., -1:].expand(*ends, radius)), -1)
    position = torch.arange(size, device=image.device)
    count = (position + radius).clamp(max=size - 1) - (position - radius).clamp(min=0) + 1
    return (total.narrow(-1, 2 * radius + 1, size) - total.narrow(-1, 0, size)).div_(count)
