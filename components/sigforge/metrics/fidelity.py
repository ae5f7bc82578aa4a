"""Metrics on visual information fidelity."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from sigforge.metrics.bands import rows_of_bands
from sigforge.metrics.context import MetricContext
from sigforge.metrics.filters import gaussian_window, smooth
from sigforge.metrics.registry import metric

#: Window lengths of the four scales, finest first; each Gaussian's sigma is a fifth of its length.
_WINDOWS = (17, 9, 5, 3)
#: Shorter sides leave no pixel at the coarsest scale.
_MIN_SIDE = 41
#: Variance of the visual system's noise, in squared grey levels: Sheikh's, and Han's.
_NOISE, _VIFF_NOISE = 2.0, 0.005 * 255**2
#: Importance of the scales in VIFF, and what keeps its ratios finite on flat images.
_VIFF_WEIGHTS, _VIFF_FLOOR = (1.0, 0.0, 0.15, 1.0), 1e-7
#: Below this variance a neighbourhood counts as flat; rounding leaves up to 4.4e-11 in a constant one.
_FLAT = 1e-10


@metric(
    "VIF",
    range=(0.0, math.inf),
    convention="VIFp(A,F) + VIFp(B,F) (Tang's VIF, CDDFuse's VIFF); the SigFusion paper's VIFF, not Han's VIFF",
    paper="Sheikh & Bovik, Image information and visual quality, IEEE TIP 15(2), 2006 (pixel domain)",
    equation=r"\sum_{S=A,B} \frac{\sum \log(1 + g^2 \sigma_S^2 / (\sigma_V^2 + 2))}{\sum \log(1 + \sigma_S^2 / 2)}",
)
def vif_sum(context: MetricContext) -> Tensor:
    r"""Visual information fidelity of the fused image to each source, summed; 2 where all three images are equal.

    Locally :math:`F = g S + V`. Both sums run over the valid pixels of four scales, each filtered and halved from the
    one before. NaN where a source is constant (it holds no information to preserve), and on images with a side below
    41 pixels; a constant fused image scores 0.

    Example:
        >>> from sigforge.metrics import score
        >>> texture = torch.rand(1, 1, 41, 50, generator=torch.Generator().manual_seed(0))
        >>> round(score(texture, texture, texture, metrics="vif_sum")["vif_sum"].item(), 6)
        2.0
    """
    return context.once(vif_by_source).sum(0)


@metric(
    "VIF",
    range=(0.0, math.inf),
    convention="mean of VIFp over the sources, on the scale of one VIF; `vif_sum` is what most papers print",
    paper="Sheikh & Bovik, Image information and visual quality, IEEE TIP 15(2), 2006 (pixel domain)",
    equation=r"\tfrac{1}{2}[\mathrm{VIFp}(A,F) + \mathrm{VIFp}(B,F)]",
    variant_of="vif_sum",
)
def vif(context: MetricContext) -> Tensor:
    """Visual information fidelity of the fused image to the average source; undefined where ``vif_sum`` is."""
    return context.once(vif_by_source).mean(0)


@metric(
    "VIFF",
    range=(0.0, math.inf),
    convention="Han's VIFF (VIFF_Public); most tables that print VIFF hold `vif_sum`",
    paper="Han, Cai, Cao & Xu, A new image fusion performance metric based on visual information fidelity, "
    "Information Fusion 14(2), 2013",
    symmetric=False,
    equation=r"\sum_{k=1}^{4} p_k \frac{\sum \mathrm{VID}_k}{\sum \mathrm{VIND}_k}",
)
def viff(context: MetricContext) -> Tensor:
    """Visual information fidelity for fusion: at every pixel and scale, of the source that shows through least.

    The scales weigh 1, 0, 0.15 and 1. A scale on which all sources are flat counts as fully preserved, so three equal
    constant images score 1. Where the gains are equal, as in flat fused windows, the last source counts, as in Han's
    code; so order matters on images with flat parts. NaN on images with a side below 41 pixels.
    """
    if min(context.values.shape[-2:]) < _MIN_SIDE:
        return context.undefined
    total = torch.zeros_like(context.undefined)
    preserved, available = torch.zeros((2, len(_WINDOWS), *total.shape), dtype=total.dtype, device=total.device)
    for scale, source, gain, distortion in _scales(context):
        gain = torch.where(source > 0, gain, 0.0)
        kept = torch.log10(1 + gain.square() * source / (distortion + _VIFF_NOISE)) + _VIFF_FLOOR
        held = torch.log10(1 + source / _VIFF_NOISE) + _VIFF_FLOOR
        weakest = _last_of_least(gain)
        for sums, values in ((preserved, kept), (available, held)):
            sums[scale] += values.gather(0, weakest).sum((0, -2, -1))
    for weight, kept, held in zip(_VIFF_WEIGHTS, preserved, available, strict=True):
        total += weight * kept / held
    return total / sum(_VIFF_WEIGHTS)


def vif_by_source(context: MetricContext) -> Tensor:
    """VIFp of the fused image to each source, (n, B)."""
    if min(context.values.shape[-2:]) < _MIN_SIDE:
        return context.undefined.expand(len(context.values) - 1, -1)
    preserved = available = torch.zeros((), dtype=torch.float64, device=context.values.device)
    for _, source, gain, distortion in _scales(context):
        preserved = preserved + torch.log1p(gain.square() * source / (distortion + _NOISE)).sum((-2, -1))
        available = available + torch.log1p(source / _NOISE).sum((-2, -1))
    return preserved / available


#: Number of the scale, then, each (n, B, h, w): variance of the source, gain from it to the fused image, variance not
#: explained.
Channel = tuple[int, Tensor, Tensor, Tensor]


def _scales(context: MetricContext) -> Iterable[Channel]:
    """The windows of all scales; of a large image band by band, and made anew for everyone who asks."""
    if context.values.dtype == torch.uint8:
        return _channels(context)
    return context.once(_kept_channels)


def _kept_channels(context: MetricContext) -> list[Channel]:
    return list(_channels(context))


def _channels(context: MetricContext) -> Iterator[Channel]:
    planes = context.values
    for scale, length in enumerate(_WINDOWS):
        window = gaussian_window(length, length / 5)
        if scale:
            planes = _halved(planes, window)
        height, width = planes.shape[-2:]
        for start, stop in rows_of_bands(height - length + 1, width):
            yield scale, *_channel(planes[..., start : stop + length - 1, :].double(), window)


def _halved(planes: Tensor, window: tuple[float, ...]) -> Tensor:
    """Every second pixel of the smoothed planes, where the window fits."""
    height, width = planes.shape[-2:]
    limits = rows_of_bands(height - len(window) + 1, width, multiple=2)
    smoothed = (smooth(planes[..., start : stop + len(window) - 1, :].double(), window) for start, stop in limits)
    return torch.cat([rows[..., ::2, ::2] for rows in smoothed], dim=-2)


def _channel(planes: Tensor, window: tuple[float, ...]) -> tuple[Tensor, Tensor, Tensor]:
    mean = smooth(planes, window)
    variance = smooth(planes.square(), window) - mean.square()
    covariance = smooth(planes[:-1] * planes[-1], window) - mean[:-1] * mean[-1]
    variance = torch.where(variance < _FLAT, 0.0, variance)
    source, fused = variance[:-1], variance[-1]
    # A negative gain carries nothing, and neither does a flat neighbourhood.
    gain = (covariance / (source + _FLAT)).clamp_(min=0) * (fused > 0)
    return source, gain, (fused - gain * covariance).clamp_(min=_FLAT)


def _last_of_least(values: Tensor) -> Tensor:
    """Index along the first axis of its smallest value, kept as an axis; of equal ones the last, as in Han's code."""
    return len(values) - 1 - values.flip(0).argmin(0, keepdim=True)
