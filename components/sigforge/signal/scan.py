"""How a 2-D map becomes a 1-D signal, and back.

Row-major order alone would let the wavelet filters act along rows only, so by default every second channel is read
column by column.
"""

from typing import Literal

import torch
from torch import Tensor

Scan = Literal["alternate", "rows"]


def flatten(maps: Tensor, order: Scan = "alternate") -> Tensor:
    """(..., C, H, W) maps to (..., C, H*W) signals: even channels by rows, odd ones by columns.

    Example:
        >>> flatten(torch.arange(4).view(1, 2, 2).repeat(2, 1, 1)).tolist()
        [[0, 1, 2, 3], [0, 2, 1, 3]]
    """
    rows = maps.flatten(-2)
    if order == "rows":
        return rows
    return _interleave(rows, maps.transpose(-2, -1).flatten(-2))


def unflatten(signals: Tensor, size: tuple[int, int], order: Scan = "alternate") -> Tensor:
    """Inverse of :func:`flatten`: signals back to maps.

    Args:
        signals: (..., C, H*W).
        size: (H, W).
        order: what :func:`flatten` was told.

    Returns:
        (..., C, H, W).

    Example:
        >>> maps = torch.rand(2, 3, 4, 5)
        >>> bool((unflatten(flatten(maps), (4, 5)) == maps).all())
        True
    """
    rows = signals.reshape(*signals.shape[:-1], *size)
    if order == "rows":
        return rows
    return _interleave(rows, signals.reshape(*signals.shape[:-1], *size[::-1]).transpose(-2, -1), axis=-3)


def _interleave(even: Tensor, odd: Tensor, axis: int = -2) -> Tensor:
    shape = [1] * even.dim()
    shape[axis] = even.shape[axis]
    is_odd = (torch.arange(even.shape[axis], device=even.device) % 2 == 1).view(shape)
    return torch.where(is_odd, odd, even)
