"""Signal Modulators (SM): a Transformer for the low subband, an MLP for each high one, a set per modality.

Wang et al., "SigFusion", AAAI 2026, Eq. (5); the paper's appendix with the layer details is not public, so widths and
the segment form of the MLP are ours (``docs/decisions.md``). Every modulator starts as the identity.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from components.models.blocks import Attention, Mlp
from components.models.sigformer import SigFormerConfig, Subbands


class LowModulator(nn.Module):
    """Pre-norm Transformer layers on the tokens of the low map (B, width, h, w), added to their input."""

    def __init__(self, width: int, heads: int, layers: int = 2) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Sequential(Attention(width, heads), Mlp(width)) for _ in range(layers)))
        self.project = _zero(nn.Conv2d(width, width, 1))

    def forward(self, low: Tensor) -> Tensor:
        return low + self.project(self.layers(low))


class HighModulator(nn.Module):
    """MLP along segments of each signal, then across signals; (B, signals, L) of any length.

    Mixing along the signal axis can change frequency content, which a gain per sample could not.
    """

    def __init__(self, signals: int, segment: int, expansion: int = 2) -> None:
        super().__init__()
        self.segment = segment
        self.along = nn.Sequential(
            nn.Linear(segment, expansion * segment), nn.GELU(), _zero(nn.Linear(expansion * segment, segment))
        )
        self.across = nn.Sequential(
            nn.Conv1d(signals, expansion * signals, 1), nn.GELU(), _zero(nn.Conv1d(expansion * signals, signals, 1))
        )

    def forward(self, high: Tensor) -> Tensor:
        length = high.shape[-1]
        segments = F.pad(high, (0, -length % self.segment)).unflatten(-1, (-1, self.segment))
        high = high + self.along(segments).flatten(-2)[..., :length]
        return high + self.across(high)


class SignalModulator(nn.Module):
    """All modulators of one modality: named subbands in, modulated subbands out (Eq. 5).

    Args:
        config: of the SigFormer whose subbands are modulated.
        segment: samples per segment at the finest level, divided by the pooling at coarser ones.
    """

    def __init__(self, config: SigFormerConfig, segment: int = 32) -> None:
        super().__init__()
        lengths = {f"H{i}": max(4, segment // pool) for i, pool in enumerate(config.pools, start=1)}
        self.modulators = nn.ModuleDict(
            {
                name: LowModulator(config.width, config.heads)
                if name.startswith("L")
                else HighModulator(config.signals, lengths[name.split("_")[0]])
                for name in config.subbands
            }
        )

    def forward(self, parts: Subbands) -> Subbands:
        return parts.map(lambda name, values: self.modulators[name](values))


def _zero(layer: nn.Linear | nn.Conv2d | nn.Conv1d) -> nn.Module:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
