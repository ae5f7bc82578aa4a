"""Feature mutual information (FMI).

Haghighat, Aghagolzadeh & Seyedarabi, "A non-reference image fusion metric based on mutual information of image
features", Computers and Electrical Engineering 37(5), 2011; computed as in Haghighat & Razian, "Fast-FMI", AICT 2014.
"""

import math
from functools import lru_cache

import pywt
import torch
from torch import Tensor

from sigforge.metrics.context import MetricContext
from sigforge.metrics.registry import metric
from sigforge.metrics.window_information import SIDE, window_information

_PAPER = "Haghighat, Aghagolzadeh & Seyedarabi, Computers and Electrical Engineering 37(5), 2011; Fast-FMI, AICT 2014"
_EQUATION = r"\tfrac{1}{2} \overline{\tfrac{2 I(A;F)}{H(A) + H(F)} + \tfrac{2 I(B;F)}{H(B) + H(F)}}"
#: Transforms leave rounding where they should leave zero, and a window of rounding would be stretched like any other.
_GRID = 1e-6


@metric(
    "FMI",
    range=(-1.0, 1.0),
    convention="pixels themselves, 3x3 windows ('none' in Haghighat's fmi; often called FMI_pixel); Tang's is of edges",
    paper=_PAPER,
    symmetric=False,
    equation=_EQUATION,
)
def fmi(context: MetricContext) -> Tensor:
    r"""Mutual information of 3x3 windows of the fused image and of each source, normalised, as a mean over windows.

    A window, stretched to [0, 1] and divided by its sum, is read as a distribution over nine bins. The joint
    distribution mixes independence with the largest (or smallest) Frechet coupling, so far that the bins' Pearson
    correlation is met. A flat window is uniform. One where all images are equal or constant; NaN with a side below 3.

    Example:
        >>> from sigforge.metrics import score
        >>> ramp = torch.linspace(0, 1, 256).view(1, 1, 16, 16)
        >>> round(score(ramp, ramp, ramp, metrics="fmi")["fmi"].item(), 4)
        1.0
    """
    return context.once(_of_pixels)[0].mean(0)


@metric(
    "FMI",
    range=(-1.0, 1.0),
    convention="`fmi` with windows of one bright sample treated alike for every source; 1 % more on black grounds",
    paper=_PAPER,
    equation=_EQUATION,
    variant_of="fmi",
)
def fmi_symmetric(context: MetricContext) -> Tensor:
    """FMI of pixels without the published code's dependence on order and scale. NaN with a side below 3.

    A window whose mass is all in one bin has no entropy to share: it scores 1 where both have the same bin, else 0.
    The published code (``fmi``) asks for equal grey levels instead, and compares later sources with a stretched window.
    """
    return fmi_by_source(context).mean(0)


@metric(
    "FMI",
    range=(-1.0, 1.0),
    convention="horizontal central differences (Haghighat's 'gradient')",
    paper=_PAPER,
    symmetric=False,
    equation=_EQUATION,
    variant_of="fmi",
)
def fmi_gradient(context: MetricContext) -> Tensor:
    """Mutual information of the horizontal derivative. One where all images are equal; NaN with a side below 3."""
    return context.once(_of_gradients)[0].mean(0)


@metric(
    "FMI",
    range=(-1.0, 1.0),
    convention="`fmi_gradient` as `fmi_symmetric` is to `fmi`",
    paper=_PAPER,
    equation=_EQUATION,
    variant_of="fmi",
)
def fmi_gradient_symmetric(context: MetricContext) -> Tensor:
    """FMI of the horizontal derivative, alike for every source. NaN with a side below 3."""
    return context.once(_of_gradients)[1].mean(0)


@metric(
    "FMI",
    range=(-1.0, 1.0),
    convention="DCT-II of the whole image (Haghighat's 'dct', Tang's FMI_dct)",
    paper=_PAPER,
    equation=_EQUATION,
    variant_of="fmi",
)
def fmi_dct(context: MetricContext) -> Tensor:
    """Mutual information of the cosine coefficients. One where all images are equal; NaN with a side below 3."""
    return window_information(_dct(_dct(context.planes).mT).mT.div(_GRID).round_())[1].mean(0)


@metric(
    "FMI",
    range=(-1.0, 1.0),
    convention="one level of dmey, symmetric border (Haghighat's 'wavelet'); 62 taps here, 102 in MATLAB",
    paper=_PAPER,
    equation=_EQUATION,
    variant_of="fmi",
)
def fmi_wavelet(context: MetricContext) -> Tensor:
    """Mutual information of the four wavelet bands laid side by side. One where all images are equal.

    NaN with a side below 3.
    """
    height, width = context.fused.shape[-2:]
    device = context.planes.device
    bands = (_dmey(height, device) @ context.planes @ _dmey(width, device).mT).div_(_GRID).round_()
    (low, vertical), (horizontal, diagonal) = (rows.chunk(2, -1) for rows in bands.chunk(2, -2))
    # MATLAB's layout, [cA, cH; cV, cD], has horizontal details at the right; it shows in the windows across the seams.
    layout = torch.cat((torch.cat((low, horizontal), -1), torch.cat((vertical, diagonal), -1)), -2)
    return window_information(layout)[1].mean(0)


def fmi_by_source(context: MetricContext) -> Tensor:
    """The terms of ``fmi_symmetric``, (n, B): alike for every source."""
    return context.once(_of_pixels)[1]


def _of_pixels(context: MetricContext) -> Tensor:
    return window_information(context.planes)


def _of_gradients(context: MetricContext) -> Tensor:
    if min(context.fused.shape[-2:]) < SIDE:
        return context.undefined.expand(2, len(context.sources), -1)
    return window_information(torch.gradient(context.planes, dim=-1)[0])


def _dct(signals: Tensor) -> Tensor:
    """Orthonormal DCT-II along the last axis, by one FFT of the same length (Makhoul 1980)."""
    length = signals.shape[-1]
    reordered = torch.cat((signals[..., ::2], signals[..., 1::2].flip(-1)), dim=-1)
    number = torch.arange(length, device=signals.device, dtype=signals.dtype)
    turn = torch.polar(torch.ones_like(number), -math.pi * number / (2 * length))
    coefficients: Tensor = (torch.fft.fft(reordered) * turn).real * math.sqrt(2 / length)
    coefficients[..., 0] /= math.sqrt(2)
    return coefficients


@lru_cache(maxsize=8)
def _dmey(length: int, device: torch.device) -> Tensor:
    """One level of the discrete Meyer transform as a matrix: low-pass rows, then high-pass rows."""
    identity = torch.eye(length, dtype=torch.float64).numpy()
    low, high = pywt.dwt(identity, "dmey", mode="symmetric", axis=0)
    return torch.cat((torch.from_numpy(low), torch.from_numpy(high))).to(device)
