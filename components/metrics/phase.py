"""Metrics on phase congruency."""

import math
from functools import reduce

import torch
from torch import Tensor

from components.metrics.context import Context
from components.metrics.filters import gaussian_window, smooth_same
from components.metrics.phase_congruency import phase_congruency
from components.metrics.registry import metric

#: Congruency above which a pixel counts as a feature.
_FEATURE = 0.1
_STABILISER = 1e-4
_WINDOW = gaussian_window(11, 1.5)


@metric(
    "Q_P",
    range=(-1.0, 1.0),
    convention="product of three correlations, exponents 1, noise per orientation (Liu's metricZhao); 0..1 in practice",
    paper="Zhao, Laganiere & Liu, Performance assessment of combinative pixel-level image fusion based on an absolute "
    "feature measurement, IJICIC 3(6A), 2007",
    equation=r"P_p P_M P_m,\quad P_X = \frac{1}{|\Omega|}\sum_p \max(\rho^A_X, \rho^B_X, \rho^{\max}_X)",
)
def q_p(context: Context) -> Tensor:
    r"""Phase-congruency fusion quality: local correlation of the fused image's features with the sources' features.

    The maps X are phase congruency, its maximum moment and its minimum moment. Each is compared with that of a, of b
    and of the source with the stronger congruency at the pixel, wherever that one has a feature (congruency > 0.1);
    :math:`\Omega` are the pixels where the stronger source has one. The fused image's maps are not masked, so identical
    images score below 1 (0.96 on textures). NaN where neither source has a feature, where the fused image is constant,
    and on images with a side of 1 pixel.

    Example:
        >>> from components.metrics import score
        >>> checks = (torch.arange(48) // 8 % 2).float().expand(1, 1, 48, 48)
        >>> round(score(checks, checks, checks, metrics="q_p")["q_p"].item(), 1)
        0.7
    """
    maps = torch.stack(phase_congruency(context.planes.flatten(0, 1))).unflatten(1, context.planes.shape[:2])
    *separate, fused_maps = maps.unbind(1)
    strongest = reduce(lambda one, other: torch.where(one[0] > other[0], one, other), separate)
    sources = torch.stack((*separate, strongest), dim=1)
    features = sources[0] > _FEATURE
    quality = torch.ones_like(context.fused[:, 0, 0])
    for source, fused in zip(sources, fused_maps, strict=True):
        likeness = _local_correlation(source * features, fused) * features
        quality = quality * likeness.amax(0).sum((-2, -1)) / features[-1].sum((-2, -1))
    blank = context.fused.amax((-2, -1)) == context.fused.amin((-2, -1))
    return torch.where(blank, math.nan, quality)


def _local_correlation(sources: Tensor, fused: Tensor) -> Tensor:
    """Correlation in 11x11 Gaussian windows of (n, B, H, W) with (B, H, W), zeros beyond the border."""
    planes = torch.cat((sources, fused[None]))
    mean = smooth_same(planes, _WINDOW)
    variance = smooth_same(planes.square(), _WINDOW) - mean.square()
    covariance = smooth_same(sources * fused, _WINDOW) - mean[:-1] * mean[-1]
    return (covariance + _STABILISER) / ((variance[:-1] * variance[-1]).abs_().sqrt_() + _STABILISER)
