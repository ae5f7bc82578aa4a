"""Signal Modulators (SM): a Transformer for the low subband, an MLP for each high one, a set per modality.

Wang et al., "SigFusion", AAAI 2026, Eq. (5); the paper's appendix with the layer details is not public, so widths and
the sliding form of the MLP are ours (``docs/decisions.md``). Every modulator starts as the identity.
"""

from typing import Literal

from torch import Tensor, nn

from sigforge.methods.sigfusion.blocks import Attention, Mlp
from sigforge.methods.sigfusion.sigformer import SigFormerConfig, Subbands

Modulated = Literal["all", "none", "no_high", "no_low"]


class LowModulator(nn.Module):
    """Pre-norm Transformer layers on the tokens of the low map (B, width, h, w), added to their input."""

    def __init__(self, width: int, heads: int, share: int = 1, layers: int = 2) -> None:
        super().__init__()
        made = (nn.Sequential(Attention(width, heads, share), Mlp(width)) for _ in range(layers))
        self.layers = nn.Sequential(*made)
        self.project = _zero(nn.Conv2d(width, width, 1, bias=False))

    def forward(self, low: Tensor) -> Tensor:
        return low + self.project(self.layers(low))


class HighModulator(nn.Module):
    """MLP on a window sliding along each signal, then across signals; (B, signals, L) of any length.

    Mixing along the signal can change frequency content, which a gain per sample could not. The window slides because
    an MLP on fixed segments learns the row length of its training crops and leaves seams at any other. There are no
    biases: silence stays silent, or flat regions would fill with a patch grid.
    """

    def __init__(self, signals: int, window: int = 9, hidden: int = 16, expansion: int = 2) -> None:
        super().__init__()
        self.along = nn.Sequential(
            nn.Conv1d(1, hidden, window, padding=window // 2, bias=False),
            nn.GELU(),
            _zero(nn.Conv1d(hidden, 1, 1, bias=False)),
        )
        self.across = nn.Sequential(
            nn.Conv1d(signals, expansion * signals, 1, bias=False),
            nn.GELU(),
            _zero(nn.Conv1d(expansion * signals, signals, 1, bias=False)),
        )

    def forward(self, high: Tensor) -> Tensor:
        high = high + self.along(high.flatten(0, 1)[:, None]).view_as(high)
        return high + self.across(high)


class SignalModulator(nn.Module):
    """All modulators of one modality: named subbands in, modulated subbands out (Eq. 5).

    Args:
        sm: which subbands have one; the others pass unchanged (the paper's ablations).
    """

    def __init__(self, config: SigFormerConfig, sm: Modulated = "all") -> None:
        super().__init__()
        low, high = sm in ("all", "no_high"), sm in ("all", "no_low")
        made = {config.subbands[0]: LowModulator(config.width, config.heads, config.share)} if low else {}
        made |= {name: HighModulator(config.signals) for name in config.subbands[1:]} if high else {}
        self.modulators = nn.ModuleDict(made)

    def forward(self, parts: Subbands) -> Subbands:
        return parts.map(lambda name, values: self.modulators[name](values) if name in self.modulators else values)


def _zero(layer: nn.Conv2d | nn.Conv1d) -> nn.Module:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
