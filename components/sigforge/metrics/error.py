"""Metrics on squared differences."""

import math

import torch
from torch import Tensor

from sigforge.metrics.context import MetricContext
from sigforge.metrics.registry import metric

_JAGALINGAM = "Jagalingam & Hegde, A review of quality metrics for fused image, Aquatic Procedia 4, 2015"
_MSE = r"\tfrac{1}{2}[\overline{(A - F)^2} + \overline{(B - F)^2}]"
#: Decibels that a peak of 255 adds to images in [0, 1].
_PEAK = 20 * math.log10(255)


@metric(
    "MSE",
    higher_is_better=False,
    range=(0.0, 1.0),
    convention="mean of the MSEs to the sources, on [0, 1] (Tang)",
    paper=_JAGALINGAM,
    equation=_MSE,
    variant_of="psnr",
)
def mse(context: MetricContext) -> Tensor:
    """Mean squared error to the sources, images in [0, 1].

    Example:
        >>> from sigforge.metrics import score
        >>> black, white = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
        >>> score(black, black, white, metrics="mse")["mse"].item()
        0.5
    """
    return context.once(_errors).mean(0) / 255**2


@metric(
    "MSE",
    higher_is_better=False,
    range=(0.0, 255.0**2),
    convention="mean of the MSEs to the sources, on 0..255 (CDDFuse)",
    paper=_JAGALINGAM,
    equation=_MSE,
    variant_of="psnr",
)
def mse_255(context: MetricContext) -> Tensor:
    """Mean squared error to the sources, in squared grey levels."""
    return context.once(_errors).mean(0)


@metric(
    "RMSE",
    higher_is_better=False,
    range=(0.0, 255.0),
    convention="norm of the difference over HW, not over its root, 0..255, mean over the sources (VIFB)",
    paper=_JAGALINGAM,
    equation=r"\tfrac{1}{2HW} (\lVert A - F \rVert_2 + \lVert B - F \rVert_2)",
    variant_of="psnr",
)
def rmse_vifb(context: MetricContext) -> Tensor:
    """Root mean squared error as VIFB computes it: smaller than the true one by the root of the number of pixels."""
    return context.once(_norms).mean(0)


@metric(
    "PSNR",
    range=(0.0, math.inf),
    convention="peak 255 and error on 0..255, of the mean of the two MSEs: the definition",
    paper=_JAGALINGAM,
    equation=r"10 \log_{10} (255^2 / \mathrm{MSE})",
)
def psnr(context: MetricContext) -> Tensor:
    """Peak signal-to-noise ratio to the sources, in dB. Infinite where the fused image equals all sources.

    Example:
        >>> from sigforge.metrics import score
        >>> black, white = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
        >>> round(score(black, black, white, metrics="psnr")["psnr"].item(), 3)
        3.01
    """
    return _decibels(mse(context))


@metric(
    "PSNR",
    range=(_PEAK, math.inf),
    convention="peak 255 but error on [0, 1]: 48.13 dB above the definition (Tang)",
    paper=_JAGALINGAM,
    equation=r"20 \log_{10} (255 / \sqrt{\mathrm{MSE}_{[0,1]}})",
    variant_of="psnr",
)
def psnr_tang(context: MetricContext) -> Tensor:
    """Peak signal-to-noise ratio of Tang's tables, in dB. Infinite where the fused image equals all sources."""
    return _PEAK + _decibels(mse(context))


@metric(
    "PSNR",
    range=(0.0, math.inf),
    convention="peak 255, with VIFB's RMSE in place of the MSE: around 58 in its tables (VIFB)",
    paper=_JAGALINGAM,
    equation=r"20 \log_{10} (255 / \sqrt{\mathrm{RMSE_{VIFB}}})",
    variant_of="psnr",
)
def psnr_vifb(context: MetricContext) -> Tensor:
    """Peak signal-to-noise ratio of VIFB's tables, in dB. Infinite where the fused image equals all sources."""
    return _PEAK + _decibels(rmse_vifb(context))


@metric(
    "PSNR",
    range=(-math.inf, math.inf),
    convention="peak is the fused image's own maximum, error on 0..255 (CDDFuse)",
    paper=_JAGALINGAM,
    equation=r"10 \log_{10} (\max(F)^2 / \mathrm{MSE})",
    variant_of="psnr",
)
def psnr_cddfuse(context: MetricContext) -> Tensor:
    """Peak signal-to-noise ratio of CDDFuse's evaluator, in dB. Minus infinity where the fused image is black.

    NaN where the sources are black too: neither signal nor noise.
    """
    peak = context.fused.amax((-2, -1)) / 255
    return 20 * torch.log10(peak) + _decibels(mse(context))


@metric(
    "MSE",
    higher_is_better=False,
    needs_reference=True,
    range=(0.0, 1.0),
    convention="to the ground-truth fused image, on [0, 1]",
    paper=_JAGALINGAM,
    equation=r"\overline{(R - F)^2}",
    variant_of="psnr_ref",
)
def mse_ref(context: MetricContext) -> Tensor:
    """Mean squared error to the true fused image, images in [0, 1]."""
    return (context.truth - context.fused).square().mean((-2, -1)) / 255**2


@metric(
    "PSNR",
    needs_reference=True,
    range=(0.0, math.inf),
    convention="to the ground-truth fused image, peak 255, error on 0..255 (RealMFF)",
    paper=_JAGALINGAM,
    equation=r"10 \log_{10} (255^2 / \overline{(R - F)^2})",
)
def psnr_ref(context: MetricContext) -> Tensor:
    """Peak signal-to-noise ratio to the true fused image, in dB. Infinite where they are equal."""
    return _decibels(mse_ref(context))


def _errors(context: MetricContext) -> Tensor:
    """Mean squared difference of each source and the fused image, in squared grey levels, (n, B)."""
    return (context.sources - context.fused).square_().mean((-2, -1))


def _norms(context: MetricContext) -> Tensor:
    """Norm of the difference of each source and the fused image, over the number of pixels, (n, B)."""
    return (context.once(_errors) / context.fused[0].numel()).sqrt()


def _decibels(error: Tensor) -> Tensor:
    return -10 * torch.log10(error)
