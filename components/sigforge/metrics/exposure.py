"""Metrics for multi-exposure fusion."""

from collections.abc import Iterable
from functools import reduce

import torch
from torch import Tensor

from sigforge.metrics.context import MetricContext
from sigforge.metrics.filters import smooth
from sigforge.metrics.moments import C2, GAUSSIAN_11, halve
from sigforge.metrics.registry import metric

_MA = "Ma, Zeng & Wang, Perceptual quality assessment for multi-exposure image fusion, IEEE TIP 24(11), 2015"
_SIDE = len(GAUSSIAN_11)
_SUM = (1.0,) * _SIDE
#: Exponents of the three scales, finest first.
_SCALE_WEIGHTS = tuple(weight / (0.0448 + 0.2856 + 0.3001) for weight in (0.0448, 0.2856, 0.3001))
_EPS = torch.finfo(torch.float64).eps
#: Largest exponent of the strengths: already nearly the maximum.
_MAX_POWER = 10.0


@metric(
    "MEF-SSIM",
    range=(-1.0, 1.0),
    convention="finest scale only (Tang's SSIM column since 2023)",
    paper=_MA,
    equation=r"\overline{(2\sigma_{RF} + C) / (\sigma_R^2 + \sigma_F^2 + C)}",
    variant_of="mef_ms_ssim",
)
def mef_ssim(context: MetricContext) -> Tensor:
    """Similarity in contrast and structure to the patch that the sources together would wish for.

    The wished patch is as strong as the strongest source's and points in the direction of all, weighted by strength.
    One where the fused image and sources are equal or all constant; NaN with a side below 11.

    Example:
        >>> from sigforge.metrics import score
        >>> flat = torch.full((1, 1, 16, 16), 0.5)
        >>> round(score(flat, flat, flat, metrics="mef_ssim")["mef_ssim"].item(), 6)
        1.0
    """
    return context.once(_finest)


@metric(
    "MEF-SSIM",
    range=(0.0, 1.0),
    convention="three scales (Ma's index; Tang's MS_SSIM column)",
    paper=_MA,
    equation=r"\prod_{l=1}^{3} Q_l^{\beta_l}",
)
def mef_ms_ssim(context: MetricContext) -> Tensor:
    """MEF-SSIM over three scales. NaN with a side below 44; a scale of negative quality counts as zero."""
    if min(context.fused.shape[-2:]) < 4 * _SIDE:
        return context.undefined
    planes, quality = context.planes, context.once(_finest).clamp(min=0) ** _SCALE_WEIGHTS[0]
    for weight in _SCALE_WEIGHTS[1:]:
        planes = halve(planes)
        quality = quality * _quality(planes).clamp(min=0) ** weight
    return quality


def _finest(context: MetricContext) -> Tensor:
    return _quality(context.planes) if min(context.fused.shape[-2:]) >= _SIDE else context.undefined


def _quality(planes: Tensor) -> Tensor:
    """Mean similarity of the fused plane, the last of (n + 1, B, H, W), to the wished patches."""
    sources = len(planes) - 1
    scatter = _products(planes[:-1], _SUM, 1 / _SIDE**2)
    norms = torch.stack([scatter[k, k].clamp(min=0).sqrt() for k in range(sources)])
    strength = norms + 0.001
    together = _summed(scatter[pair] for pair in _pairs(sources)).clamp_(min=0).sqrt()
    power = _power((together + _EPS) / (norms.sum(0) + _EPS))
    weight = (strength / _SIDE).pow(power) + _EPS
    # The wished patch as a mixture of the mean-free sources, scaled to the largest strength.
    mixture = weight / weight.sum(0) / strength
    length = _summed(mixture[k] * mixture[j] * scatter[k, j] for k, j in _pairs(sources)).clamp_(min=0).sqrt()
    mixture = mixture * torch.where(length > 0, strength.amax(0) / length, 1.0)
    covariance = _products(planes, GAUSSIAN_11, 1.0)
    wished = sum(mixture[k] * mixture[j] * covariance[k, j] for k, j in _pairs(sources))
    crossed = sum(mixture[k] * covariance[k, sources] for k in range(sources))
    similarity = (2 * crossed + C2) / (wished + covariance[sources, sources] + C2)
    return similarity.mean((-2, -1))


def _summed(terms: Iterable[Tensor]) -> Tensor:
    return reduce(torch.add, terms)


def _power(consistency: Tensor) -> Tensor:
    """The more the patches point the same way, the more the strongest dominates."""
    return torch.tan(torch.pi / 2 * consistency.clamp(max=1 - _EPS)).clamp_(max=_MAX_POWER)


def _pairs(count: int) -> list[tuple[int, int]]:
    return [(k, j) for k in range(count) for j in range(count)]


def _products(planes: Tensor, window: tuple[float, ...], share: float) -> dict[tuple[int, int], Tensor]:
    """Central products of every two planes, summed over windows: weights sum to ``1 / share`` along both sides."""
    means = smooth(planes, window)
    products: dict[tuple[int, int], Tensor] = {}
    for k in range(len(planes)):
        for j in range(k + 1):
            product = smooth(planes[k] * planes[j], window) - means[k] * means[j] * share
            products[k, j] = products[j, k] = product
    return products
