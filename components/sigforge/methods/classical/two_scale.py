"""Two-scale fusion by visual saliency (TIF).

Bavirisetti & Dhuli, "Two-Scale Image Fusion of Visible and Infrared Images Using Saliency Detection", Infrared Physics
& Technology 76, 2016: a mean filter splits base and detail; saliency is the difference of mean and median filter.
Differs from the paper: any number of sources; where nothing is salient the sources share equally.
"""

from torch import Tensor

from sigforge.dataset.tasks import TASKS
from sigforge.methods.classical.filters import average, mirrored
from sigforge.methods.classical.rules import normalise
from sigforge.methods.registry import at_least, fusion_method


@fusion_method(
    "two_scale",
    tasks=TASKS,
    paper="Bavirisetti & Dhuli, Two-Scale Image Fusion Using Saliency Detection, Infrared Physics & Technology",
    year=2016,
    equation="F = mean_n B_n + sum_n xi_n D_n / sum_n xi_n, xi = |mean filter - median filter|",
)
def fuse_two_scale(sources: Tensor, *, mean_radius: int = 17, median_radius: int = 1) -> Tensor:
    r"""Fuse details by the saliency of their sources, and average the bases.

    Each source splits as :math:`I_n = B_n + D_n` with :math:`B_n` its mean filter; details are weighted by
    :math:`\xi_n = |B_n - \mathrm{med}(I_n)|`.

    Args:
        sources: ``(n, B, 1, H, W)`` in [0, 1].
        mean_radius: radius of the mean filter, in pixels; 17 is the paper's 35 x 35 window.
        median_radius: radius of the median filter; 1 is the paper's 3 x 3 window.

    Returns:
        Fused planes, ``(B, 1, H, W)`` in [0, 1].

    Raises:
        UserError: a radius is below one.

    Example:
        >>> import torch
        >>> fuse_two_scale(torch.rand(3, 1, 1, 61, 83)).shape
        torch.Size([1, 1, 61, 83])
    """
    at_least(1, mean_radius=mean_radius, median_radius=median_radius)
    base = average(sources, mean_radius)
    weights = normalise((base - median(sources, median_radius)).abs())
    return (base.mean(0) + (weights * (sources - base)).sum(0)).clamp(0, 1)


def median(image: Tensor, radius: int) -> Tensor:
    """Median over the ``2 * radius + 1`` square window of ``(..., H, W)``, the image mirrored beyond its border.

    Example:
        >>> import torch
        >>> median(torch.tensor([[0.0, 9.0, 1.0, 2.0]]), 1)
        tensor([[0., 1., 2., 2.]])
    """
    size = 2 * radius + 1
    extended = mirrored(mirrored(image, radius, radius, -2), radius, radius, -1)
    return extended.unfold(-2, size, 1).unfold(-2, size, 1).flatten(-2).median(-1).values
