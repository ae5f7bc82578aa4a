"""Mutual information of small windows read as distributions, the numerics of FMI.

Haghighat & Razian, "Fast-FMI: non-reference image fusion metric", AICT 2014: the joint distribution of two windows is a
mixture of independence with an extreme (Frechet) coupling, chosen so that a correlation is met (Nelsen).
"""

import math

import torch
from torch import Tensor

#: A window is 3 x 3 samples, read column by column as the bins of a distribution.
SIDE, _BINS = 3, 9
#: Sum of squared differences from 1/9 below which a window is flat; any other window's is above 0.01.
_UNIFORM = 1e-4
#: Keeps the logarithm of an empty bin finite, in float32.
_SMALLEST = 1e-37
#: Windows worked on at once: their 81 joint bins stay in the cache.
_WINDOWS_AT_ONCE = 5120


def window_information(features: Tensor) -> Tensor:
    """Mean normalised mutual information of the 3x3 windows of each source with those of the fused image.

    The two answers differ in windows whose mass is all in one bin, which have no entropy to share. As published, they
    score 1 where their samples are equal (samples of the fused image that were stretched for an earlier source stay
    so), else 0; alike for every source, they score 1 where it is the same bin, else 0.

    Args:
        features: (n + 1, B, H, W), the fused image's last.

    Returns:
        (2, n, B): as published, and alike for every source. NaN with a side below 3.

    Example:
        >>> window_information(torch.eye(5, dtype=torch.float64).expand(3, 1, 5, 5)).round(decimals=4)[0]
        tensor([[1.],
                [1.]], dtype=torch.float64)
    """
    if min(features.shape[-2:]) < SIDE:
        return features.new_full((2, len(features) - 1, features.shape[1]), math.nan)
    return torch.stack([_image_information(images) for images in features.unbind(1)], dim=-1)


def _image_information(features: Tensor) -> Tensor:
    windows = features.unfold(-2, SIDE, 1).unfold(-2, SIDE, 1)
    rows = max(1, _WINDOWS_AT_ONCE // windows.shape[2])
    total = features.new_zeros(2, len(features) - 1)
    for strip in torch.split(windows, rows, dim=1):
        # The last axis of a window runs along its rows, the one before along its columns.
        total += _window_information(strip.permute(0, 4, 3, 1, 2).reshape(len(features), _BINS, -1))
    return total / windows.shape[1:3].numel()


def _window_information(bins: Tensor) -> Tensor:
    """Sums over windows of (n + 1, 9, N) samples, (2, n): as published, and alike for every source."""
    densities, stretched = _densities(bins), _stretched(bins[-1])
    sums, fused = [], bins[-1]
    for samples, density in zip(bins[:-1], densities, strict=False):
        shared, certain = _shared(density, densities[-1])
        same = (samples == fused).all(0)
        fused = torch.where(same, fused, stretched)
        published = torch.where(certain, same.float(), shared)
        sums.append(torch.stack((published, shared)).sum(1, dtype=torch.float64))
    return torch.stack(sums, dim=1)


def _stretched(bins: Tensor) -> Tensor:
    """Samples of (9, N) between 0 and 1; ones where a window is flat."""
    low, high = bins.amin(0), bins.amax(0)
    return torch.where(high == low, 1.0, (bins - low) / (high - low))


def _densities(bins: Tensor) -> Tensor:
    """Distributions over nine bins of (n + 1, 9, N) samples, in float32: whatever the scale, rounding is relative."""
    low, high = bins.amin(1, keepdim=True), bins.amax(1, keepdim=True)
    above = torch.where(high == low, 1.0, (bins - low).float())
    return above / above.sum(1, keepdim=True)


def _shared(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Normalised mutual information of distributions (9, N), and where both are certain (all in one bin); both (N,)."""
    correlation, equal = _correlation(x, y), (x == y).all(0)
    # The smallest coupling of x and y is the largest one of x and y read backwards.
    y = torch.where(correlation < 0, y.flip(0), y)
    # Mass below each bin and below all of them.
    below_x, below_y = (x.new_ones(_BINS + 1, _BINS).tril(-1) @ density for density in (x, y))
    largest = torch.minimum(below_x[:, None], below_y[None])
    # Hoeffding: the covariance of the bin numbers is the sum of how far the distribution exceeds independence.
    covariance = largest.sum((0, 1)) - below_x.sum(0) * below_y.sum(0)
    scale = (_variance(x) * _variance(y)).sqrt()
    # All mass in one bin leaves nothing to couple.
    share = torch.where(scale == 0, 0.0, correlation.abs() * scale / covariance)
    joint = _mass(largest).mul_(share).addcmul_((1 - share) * x[:, None], y[None])
    separate = _entropy(x) + _entropy(y)
    shared = 2 * (separate - _entropy(joint.flatten(0, 1))) / separate
    certain = separate == 0
    return torch.where(equal, 1.0, torch.where(certain, 0.0, shared)), certain


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    """Pearson correlation over the bins; a uniform distribution has none."""
    x, y = x - 1 / _BINS, y - 1 / _BINS
    power_x, power_y = x.square().sum(0), y.square().sum(0)
    correlation = (x * y).sum(0) / (power_x * power_y).sqrt()
    return torch.where((power_x < _UNIFORM) | (power_y < _UNIFORM), 0.0, correlation)


def _variance(density: Tensor) -> Tensor:
    """Variance of the bin number, from (9, N)."""
    number = torch.arange(_BINS, dtype=density.dtype, device=density.device) - _BINS // 2
    return number.square() @ density - (number @ density).square()


def _mass(below: Tensor) -> Tensor:
    """Probability of every cell, from that of all cells before it in both directions; (10, 10, N) -> (9, 9, N)."""
    rows = below[1:] - below[:-1]
    return rows[:, 1:] - rows[:, :-1]


def _entropy(density: Tensor) -> Tensor:
    # An extrapolated coupling has negative bins, and the published code takes the real part of their logarithm.
    return -density.abs().add_(_SMALLEST).log_().mul_(density).sum(0)
