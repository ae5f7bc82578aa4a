r"""The empirical wavelet transform that the authors' networks use: Gilles's toolbox in its Python form.

Gilles, "Empirical Wavelet Transform", IEEE TSP 61(16), 2013; log spectrum, two cuts, rule ``locmaxminf``. It differs
from :mod:`sigforge.signal.ewt` on purpose: signals count as periodic, every signal has a bank of its own, cuts lie at
lowest minima of the plain spectrum, and the mean of a signal stays in it. Batched; gradients flow through bands, not
filters.

Differs from the authors': the gradient of :func:`synthesise` is the true one (theirs detects new cuts in the gradient),
and equal neighbouring bins make no peak, where theirs counts a plateau once.
"""

import math

import torch
from torch import Tensor

from sigforge.core.errors import UserError

BANDS = 3


def analyse(signals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split periodic signals into three bands, each with its own filters.

    Args:
        signals: (B, L) real, L even.

    Returns:
        bands (B, 3, L), low first; filters (B, 3, L) in FFT order; boundaries (B, 2) in radians, see
        :func:`boundaries`.

    Raises:
        UserError: a signal whose spectrum has no two peaks, such as a constant one.
    """
    cuts = boundaries(signals.detach())
    filters = filter_bank(cuts, signals.shape[-1]).to(signals.dtype)
    return _filtered(signals[:, None], filters), filters, cuts


def synthesise(bands: Tensor, filters: Tensor) -> Tensor:
    """Filter every band (B, 3, L) once more and add: (B, L), the signal again if the filters' squares sum to one."""
    return _filtered(bands, filters).sum(1)


def boundaries(signals: Tensor) -> Tensor:
    """Two cuts per signal: the lowest minima below the first and below the second of the two highest spectral peaks.

    Returns:
        (B, 2) float64 radians, increasing. The second is NaN where there is one cut only: the spectrum rises from bin 0
        to the first peak without a minimum, or there are just two peaks, after which the toolbox stops.

    Raises:
        UserError: fewer than two peaks.
    """
    half = signals.shape[-1] // 2
    spectrum = torch.fft.fft(signals.double()).abs()[:, :half]
    left, centre, right = spectrum[:, :-2], spectrum[:, 1:-1], spectrum[:, 2:]
    peaks, valleys = (centre > left) & (centre > right), (centre < left) & (centre < right)
    if bool((peaks.sum(-1) < 2).any()):
        raise UserError("form 'released': a signal has no two spectral peaks, as of a constant image; use form 'full'")
    highest = centre.masked_fill(~peaks, -math.inf).topk(2).indices.sort(-1).values
    place = torch.arange(centre.shape[-1], device=signals.device)
    below = valleys & (place < highest[:, :1])
    between = valleys & (place > highest[:, :1]) & (place < highest[:, 1:])
    first, second = (centre.masked_fill(~some, math.inf).argmin(-1) + 1.0 for some in (below, between))
    has_first = below.any(-1)
    single = ~has_first | (peaks.sum(-1) == 2)
    cuts = torch.stack([first.where(has_first, second), second.masked_fill(single, math.nan)], dim=-1)
    return cuts.double() * (math.pi / half)


def filter_bank(cuts: Tensor, length: int) -> Tensor:
    """Meyer-type filters of the cuts (B, 2): (B, 3, L) float64 in FFT order.

    With one cut only (the second is NaN) there are two bands, and the authors store the top one twice.
    """
    frequency = torch.fft.fftfreq(length, 1 / (2 * math.pi), dtype=torch.float64, device=cuts.device).abs()
    first, single = cuts[:, :1], cuts[:, 1:].isnan()
    second = torch.where(single, first, cuts[:, 1:])
    apart = torch.where(single, torch.inf, (second - first) / (second + first))
    gamma = (1 - 1 / length) * torch.minimum(apart, (math.pi - second) / (math.pi + second)).clamp(max=1)
    (rise1, fall1), (rise2, fall2) = (_transition(frequency, cut, gamma) for cut in (first, second))
    return torch.stack([fall1, torch.where(single, rise2, rise1 * fall2), rise2], dim=1)


def _transition(frequency: Tensor, cut: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
    t = ((frequency - (1 - gamma) * cut) / (2 * gamma * cut)).clamp(0, 1)
    angle = t**4 * (35 - 84 * t + 70 * t**2 - 20 * t**3) * (math.pi / 2)
    return angle.sin(), angle.cos()


def _filtered(signals: Tensor, filters: Tensor) -> Tensor:
    return torch.fft.ifft(torch.fft.fft(signals) * filters).real
