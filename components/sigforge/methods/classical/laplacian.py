"""Laplacian-pyramid fusion (LP).

Pyramid of Burt & Adelson, "The Laplacian Pyramid as a Compact Image Code", IEEE Trans. Communications 31(4), 1983, with
the customary rules: the coefficient of largest magnitude in every band, the mean of the low-pass rest.
"""

from torch import Tensor

from sigforge.dataset.tasks import TASKS
from sigforge.methods.classical.pyramid import collapse, laplacian_pyramid, max_levels
from sigforge.methods.classical.rules import max_abs
from sigforge.methods.registry import at_least, fusion_method

# The paper's a, whose equivalent weighting function is closest to a Gaussian.
CENTRE_TAP = 0.4


@fusion_method(
    "laplacian",
    tasks=TASKS,
    paper="Burt & Adelson, The Laplacian Pyramid as a Compact Image Code, IEEE Trans. Communications",
    year=1983,
    equation="LP_l(F) = argmax_n |LP_l(I_n)|; rest(F) = mean_n rest(I_n)",
    notes="fewer levels where the image is too small for them",
)
def fuse_laplacian(sources: Tensor, *, levels: int = 4) -> Tensor:
    """Fuse sources band by band in a Laplacian pyramid.

    Args:
        sources: ``(n, B, 1, H, W)`` in [0, 1].
        levels: band-pass layers; no more than the shorter side can be halved.

    Returns:
        Fused planes, ``(B, 1, H, W)`` in [0, 1].

    Raises:
        UserError: ``levels`` is below one.

    Example:
        >>> import torch
        >>> fuse_laplacian(torch.rand(2, 1, 1, 61, 83)).shape
        torch.Size([1, 1, 61, 83])
    """
    at_least(1, levels=levels)
    *details, rest = laplacian_pyramid(sources, min(levels, max_levels(sources)), a=CENTRE_TAP)
    fused = [*map(max_abs, details), rest.mean(0)]
    return collapse(fused, a=CENTRE_TAP).clamp(0, 1)
