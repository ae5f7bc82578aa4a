r"""Empirical wavelet transform of batched 1-D signals, exact.

Gilles, "Empirical Wavelet Transform", IEEE TSP 61(16), 2013: Meyer-type low-pass and band-pass filters on a Fourier
axis cut at boundaries :math:`0 < \omega_1 < \dots < \omega_{N-1} < \pi`, with half transitions :math:`\tau_n = \gamma
\omega_n` and :math:`\gamma < \min_n (\omega_{n+1}-\omega_n)/(\omega_{n+1}+\omega_n)`, so that the squares of the
filters sum to one (a tight frame).

Differs from the authors' toolbox: the last band stays 1 up to pi (theirs already falls there, which breaks the frame on
a discrete grid), and signals are extended evenly to 2L, so that cropping to L loses nothing and the inverse is exact.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from sigforge.signal.boundaries import fixed_boundaries, line_boundaries, lowest_minimum_boundaries, midpoint_boundaries
from sigforge.signal.checks import check_boundaries, check_finite, check_signal
from sigforge.signal.cosine import fold, folded_bins, magnitude, unfold

Rule = Literal["midpoint", "lowest_minimum", "line", "fixed"]

_RULES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "midpoint": midpoint_boundaries,
    "lowest_minimum": lowest_minimum_boundaries,
    "line": line_boundaries,
    "fixed": lambda magnitude, bands: fixed_boundaries(bands, like=magnitude).expand(*magnitude.shape[:-1], bands - 1),
}


CACHED = 2**15
"""Numbers per block of the filter bank."""


@dataclass(frozen=True)
class Bank:
    """Filters in the order of :mod:`sigforge.signal.cosine`, with what they were made for."""

    filters: Tensor
    boundaries: Tensor
    length: int


@dataclass(frozen=True)
class Ewt:
    """An analysed signal.

    Attributes:
        subbands: (..., N, L), lowest band first.
        boundaries: (..., N-1) in radians, broadcastable against the batch dimensions of ``subbands``.
        bank: the filters that :func:`ewt` used, to spare :func:`iewt` making them again; may be left out.
    """

    subbands: Tensor
    boundaries: Tensor
    bank: Bank | None = field(default=None, repr=False, compare=False)


def ewt(
    signal: Tensor,
    bands: int = 3,
    *,
    rule: Rule = "midpoint",
    boundaries: Tensor | None = None,
    shared: int | tuple[int, ...] = (),
    check: bool = True,
) -> Ewt:
    """Split signals into ``bands`` empirical wavelet subbands.

    Args:
        signal: (..., L) real, L >= 8 and L >= bands, float32 or float64.
        bands: N >= 2.
        rule: how a spectrum gives the boundaries.
        boundaries: (..., N-1) in radians; given, nothing is detected. Broadcast against the batch of ``signal``, so
            one bank can serve many signals.
        shared: batch dimensions of ``signal`` whose signals share one bank, cut from their :func:`mean_magnitude`; by
            default every signal has its own.
        check: whether values of signal and boundaries are checked, at the price of two synchronisations on CUDA.

    Returns:
        the subbands and their boundaries; gradients flow to ``signal``, not through the boundaries.

    Raises:
        ValueError: a signal that is too short, not real floating-point or not finite, fewer than 2 bands, an unknown
            rule, boundaries that are not increasing in (0, pi).

    Example:
        >>> x = torch.linspace(0, 1, 64, dtype=torch.float64).sin()
        >>> parts = ewt(x, 3)
        >>> parts.subbands.shape, bool((iewt(parts) - x).abs().max() < 1e-12)
        (torch.Size([3, 64]), True)
    """
    check_signal(signal, bands)
    if rule not in _RULES:
        raise ValueError(f"rule {rule!r} is unknown; one of {', '.join(_RULES)}")
    if signal.dim() - 1 in {d % signal.dim() for d in ((shared,) if isinstance(shared, int) else shared)}:
        raise ValueError(f"shared names batch dimensions, not the last one: got {shared!r}")
    folded = fold(signal)
    if check:
        check_finite(folded.real[..., 0], signal)
    if boundaries is None:
        boundaries = _detect(magnitude(folded.detach(), signal.shape[-1]), bands, rule, shared)
    else:
        check_boundaries(boundaries, bands, values=check)
    bank = _bank(boundaries, signal)
    filtered = torch.view_as_real(folded)[..., None, :, :] * bank.filters
    return Ewt(unfold(torch.view_as_complex(filtered), bank.length), boundaries, bank)


def iewt(parts: Ewt, *, check: bool = True) -> Tensor:
    """The inverse: filter every subband again with its own filter and add.

    Args:
        parts: what :func:`ewt` returned, or the same boundaries with changed subbands.
        check: as for :func:`ewt`.

    Returns:
        (..., L), equal to the analysed signal to 1e-12 (float64) or 1e-5 (float32) of its largest value if the subbands
        are unchanged.

    Raises:
        ValueError: subbands that :func:`ewt` would refuse as signals, boundaries for another number of bands.
    """
    check_signal(parts.subbands, parts.subbands.shape[-2] if parts.subbands.dim() > 1 else 2)
    folded = fold(parts.subbands)
    if check:
        check_finite(folded.real[..., 0], parts.subbands)
    stored = _stored_bank(parts)
    check_boundaries(parts.boundaries, parts.subbands.shape[-2], values=check and stored is None)
    bank = stored or _bank(parts.boundaries, parts.subbands)
    whole = torch.view_as_real(folded).mul_(bank.filters).sum(-3)
    return unfold(torch.view_as_complex(whole), bank.length)


def mean_magnitude(signal: Tensor, dim: int | tuple[int, ...], *, keepdim: bool = False) -> Tensor:
    """Mean of the magnitude spectra of mean-free signals: what one shared bank is cut from.

    Args:
        signal: (..., L) real; no gradient flows through the result.
        dim: batch dimensions of ``signal`` to take the mean over.
        keepdim: keep them with length 1.

    Returns:
        (..., L+1) magnitudes at pi k / L, k = 0..L.

    Example:
        >>> mean_magnitude(torch.rand(2, 5, 64), dim=(0, 1)).shape
        torch.Size([65])
    """
    return _pool(magnitude(fold(signal.detach()), signal.shape[-1]), dim, keepdim)


def filter_bank(boundaries: Tensor, length: int) -> Tensor:
    """Meyer-type filters at pi k / L, k = 0..L.

    Args:
        boundaries: (..., N-1) strictly increasing in (0, pi).
        length: L, of the signals to be filtered.

    Returns:
        (..., N, L+1) float64; the squares sum to 1 over N at every k.
    """
    check_boundaries(boundaries, boundaries.shape[-1] + 1)
    bins = torch.arange(length + 1, dtype=torch.float64, device=boundaries.device)
    return _filters(boundaries.detach(), bins, length)


def _detect(spectrum: Tensor, bands: int, rule: str, shared: int | tuple[int, ...]) -> Tensor:
    return _RULES[rule](spectrum if shared == () else _pool(spectrum, shared, keepdim=True), bands)


def _pool(spectrum: Tensor, dim: int | tuple[int, ...], keepdim: bool) -> Tensor:
    """Mean of magnitudes without their constant; what a constant leaves by rounding is no spectrum."""
    mean = spectrum.mean(dim, keepdim=keepdim, dtype=torch.float64)
    rounding = 4 * torch.finfo(spectrum.dtype).eps * mean[..., 0]
    mean[..., 0] = 0
    return mean * (mean.amax(-1) > rounding)[..., None]


def _bank(boundaries: Tensor, like: Tensor) -> Bank:
    length = like.shape[-1]
    bins = folded_bins(length, dtype=like.dtype, device=like.device)
    return Bank(_filters(boundaries.detach(), bins, length), boundaries, length)


def _stored_bank(parts: Ewt) -> Bank | None:
    """The bank that came with the boundaries, if it was made from them and for such subbands."""
    bank, subbands = parts.bank, parts.subbands
    if bank is None or bank.boundaries is not parts.boundaries or bank.length != subbands.shape[-1]:
        return None
    return bank if (bank.filters.dtype, bank.filters.device) == (subbands.dtype, subbands.device) else None


def _filters(boundaries: Tensor, bins: Tensor, length: int) -> Tensor:
    """Filters (..., N, *bins.shape) at ``bins`` in units of pi / L, in the precision of ``bins``."""
    cuts = boundaries.to(bins.device, torch.float64).reshape(-1, boundaries.shape[-1]) * (length / math.pi)
    filters = bins.new_ones(len(cuts), cuts.shape[-1] + 1, *bins.shape)
    # Blocks whose temporaries stay in the processor's cache: fresh memory costs more than the arithmetic.
    rows = 1 + CACHED // bins.numel() if bins.device.type == "cpu" else max(1, len(cuts))
    for some, block in zip(torch.split(cuts, rows), torch.split(filters, rows), strict=True):
        _fill(block, some, bins, length)
    return filters.view(*boundaries.shape[:-1], *filters.shape[1:])


def _fill(filters: Tensor, cut: Tensor, bins: Tensor, length: int) -> None:
    """Multiply into ``filters`` (b, N, *bins.shape), all ones, the transitions at ``cut`` (b, N-1), in bins."""
    edges = torch.nn.functional.pad(cut, (0, 1), value=length)
    gamma = (1 - 1 / length) * ((edges[:, 1:] - cut) / (edges[:, 1:] + cut)).amin(-1, keepdim=True)
    tau = gamma * cut
    for n, (start, width) in enumerate(zip((cut - tau).unbind(-1), (2 * tau).unbind(-1), strict=True)):
        start, width = (t.to(bins.dtype).view(-1, *[1] * bins.dim()) for t in (start, width))
        angle = _beta((bins - start).div_(width)).mul_(math.pi / 2)
        filters[:, n].mul_(angle.cos())
        filters[:, n + 1].copy_(angle.sin_())


def _beta(x: Tensor) -> Tensor:
    """Meyer's transition polynomial: 0 below 0, 1 above 1, beta(x) + beta(1-x) = 1. Overwrites ``x``."""
    x = x.clamp_(0, 1)
    polynomial = (x * -20).add_(70).mul_(x).sub_(84).mul_(x).add_(35)
    return polynomial.mul_(x.square_().square_())
