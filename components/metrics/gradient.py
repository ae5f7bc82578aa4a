"""Metrics on first derivatives."""

import math

import torch
from torch import Tensor

from components.metrics.context import Context
from components.metrics.registry import metric

#: Stands for an exactly zero derivative or strength, so that flat on flat compares as equal.
_ZERO = 1e-5
#: The most a pixel can score: both sigmoids at their right end.
_BEST = 1 / (1 + math.exp(-5)) ** 2


@metric(
    "Q_G",
    range=(0.0, _BEST),
    convention="mean of per-pixel ratios, steepness -10 and -20 (Liu's metricXydeas); the paper's Q_G, not Qabf",
    paper="Xydeas & Petrovic, Objective image fusion performance measure, Electronics Letters 36(4), 2000",
    equation=r"\frac{1}{HW}\sum_p \frac{Q^{AF}_p g^A_p + Q^{BF}_p g^B_p}{g^A_p + g^B_p}",
)
def q_g(context: Context) -> Tensor:
    r"""Gradient-based fusion quality: how much edge strength and direction of the sources survives.

    Per source, with strength ratio :math:`G` and agreement of direction :math:`D` in [0, 1],
    :math:`Q = [1 + e^{-10(G - 0.5)}]^{-1} [1 + e^{-20(D - 0.75)}]^{-1}`. Flat on flat counts as a perfect pixel:
    constant images score the maximum 0.98666, and black backgrounds inflate the mean. Swapping a and b changes the
    value slightly, as in the published code.

    Example:
        >>> from components.metrics import score
        >>> checks = (torch.arange(32) // 4 % 2).float().expand(1, 1, 32, 32)
        >>> round(score(checks, checks, checks, ["q_g"])["q_g"].item(), 5)
        0.98666
    """
    gx, gy = context.sobel
    strength = (gx.square() + gy.square()).sqrt_()
    angle = torch.atan(gy / _nonzero(gx))
    source = strength[:2]
    # The published code floors the fused strength while it scores a, and keeps the floored one to score b.
    fused = torch.stack((strength[2], _nonzero(strength[2])))
    weaker = source > fused
    source = _nonzero(source)
    ratio = torch.where(weaker, fused / source, source / fused[1])
    agreement = ((angle[:2] - angle[2]).abs_() - math.pi / 2).abs_() * (2 / math.pi)
    quality = torch.sigmoid(10 * (ratio - 0.5)) * torch.sigmoid(20 * (agreement - 0.75))
    return ((quality * source).sum(0) / source.sum(0)).mean((-2, -1))


@metric(
    "SF",
    range=(0.0, 255 * math.sqrt(2)),
    convention="row and column means over their own number of differences, 0..255 (Tang, CDDFuse)",
    paper="Eskicioglu & Fisher, Image quality measures and their performance, IEEE Trans. Commun. 43(12), 1995",
    equation=r"\sqrt{\overline{(\partial_x F)^2} + \overline{(\partial_y F)^2}}",
)
def sf(context: Context) -> Tensor:
    """Spatial frequency of the fused image: root of the mean squared differences. Zero on a constant image."""
    across, down = context.fused.diff(dim=-1), context.fused.diff(dim=-2)
    return (across.square().mean((-2, -1)) + down.square().mean((-2, -1))).sqrt()


@metric(
    "AG",
    range=(0.0, math.inf),
    convention="central differences, sum divided by (H-1)(W-1), 0..255 (Tang); CDDFuse divides by HW",
    paper="Cui et al., Detail preserved fusion of visible and infrared images, Optics Communications 341, 2015",
    equation=r"\frac{1}{(H-1)(W-1)}\sum_p \sqrt{\tfrac{1}{2}[(\partial_x F)^2 + (\partial_y F)^2]}",
)
def ag(context: Context) -> Tensor:
    """Average gradient of the fused image. Zero on a constant image; NaN where H or W is below 2."""
    height, width = context.fused.shape[-2:]
    if min(height, width) < 2:
        return context.fused.new_full((len(context.fused),), math.nan)
    dy, dx = torch.gradient(context.fused, dim=(-2, -1))
    return ((dx.square() + dy.square()) / 2).sqrt().sum((-2, -1)) / ((height - 1) * (width - 1))


def _nonzero(values: Tensor) -> Tensor:
    return torch.where(values == 0, _ZERO, values)
