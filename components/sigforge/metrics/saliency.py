"""Metrics on structural similarity to the source that is salient at each place."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from sigforge.metrics.context import MetricContext
from sigforge.metrics.moments import GAUSSIAN_7, GAUSSIAN_11, Moments, local_moments, shared_moments, ssim_map
from sigforge.metrics.registry import metric

_PIELLA = "Piella & Heijmans, A new quality metric for image fusion, ICIP 2003"
_CVEJIC = (
    "Cvejic, Loza, Bull & Canagarajah, A similarity metric for assessment of image fusion algorithms, IJICE 2(3), 2006"
)
#: Similarity of two sources above which they are redundant, and the stabiliser of Q_Y and Q_C.
_REDUNDANT, _TINY = 0.75, 2e-16


@metric(
    "Q_S",
    range=(-1.0, 1.0),
    convention="SSIM with 11x11 Gaussian, L = 255, variance as saliency (Liu's metricPeilla, case 1)",
    paper=_PIELLA,
    equation=r"\overline{\lambda\,\mathrm{SSIM}(A,F) + (1-\lambda)\,\mathrm{SSIM}(B,F)},\ "
    r"\lambda = \sigma_A^2 / (\sigma_A^2 + \sigma_B^2)",
)
def q_s(context: MetricContext) -> Tensor:
    """Fusion quality index: similarity to the sources, by their local variance. NaN with a side below 11.

    Where all sources are flat they weigh the same. One where all images are equal.
    """
    return _answer(context, GAUSSIAN_11, lambda moments: _weighted_similarity(moments).mean((-2, -1)))


@metric(
    "Q_W",
    range=(-1.0, 1.0),
    convention="Q_S with windows weighted by the larger variance (Liu's metricPeilla, case 2)",
    paper=_PIELLA,
    equation=r"\sum_w c(w) [\lambda\,\mathrm{SSIM}(A,F) + (1-\lambda)\,\mathrm{SSIM}(B,F)],\ "
    r"c \propto \max(\sigma_A^2, \sigma_B^2)",
)
def q_w(context: MetricContext) -> Tensor:
    """Weighted fusion quality index: salient windows count more. NaN with a side below 11 or all sources constant.

    Flat windows weigh nothing; the published code gives exactly black ones the weight of a variance of one half, which
    changes the value on black backgrounds by up to 1e-4.
    """
    return _answer(context, GAUSSIAN_11, _salient_quality)


@metric(
    "Q_E",
    range=(-1.0, 1.0),
    convention="Q_W times Q_W of Prewitt edges, exponent 1 (Liu's metricPeilla, case 3, which crashes as published)",
    paper=_PIELLA,
    equation=r"Q_W(A,B,F)\, Q_W(A',B',F')",
)
def q_e(context: MetricContext) -> Tensor:
    """Edge-dependent fusion quality index. NaN with a side below 11 or all sources constant."""
    if min(context.fused.shape[-2:]) < len(GAUSSIAN_11):
        return context.undefined
    return q_w(context) * _salient_quality(local_moments(_prewitt(context.planes), GAUSSIAN_11))


@metric(
    "Q_Y",
    range=(-1.0, 1.0),
    convention="7x7 Gaussian, threshold 0.75 (Liu's metricYang); flat windows are defined here, rounding noise there",
    paper="Yang, Zhang, Wang & Liu, A novel similarity based quality metric for image fusion, Information Fusion "
    "9(2), 2008",
    sources="pair",
    equation=r"\overline{\lambda S_A + (1-\lambda) S_B}\ \text{where}\ \mathrm{SSIM}(A,B) \ge 0.75,\ "
    r"\text{else}\ \overline{\max(S_A, S_B)}",
)
def q_y(context: MetricContext) -> Tensor:
    """Similarity to both sources where they agree, and to the nearer one where they do not. NaN with a side below 7.

    A flat fused window on a flat source is compared by luminance alone; flat sources weigh the same.
    """
    if min(context.fused.shape[-2:]) < len(GAUSSIAN_7):
        return context.undefined
    moments = context.once(shared_moments, GAUSSIAN_7)
    similarity = ssim_map(moments, _TINY, _TINY)
    between = local_moments(context.sources, GAUSSIAN_7)
    redundant = ssim_map(between, _TINY, _TINY)[0] >= _REDUNDANT
    share = _shares(moments.variance[:-1])
    return torch.where(redundant, (share * similarity).sum(0), similarity.amax(0)).mean((-2, -1))


@metric(
    "Q_C",
    range=(-1.0, 1.0),
    convention="7x7 Gaussian; windows whose weight leaves [0, 1] score 0 or 1 outright (Liu's metricCvejic, case 2)",
    paper=_CVEJIC,
    sources="pair",
    symmetric=False,
    equation=r"\overline{s\,S_A + (1-s)\,S_B},\ s = \sigma_{AF} / (\sigma_{AF} + \sigma_{BF})",
)
def q_c(context: MetricContext) -> Tensor:
    """Similarity to the sources by their covariance with the fused image, as published. NaN with a side below 7.

    Where the weight is 0/0 (flat windows) both sources weigh the same.
    """
    return _answer(context, GAUSSIAN_7, lambda moments: _by_covariance(moments, clip=False))


@metric(
    "Q_C",
    range=(-1.0, 1.0),
    convention="7x7 Gaussian, the weight clipped to [0, 1] as in the paper; published code (`q_c`) clips the result",
    paper=_CVEJIC,
    sources="pair",
    equation=r"\overline{s\,S_A + (1-s)\,S_B},\ s = \min(1, \max(0, \sigma_{AF} / (\sigma_{AF} + \sigma_{BF})))",
    variant_of="q_c",
)
def q_c_clipped(context: MetricContext) -> Tensor:
    """Similarity to the sources by their covariance with the fused image. NaN with a side below 7."""
    return _answer(context, GAUSSIAN_7, lambda moments: _by_covariance(moments, clip=True))


def _answer(context: MetricContext, window: tuple[float, ...], quality: Callable[[Moments], Tensor]) -> Tensor:
    if min(context.fused.shape[-2:]) < len(window):
        return context.undefined
    return quality(context.once(shared_moments, window))


def _salient_quality(moments: Moments) -> Tensor:
    saliency = moments.variance[:-1].amax(0)
    return (saliency * _weighted_similarity(moments)).sum((-2, -1)) / saliency.sum((-2, -1))


def _weighted_similarity(moments: Moments) -> Tensor:
    return (_shares(moments.variance[:-1]) * ssim_map(moments)).sum(0)


def _shares(variance: Tensor) -> Tensor:
    """Each source's share of the variance in every window; equal shares where all are flat."""
    total = variance.sum(0)
    return torch.where(total == 0, 1 / len(variance), variance / total)


def _by_covariance(moments: Moments, *, clip: bool) -> Tensor:
    first, second = moments.covariance
    share = torch.where((first == 0) & (second == 0), 0.5, first / (first + second))
    similarity = ssim_map(moments, _TINY, _TINY)
    weight = share.clamp(0, 1) if clip else share
    quality = weight * similarity[0] + (1 - weight) * similarity[1]
    if not clip:
        quality = torch.where(share < 0, 0.0, torch.where(share > 1, 1.0, quality))
    return quality.mean((-2, -1))


def _prewitt(planes: Tensor) -> Tensor:
    """Strength of the Prewitt derivatives, zero border."""
    padded = F.pad(planes, (1, 1, 1, 1))
    down = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    across = padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]
    gx, gy = down[..., 2:] - down[..., :-2], across[..., 2:, :] - across[..., :-2, :]
    return (gx.square() + gy.square()).sqrt_()
