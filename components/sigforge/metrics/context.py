"""What the metrics of one batch share: every intermediate is computed at most once, when a metric first asks for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 256
ROWS = 256
"""Of a large image, counted at a time."""
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class MetricContext:
    """One batch of fused images with their n sources, on the 8-bit grey scale that the metrics are defined on.

    Args:
        values: whole numbers 0..255, (n + 1, B, H, W), float64 or, of large images, uint8: the sources in order, then
            fused.
        reference: ground-truth fused images, (B, H, W) on the same scale, or None.

    Example:
        >>> context = MetricContext(torch.zeros(3, 2, 8, 9, dtype=torch.float64))
        >>> context.fused.shape, context.joint_histograms.shape
        (torch.Size([2, 8, 9]), torch.Size([2, 2, 256, 256]))
    """

    values: Tensor
    reference: Tensor | None = None
    _made: dict[object, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def planes(self) -> Tensor:
        """The values as float64; of a large image that is much, which metrics in bands do without."""
        return self.values.double()

    @property
    def sources(self) -> Tensor:
        """The sources, (n, B, H, W)."""
        return self.planes[:-1]

    @property
    def fused(self) -> Tensor:
        """The fused images, (B, H, W)."""
        return self.planes[-1]

    @property
    def truth(self) -> Tensor:
        """The true fused images, (B, H, W), for metrics that need them.

        Raises:
            ValueError: there are none.
        """
        if self.reference is None:
            raise ValueError("no true fused image was given")
        return self.reference

    @property
    def undefined(self) -> Tensor:
        """NaN for every image, (B,): the answer of a metric that the images are too small for."""
        size = self.values.shape[1]
        return torch.full((size,), torch.nan, dtype=torch.float64, device=self.values.device)

    def once(self, make: Callable[..., Made], *args: object) -> Made:
        """``make(self, *args)``, computed by the first metric that asks and kept for the others.

        Args:
            make: a module-level function, so that every metric asks for the same one.
            args: hashable.
        """
        if (make, args) not in self._made:
            self._made[make, args] = make(self, *args)
        made: Made = self._made[make, args]
        return made

    @cached_property
    def levels(self) -> Tensor:
        """The planes as int64, (n + 1, B, H, W)."""
        return self.planes.long()

    @cached_property
    def stretched(self) -> Tensor:
        """Every plane stretched to whole numbers over all of 0..255, (n + 1, B, H, W); a constant one becomes black."""
        low, high = self.planes.amin((-2, -1), keepdim=True), self.planes.amax((-2, -1), keepdim=True)
        # Half up, as MATLAB rounds positive numbers; torch rounds half to even.
        return ((self.planes - low) / (high - low).clamp(min=1)).mul_(255).add_(0.5).floor_()

    @cached_property
    def histograms(self) -> Tensor:
        """Relative frequency of each grey level in every plane, (n + 1, B, 256)."""
        return self._shares(lambda levels: frequencies(levels, LEVELS))

    @cached_property
    def joint_histograms(self) -> Tensor:
        """Relative frequency of (source level, fused level) for every source, (n, B, 256, 256)."""
        return self._shares(lambda levels: joint_frequencies(levels[:-1], levels[-1]))

    def _shares(self, count: Callable[[Tensor], Tensor]) -> Tensor:
        """Frequencies over the image: of a large one, the mean of those of its rows, some at a time."""
        if self.values.dtype != torch.uint8:
            return count(self.levels)
        height = self.values.shape[-2]
        parts = torch.split(self.values, ROWS, dim=-2)
        return reduce(torch.add, (count(part.long()) * (part.shape[-2] / height) for part in parts))

    @cached_property
    def sobel(self) -> tuple[Tensor, Tensor]:
        """Sobel derivatives of the planes along x (right minus left) and y (below minus above), zero border."""
        return sobel_of_padded(F.pad(self.planes, (1, 1, 1, 1)))


def sobel_of_padded(padded: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel derivatives along x and y of (..., H + 2, W + 2), both (..., H, W)."""
    down = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    across = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    return down[..., 2:] - down[..., :-2], across[..., 2:, :] - across[..., :-2, :]


def joint_frequencies(x: Tensor, y: Tensor) -> Tensor:
    """Relative frequency of (x level, y level) for whole numbers 0..255, (N, B, H, W) -> (N, B, 256, 256)."""
    joint = frequencies(x * LEVELS + y, LEVELS * LEVELS)
    return joint.view(*joint.shape[:-1], LEVELS, LEVELS)


def frequencies(bins: Tensor, count: int) -> Tensor:
    """Share of each of ``count`` bins in every image of (N, B, H, W) bin numbers, as (N, B, count)."""
    images = bins.flatten(0, 1).flatten(1)
    offsets = torch.arange(len(images), device=bins.device)[:, None] * count
    counts = torch.bincount((images + offsets).flatten(), minlength=len(images) * count)
    return counts.double().div_(images.shape[1]).view(*bins.shape[:2], count)
