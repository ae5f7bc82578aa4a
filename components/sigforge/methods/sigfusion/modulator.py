"""Signal Modulators (SM): a Transformer for the low subband, an MLP for each high one, a set per modality.

Wang et al., "SigFusion", AAAI 2026, Eq. (5); the paper's appendix with the layer details is not public, so widths and
the sliding form of the MLP are ours (``docs/decisions.md``). Every modulator starts as the identity.
"""

from typing import Literal, cast

import torch
from torch import Tensor, nn

from sigforge.core.errors import UserError
from sigforge.methods.sigfusion.blocks import Attention, Mlp
from sigforge.methods.sigfusion.dominance import check_map, gain_of, map_names, map_to_signals, surroundings
from sigforge.methods.sigfusion.sigformer import SigFormerConfig, Subbands

Modulated = Literal["all", "none", "no_high", "no_low"]
Condition = Literal["none", "dominance"]


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


class Gate(nn.Module):
    """What a dominance map (B, K, h, w) makes of a subband: a factor for every channel and token, (B, channels, h, w).

    It starts as :func:`~sigforge.methods.sigfusion.dominance.gain_of` the subband's own entry and learns what differs,
    from all entries. There are no biases: an even map, of two sources alike, changes nothing.

    Args:
        config: of the SigFormer.
        subband: its name.
        channels: of the subband.
        start: False for a term to be added, which starts as nothing.
        hidden: width of the perceptron.
    """

    def __init__(
        self, config: SigFormerConfig, subband: str, channels: int, *, start: bool = True, hidden: int = 16
    ) -> None:
        super().__init__()
        self.own, self.start = map_names(config).index(subband), start
        features = 2 * len(map_names(config)) - 1
        self.direct = _zero(nn.Conv2d(features, channels, 1, bias=False))
        self.mix = nn.Sequential(
            nn.Conv2d(features, hidden, 1, bias=False),
            nn.GELU(),
            _zero(nn.Conv2d(hidden, channels, 1, bias=False)),
        )

    def forward(self, maps: Tensor) -> Tensor:
        gains = gain_of(maps[:, :-1], maps[:, -1:])
        features = torch.cat([maps[:, :-1] - 0.5, maps[:, -1:] - 1, gains - 1], dim=1)
        learned = self.direct(features) + self.mix(features)
        return learned + gains[:, self.own : self.own + 1] if self.start else learned


class LowGate(nn.Module):
    """The low map (B, width, h, w) under a dominance map: details are weighed, brightness is shifted.

    Args:
        config: of the SigFormer.
        direction: (width,) how the low map of a flat image changes with its grey level. What a flat image has is never
            weighed, only shifted along it, or flat regions would fill with a grid of tokens.
        is_luma: of a chroma plane nothing is brighter at the start.
    """

    direction: Tensor

    def __init__(self, config: SigFormerConfig, direction: Tensor, *, is_luma: bool = True) -> None:
        super().__init__()
        name = config.subbands[0]
        self.gain = Gate(config, name, config.width)
        self.shift = Gate(config, name, config.width, start=False)
        self.register_buffer("direction", direction.view(1, -1, 1, 1).clone())
        with torch.no_grad():
            # Half of what is brighter: fused images lie between both sources, more or less.
            cast(Tensor, self.shift.direct.weight)[:, 0, 0, 0] = direction * is_luma

    def forward(self, low: Tensor, maps: Tensor) -> Tensor:
        along = (low * self.direction).sum(dim=1, keepdim=True) / self.direction.square().sum()
        flat = surroundings(along) * self.direction
        return flat + (low - flat) * self.gain(maps) + self.shift(maps)


class HighGate(nn.Module):
    """A high subband (B, signals, L) under a dominance map: each place is weighed."""

    def __init__(self, config: SigFormerConfig, subband: str) -> None:
        super().__init__()
        self.config, self.level = config, int(subband[1:].partition("_")[0]) - 1
        self.gain = Gate(config, subband, config.signals)

    def forward(self, high: Tensor, maps: Tensor) -> Tensor:
        return high * map_to_signals(self.gain(maps), self.config, self.level)


class SignalModulator(nn.Module):
    """All modulators of one modality: named subbands in, modulated subbands out (Eq. 5).

    Args:
        config: of the SigFormer.
        sm: which subbands have one; the others pass unchanged (the paper's ablations).
        direction, is_luma: of :class:`LowGate`; with them every modulator sees a dominance map beside its subband.
    """

    def __init__(
        self,
        config: SigFormerConfig,
        sm: Modulated = "all",
        direction: Tensor | None = None,
        *,
        is_luma: bool = True,
    ) -> None:
        super().__init__()
        low, high = sm in ("all", "no_high"), sm in ("all", "no_low")
        made: dict[str, nn.Module] = (
            {config.subbands[0]: LowModulator(config.width, config.heads, config.share)} if low else {}
        )
        made |= {name: HighModulator(config.signals) for name in config.subbands[1:]} if high else {}
        self.config = config
        self.modulators = nn.ModuleDict(made)
        self.gates = None
        if direction is not None:
            gates: dict[str, nn.Module] = {name: HighGate(config, name) for name in config.subbands[1:] if name in made}
            gates |= {name: LowGate(config, direction, is_luma=is_luma) for name in config.subbands[:1] if name in made}
            self.gates = nn.ModuleDict(gates)

    def forward(self, parts: Subbands, maps: Tensor | None = None) -> Subbands:
        """Modulate the subbands of a fused image.

        Args:
            parts: its subbands.
            maps: (B, K, h, w), for modulators with a condition and no others.

        Raises:
            UserError: a map where there is no condition, none where there is one, or one of another size.
        """
        if self.gates is not None:
            maps = check_map(maps, parts, self.config)
        elif maps is not None:
            raise UserError(
                "PLGN was trained without condition and takes no map: train with 'plgn.condition: dominance'"
            )

        def change(name: str, values: Tensor) -> Tensor:
            if name not in self.modulators:
                return values
            gated = values if maps is None or self.gates is None else self.gates[name](values, maps)
            return cast(Tensor, self.modulators[name](gated))

        return parts.map(change)


def _zero(layer: nn.Conv2d | nn.Conv1d) -> nn.Module:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
