"""The fusion network on the full-resolution SigFormer, ``sigformer.form: full``."""

from typing import Any

from torch import Tensor

from sigforge.methods.sigfusion.full.network import FullConfig, FullMerge, FullSigFormer, FullSubbands
from sigforge.methods.sigfusion.head import Decoded, SelectHead
from sigforge.methods.sigfusion.network import FusionNetwork


class FullFusion(FusionNetwork):
    """Fuses any number of sources, in any order; starts as their mean.

    Args:
        config: of the SigFormer.
        select: with a :class:`SelectHead`.

    Example:
        >>> import torch
        >>> net = FullFusion(FullConfig(), select=True)
        >>> sources = torch.rand(3, 1, 1, 37, 45)
        >>> torch.allclose(net.fuse(*sources), sources.mean(0), atol=1e-5)
        True
    """

    tile = 1024

    def __init__(self, config: FullConfig, *, select: bool = False) -> None:
        highs = len(config.pools) * (config.bands - 1)
        super().__init__(SelectHead(config.width, highs) if select else None)
        self.sigformer, self.merge = FullSigFormer(config), FullMerge(config)
        self.multiple, self.minimum_side = config.multiple, config.minimum_side

    def decode(self, sources: Tensor) -> Decoded:
        """(n, B, 1, H, W) in [0, 1], sides multiples of ``multiple``."""
        parts = self.sigformer.decompose(sources.flatten(0, 1), len(sources))
        features = self.sigformer.features(self.merge(parts, len(sources)))
        return Decoded(self.sigformer.picture(features), features, self._strengths(parts, sources))

    def _strengths(self, parts: FullSubbands, sources: Tensor) -> list[Tensor]:
        levels: Any = zip(self.sigformer.decomposer, parts.high, strict=True)
        maps = (level.side.strength(high, sources.shape[-2:]) for level, high in levels)
        return [each.unflatten(0, sources.shape[:2]) for each in maps]
