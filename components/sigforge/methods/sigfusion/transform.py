"""The three ways to split signals into subbands: EWT (the paper's), DWT and none (its ablations)."""

from typing import Literal

import torch
from torch import Tensor

from sigforge.signal.dwt import Dwt, dwt, idwt
from sigforge.signal.ewt import Ewt, ewt, iewt

Signal = Literal["ewt", "dwt", "none"]


def analyse(signals: Tensor, kind: Signal, bands: int, boundaries: Tensor) -> Tensor:
    """(B, C, L) to (B, C, bands, L), the low one first; ``none`` leaves everything in it.

    Args:
        signals: (B, C, L).
        kind: the transform.
        bands: how many; ``none`` fills all but the first with zeros.
        boundaries: (B, bands-1) radians; only EWT reads them.
    """
    if kind == "ewt":
        return ewt(signals, bands, boundaries=boundaries[:, None, :], check=False).subbands
    if kind == "dwt":
        return dwt(signals, bands, check=False).subbands
    silence = torch.zeros_like(signals)
    return torch.stack([signals, *[silence] * (bands - 1)], dim=-2)


def synthesise(subbands: Tensor, kind: Signal, boundaries: Tensor) -> Tensor:
    """The inverse of :func:`analyse`.

    Args:
        subbands: (B, signals, bands, L).
        kind: the transform that made them.
        boundaries: (B, bands-1) in radians; ``ewt`` alone reads them.

    Returns:
        (B, signals, L).
    """
    if kind == "ewt":
        return iewt(Ewt(subbands, boundaries[:, None, :]), check=False)
    return idwt(Dwt(subbands), check=False) if kind == "dwt" else subbands[..., 0, :]
