"""Metrics on first derivatives."""

import math
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from sigforge.metrics.bands import bands
from sigforge.metrics.context import MetricContext, sobel_of_padded
from sigforge.metrics.registry import metric

#: Stands for an exactly zero derivative or strength, so that flat on flat compares as equal.
_ZERO = 1e-5
#: The most a pixel can score: both sigmoids at their right end.
_BEST = 1 / (1 + math.exp(-5)) ** 2
_BEST_ABF = 0.9994 * 0.9879 / (1 + math.exp(-22 * 0.2))


@metric(
    "Q_G",
    range=(0.0, _BEST),
    convention="mean of per-pixel ratios, steepness -10 and -20 (Liu's metricXydeas); the paper's Q_G, not Qabf",
    paper="Xydeas & Petrovic, Objective image fusion performance measure, Electronics Letters 36(4), 2000",
    symmetric=False,
    equation=r"\frac{1}{HW}\sum_p \frac{Q^{AF}_p g^A_p + Q^{BF}_p g^B_p}{g^A_p + g^B_p}",
)
def q_g(context: MetricContext) -> Tensor:
    r"""Gradient-based fusion quality: how much edge strength and direction of the sources survives.

    Per source, with strength ratio :math:`G` and agreement of direction :math:`D` in [0, 1],
    :math:`Q = [1 + e^{-10(G - 0.5)}]^{-1} [1 + e^{-20(D - 0.75)}]^{-1}`. Flat on flat counts as a perfect pixel:
    constant images score the maximum 0.98666, and black backgrounds inflate the mean. Swapping a and b changes the
    value slightly, as in the published code.

    Example:
        >>> from sigforge.metrics import score
        >>> checks = (torch.arange(32) // 4 % 2).float().expand(1, 1, 32, 32)
        >>> round(score(checks, checks, checks, metrics="q_g")["q_g"].item(), 5)
        0.98666
    """
    return context.once(_edge_quality)[-1]


def q_g_by_source(context: MetricContext) -> Tensor:
    """Mean of Q over the pixels for each source, (n, B): what ``q_g`` is where this is the only source."""
    return context.once(_edge_quality)[:-1]


@metric(
    "Qabf",
    range=(0.0, _BEST_ABF),
    convention="sum over sum, steepness -15 and -22, 0..255 (Hong's code: Tang, VIFB, MEFB, CDDFuse); not Q_G",
    paper="Xydeas & Petrovic, Objective image fusion performance measure, Electronics Letters 36(4), 2000",
    equation=r"\frac{\sum_p Q^{AF}_p g^A_p + Q^{BF}_p g^B_p}{\sum_p g^A_p + g^B_p}",
    variant_of="q_g",
)
def qabf(context: MetricContext) -> Tensor:
    r"""Gradient-based fusion quality, pixels weighted by the strength of the sources' edges.

    :math:`Q = 0.9994 [1 + e^{-15(G - 0.5)}]^{-1} 0.9879 [1 + e^{-22(A - 0.8)}]^{-1}`. Kept from the published code:
    where both strengths are equal the ratio G is the strength itself, not 1, which saturates the sigmoid wherever
    there is an edge. Beyond the border the images count as black. NaN where all sources are black.

    Example:
        >>> from sigforge.metrics import score
        >>> checks = (torch.arange(32) // 4 % 2).float().expand(1, 1, 32, 32)
        >>> round(score(checks, checks, checks, metrics="qabf")["qabf"].item(), 4)
        0.9753
    """
    gx, gy = context.sobel
    strength = context.once(_sobel_strength)
    # The published kernels point left and down; only vertical edges, whose angle is always +90 degrees, show it.
    angle = torch.where(gx == 0, math.pi / 2, torch.atan(-gy / gx))
    source, fused = strength[:-1], strength[-1]
    ratio = torch.where(source == fused, fused, torch.minimum(source, fused) / torch.maximum(source, fused))
    agreement = 1 - (angle[:-1] - angle[-1]).abs_() / (math.pi / 2)
    quality = torch.sigmoid(15 * (ratio - 0.5)) * torch.sigmoid(22 * (agreement - 0.8)) * (0.9994 * 0.9879)
    return (quality * source).sum((0, -2, -1)) / source.sum((0, -2, -1))


@metric(
    "N^{AB/F}",
    higher_is_better=False,
    range=(0.0, 1.0),
    convention="Shreyamsha Kumar's modification, 0..255; Tang's suite has passed sources and fused in the wrong order",
    paper="Shreyamsha Kumar, Multifocus and multispectral image fusion based on pixel significance using discrete "
    "cosine harmonic wavelet transform, Signal, Image and Video Processing 7, 2013",
    equation=r"\frac{\sum_p [g^F > g^A, g^B] \sum_S (1 - Q^{SF}) w_S}{\sum_p \sum_S w_S}",
)
def nabf(context: MetricContext) -> Tensor:
    """Fusion artefacts: edges of the fused image that are stronger than in every source and unlike them.

    Zero where the fused image is constant. NaN where a side is below 2 pixels.
    """
    if min(context.fused.shape[-2:]) < 2:
        return context.undefined
    gx, gy = (slope.div_(8) for slope in sobel_of_padded(F.pad(context.planes, (1, 1, 1, 1), mode="reflect")))
    strength = (gx.square() + gy.square()).sqrt_()
    angle = torch.where(strength == 0, 0.0, torch.atan(gx / gy))
    source, fused = strength[:-1], strength[-1]
    larger = torch.maximum(source, fused)
    ratio = torch.minimum(source, fused) / torch.where(larger == 0, 1.0, larger)
    agreement = ((angle[:-1] - angle[-1]).abs_() - math.pi / 2).abs_() * (2 / math.pi)
    preserved = torch.sigmoid(19 * (ratio - 0.5)).mul_(0.9999) * torch.sigmoid(22 * (agreement - 0.5)).mul_(0.9995)
    weight = torch.where(source >= 2, source.pow(1.5), 0.001)
    added = fused > source.amax(0)
    return (added * ((1 - preserved.sqrt_()) * weight).sum(0)).sum((-2, -1)) / weight.sum((0, -2, -1))


def _edge_quality(context: MetricContext) -> Tensor:
    """Mean Q by each source alone, then by all of them together, (n + 1, B)."""
    sums = []
    for band in bands(context, halo=1):
        quality, source = (maps[..., band.inner, :] for maps in _edges_kept(band.context))
        together = (quality * source).sum(0) / source.sum(0)
        sums.append(torch.cat((quality, together[None])).sum((-2, -1)))
    return reduce(torch.add, sums) / math.prod(context.values.shape[-2:])


def _edges_kept(context: MetricContext) -> tuple[Tensor, Tensor]:
    """Q of every source and pixel, and the strength of its edge, each (n, B, H, W)."""
    gx, gy = context.sobel
    strength = context.once(_sobel_strength)
    angle = torch.atan(gy / _nonzero(gx))
    source, floored = strength[:-1], _nonzero(strength[-1])
    # The published code floors the fused strength while it scores a, and keeps the floored one to score b.
    fused = torch.stack((strength[-1], *[floored] * (len(source) - 1)))
    weaker = source > fused
    source = _nonzero(source)
    ratio = torch.where(weaker, fused / source, source / floored)
    agreement = ((angle[:-1] - angle[-1]).abs_() - math.pi / 2).abs_() * (2 / math.pi)
    return torch.sigmoid(10 * (ratio - 0.5)) * torch.sigmoid(20 * (agreement - 0.75)), source


def _sobel_strength(context: MetricContext) -> Tensor:
    gx, gy = context.sobel
    return (gx.square() + gy.square()).sqrt_()


def _nonzero(values: Tensor) -> Tensor:
    return torch.where(values == 0, _ZERO, values)
