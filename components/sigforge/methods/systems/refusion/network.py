"""ReFusion to be trained: the fusion network with the two that teach it, loss proposal and reconstruction.

Bai et al., "ReFusion", IJCV 133, 2025. Only the fusion network was published
(:mod:`sigforge.methods.published.refusion`). The paper gives the other two no layers: ours are of the same Restormer
blocks, two at width 32 each; a softmax over the sources makes the proposed weights sum to 1, and the sources are
rebuilt as what the fused image lacks of them.
"""

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from sigforge.methods.published.refusion import ReFusion, Restormer
from sigforge.methods.systems.refusion.losses import LossWeights, gradients
from sigforge.methods.weights import load_model

KIND = "refusion"
WIDTH, BLOCKS = 32, 2


class LossProposal(nn.Module):
    """P: sources and their gradients to the weights of the fusion loss."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(4, width), *(Restormer(width) for _ in range(BLOCKS)))
        self.intensity, self.gradient = _conv(width, 2), _conv(width, 2)

    def forward(self, sources: Tensor) -> LossWeights:
        """(2, B, 1, H, W) in [0, 1] to two sets of weights of that shape."""
        images = torch.cat([*sources, *gradients(sources)], dim=1)
        features = self.body(images)
        scores = (head(features).movedim(1, 0)[:, :, None] for head in (self.intensity, self.gradient))
        return LossWeights(*(score.softmax(0) for score in scores))


class Reconstruction(nn.Module):
    """R: the fused image back to both sources, a branch for each says what is to be added.

    It begins as the identity, so what P learns from it means something from the first step; with an R that must first
    learn to draw the sources, P drifts to one of them (docs/experiments/systems.md has the figures).
    """

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.stem = _conv(1, width)
        self.branches = nn.ModuleList(
            nn.Sequential(*(Restormer(width) for _ in range(BLOCKS)), _conv(width, 1)) for _ in range(2)
        )
        for branch in self.branches:
            nn.init.zeros_(cast(nn.Conv2d, cast(nn.Sequential, branch)[-1]).weight)

    def forward(self, fused: Tensor) -> Tensor:
        """(B, 1, H, W) in [0, 1] to (2, B, 1, H, W), which may leave that range."""
        features = self.stem(fused)
        return torch.stack([fused + branch(features) for branch in self.branches])


class ReFusionSystem(nn.Module):
    """Fusion F, loss proposal P and reconstruction R; only F fuses, the others are needed to train it further.

    Example:
        >>> system = ReFusionSystem()
        >>> system.fuse(torch.rand(1, 1, 9, 14), torch.rand(1, 1, 9, 14)).shape
        torch.Size([1, 1, 9, 14])
    """

    def __init__(self) -> None:
        super().__init__()
        self.fusion, self.proposal, self.reconstruction = ReFusion(), LossProposal(), Reconstruction()

    @torch.inference_mode()
    def fuse(self, a: Tensor, b: Tensor, *, stretch: bool = False) -> Tensor:
        """Registered lumas (B, 1, H, W) in [0, 1] of any size to one.

        Args:
            a: (B, 1, H, W) in [0, 1].
            b: likewise.
            stretch: to the full range, as the authors save their images; the paper does not mention it.
        """
        return self.fusion.fuse(torch.stack([a, b]), stretch=stretch)


def load_refusion(path: Path) -> ReFusionSystem:
    """A trained system from its file.

    Raises:
        UserError: no such file, not this system, or one of another version.
    """
    return load_model(path, lambda config: ReFusionSystem(**config), kind=KIND)


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
