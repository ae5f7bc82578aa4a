"""Guided-filter fusion (GFF).

Li, Kang & Hu, "Image Fusion With Guided Filtering", IEEE TIP 22(7), 2013, section III: two-scale decomposition, weight
maps by saliency and guided filtering, two-scale reconstruction.
Differs from the authors' MATLAB: equal saliency shares the pixel instead of giving it to the first source, contrast
below float32 rounding counts as zero, and weights are clipped to [0, 1] without being rounded to 8 bits.
"""

from torch import Tensor

from sigforge.dataset.tasks import TASKS
from sigforge.methods.classical.filters import average, contrast, gaussian
from sigforge.methods.classical.guided import guided_filter
from sigforge.methods.classical.rules import normalise
from sigforge.methods.registry import at_least, fusion_method


@fusion_method(
    "gff",
    tasks=TASKS,
    paper="Li, Kang & Hu, Image Fusion With Guided Filtering, IEEE TIP",
    year=2013,
    equation="F = sum_n W^B_n B_n + W^D_n D_n, W = guided filter of the saliency's argmax",
)
def fuse_gff(
    sources: Tensor,
    *,
    average_radius: int = 15,
    r_g: int = 5,
    sigma_g: float = 5.0,
    r1: int = 45,
    eps1: float = 0.3,
    r2: int = 7,
    eps2: float = 1e-6,
) -> Tensor:
    r"""Fuse sources with guided-filtered saliency weights.

    Each source splits as :math:`I_n = B_n + D_n`; the fused image is :math:`\sum_n W^B_n B_n + W^D_n D_n`.

    Args:
        sources: ``(n, B, 1, H, W)`` in [0, 1].
        average_radius: radius of the average filter that gives the base; 15 is the paper's 31 x 31 window.
        r_g: radius of the Gaussian that smooths the saliency, in pixels.
        sigma_g: its standard deviation, in pixels.
        r1: guided-filter radius for the base weights, in pixels.
        eps1: guided-filter regulariser for the base weights.
        r2: radius for the detail weights.
        eps2: regulariser for the detail weights.

    Returns:
        Fused planes, ``(B, 1, H, W)`` in [0, 1].

    Raises:
        UserError: an option is not positive.

    Example:
        >>> import torch
        >>> fuse_gff(torch.rand(3, 1, 1, 61, 83)).shape
        torch.Size([1, 1, 61, 83])
    """
    at_least(1, average_radius=average_radius, r_g=r_g, r1=r1, r2=r2)
    at_least(1e-12, sigma_g=sigma_g, eps1=eps1, eps2=eps2)
    base = average(sources, average_radius)
    detail = sources - base
    winner = _winner(gaussian(contrast(sources), r_g, sigma_g))
    base_weights = _smooth_weights(sources, winner, r1, eps1)
    detail_weights = _smooth_weights(sources, winner, r2, eps2)
    return (base_weights * base + detail_weights * detail).sum(0).clamp(0, 1)


def _winner(saliency: Tensor) -> Tensor:
    return (saliency == saliency.amax(0)).to(saliency.dtype)


def _smooth_weights(sources: Tensor, winner: Tensor, radius: int, eps: float) -> Tensor:
    return normalise(guided_filter(sources, winner, radius=radius, eps=eps).clamp(0, 1))
