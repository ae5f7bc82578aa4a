r"""Discrete wavelet transform with the interface of the empirical one: the ablation's drop-in.

Mallat, "A Theory for Multiresolution Signal Decomposition", IEEE TPAMI 11(7), 1989. N bands are the components of N-1
octaves: the approximation and the details, each brought back to full length by itself, so that they can stand where the
subbands of :func:`sigforge.signal.ewt.ewt` stood. Nominally the low band ends at :math:`\pi / 2^{N-1}` and every band
above it is an octave. Equal to ``pywt.mra(..., transform="dwt")``; filters from PyWavelets, convolutions from ptwt.

Differs from the empirical transform where subbands were changed: there every subband is filtered again, here the
inverse is the plain sum of the components, the only one that is exact for every length and wavelet.
"""

from dataclasses import dataclass
from typing import Literal

import ptwt
import pywt
import torch
from torch import Tensor

from sigforge.signal.checks import check_finite, check_signal

Extension = Literal["symmetric", "reflect", "zero", "constant", "periodic"]


@dataclass(frozen=True)
class Dwt:
    """An analysed signal; ``subbands`` (..., N, L) has the lowest band first."""

    subbands: Tensor


def dwt(
    signal: Tensor, bands: int = 3, *, wavelet: str = "haar", mode: Extension = "symmetric", check: bool = True
) -> Dwt:
    """Split signals into the components of ``bands`` - 1 octaves.

    Args:
        signal: (..., L) real, L >= 8, float32 or float64.
        bands: N >= 2, no more than L allows: (taps of the wavelet - 1) 2^(N-1) <= L.
        wavelet: discrete wavelet by its PyWavelets name.
        mode: how signals continue beyond their ends: symmetric (as for the empirical transform), reflect, zero,
            constant or periodic.
        check: whether values are checked, at the price of a synchronisation on CUDA.

    Returns:
        the subbands; gradients flow to ``signal``.

    Raises:
        ValueError: a signal that is too short, not real floating-point or not finite, fewer than 2 bands, an unknown
            wavelet or mode.

    Example:
        >>> parts = dwt(torch.tensor([1.0, 3, 2, 2, 5, 5, 0, 0]), 2)
        >>> parts.subbands.round(decimals=4).tolist()
        [[2.0, 2.0, 2.0, 2.0, 5.0, 5.0, 0.0, 0.0], [-1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    check_signal(signal, bands)
    _check_wavelet(wavelet, mode, bands, signal.shape[-1])
    if check:
        check_finite(signal.sum(-1), signal)
    approximation, *details = ptwt.wavedec(signal, wavelet, mode=mode, level=bands - 1)
    # One synthesis serves all details: each sees its own coefficients and zeros for the others.
    alone = [_only(values, octave, bands - 1) for octave, values in enumerate(details)]
    silence = torch.zeros_like(_only(approximation, 0, bands - 1))
    high = ptwt.waverec([silence, *alone], wavelet)[..., : signal.shape[-1]]
    # The rest is the approximation; its own synthesis would carry the rounding of the published filters, up to 1e-11.
    return Dwt(torch.cat([(signal - high.sum(-2))[..., None, :], high], dim=-2))


def idwt(parts: Dwt, *, check: bool = True) -> Tensor:
    """The inverse: the sum of all components, (..., L).

    Args:
        parts: what :func:`dwt` returned, or changed subbands.
        check: as for :func:`dwt`.

    Raises:
        ValueError: subbands that :func:`dwt` would refuse as signals.
    """
    check_signal(parts.subbands, parts.subbands.shape[-2])
    whole = parts.subbands.sum(-2)
    if check:
        check_finite(whole.sum(-1), parts.subbands)
    return whole


def _only(values: Tensor, place: int, places: int) -> Tensor:
    """(..., n) to (..., places, n), zero but for ``place``."""
    return torch.nn.functional.pad(values[..., None, :], (0, 0, place, places - 1 - place))


def _check_wavelet(wavelet: str, mode: str, bands: int, length: int) -> None:
    modes = ("symmetric", "reflect", "zero", "constant", "periodic")
    if wavelet not in pywt.wavelist(kind="discrete"):
        raise ValueError(f"wavelet {wavelet!r} is no discrete wavelet of PyWavelets; try haar, db4 or bior4.4")
    if mode not in modes:
        raise ValueError(f"mode {mode!r} is unknown; one of {', '.join(modes)}")
    needed = (pywt.Wavelet(wavelet).dec_len - 1) * 2 ** (bands - 1)
    if length < needed:
        raise ValueError(f"{bands} bands of {wavelet} need signals of at least {needed} samples, got {length}")
