"""Two-channel filter banks on periodic signals, along one dimension of a batch.

The undecimated bank keeps every sample (Rockinger's wavelet frame), the decimated one every second. On a periodic
signal both are inverted exactly by the synthesis filters whatever its length (even for the decimated bank): no border
rule is needed beyond extending the image before.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add

import torch
from torch import Tensor

Taps = Sequence[float]


def undecimated_split(image: Tensor, low: Taps, high: Taps, dim: int, *, step: int = 1) -> tuple[Tensor, Tensor]:
    """Undecimated low and high band: ``y[i] = sum_k taps[k] x[i - step k]``, indices modulo the length.

    Args:
        image: ``(..., H, W)``.
        low: decomposition low-pass.
        high: decomposition high-pass.
        dim: dimension to filter.
        step: distance of the taps, 2^l at level l (the algorithm with holes).
    """
    return _circular(image, low, dim, step), _circular(image, high, dim, step)


def join(low_band: Tensor, high_band: Tensor, low: Taps, high: Taps, dim: int, *, step: int = 1) -> Tensor:
    """Invert :func:`undecimated_split`.

    Args:
        low_band: ``(..., H, W)``.
        high_band: likewise.
        low: reconstruction low-pass that belongs to the decomposition filters.
        high: reconstruction high-pass, likewise.
        dim: dimension to filter.
        step: distance of the taps, as for :func:`undecimated_split`.

    Example:
        >>> haar = 0.5**0.5
        >>> x = torch.rand(7)
        >>> bands = undecimated_split(x, (haar, haar), (haar, -haar), -1)
        >>> torch.allclose(join(*bands, (haar, haar), (-haar, haar), -1), x)
        True
    """
    delayed = _circular(low_band, low, dim, step) + _circular(high_band, high, dim, step)
    return torch.roll(delayed, -step * (len(low) - 1), dim) / 2


def decimate(image: Tensor, taps: Taps, dim: int) -> Tensor:
    """Every second sample of ``sum_k taps[k] x[i + k]``, indices modulo the length.

    Args:
        image: any shape, of even length along ``dim``.
        taps: weights.
        dim: dimension to filter; it becomes half as long.

    Example:
        >>> decimate(torch.arange(4.0), (1.0, 1.0), -1)
        tensor([1., 5.])
    """
    return _circular(image, taps, dim, -1).unfold(dim, 1, 2).squeeze(-1)


def interpolate(band: Tensor, taps: Taps, dim: int) -> Tensor:
    """The adjoint of :func:`decimate`: its inverse, summed over both channels, for orthonormal filters.

    Args:
        band: any shape.
        taps: those that :func:`decimate` was given.
        dim: dimension to filter; it becomes twice as long.
    """
    dim %= band.ndim
    spread = torch.stack((band, torch.zeros_like(band)), dim + 1).flatten(dim, dim + 1)
    return _circular(spread, taps, dim, 1)


def _circular(image: Tensor, taps: Taps, dim: int, step: int) -> Tensor:
    return reduce(add, (tap * torch.roll(image, step * k, dim) for k, tap in enumerate(taps) if tap))
