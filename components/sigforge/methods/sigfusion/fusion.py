"""SigFusion's fusion network FN: SigFormer with the subbands of all sources merged by 1x1 convolutions.

Wang et al., "SigFusion", AAAI 2026, section "Fusion Network" and Eq. (14).
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig, Subbands
from sigforge.methods.tiling import run_padded, run_tiled
from sigforge.methods.weights import load_model

KIND = "fusion"


class Merge(nn.Module):
    """Subbands of all sources, concatenated along channels, to one set: a 1x1 convolution and a perceptron beside it.

    Starts as the mean. A sum of linear maps cannot take the stronger of two coefficients; the perceptron, which sees
    those of all sources at one place, can.
    """

    def __init__(self, convolution: type[nn.Conv1d] | type[nn.Conv2d], channels: int, sources: int) -> None:
        super().__init__()
        together = sources * channels
        self.mean = convolution(together, channels, 1)
        self.choose = nn.Sequential(
            convolution(together, 2 * together, 1, bias=False),
            nn.GELU(),
            convolution(2 * together, channels, 1, bias=False),
        )
        with torch.no_grad():
            self.mean.weight.zero_()
            self.mean.bias.zero_()
            self.choose[-1].weight.zero_()
            for source in range(sources):
                self.mean.weight[range(channels), range(source * channels, (source + 1) * channels)] = 1 / sources

    def forward(self, stacked: Tensor) -> Tensor:
        return self.mean(stacked) + self.choose(stacked)


class FusionNet(nn.Module):
    """Fuses registered luma planes; starts out averaging the subbands of its sources.

    Example:
        >>> net = FusionNet(SigFormer(SigFormerConfig(width=8, heads=2, signals=4)))
        >>> net.fuse(torch.rand(1, 1, 33, 45), torch.rand(1, 1, 33, 45)).shape
        torch.Size([1, 1, 33, 45])
    """

    def __init__(self, sigformer: SigFormer, sources: int = 2) -> None:
        super().__init__()
        config: SigFormerConfig = sigformer.config
        self.sigformer = sigformer
        self.merge_low = Merge(nn.Conv2d, config.width, sources)
        self.merge_high = nn.ModuleDict(
            {name: Merge(nn.Conv1d, config.signals, sources) for name in config.subbands[1:]}
        )

    def forward(self, sources: Tensor) -> Tensor:
        """(n, B, 1, H, W) in [0, 1], sides multiples of ``config.multiple``, to (B, 1, H, W), unclamped."""
        parts = self.sigformer.decompose_together(sources)
        return self.sigformer.reconstruct(self.merge(parts))

    def merge(self, parts: tuple[Subbands, ...]) -> Subbands:
        """Concatenate the sources' subbands along channels and mix them down to one set."""

        def mix(name: str, _: Tensor) -> Tensor:
            stacked = torch.cat([part[name] for part in parts], dim=1)
            return self.merge_low(stacked) if name.startswith("L") else self.merge_high[name](stacked)

        return parts[0].map(mix)

    @torch.inference_mode()
    def fuse(self, *sources: Tensor) -> Tensor:
        """Registered lumas (B, 1, H, W) in [0, 1] of any size to one, clamped to [0, 1]; large images in tiles."""
        config = self.sigformer.config

        def whole(stack: Tensor) -> Tensor:
            return run_padded(self, stack, multiple=config.multiple, minimum=config.minimum_side)

        return run_tiled(whole, torch.stack(sources)).clamp(0, 1)


def load_fusion(path: Path) -> FusionNet:
    """A trained fusion network from its file, which says how it is built.

    Raises:
        UserError: no such file, not a fusion network, or one of another version.
    """
    return load_model(
        path, lambda config: FusionNet(SigFormer(SigFormerConfig.model_validate(config["sigformer"]))), kind=KIND
    )
