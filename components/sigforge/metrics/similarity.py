"""Metrics on structural similarity."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sigforge.metrics.context import MetricContext
from sigforge.metrics.moments import (
    GAUSSIAN_11,
    Moments,
    contrast_structure,
    halve,
    local_moments,
    shared_moments,
    ssim_map,
)
from sigforge.metrics.registry import metric

_WANG = "Wang, Bovik, Sheikh & Simoncelli, Image quality assessment, IEEE TIP 13(4), 2004"
_SSIM = r"\frac{(2\mu_S\mu_F + C_1)(2\sigma_{SF} + C_2)}{(\mu_S^2 + \mu_F^2 + C_1)(\sigma_S^2 + \sigma_F^2 + C_2)}"
_MS_WANG = "Wang, Simoncelli & Bovik, Multi-scale structural similarity, Asilomar 2003"
_MS_SSIM = r"l_M^{\alpha_M} \prod_{j=1}^{M} (cs_j)^{\beta_j}"
#: Exponents of the five scales, finest first.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
#: Shorter sides leave no window at the coarsest scale.
_MIN_MS_SIDE = 10 * 2**4 + 1


@metric(
    "SSIM",
    range=(-2.0, 2.0),
    convention="11x11 Gaussian, whole windows only, L = 255, summed over the sources (Liu, VIFB)",
    paper=_WANG,
    equation=r"\mathrm{SSIM}(A,F) + \mathrm{SSIM}(B,F)",
)
def ssim_sum(context: MetricContext) -> Tensor:
    """Structural similarity to each source, summed. Two where all images are equal; NaN with a side below 11.

    Example:
        >>> from sigforge.metrics import score
        >>> flat = torch.full((1, 1, 16, 16), 0.5)
        >>> score(flat, flat, flat, metrics="ssim_sum")["ssim_sum"].item()
        2.0
    """
    return context.once(ssim_by_source).sum(0)


@metric(
    "SSIM",
    range=(-1.0, 1.0),
    convention="`ssim_sum` over the number of sources",
    paper=_WANG,
    equation=r"\tfrac{1}{2}[\mathrm{SSIM}(A,F) + \mathrm{SSIM}(B,F)]",
    variant_of="ssim_sum",
)
def ssim_mean(context: MetricContext) -> Tensor:
    """Structural similarity to the average source. One where all images are equal; NaN with a side below 11."""
    return context.once(ssim_by_source).mean(0)


@metric(
    "SSIM",
    range=(-1.0, 1.0),
    convention="MATLAB's ssim(): 11x11 Gaussian, replicated border, L = 255, mean over the sources",
    paper=_WANG,
    equation=_SSIM,
    variant_of="ssim_sum",
)
def ssim_matlab(context: MetricContext) -> Tensor:
    """Structural similarity over the whole image, border included. One where all images are equal."""
    return ssim_map(context.once(_bordered_moments)).mean((0, -2, -1))


@metric(
    "SSIM",
    range=(-1.0, 1.0),
    convention="MATLAB's ssim() on doubles in 0..255, whose L defaults to 1, so that nothing stabilises it (Tang)",
    paper=_WANG,
    equation=_SSIM,
    variant_of="ssim_sum",
)
def ssim_tang(context: MetricContext) -> Tensor:
    """Structural similarity with stabilisers for L = 1 on images in 0..255; noise in flat areas weighs heavily."""
    return ssim_map(context.once(_bordered_moments), c1=0.01**2, c2=0.03**2).mean((0, -2, -1))


@metric(
    "SSIM",
    range=(-2.1, 2.1),
    convention="uniform 7x7, sample covariance, L = 2 on 0..255, summed (CDDFuse by way of old scikit-image)",
    paper=_WANG,
    equation=r"\mathrm{SSIM}(A,F) + \mathrm{SSIM}(B,F)",
    variant_of="ssim_sum",
)
def ssim_cddfuse(context: MetricContext) -> Tensor:
    """Structural similarity of CDDFuse's evaluator, where L is that of floats in [-1, 1]. NaN with a side below 7."""
    if min(context.fused.shape[-2:]) < 7:
        return context.undefined
    mean, variance, covariance = local_moments(context.planes, (1 / 7,) * 7)
    sample = Moments(mean, variance * (49 / 48), covariance * (49 / 48))
    return ssim_map(sample, c1=0.02**2, c2=0.06**2).mean((-2, -1)).sum(0)


@metric(
    "SSIM local min",
    range=(-1.0, 1.0),
    convention="mean over windows of the smaller of both similarities of `ssim_sum`; a collage has no more than a copy",
    paper=_WANG,
    equation=r"\overline{\min(\mathrm{SSIM}_w(A,F), \mathrm{SSIM}_w(B,F))}",
    ranked=False,
)
def ssim_local_min(context: MetricContext) -> Tensor:
    r"""Structural similarity to the source that is kept worse at each place. NaN with a side below 11.

    A picture that shows one source here and the other there has in every window the similarity of the sources to each
    other, as a copy has; only at its seams it has less. So what is above :math:`\mathrm{SSIM}(A,B)` shows both at once.
    """
    if min(context.fused.shape[-2:]) < len(GAUSSIAN_11):
        return context.undefined
    return context.once(_ssim_maps).amin(0).mean((-2, -1))


@metric(
    "MS-SSIM",
    range=(0.0, 1.0),
    convention="Wang's five scales, mean over the sources; Tang's MS_SSIM is `mef_ms_ssim`",
    paper=_MS_WANG,
    equation=_MS_SSIM,
)
def ms_ssim(context: MetricContext) -> Tensor:
    """Multi-scale structural similarity to the average source. One where all are equal; NaN with a side below 161.

    A scale with negative mean similarity counts as zero, since it has no real power.
    """
    return context.once(_ms_ssim).mean(0)


@metric(
    "MS-SSIM",
    range=(0.0, 2.0),
    convention="Wang's five scales, summed over the sources",
    paper=_MS_WANG,
    equation=_MS_SSIM,
    variant_of="ms_ssim",
)
def ms_ssim_sum(context: MetricContext) -> Tensor:
    """Multi-scale structural similarity to each source, summed. Two where all are equal; NaN with a side below 161."""
    return context.once(_ms_ssim).sum(0)


@metric(
    "SSIM",
    needs_reference=True,
    range=(-1.0, 1.0),
    convention="to the ground-truth fused image, 11x11 Gaussian, whole windows only, L = 255 (RealMFF)",
    paper=_WANG,
    equation=_SSIM,
)
def ssim_ref(context: MetricContext) -> Tensor:
    """Structural similarity to the true fused image. One where they are equal; NaN with a side below 11."""
    return _mean_ssim(torch.stack((context.truth, context.fused)))[0]


def ssim_by_source(context: MetricContext) -> Tensor:
    """Mean similarity to each source, (n, B)."""
    if min(context.fused.shape[-2:]) < len(GAUSSIAN_11):
        return context.undefined.expand(len(context.sources), -1)
    return context.once(_ssim_maps).mean((-2, -1))


def _ssim_maps(context: MetricContext) -> Tensor:
    """Similarity to each source in every window, (n, B, h, w)."""
    return ssim_map(context.once(shared_moments, GAUSSIAN_11))


def _mean_ssim(planes: Tensor) -> Tensor:
    if min(planes.shape[-2:]) < len(GAUSSIAN_11):
        return planes.new_full((len(planes) - 1, planes.shape[1]), torch.nan)
    return ssim_map(local_moments(planes, GAUSSIAN_11)).mean((-2, -1))


def _bordered_moments(context: MetricContext) -> Moments:
    return local_moments(F.pad(context.planes, (len(GAUSSIAN_11) // 2,) * 4, mode="replicate"), GAUSSIAN_11)


def _ms_ssim(context: MetricContext) -> Tensor:
    """Multi-scale similarity to each source, (n, B)."""
    if min(context.fused.shape[-2:]) < _MIN_MS_SIDE:
        return context.undefined.expand(len(context.sources), -1)
    planes, quality = context.planes, context.planes.new_ones(())
    moments = context.once(shared_moments, GAUSSIAN_11)
    for weight in _SCALE_WEIGHTS[:-1]:
        quality = quality * contrast_structure(moments).mean((-2, -1)).clamp(min=0) ** weight
        planes = halve(planes)
        moments = local_moments(planes, GAUSSIAN_11)
    return quality * ssim_map(moments).mean((-2, -1)).clamp(min=0) ** _SCALE_WEIGHTS[-1]
