"""What every transform of 1-D signals asks of its input."""

import math

import torch
from torch import Tensor

MINIMUM_LENGTH = 8
PRECISIONS = (torch.float32, torch.float64)


def check_signal(signal: Tensor, bands: int) -> None:
    """Refuse what cannot be split into ``bands`` whatever its values; raises ValueError."""
    if not isinstance(signal, Tensor):
        raise ValueError(f"signals must be a torch.Tensor, got {type(signal).__name__}; torch.as_tensor makes one")
    if signal.is_complex():
        raise ValueError(f"signals must be real, got {signal.dtype}; pass .real or .abs(), or .imag as a second signal")
    if signal.dtype not in PRECISIONS:
        raise ValueError(f"signals must be float32 or float64, got {signal.dtype}; .float() converts")
    if isinstance(bands, bool) or not isinstance(bands, int) or bands < 2:
        raise ValueError(f"bands must be a whole number, at least 2, got {bands!r}")
    least = max(MINIMUM_LENGTH, bands)
    if signal.dim() == 0 or signal.shape[-1] < least:
        raise ValueError(f"{bands} bands need signals of at least {least} samples, got shape {tuple(signal.shape)}")


def check_finite(sums: Tensor, signal: Tensor) -> None:
    """Refuse NaN and Inf, given one sum per signal: one such sample makes its sum so, and sums are few."""
    if bool(sums.detach().isfinite().all()):
        return
    bad = int((~signal.detach().isfinite()).sum())
    if bad:
        raise ValueError(f"signals hold {bad} NaN or infinite samples; torch.nan_to_num replaces them")
    raise ValueError(f"signals are too large for sums in {signal.dtype}; scale them down or use float64")


def check_boundaries(boundaries: Tensor, bands: int, *, values: bool = True) -> None:
    """Refuse boundaries that do not cut (0, pi) into ``bands``.

    Args:
        boundaries: (..., bands-1) in radians.
        bands: number of bands they are to make.
        values: whether the numbers themselves are checked, too; that waits for the device.

    Raises:
        ValueError: not a floating-point tensor, another number of boundaries, or not strictly increasing in (0, pi).

    Example:
        >>> check_boundaries(torch.tensor([0.4, 1.6]), 3)
        >>> check_boundaries(torch.tensor([1.6, 0.4]), 3)
        Traceback (most recent call last):
        ValueError: boundaries must increase strictly inside (0, pi)
    """
    if not isinstance(boundaries, Tensor) or not boundaries.is_floating_point() or boundaries.dim() == 0:
        raise ValueError("boundaries must be a floating-point torch.Tensor (..., bands-1) in radians")
    count = boundaries.shape[-1]
    if count != bands - 1:
        raise ValueError(f"{count} boundaries make {count + 1} bands, not {bands}")
    if values:
        edges = torch.nn.functional.pad(boundaries.detach().double(), (1, 0))
        edges = torch.nn.functional.pad(edges, (0, 1), value=math.pi)
        if not bool((edges.diff(dim=-1) > 0).all()):
            raise ValueError("boundaries must increase strictly inside (0, pi)")
