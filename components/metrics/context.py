"""What the metrics of one batch share: every intermediate is computed at most once, when a metric first asks for it."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 256


@dataclass(frozen=True, eq=False)
class Context:
    """One batch of source pairs and fused images, on the 8-bit grey scale that the metrics are defined on.

    Args:
        planes: float64 tensor (3, B, H, W) of whole numbers 0..255: source a, source b, fused.

    Example:
        >>> context = Context(torch.zeros(3, 2, 8, 9, dtype=torch.float64))
        >>> context.fused.shape, context.joint_histograms.shape
        (torch.Size([2, 8, 9]), torch.Size([2, 2, 256, 256]))
    """

    planes: Tensor

    @property
    def sources(self) -> Tensor:
        """Both sources, (2, B, H, W)."""
        return self.planes[:2]

    @property
    def fused(self) -> Tensor:
        """The fused images, (B, H, W)."""
        return self.planes[2]

    @cached_property
    def levels(self) -> Tensor:
        """The planes as int64, (3, B, H, W)."""
        return self.planes.long()

    @cached_property
    def histograms(self) -> Tensor:
        """Relative frequency of each grey level in a, b and fused, (3, B, 256)."""
        return _frequencies(self.levels, LEVELS)

    @cached_property
    def joint_histograms(self) -> Tensor:
        """Relative frequency of (source level, fused level) for a and b, (2, B, 256, 256)."""
        pairs = self.levels[:2] * LEVELS + self.levels[2]
        return _frequencies(pairs, LEVELS * LEVELS).unflatten(-1, (LEVELS, LEVELS))

    @cached_property
    def sobel(self) -> tuple[Tensor, Tensor]:
        """Sobel derivatives of the planes along x (right minus left) and y (below minus above), zero border."""
        padded = F.pad(self.planes, (1, 1, 1, 1))
        down = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
        across = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
        return down[..., 2:] - down[..., :-2], across[..., 2:, :] - across[..., :-2, :]


def _frequencies(bins: Tensor, count: int) -> Tensor:
    """Share of each of ``count`` bins in every image of (N, B, H, W) bin numbers, as (N, B, count)."""
    images = bins.flatten(0, 1).flatten(1)
    offsets = torch.arange(len(images), device=bins.device)[:, None] * count
    counts = torch.bincount((images + offsets).flatten(), minlength=len(images) * count)
    return counts.double().div_(images.shape[1]).view(*bins.shape[:2], count)
