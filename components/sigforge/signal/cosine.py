r"""The spectrum of evenly extended signals, as a cosine transform of length L.

A signal of length L extended evenly to 2L (half-sample symmetry) has the spectrum :math:`2 e^{i\pi k/2L} X_k` with the
type-2 cosine transform :math:`X_k = \sum_n x_n \cos(\pi k (2n+1) / 2L)`, and :math:`X_L = 0`. Reading the even samples
forwards and then the odd ones backwards makes X the real and imaginary parts of one real FFT of length L (Makhoul, "A
Fast Cosine Transform in One and Two Dimensions", IEEE TASSP 28(1), 1980): half the work and memory of extending.

Folded order: entry k = 0..L//2 of a complex row holds :math:`X_k - i X_{L-k}`. Filters are folded alike, as (L//2+1, 2)
real numbers, so that filtering is one real product.
"""

import math

import torch
from torch import Tensor


def fold(signal: Tensor) -> Tensor:
    """Cosine transform of (..., L) real signals in folded order, (..., L//2+1) complex.

    Example:
        >>> fold(torch.ones(4)).real.round().tolist()
        [4.0, 0.0, 0.0]
    """
    order = torch.cat([signal[..., ::2], signal[..., 1::2].flip(-1)], dim=-1)
    if not order.numel():  # MKL refuses an empty batch.
        return torch.complex(*[order[..., : order.shape[-1] // 2 + 1]] * 2)
    folded: Tensor = torch.fft.rfft(order)
    return folded.mul_(_twiddle(signal.shape[-1], -1, signal))


def unfold(folded: Tensor, length: int) -> Tensor:
    """Inverse of :func:`fold`: (..., L//2+1) complex to (..., L) real, L = ``length``. Overwrites ``folded``."""
    if not folded.numel():
        return torch.cat([folded.real, folded.imag], dim=-1)[..., :length]
    order = torch.fft.irfft(folded.mul_(_twiddle(length, 1, folded.real)), n=length)
    half = (length + 1) // 2
    odd = order[..., half:].flip(-1)
    if length % 2:
        odd = torch.nn.functional.pad(odd, (0, 1))
    return torch.view_as_real(torch.complex(order[..., :half], odd)).flatten(-2)[..., :length]


def magnitude(folded: Tensor, length: int) -> Tensor:
    """Magnitudes of the extended signal's spectrum at pi k / L, k = 0..L: (..., L+1), from folded order."""
    tail = folded.imag[..., 1 : length - length // 2].flip(-1)
    return 2 * torch.cat([folded.real, tail, torch.zeros_like(folded.real[..., :1])], dim=-1).abs()


def folded_bins(length: int, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Where folded filters are sampled: bins k and L-k, in units of pi / L.

    Args:
        length: L, samples of the signal.
        dtype: of the result.
        device: of the result.

    Returns:
        (L//2+1, 2), in the order of the module's text.

    Example:
        >>> folded_bins(4, dtype=torch.float32, device=torch.device("cpu")).tolist()
        [[0.0, 4.0], [1.0, 3.0], [2.0, 2.0]]
    """
    k = torch.arange(length // 2 + 1, dtype=dtype, device=device)
    return torch.stack([k, length - k], dim=-1)


def _twiddle(length: int, sign: int, like: Tensor) -> Tensor:
    angle = torch.arange(length // 2 + 1, dtype=torch.float64, device=like.device) * (sign * math.pi / (2 * length))
    return torch.complex(angle.cos().to(like.dtype), angle.sin().to(like.dtype))
