"""Metrics on phase congruency."""

import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from sigforge.metrics.bands import in_bands
from sigforge.metrics.context import MetricContext
from sigforge.metrics.filters import gaussian_window, smooth_same
from sigforge.metrics.phase_congruency import phase_congruency
from sigforge.metrics.phase_large import large_phase_congruency
from sigforge.metrics.registry import metric

#: Congruency above which a pixel counts as a feature.
_FEATURE = 0.1
_STABILISER = 1e-4
_WINDOW = gaussian_window(11, 1.5)
#: Congruency, maximum moment and minimum moment of one plane, each (B, H, W).
Maps = tuple[Tensor, ...]


@metric(
    "Q_P",
    range=(-1.0, 1.0),
    convention="product of three correlations, exponents 1, noise per orientation (Liu's metricZhao); 0..1 in practice",
    paper="Zhao, Laganiere & Liu, Performance assessment of combinative pixel-level image fusion based on an absolute "
    "feature measurement, IJICIC 3(6A), 2007",
    equation=r"P_p P_M P_m,\quad P_X = \frac{1}{|\Omega|}\sum_p \max(\rho^A_X, \rho^B_X, \rho^{\max}_X)",
)
def q_p(context: MetricContext) -> Tensor:
    r"""Phase-congruency fusion quality: local correlation of the fused image's features with the sources' features.

    The maps X are phase congruency, its maximum moment and its minimum moment. Each is compared with that of a, of b
    and of the source with the stronger congruency at the pixel, wherever that one has a feature (congruency > 0.1);
    :math:`\Omega` are the pixels where the stronger source has one. The fused image's maps are not masked, so identical
    images score below 1 (0.96 on textures). NaN where neither source has a feature, where the fused image is constant,
    and on images with a side of 1 pixel.

    Example:
        >>> from sigforge.metrics import score
        >>> checks = (torch.arange(48) // 8 % 2).float().expand(1, 1, 48, 48)
        >>> round(score(checks, checks, checks, metrics="q_p")["q_p"].item(), 1)
        0.7
    """
    return context.once(_features_kept)[-1]


def q_p_by_source(context: MetricContext) -> Tensor:
    """What ``q_p`` is where each source is the only one, (n, B)."""
    return context.once(_features_kept)[:-1]


def _features_kept(context: MetricContext) -> Tensor:
    """The quality by each source alone, then by the best of them and the stronger one, (n + 1, B)."""
    shape = context.values.shape
    if context.values.dtype == torch.uint8:
        alone = (large_phase_congruency(plane) for plane in context.values.flatten(0, 1))
        maps = [torch.stack(one).view(shape) for one in zip(*alone, strict=True)]
    else:
        maps = [one.view(shape) for one in phase_congruency(context.planes.flatten(0, 1))]
    found = []
    for parts in zip(*(in_bands(one, halo=len(_WINDOW) // 2) for one in maps), strict=True):
        found.append(_likeness_in([part for part, _ in parts], parts[0][1]))
    counts, sums = (reduce(torch.add, column) for column in zip(*found, strict=True))
    quality: Tensor = sums.prod(0) / counts ** len(maps)
    blank = context.values[-1].amax((-2, -1)) == context.values[-1].amin((-2, -1))
    return torch.where(blank, math.nan, quality)


def _likeness_in(maps: Sequence[Tensor], inner: slice) -> tuple[Tensor, Tensor]:
    """How many pixels have a feature, (n + 1, B), and per map the likeness summed over them, (3, n + 1, B)."""
    *separate, fused_maps = zip(*(one.unbind(0) for one in maps), strict=True)
    sources = [*separate, reduce(_stronger, separate)]
    features = [(source[0] > _FEATURE).double() for source in sources]
    sums = [
        _likeness_sums(compared, features, fused, inner) for fused, *compared in zip(fused_maps, *sources, strict=True)
    ]
    return torch.stack(features)[..., inner, :].sum((-2, -1)), torch.stack(sums)


def _stronger(one: Maps, other: Maps) -> Maps:
    """The maps of the source with more congruency at every pixel; of the other where both have the same."""
    first = one[0] > other[0]
    return tuple(torch.where(first, *pair) for pair in zip(one, other, strict=True))


def _likeness_sums(sources: Sequence[Tensor], features: Sequence[Tensor], fused: Tensor, inner: slice) -> Tensor:
    """Correlation in 11x11 Gaussian windows of the fused map with a source's features, summed over ``inner`` rows.

    Zero where a source has no feature; zeros beyond the border.

    Returns:
        (n + 1, B): of each source, then of whichever of all given is most alike at each pixel.
    """
    fused_mean, fused_variance = _mean_and_variance(fused)
    best, sums = torch.full_like(fused, -math.inf), []
    for source, feature in zip(sources, features, strict=True):
        masked = source * feature
        mean, variance = _mean_and_variance(masked)
        covariance = smooth_same(masked.mul_(fused), _WINDOW).sub_(mean.mul_(fused_mean)).add_(_STABILISER)
        spread = variance.mul_(fused_variance).abs_().sqrt_().add_(_STABILISER)
        likeness = covariance.div_(spread).mul_(feature)
        sums.append(likeness[..., inner, :].sum((-2, -1)))
        torch.maximum(best, likeness, out=best)
    return torch.stack([*sums[:-1], best[..., inner, :].sum((-2, -1))])


def _mean_and_variance(maps: Tensor) -> tuple[Tensor, Tensor]:
    mean = smooth_same(maps, _WINDOW)
    return mean, smooth_same(maps.square(), _WINDOW).sub_(mean.square())
