"""Local means, variances and covariances, and the structural similarity made of them."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sigforge.metrics.context import MetricContext
from sigforge.metrics.filters import gaussian_window, smooth

#: The window of most papers, and the smaller one of Q_Y and Q_C.
GAUSSIAN_11, GAUSSIAN_7 = gaussian_window(11, 1.5), gaussian_window(7, 1.5)
#: Stabilisers (0.01 L)^2 and (0.03 L)^2 for L = 255 grey levels.
C1, C2 = 2.55**2, 7.65**2
#: Share of a window's mean square below which its variance is rounding; one grey level in one pixel is far above.
_ROUNDING = 1e-12


class Moments(NamedTuple):
    """Of n sources and the fused image in every window: twice (n + 1, B, h, w), and (n, B, h, w) with the fused."""

    mean: Tensor
    variance: Tensor
    covariance: Tensor


def local_moments(planes: Tensor, window: tuple[float, ...]) -> Moments:
    """Weighted moments in the windows that fit in the images; exactly zero variance where a window is flat.

    Args:
        planes: (n + 1, B, H, W): the sources, then fused; sides at least the length of the window.
        window: weights along one side, which sum to one.

    Example:
        >>> moments = local_moments(torch.rand(3, 2, 20, 20, dtype=torch.float64), GAUSSIAN_11)
        >>> moments.variance.shape, moments.covariance.shape
        (torch.Size([3, 2, 10, 10]), torch.Size([2, 2, 10, 10]))
    """
    mean, power = smooth(planes, window), smooth(planes.square(), window)
    variance = power - mean.square()
    variance = torch.where(variance < _ROUNDING * power, 0.0, variance)
    covariance = smooth(planes[:-1] * planes[-1], window) - mean[:-1] * mean[-1]
    flat = (variance[:-1] == 0) | (variance[-1] == 0)
    return Moments(mean, variance, torch.where(flat, 0.0, covariance))


def shared_moments(context: MetricContext, window: tuple[float, ...]) -> Moments:
    """:func:`local_moments` of a batch, for :meth:`MetricContext.once`."""
    return local_moments(context.planes, window)


def contrast_structure(moments: Moments, c2: float = C2) -> Tensor:
    """Similarity of contrast and structure of the fused image to each source, (n, B, h, w)."""
    return (2 * moments.covariance + c2) / (moments.variance[:-1] + moments.variance[-1] + c2)


def ssim_map(moments: Moments, c1: float = C1, c2: float = C2) -> Tensor:
    """Structural similarity of the fused image to each source in every window, (n, B, h, w).

    Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 2004, Eq. (13).

    Args:
        moments: of n sources and the fused image, see :func:`local_moments`.
        c1: stabiliser of the luminance term, in squared units of the planes; the default is for grey levels 0..255.
        c2: stabiliser of contrast and structure, likewise.

    Returns:
        values in [-1, 1]; 1 where source and fused image agree in the window.

    Example:
        >>> image = 255 * torch.rand(1, 20, 20, dtype=torch.float64)
        >>> ssim_map(local_moments(torch.stack([image, image]), GAUSSIAN_11)).mean().round(decimals=6).item()
        1.0
    """
    source, fused = moments.mean[:-1], moments.mean[-1]
    luminance = (2 * source * fused + c1) / (source.square() + fused.square() + c1)
    return luminance * contrast_structure(moments, c2)


def halve(planes: Tensor) -> Tensor:
    """Mean of 2 x 2 blocks of (..., H, W), the last row and column of odd sizes repeated."""
    height, width = planes.shape[-2:]
    padded = F.pad(planes, (0, width % 2, 0, height % 2), mode="replicate") if height % 2 or width % 2 else planes
    rows = padded[..., ::2, :] + padded[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4
