"""Metrics on grey-level moments."""

import math

import torch
from torch import Tensor

from sigforge.metrics.context import MetricContext
from sigforge.metrics.registry import metric

_RAO = "Rao, In-fibre Bragg grating sensors, Measurement Science and Technology 8(4), 1997 (as the field cites it)"


@metric(
    "SD",
    range=(0.0, 127.5),
    convention="population standard deviation (divided by HW), grey levels 0..255 (Tang, CDDFuse)",
    paper=_RAO,
    equation=r"\sqrt{\frac{1}{HW}\sum_p (F_p - \bar F)^2}",
)
def sd(context: MetricContext) -> Tensor:
    """Standard deviation of the fused image, the field's measure of contrast. Zero on a constant image.

    Example:
        >>> import torch
        >>> from sigforge.metrics import score
        >>> halves = torch.tensor([0.0, 1.0]).expand(1, 1, 8, 2)
        >>> score(halves, halves, halves, metrics="sd")["sd"].item()
        127.5
    """
    if context.values.dtype != torch.uint8:
        return context.fused.std((-2, -1), correction=0)
    shares, levels = context.histograms[-1], torch.arange(256, dtype=torch.float64, device=context.values.device)
    mean = (shares * levels).sum(-1, keepdim=True)
    return (shares * (levels - mean).square()).sum(-1).sqrt()


@metric(
    "SD",
    range=(0.0, math.sqrt(255)),
    convention="saturating uint8 arithmetic, pixels below the mean count nothing (Tang's 2022 tables, values 7..11)",
    paper=_RAO,
    equation=r"\sqrt{\frac{1}{HW}\sum_p \min(255, \max(0, F_p - \bar F)^2)}",
    variant_of="sd",
)
def sd_tang2022(context: MetricContext) -> Tensor:
    """Standard deviation as MATLAB computes it on integers: differences rounded, clipped to 0..255, and so are squares.

    Zero on a constant image.
    """
    above = (context.fused - context.fused.mean((-2, -1), keepdim=True) + 0.5).floor_().clamp_(min=0)
    return above.square_().clamp_(max=255).mean((-2, -1)).sqrt()


@metric(
    "CC",
    range=(-1.0, 1.0),
    convention="mean of the Pearson correlations with the sources (Tang)",
    paper="Deshmukh & Bhosale, Image fusion and image quality assessment of fused images, IJIP 4(5), 2010",
    equation=r"\tfrac{1}{2}[r(A,F) + r(B,F)]",
)
def cc(context: MetricContext) -> Tensor:
    """Correlation of the fused image with its sources. NaN where any of the three images is constant."""
    return _correlation(context.sources, context.fused).mean(0)


@metric(
    "SCD",
    range=(-2.0, 2.0),
    convention="sum of the correlations of each source with what the fused image adds to the other",
    sources="pair",
    paper="Aslantas & Bendes, A new image quality metric for image fusion, AEU 69(12), 2015",
    equation=r"r(F - B, A) + r(F - A, B)",
)
def scd(context: MetricContext) -> Tensor:
    """Sum of the correlations of differences. NaN where a source or a difference image is constant."""
    return _correlation(context.fused - context.sources.flip(0), context.sources).sum(0)


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    """Pearson correlation over the last two axes."""
    x, y = (image - image.mean((-2, -1), keepdim=True) for image in (x, y))
    covariance = (x * y).sum((-2, -1))
    return covariance / (x.square().sum((-2, -1)) * y.square().sum((-2, -1))).sqrt()
