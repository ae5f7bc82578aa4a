r"""Empirical wavelet transform of batched 1-D signals, exact.

Gilles, "Empirical Wavelet Transform", IEEE TSP 61(16), 2013: Meyer-type low-pass and band-pass filters on a Fourier axis
cut at boundaries :math:`0 < \omega_1 < \dots < \omega_{N-1} < \pi`, with half transitions :math:`\tau_n = \gamma
\omega_n` and :math:`\gamma < \min_n (\omega_{n+1}-\omega_n)/(\omega_{n+1}+\omega_n)`, so that the squares of the filters
sum to one (a tight frame).

Differs from the authors' toolbox: the last band stays 1 up to pi (theirs already falls there, which breaks the frame on
a discrete grid), and signals are extended evenly to 2L, so that cropping to L loses nothing and the inverse is exact.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from components.signal.boundaries import (
    fixed_boundaries,
    line_boundaries,
    lowest_minimum_boundaries,
    midpoint_boundaries,
)

Rule = Literal["midpoint", "lowest_minimum", "line", "fixed"]

MINIMUM_LENGTH = 8

_RULES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "midpoint": midpoint_boundaries,
    "lowest_minimum": lowest_minimum_boundaries,
    "line": line_boundaries,
    "fixed": lambda magnitude, bands: fixed_boundaries(bands, like=magnitude).expand(*magnitude.shape[:-1], bands - 1),
}


@dataclass(frozen=True)
class Ewt:
    """An analysed signal.

    Attributes:
        subbands: (..., N, L), lowest band first.
        boundaries: (..., N-1) in radians, broadcastable against the batch dimensions of ``subbands``.
    """

    subbands: Tensor
    boundaries: Tensor


def ewt(signal: Tensor, bands: int = 3, *, rule: Rule = "midpoint", boundaries: Tensor | None = None) -> Ewt:
    """Split signals into ``bands`` empirical wavelet subbands.

    Args:
        signal: (..., L) real, L >= 8, float32 or float64.
        bands: N >= 2.
        rule: how each signal's own spectrum gives the boundaries.
        boundaries: (..., N-1) in radians; given, nothing is detected. Broadcast against the batch of ``signal``, so
            one bank can serve many signals.

    Returns:
        the subbands and their boundaries; gradients flow to ``signal``, not through the boundaries.

    Raises:
        ValueError: a signal shorter than 8 samples, fewer than 2 bands, boundaries that are not increasing in (0, pi).

    Example:
        >>> x = torch.linspace(0, 1, 64, dtype=torch.float64).sin()
        >>> parts = ewt(x, 3)
        >>> parts.subbands.shape, bool((iewt(parts) - x).abs().max() < 1e-12)
        (torch.Size([3, 64]), True)
    """
    _check(signal, bands)
    spectrum = _spectrum(signal)
    if boundaries is None:
        boundaries = _RULES[rule](spectrum.detach().abs().double(), bands)
    bank = filter_bank(boundaries, signal.shape[-1]).to(signal.dtype)
    if bank.shape[-2] != bands:
        raise ValueError(f"{bank.shape[-2] - 1} boundaries make {bank.shape[-2]} bands, not {bands}")
    return Ewt(_crop(spectrum[..., None, :] * bank, signal.shape[-1]), boundaries)


def iewt(parts: Ewt) -> Tensor:
    """The inverse: filter every subband again with its own filter and add.

    Args:
        parts: what :func:`ewt` returned, or the same boundaries with changed subbands.

    Returns:
        (..., L), equal to the analysed signal to 1e-12 (float64) or 1e-5 (float32) if the subbands are unchanged.
    """
    length = parts.subbands.shape[-1]
    bank = filter_bank(parts.boundaries, length).to(parts.subbands.dtype)
    return _crop((_spectrum(parts.subbands) * bank).sum(-2), length)


def mean_magnitude(signal: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Mean over ``dim`` of the magnitude spectra of mean-free signals (..., L): what one shared bank is cut from."""
    centred = signal.detach() - signal.detach().mean(-1, keepdim=True)
    return _spectrum(centred).abs().double().mean(dim)


def filter_bank(boundaries: Tensor, length: int) -> Tensor:
    """Meyer-type filters at pi k / L, k = 0..L.

    Args:
        boundaries: (..., N-1) strictly increasing in (0, pi).
        length: L, of the signals to be filtered.

    Returns:
        (..., N, L+1) float64; the squares sum to 1 over N at every k.
    """
    cut = boundaries.double()
    edges = torch.cat([cut, torch.full_like(cut[..., :1], math.pi)], dim=-1)
    ratio = ((edges[..., 1:] - cut) / (edges[..., 1:] + cut)).amin(-1)
    if not bool((ratio > 0).all()) or not bool((cut > 0).all()):
        raise ValueError("boundaries must increase strictly inside (0, pi)")
    gamma = (1 - 1 / length) * ratio.clamp(max=1.0)[..., None, None]
    omega = torch.arange(length + 1, dtype=torch.float64, device=cut.device) * (math.pi / length)
    position = (omega - (1 - gamma) * cut[..., None]) / (2 * gamma * cut[..., None])
    angle = 0.5 * math.pi * _beta(position)
    one = torch.ones_like(angle[..., :1, :])
    return torch.cat([one, angle.sin()], dim=-2) * torch.cat([angle.cos(), one], dim=-2)


def _beta(x: Tensor) -> Tensor:
    """Meyer's transition polynomial: 0 below 0, 1 above 1, beta(x) + beta(1-x) = 1."""
    x = x.clamp(0, 1)
    return x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3)


def _spectrum(signal: Tensor) -> Tensor:
    return torch.fft.rfft(torch.cat([signal, signal.flip(-1)], dim=-1))


def _crop(spectrum: Tensor, length: int) -> Tensor:
    return torch.fft.irfft(spectrum, n=2 * length)[..., :length]


def _check(signal: Tensor, bands: int) -> None:
    if signal.shape[-1] < MINIMUM_LENGTH:
        raise ValueError(f"signals need at least {MINIMUM_LENGTH} samples, got shape {tuple(signal.shape)}")
    if bands < 2:
        raise ValueError(f"bands must be at least 2, got {bands}")
