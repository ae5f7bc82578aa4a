"""Ratio-of-low-pass pyramid fusion (RoLP).

Toet, "Image Fusion by a Ratio of Low-Pass Pyramid", Pattern Recognition Letters 9(4), 1989: a Gaussian pyramid whose
layers are divided by the expanded next one; the ratio that differs most from one has the greater local contrast.
Differs from the paper: intensities are raised by an offset before the division, which keeps ratios of black finite; the
low-pass rest is averaged, as in the Laplacian pyramid here; sides may have any length.
"""

from itertools import pairwise

from torch import Tensor

from sigforge.dataset.tasks import TASKS
from sigforge.methods.classical.pyramid import expand, gaussian_pyramid, max_levels
from sigforge.methods.classical.rules import max_abs
from sigforge.methods.registry import at_least, fusion_method

CENTRE_TAP = 0.4


@fusion_method(
    "rolp",
    tasks=TASKS,
    paper="Toet, Image Fusion by a Ratio of Low-Pass Pyramid, Pattern Recognition Letters",
    year=1989,
    equation="R_l(F) = R_l(argmax_n |R_l(I_n) - 1|), R_l = G_l / EXPAND(G_l+1); rest(F) = mean_n rest(I_n)",
    notes="offset added to intensities; mean of the low-pass rest",
)
def fuse_rolp(sources: Tensor, *, levels: int = 4, offset: float = 0.02) -> Tensor:
    """Fuse sources ratio by ratio in a ratio-of-low-pass pyramid.

    Args:
        sources: ``(n, B, 1, H, W)`` in [0, 1].
        levels: ratio layers; no more than the shorter side can be halved.
        offset: added to intensities and taken off at the end; about five grey levels of 255.

    Returns:
        Fused planes, ``(B, 1, H, W)`` in [0, 1].

    Raises:
        UserError: ``levels`` is below one, or ``offset`` so small that black has no ratio.

    Example:
        >>> import torch
        >>> fuse_rolp(torch.rand(2, 1, 1, 61, 83)).shape
        torch.Size([1, 1, 61, 83])
    """
    at_least(1, levels=levels)
    at_least(1e-4, offset=offset)
    layers = gaussian_pyramid(sources + offset, min(levels, max_levels(sources)), a=CENTRE_TAP)
    contrasts = [fine / expand(coarse, fine.shape[-2:], a=CENTRE_TAP) - 1 for fine, coarse in pairwise(layers)]
    image = layers[-1].mean(0)
    for contrast in reversed(contrasts):
        image = (max_abs(contrast) + 1) * expand(image, contrast.shape[-2:], a=CENTRE_TAP)
    return (image - offset).clamp(0, 1)
