r"""Visual information fidelity that can be trained with: how much of a source a fused image still tells.

Sheikh & Bovik, "Image Information and Visual Quality", IEEE TIP 15(2), 2006, in the pixel domain, on two scales. The
metric ``vif`` has four and other windows; this one is for gradients, smooth where local variances vanish.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOWS = (9, 5)
"""Side of the Gaussian windows, one per scale, pixels; sigma is a fifth of it."""
NOISE = 2 / 255**2
"""Variance of the visual noise, of values in [0, 1]."""
SMALL = 1e-6


def visual_fidelity(source: Tensor, fused: Tensor) -> Tensor:
    r"""Information that the fused image keeps of a source, relative to all that the source has.

    Locally :math:`F = g S + V`; the ratio of :math:`\log(1 + g^2 \sigma_S^2 / (\sigma_V^2 + \sigma_N^2))` and
    :math:`\log(1 + \sigma_S^2 / \sigma_N^2)`, both summed over places and scales.

    Args:
        source: (B, 1, H, W) in [0, 1], sides of at least 26 pixels.
        fused: likewise.

    Returns:
        (B,), 1 for the source itself, 0 for what is unlike it.

    Example:
        >>> texture = torch.rand(2, 1, 32, 32)
        >>> [round(float(value), 2) for value in visual_fidelity(texture, texture)]
        [1.0, 1.0]
    """
    kept = available = torch.zeros(len(source), device=source.device)
    for scale, window in enumerate(WINDOWS):
        if scale:
            source, fused = (_blur(plane, window)[..., ::2, ::2] for plane in (source, fused))
        variance, gain, distortion = _channel(source, fused, window)
        kept = kept + torch.log1p(gain.square() * variance / (distortion + NOISE)).sum((1, 2, 3))
        available = available + torch.log1p(variance / NOISE).sum((1, 2, 3))
    return kept / (available + SMALL)


def softest(values: Tensor, temperature: float = 0.05) -> Tensor:
    """A smooth minimum over the first dimension: equal to equal values, near the smallest of different ones.

    Example:
        >>> [round(float(x), 2) for x in (softest(torch.tensor([0.4, 0.4])), softest(torch.tensor([0.2, 0.9])))]
        [0.4, 0.23]
    """
    return -temperature * ((-values / temperature).exp().mean(0)).log()


def _channel(source: Tensor, fused: Tensor, window: int) -> tuple[Tensor, Tensor, Tensor]:
    """Local variance of the source, gain from it to the fused image, and the variance that the gain leaves over."""
    means = [_blur(plane, window) for plane in (source, fused)]
    squares = (
        _blur(plane.square(), window) - mean.square() for plane, mean in zip((source, fused), means, strict=True)
    )
    variance, other = (square.clamp(min=0) for square in squares)
    covariance = _blur(source * fused, window) - means[0] * means[1]
    gain = (covariance / (variance + SMALL)).clamp(min=0)
    return variance, gain, (other - gain * covariance).clamp(min=0) + SMALL / 10


def _blur(planes: Tensor, window: int) -> Tensor:
    offsets = torch.arange(window, dtype=planes.dtype, device=planes.device) - (window - 1) / 2
    weights = torch.exp(-offsets.square() / (2 * (window / 5) ** 2))
    weights = weights / weights.sum()
    return F.conv2d(F.conv2d(planes, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
