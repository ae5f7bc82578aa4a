"""Metrics on wavelet decompositions."""

from functools import reduce

import torch
from torch import Tensor

from sigforge.metrics.bands import bands
from sigforge.metrics.context import MetricContext
from sigforge.metrics.registry import metric

#: Exponents of the finest and the next Haar level.
_LEVEL_WEIGHTS = (2 / 3, 1 / 3)


@metric(
    "Q_M",
    range=(0.0, 3.0),
    convention="two orthonormal Haar levels, bands summed not averaged (Liu's metricPWW; his metricWang is Q_NCIE)",
    paper="Wang & Liu, A novel image fusion metric based on multi-scale analysis, ICSP 2008",
    equation=r"\prod_{l=1}^{2} \left(\frac{\sum_p E^A_l W^A_l + E^B_l W^B_l}{\sum_p W^A_l + W^B_l}\right)^{\alpha_l}",
)
def q_m(context: MetricContext) -> Tensor:
    r"""Multiscale fusion quality: Haar details of the fused image compared with those of each source.

    At level l and for source S with details H, V, D: :math:`W^S = H_S^2 + V_S^2 + D_S^2` and
    :math:`E^S = \sum_{X \in H,V,D} e^{-|X_S - X_F|}` in grey levels; the exponents are 2/3 (finest) and 1/3.
    One grey level of error changes the score a lot: JPEG against PNG of one fused image gave 1.186 against 0.947.
    An odd last row or column is dropped. NaN where the sources have no detail at some level (both constant), and on
    images below 4x4 pixels.

    Example:
        >>> from sigforge.metrics import score
        >>> checks = torch.tensor([[1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]).repeat(4, 2)[None, None]
        >>> score(checks, checks, checks, metrics="q_m")["q_m"].item()
        3.0
    """
    kept, held = context.once(_details_kept)
    return _over_levels(kept.sum(1) / held.sum(1))


def q_m_by_source(context: MetricContext) -> Tensor:
    """What ``q_m`` is where each source is the only one, (n, B)."""
    kept, held = context.once(_details_kept)
    return _over_levels(kept / held)


def _details_kept(context: MetricContext) -> tuple[Tensor, Tensor]:
    """Sums over the pixels of E W and of W, for every level and source, each (2, n, B)."""
    # Bands of whole blocks of 4 x 4: an odd last row is dropped in the last one, as it is in the image.
    parts = (_details_of(band.context.planes[..., band.inner, :]) for band in bands(context, multiple=4))
    total = reduce(torch.add, parts)
    return total[0], total[1]


def _details_of(planes: Tensor) -> Tensor:
    """The same of rows of the image, (2, 2, n, B): E W, W."""
    sums, low = [], planes
    for _ in _LEVEL_WEIGHTS:
        low, details = _haar(low)
        weight = details[:, :-1].square().sum(0)
        likeness = torch.exp(-(details[:, :-1] - details[:, -1:]).abs_()).sum(0)
        sums.append(((likeness * weight).sum((-2, -1)), weight.sum((-2, -1))))
    kept, held = zip(*sums, strict=True)
    return torch.stack((torch.stack(kept), torch.stack(held)))


def _over_levels(quality: Tensor) -> Tensor:
    """The weighted geometric mean over the first axis, the levels."""
    (first, second), (one, other) = quality.unbind(), _LEVEL_WEIGHTS
    mean: Tensor = first**one * second**other
    return mean


def _haar(planes: Tensor) -> tuple[Tensor, Tensor]:
    """One 2-D orthonormal Haar step: (..., H, W) -> low (..., H//2, W//2) and the three details stacked in front."""
    height, width = (2 * (side // 2) for side in planes.shape[-2:])
    even, odd = planes[..., 0:height:2, :width], planes[..., 1:height:2, :width]
    bands = []
    for rows in (even + odd, odd - even):
        left, right = rows[..., 0::2], rows[..., 1::2]
        bands += [(left + right) / 2, (right - left) / 2]
    return bands[0], torch.stack(bands[1:])
