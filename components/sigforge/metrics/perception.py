"""Metrics on the contrast that the eye sees."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sigforge.metrics.context import MetricContext, sobel_of_padded
from sigforge.metrics.filters import smooth_same
from sigforge.metrics.registry import metric

#: Side of the regions of Q_CV in pixels, and the exponent of edge strength in their saliency.
_REGION, _SALIENCY = 16, 5
#: Difference of Gaussians of Q_CB's contrast sensitivity: the two widths and the weight of the narrow one.
_DOG_WIDE, _DOG_NARROW, _DOG_WEIGHT = 15.387, 1.3456, 0.7622
_MASKING = 1e-4


def _unit_gaussian(sigma: float) -> tuple[float, ...]:
    """31 samples of the normal density: not scaled to sum to one, as published."""
    x = torch.arange(-15, 16, dtype=torch.float64)
    return tuple((torch.exp(-x.square() / (2 * sigma**2)) / (sigma * (2 * torch.pi) ** 0.5)).tolist())


_CENTRE, _SURROUND = _unit_gaussian(2), _unit_gaussian(4)


@metric(
    "Q_CB",
    range=(0.0, 1.0),
    convention="difference-of-Gaussians sensitivity, image as 30 cycles (Liu's metricChenBlum, VIFB)",
    paper="Chen & Blum, A new automated quality assessment algorithm for image fusion, Image and Vision Computing "
    "27(10), 2009",
    equation=r"\overline{\lambda_A \tfrac{\min(C_A, C_F)}{\max(C_A, C_F)}"
    r" + \lambda_B \tfrac{\min(C_B, C_F)}{\max(C_B, C_F)}},\ \lambda_S \propto C_S^2",
)
def q_cb(context: MetricContext) -> Tensor:
    """Preservation of masked local contrast, by the contrast of the sources.

    Images are stretched to 0..255 first. Contrast divides by a local mean, so black backgrounds make the value depend
    on rounding in its third digit. NaN where any image is constant.
    """
    contrast = _masked_contrast(context.stretched)
    source, fused = contrast[:-1], contrast[-1]
    preserved = torch.minimum(source, fused) / torch.maximum(source, fused)
    saliency = source.square()
    quality = ((saliency * preserved).sum(0) / saliency.sum(0)).mean((-2, -1))
    blank = (context.planes.amax((-2, -1)) == context.planes.amin((-2, -1))).any(0)
    return torch.where(blank, torch.nan, quality)


@metric(
    "Q_CV",
    higher_is_better=False,
    range=(0.0, 1e6),
    convention="16x16 regions, saliency exponent 5, Mannos-Sakrison sensitivity (Liu's metricChen, VIFB)",
    paper="Chen & Varshney, A human perception inspired quality metric for image fusion, Information Fusion 8(2), 2007",
    equation=r"\frac{\sum_r \lambda_A D_A + \lambda_B D_B}{\sum_r \lambda_A + \lambda_B},\ "
    r"D_S = \overline{(h * (S - F))^2}",
)
def q_cv(context: MetricContext) -> Tensor:
    """Visible squared difference from each source, by the sources' edges. Zero where all images are equal.

    Images are stretched to 0..255 first; a constant one counts as black. Regions at the right and lower border are
    filled up with zeros. NaN where all sources are constant.
    """
    images = context.stretched
    gx, gy = sobel_of_padded(F.pad(images[:-1], (1, 1, 1, 1)))
    saliency = _region_sums((gx.square() + gy.square()).pow_(_SALIENCY / 2))
    height, width = images.shape[-2:]
    spectrum = torch.fft.rfft2(images[:-1] - images[-1]) * _mannos_sakrison(_radius(height, width, 4, images.device))
    difference = _region_sums(torch.fft.irfft2(spectrum, s=(height, width)).square()) / _REGION**2
    return (saliency * difference).sum((0, -2, -1)) / saliency.sum((0, -2, -1))


def _masked_contrast(images: Tensor) -> Tensor:
    """Local contrast after the eye's sensitivity, compressed by masking."""
    height, width = images.shape[-2:]
    radius = _radius(height, width, 15, images.device)
    sensitivity = torch.exp(-((radius / _DOG_WIDE) ** 2)) - _DOG_WEIGHT * torch.exp(-((radius / _DOG_NARROW) ** 2))
    seen = torch.fft.irfft2(torch.fft.rfft2(images) * sensitivity, s=(height, width))
    contrast = (smooth_same(seen, _CENTRE) / smooth_same(seen, _SURROUND) - 1).abs_()
    return contrast.pow(3) / (contrast.square() + _MASKING)


def _radius(height: int, width: int, divisor: float, device: torch.device) -> Tensor:
    """Distance from DC of the frequencies of rfft2, in cycles per image over ``divisor``, (H, W // 2 + 1)."""
    y = torch.fft.fftfreq(height, 1 / height, device=device, dtype=torch.float64)
    x = torch.fft.rfftfreq(width, 1 / width, device=device, dtype=torch.float64)
    return torch.hypot(y[:, None], x) / divisor


def _mannos_sakrison(radius: Tensor) -> Tensor:
    return 2.6 * (0.0192 + 0.144 * radius) * torch.exp(-((0.144 * radius) ** 1.1))


def _region_sums(maps: Tensor) -> Tensor:
    """Sums over regions of (..., H, W), zeros beyond the border."""
    height, width = maps.shape[-2:]
    padded = F.pad(maps, (0, -width % _REGION, 0, -height % _REGION))
    rows, columns = padded.shape[-2] // _REGION, padded.shape[-1] // _REGION
    return padded.view(*padded.shape[:-2], rows, _REGION, columns, _REGION).sum((-3, -1))
