"""The selecting head as a fusion network of its own: per pixel a weight for every source, and nothing else.

No paper's method: the control that SigFusion with the same head must beat (``docs/experiments/network.md``).
"""

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from sigforge.methods.sigfusion.head import REACHES, Fused, SelectHead
from sigforge.methods.sigfusion.network import check_sources
from sigforge.methods.tiling import run_tiled
from sigforge.methods.weights import load_model

KIND = "select"


class SelectFusion(nn.Module):
    """Weighs n >= 2 sources per pixel by their values and gradients; starts as their mean.

    Example:
        >>> net = SelectFusion()
        >>> sources = torch.rand(3, 1, 1, 20, 17)
        >>> torch.allclose(net.fuse(*sources), sources.mean(0))
        True
    """

    tile: ClassVar[int] = 1024

    def __init__(self) -> None:
        super().__init__()
        self.head = SelectHead()

    def explain(self, sources: Tensor) -> Fused:
        """Sources (n, B, 1, H, W) in [0, 1] to their fusion and its weights."""
        return self.head(sources)

    def forward(self, sources: Tensor) -> Tensor:
        """(n, B, 1, H, W) in [0, 1] to (B, 1, H, W)."""
        return self.explain(sources).image

    @torch.inference_mode()
    def fuse(self, *sources: Tensor) -> Tensor:
        """Registered lumas (B, 1, H, W) in [0, 1] of any size to one; large images in tiles.

        Raises:
            UserError: fewer than two sources, or sources of different size.
        """
        check_sources(sources)
        return run_tiled(self, torch.stack(sources), tile=self.tile, overlap=8 * sum(REACHES)).clamp(0, 1)


def load_select(path: Path) -> SelectFusion:
    """A trained head from its file.

    Raises:
        UserError: no such file, another network's, or one of another version.
    """
    return load_model(path, lambda _: SelectFusion(), kind=KIND)
