"""Metrics on how strongly the fused image varies."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sigforge.metrics.context import MetricContext, sobel_of_padded
from sigforge.metrics.registry import metric

_ESKICIOGLU = "Eskicioglu & Fisher, Image quality measures and their performance, IEEE Trans. Commun. 43(12), 1995"
_CUI = "Cui et al., Detail preserved fusion of visible and infrared images, Optics Communications 341, 2015"
#: Largest spatial frequency: black and white pixels alternating in both directions.
_MAX_SF = 255 * math.sqrt(2)
#: A diagonal neighbour is further away by the square root of two.
_DIAGONAL = math.sqrt(2) / 2


@metric(
    "SF",
    range=(0.0, _MAX_SF),
    convention="row and column means over their own number of differences, 0..255 (Tang, CDDFuse)",
    paper=_ESKICIOGLU,
    equation=r"\sqrt{\overline{(\partial_x F)^2} + \overline{(\partial_y F)^2}}",
)
def sf(context: MetricContext) -> Tensor:
    """Spatial frequency of the fused image: root of the mean squared differences. Zero on a constant image.

    NaN where H or W is 1.
    """
    across, down = context.fused.diff(dim=-1), context.fused.diff(dim=-2)
    return (across.square().mean((-2, -1)) + down.square().mean((-2, -1))).sqrt()


@metric(
    "SF",
    range=(0.0, _MAX_SF),
    convention="both sums divided by HW (Liu, VIFB); `sf` divides each by its own count",
    paper=_ESKICIOGLU,
    equation=r"\sqrt{\frac{1}{HW}\sum (\partial_x F)^2 + \frac{1}{HW}\sum (\partial_y F)^2}",
    variant_of="sf",
)
def sf_vifb(context: MetricContext) -> Tensor:
    """Spatial frequency with one divisor, smaller than ``sf`` by about 1/W + 1/H. Zero on a constant image."""
    across, down = context.fused.diff(dim=-1), context.fused.diff(dim=-2)
    total = across.square().sum((-2, -1)) + down.square().sum((-2, -1))
    return (total / context.fused[0].numel()).sqrt()


@metric(
    "AG",
    range=(0.0, math.inf),
    convention="central differences, sum divided by (H-1)(W-1), 0..255 (Tang, VIFB)",
    paper=_CUI,
    equation=r"\frac{1}{(H-1)(W-1)}\sum_p \sqrt{\tfrac{1}{2}[(\partial_x F)^2 + (\partial_y F)^2]}",
)
def ag(context: MetricContext) -> Tensor:
    """Average gradient of the fused image. Zero on a constant image; NaN where H or W is below 2."""
    height, width = context.fused.shape[-2:]
    return ag_cddfuse(context) * (height * width) / max(1, (height - 1) * (width - 1))


@metric(
    "AG",
    range=(0.0, math.inf),
    convention="central differences, plain mean, 0..255 (CDDFuse); Tang divides by (H-1)(W-1)",
    paper=_CUI,
    equation=r"\frac{1}{HW}\sum_p \sqrt{\tfrac{1}{2}[(\partial_x F)^2 + (\partial_y F)^2]}",
    variant_of="ag",
)
def ag_cddfuse(context: MetricContext) -> Tensor:
    """Average gradient over all pixels. Zero on a constant image; NaN where H or W is below 2."""
    return context.once(_mean_gradient)


@metric(
    "EI",
    range=(0.0, math.inf),
    convention="mean Sobel strength, replicated border, 0..255 (VIFB)",
    paper="Rajalingam & Priya, Hybrid multimodality medical image fusion technique, IJESI, 2018 (as VIFB cites it)",
    equation=r"\overline{\sqrt{S_x^2 + S_y^2}}",
)
def ei(context: MetricContext) -> Tensor:
    """Edge intensity of the fused image: its mean Sobel strength. Zero on a constant image."""
    gx, gy = sobel_of_padded(F.pad(context.fused[None], (1, 1, 1, 1), mode="replicate")[0])
    return torch.hypot(gx, gy).mean((-2, -1))


@metric(
    "Q_SF",
    higher_is_better=False,
    target=0.0,
    range=(-1.0, math.inf),
    convention="four directions, signed: zero is best, negative is too smooth (Liu's metricZheng)",
    paper="Zheng et al., A new metric based on extended spatial frequency, Information Fusion 8(2), 2007",
    equation=r"(SF_F - SF_R) / SF_R,\quad |\partial R| = \max(|\partial A|, |\partial B|)",
)
def q_sf(context: MetricContext) -> Tensor:
    """Ratio of spatial frequency error: how far the fused image is from the sharpest source at every pixel.

    Zero is best: blur lowers it, noise raises it. NaN where all sources are constant.
    """
    total = context.planes.new_zeros(2, context.planes.shape[1])
    for rise, weight in _four_directions(context.planes):
        power = rise.square()
        total += weight * torch.stack((power[-1], power[:-1].amax(0))).sum((-2, -1))
    fused, reference = total.sqrt().unbind()
    return (fused - reference) / reference


def _four_directions(planes: Tensor) -> list[tuple[Tensor, float]]:
    """Differences along rows, columns and both diagonals, with the weight of each."""
    above, below = planes[..., :-1, :], planes[..., 1:, :]
    falling, rising = below[..., 1:] - above[..., :-1], below[..., :-1] - above[..., 1:]
    return [(planes.diff(dim=-1), 1.0), (below - above, 1.0), (falling, _DIAGONAL), (rising, _DIAGONAL)]


def _mean_gradient(context: MetricContext) -> Tensor:
    if min(context.fused.shape[-2:]) < 2:
        return context.undefined
    dy, dx = torch.gradient(context.fused, dim=(-2, -1))
    return ((dx.square() + dy.square()) / 2).sqrt().mean((-2, -1))
