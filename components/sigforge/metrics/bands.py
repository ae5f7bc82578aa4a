"""Large images band by band: what a metric keeps of every band is a few sums, so memory hardly grows with the image.

Images of up to :data:`WHOLE` pixels are one band, and nothing differs for them.
"""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from sigforge.metrics.context import MetricContext

WHOLE = 2**22
"""Pixels of an image that is not cut: 4 million, as 2048 x 2048."""
BAND = 2**18
"""Pixels of a band of a larger one."""


class Band(NamedTuple):
    """Rows ``start`` to ``stop`` of an image; what a metric measures there lies in ``inner`` of the context's rows."""

    context: MetricContext
    start: int
    stop: int
    inner: slice


def is_large(pixels: int) -> bool:
    """Whether an image of so many pixels is scored in bands."""
    return pixels > WHOLE


def rows_of_bands(height: int, width: int, multiple: int = 1) -> list[tuple[int, int]]:
    """First and last row (excluded) of each band of an image.

    Args:
        height: of the image, pixels.
        width: likewise.
        multiple: every band but the last has a multiple of so many rows.

    Example:
        >>> rows_of_bands(100, 100), rows_of_bands(4096, 4096)[:2], len(rows_of_bands(4096, 4096))
        ([(0, 100)], [(0, 64), (64, 128)], 64)
    """
    if not is_large(height * width):
        return [(0, height)]
    rows = max(1, BAND // width // multiple) * multiple
    return [(start, min(start + rows, height)) for start in range(0, height, rows)]


def bands(context: MetricContext, halo: int = 0, multiple: int = 1) -> Iterator[Band]:
    """The bands of a batch; the whole batch, with all that was computed of it already, where one will do.

    Args:
        context: the batch.
        halo: rows beyond a band that its context has, too, where the image has them.
        multiple: see :func:`rows_of_bands`.
    """
    height, width = context.values.shape[-2:]
    limits = rows_of_bands(height, width, multiple)
    for start, stop in limits:
        first, last = max(0, start - halo), min(height, stop + halo)
        whole = len(limits) == 1
        part = context if whole else MetricContext(context.values[..., first:last, :])
        yield Band(part, start, stop, slice(start - first, stop - first))


def in_bands(planes: Tensor, halo: int = 0) -> Iterator[tuple[Tensor, slice]]:
    """Planes (..., H, W) band by band in float64, with the rows of the halo, and which rows are the band's own.

    Args:
        planes: of any type.
        halo: rows beyond a band, where there are any.
    """
    height, width = planes.shape[-2:]
    for start, stop in rows_of_bands(height, width):
        first, last = max(0, start - halo), min(height, stop + halo)
        yield planes[..., first:last, :].double(), slice(start - first, stop - first)
