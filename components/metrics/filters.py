"""Separable Gaussian windows, the local statistics of several metrics."""

import math

import torch.nn.functional as F
from torch import Tensor


def gaussian_window(size: int, sigma: float) -> tuple[float, ...]:
    """Samples of a Gaussian at whole pixels around its centre, scaled to sum to one.

    Args:
        size: number of taps, odd.
        sigma: standard deviation, in pixels.

    Example:
        >>> [round(weight, 3) for weight in gaussian_window(3, 0.6)]
        [0.166, 0.667, 0.166]
    """
    radius = size // 2
    weights = [math.exp(-(x * x) / (2 * sigma * sigma)) for x in range(-radius, radius + 1)]
    return tuple(weight / sum(weights) for weight in weights)


def smooth(images: Tensor, window: tuple[float, ...]) -> Tensor:
    """Filter rows and columns with one symmetric window, keeping pixels whose whole neighbourhood exists.

    Args:
        images: (..., H, W); H and W at least the length of the window.
        window: weights, n of them.

    Returns:
        (..., H - n + 1, W - n + 1).

    Example:
        >>> import torch
        >>> smooth(torch.ones(2, 9, 8), (0.25, 0.5, 0.25)).shape
        torch.Size([2, 7, 6])
    """
    return _correlate(_correlate(images, window, -1), window, -2)


def smooth_same(images: Tensor, window: tuple[float, ...]) -> Tensor:
    """Filter as :func:`smooth` does, with zeros beyond the border, so that the shape stays."""
    radius = len(window) // 2
    return smooth(F.pad(images, (radius,) * 4), window)


def _correlate(images: Tensor, window: tuple[float, ...], dim: int) -> Tensor:
    # Shifted additions: ten times faster than conv2d in float64 on a CPU (2 against 36 ms, 512x512, 17 taps).
    length = images.shape[dim] - len(window) + 1
    total = images.narrow(dim, 0, length) * window[0]
    for offset, weight in enumerate(window[1:], start=1):
        total.add_(images.narrow(dim, offset, length), alpha=weight)
    return total
