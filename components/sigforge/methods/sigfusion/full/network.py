r"""SigFormer in the form ``full``: stride 1 throughout, signals at the side, exact; and the merges that make it fuse.

Eqs. 8-14 of Wang et al., "SigFusion", AAAI 2026, with one change that makes the high bands count. Eq. 11 adds the low
band to a map that already holds everything, so H idles. Here the decomposer *takes out* of the map what H holds,
:math:`X \leftarrow X' - \Upsilon^T(H)`, and the reconstructor puts it back. That is exact to rounding before training,
and a map without its H lacks those frequencies.
"""

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from sigforge.methods.sigfusion.full.blocks import ChannelAttention, FeedForward, MergeGate, SideSignals, joined, split
from sigforge.methods.sigfusion.lapped import cosine_basis, square_basis


class FullConfig(BaseModel):
    """Architecture of the form ``full``; ``pools`` has one entry per submodule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(16, ge=4, description="channels at every pixel")
    heads: int = Field(4, ge=1, description="of the channel attention; divides width")
    signals: int = Field(4, ge=1, description="1-D signals per submodule")
    pools: tuple[int, ...] = Field((2, 4), min_length=1, description="pixels along a sample of a signal, per submodule")
    bands: int = Field(3, ge=2, description="subbands per wavelet split: one low, the rest high")
    expansion: int = Field(2, ge=1, description="of the feed-forward part")

    @model_validator(mode="after")
    def _divides(self) -> "FullConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.signals > self.width:
            raise ValueError(f"signals {self.signals} are more than the {self.width} channels of width; choose fewer")
        return self

    @property
    def multiple(self) -> int:
        """Image sides must be a multiple of this."""
        return max(self.pools)

    @property
    def minimum_side(self) -> int:
        """Smallest side that leaves every signal long enough for the wavelet transform."""
        return 4 * self.multiple


@dataclass(frozen=True)
class FullSubbands:
    """Planes in signal space.

    Attributes:
        low: (B, width, H, W), the map without what the high bands hold.
        high: per submodule (B, signals, bands-1, L_i).
        boundaries: per submodule (B, bands-1) radians.
    """

    low: Tensor
    high: tuple[Tensor, ...]
    boundaries: tuple[Tensor, ...]


class _Level(nn.Module):
    def __init__(self, config: FullConfig, level: int, *, reads: bool) -> None:
        super().__init__()
        turned = level % 2 == 1
        self.attention = ChannelAttention(config.width, config.heads)
        self.side = SideSignals(config.width, config.signals, config.pools[level], turned=turned, reads=reads)
        self.feed = FeedForward(config.width, config.expansion)
        self.bands = config.bands


class FullDecomposer(_Level):
    """One decomposition submodule."""

    def forward(self, x: Tensor, sources: int) -> tuple[Tensor, Tensor, Tensor]:
        """The low map, the high bands and the cuts of (sources*B, width, H, W)."""
        x = self.attention(x)
        high, cuts = split(self.side.signals(x), sources, self.bands)
        return self.feed(x - self.side.map(joined(high, cuts), x.shape[-2:])), high, cuts


class FullReconstructor(_Level):
    """The mirror of a submodule."""

    def forward(self, low: Tensor, high: Tensor, cuts: Tensor) -> Tensor:
        """The map with its high bands put back.

        Args:
            low: (B, width, H, W).
            high: (B, signals, bands-1, L).
            cuts: (B, bands-1) radians, of the decomposer.

        Returns:
            (B, width, H, W).
        """
        low = self.feed(low)
        return self.attention(low + self.side.map(joined(high, cuts), low.shape[-2:]))


class FullSigFormer(nn.Module):
    """Decomposer and reconstructor of image planes at full resolution; exact before any training.

    Example:
        >>> model = FullSigFormer(FullConfig())
        >>> plane = torch.rand(1, 1, 32, 48)
        >>> bool((model(plane) - plane).abs().max() < 1e-5)
        True
    """

    def __init__(self, config: FullConfig) -> None:
        super().__init__()
        self.config = config
        levels = range(len(config.pools))
        padding: dict[str, Any] = {"padding": 1, "padding_mode": "replicate"}
        self.embed = nn.Conv2d(1, config.width, 3, bias=False, **padding)
        self.decomposer = nn.ModuleList(FullDecomposer(config, level, reads=True) for level in levels)
        self.reconstructor = nn.ModuleList(FullReconstructor(config, level, reads=False) for level in levels)
        self.to_image = nn.Conv2d(config.width, 1, 3, **padding)
        self._start_exact()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs leave it out

    def _start_exact(self) -> None:
        """Channel 0 is the plane, the next ones its 3x3 cosines; the picture is read from channel 0."""
        cosines = torch.from_numpy(square_basis(cosine_basis(3))).float()
        cosines[0] = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
        count = min(len(cosines), self.config.width)
        with torch.no_grad():
            self.embed.weight[:count, 0] = cosines[:count]
            for value in self.to_image.parameters():
                value.zero_()
            self.to_image.weight[0, 0] = cosines[0]

    def decompose(self, planes: Tensor, sources: int = 1) -> FullSubbands:
        """Planes (sources*B, 1, H, W) in [0, 1] to subbands; the sources of an image share its wavelet banks.

        Args:
            planes: sides multiples of ``config.multiple``, at least ``config.minimum_side``.
            sources: how many of them show one scene; the first B planes are their first sources, and so on.
        """
        x = self.embed((planes - 0.5).contiguous(memory_format=torch.channels_last))
        highs, used = [], []
        for level in self.decomposer:
            x, high, cuts = level(x, sources)
            highs.append(high)
            used.append(cuts)
        return FullSubbands(x, tuple(highs), tuple(used))

    def features(self, parts: FullSubbands) -> Tensor:
        """The reconstructor's last map, (B, width, H, W)."""
        x = parts.low
        for level, high, cuts in reversed(list(zip(self.reconstructor, parts.high, parts.boundaries, strict=True))):
            x = level(x, high, cuts)
        return x

    def picture(self, features: Tensor) -> Tensor:
        """Planes (B, 1, H, W), unclamped."""
        return self.to_image(features).float() + 0.5

    def forward(self, plane: Tensor) -> Tensor:
        """Self-reconstruction, the map of Eq. 15."""
        return self.picture(self.features(self.decompose(plane)))


class FullMerge(nn.Module):
    """Subbands of n sources to one set; the order of the sources does not matter."""

    def __init__(self, config: FullConfig) -> None:
        super().__init__()
        self.low = MergeGate(nn.Conv2d, config.width, 3)
        self.high = nn.ModuleList(
            nn.ModuleList(MergeGate(nn.Conv1d, config.signals, 9) for _ in range(1, config.bands)) for _ in config.pools
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs leave it out

    def forward(self, parts: FullSubbands, sources: int) -> FullSubbands:
        """Subbands of (sources*B) planes to those of B pictures."""
        low = self.low(parts.low.unflatten(0, (sources, -1)))
        high = tuple(self._high(gates, each, sources) for gates, each in zip(self.high, parts.high, strict=True))
        return FullSubbands(low, high, tuple(cuts[: len(low)] for cuts in parts.boundaries))

    @staticmethod
    def _high(gates: Any, high: Tensor, sources: int) -> Tensor:
        bands = (gate(high[..., band, :].unflatten(0, (sources, -1))) for band, gate in enumerate(gates))
        return torch.stack(list(bands), dim=-2)
