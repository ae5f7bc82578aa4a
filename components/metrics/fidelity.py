"""Metrics on visual information fidelity."""

import math

import torch
from torch import Tensor

from components.metrics.context import Context
from components.metrics.filters import gaussian_window, smooth
from components.metrics.registry import metric

#: Window lengths of the four scales, finest first; each Gaussian's sigma is a fifth of its length.
_WINDOWS = (17, 9, 5, 3)
#: Shorter sides leave no pixel at the coarsest scale.
_MIN_SIDE = 41
#: Variance of the visual system's noise, in squared grey levels.
_NOISE = 2.0
#: Below this variance a neighbourhood counts as flat; rounding leaves up to 4.4e-11 in a constant one.
_FLAT = 1e-10


@metric(
    "VIF",
    range=(0.0, math.inf),
    convention="VIFp(A,F) + VIFp(B,F) (Tang's VIF, CDDFuse's VIFF); the SigFusion paper's VIFF, not Han's VIFF",
    paper="Sheikh & Bovik, Image information and visual quality, IEEE TIP 15(2), 2006 (pixel domain)",
    equation=r"\sum_{S=A,B} \frac{\sum \log(1 + g^2 \sigma_S^2 / (\sigma_V^2 + 2))}{\sum \log(1 + \sigma_S^2 / 2)}",
)
def vif_sum(context: Context) -> Tensor:
    r"""Visual information fidelity of the fused image to each source, summed; 2 where all three images are equal.

    Locally :math:`F = g S + V`. Both sums run over the valid pixels of four scales, each filtered and halved from the
    one before. NaN where a source is constant (it holds no information to preserve), and on images with a side below
    41 pixels; a constant fused image scores 0.

    Example:
        >>> from components.metrics import score
        >>> texture = torch.rand(1, 1, 41, 50, generator=torch.Generator().manual_seed(0))
        >>> round(score(texture, texture, texture, ["vif_sum"])["vif_sum"].item(), 6)
        2.0
    """
    if min(context.fused.shape[-2:]) < _MIN_SIDE:
        return context.fused.new_full((len(context.fused),), math.nan)
    planes, preserved, available = context.planes, 0.0, 0.0
    for length in _WINDOWS:
        window = gaussian_window(length, length / 5)
        if length != _WINDOWS[0]:
            planes = smooth(planes, window)[..., ::2, ::2]
        at_scale = _information(planes, window)
        preserved, available = preserved + at_scale[0], available + at_scale[1]
    return (preserved / available).sum(0)


def _information(planes: Tensor, window: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Information about each source that reaches the eye through the fused image and directly, both (2, B)."""
    mean = smooth(planes, window)
    variance = smooth(planes.square(), window) - mean.square()
    covariance = smooth(planes[:2] * planes[2], window) - mean[:2] * mean[2]
    variance = torch.where(variance < _FLAT, 0.0, variance)
    source, fused = variance[:2], variance[2]
    # A negative gain carries nothing, and neither does a flat neighbourhood.
    gain = (covariance / (source + _FLAT)).clamp_(min=0) * (fused > 0)
    distortion = (fused - gain * covariance).clamp_(min=_FLAT)
    preserved = torch.log1p(gain.square() * source / (distortion + _NOISE))
    return preserved.sum((-2, -1)), torch.log1p(source / _NOISE).sum((-2, -1))
