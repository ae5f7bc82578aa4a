"""What a network costs: floating-point operations, counted without computing anything."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

COST_SIZE = (480, 640)
"""Height and width that costs are told for, in pixels."""


def count_flops(fuse: Callable[[Tensor], Tensor], *, size: tuple[int, int] = COST_SIZE) -> int:
    """Floating-point operations of a network on two sources of one size.

    Convolutions and matrix products are counted, a multiplication and an addition apart; transforms, norms and
    activations are not, as everywhere in the field. Padding and tiles count as they are run.

    Args:
        fuse: maps sources (2, 1, 1, H, W) to their fusion; the network must be on the device ``meta``.
        size: H and W.

    Example:
        >>> net = torch.nn.Conv2d(2, 1, 3, padding=1, bias=False, device="meta")
        >>> count_flops(lambda sources: net(sources.view(1, 2, 10, 10)), size=(10, 10))
        3600
    """
    sources = torch.empty(2, 1, 1, *size, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        fuse(sources)
    return counter.get_total_flops()
