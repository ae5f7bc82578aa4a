r"""SigFormer: cascaded attention and empirical wavelet decomposition, and the mirrored reconstruction.

Wang et al., "SigFusion", AAAI 2026, Eqs. (8)-(14). The paper leaves sizes, down-sampling, scan order and the wavelet
boundaries open; what stands here is listed with reasons in ``docs/decisions.md``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from components.models.blocks import Attention, Mlp, PatchesToImage, ToMap, ToSignals, skip
from components.models.weights import load_weights
from components.signal import boundaries as cuts
from components.signal.ewt import Ewt, Rule, ewt, iewt, mean_magnitude
from components.signal.scan import Scan

KIND = "sigformer"

_CUTS = {"line": cuts.line_boundaries, "midpoint": cuts.midpoint_boundaries}


class SigFormerConfig(BaseModel):
    """Architecture of a SigFormer; ``pools`` has one entry per submodule (the paper uses two submodules)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(64, ge=4, description="channels of the patch embedding")
    heads: int = Field(4, ge=1, description="attention heads; divides width")
    patch: int = Field(4, ge=1, description="pixels along one side of a patch")
    signals: int = Field(16, ge=2, description="1-D signals per submodule")
    pools: tuple[int, ...] = Field((1, 1), min_length=1, description="down-sampling before flattening, per submodule")
    bands: int = Field(3, ge=2, description="subbands per wavelet split: one low, the rest high")
    boundaries: Rule = Field("line", description="where spectra are cut")
    scan: Scan = Field("alternate", description="order in which maps are flattened")
    skip: Literal["full", "pooled", "none"] = Field("none", description="what Eq. 11 adds to the low subband")

    @model_validator(mode="after")
    def _divides(self) -> "SigFormerConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self

    @property
    def levels(self) -> int:
        """Number of submodules."""
        return len(self.pools)

    @property
    def subbands(self) -> tuple[str, ...]:
        """Names of the Z subbands a plane splits into: ``L2, H1_1, H1_2, H2_1, H2_2`` for the paper's setting."""
        highs = [f"H{i}_{k}" for i in range(1, self.levels + 1) for k in range(1, self.bands)]
        return (f"L{self.levels}", *highs)

    @property
    def multiple(self) -> int:
        """Image sides must be a multiple of this."""
        return self.patch * max(self.pools)

    @property
    def minimum_side(self) -> int:
        """Smallest side that leaves every signal long enough for the wavelet transform."""
        return 4 * self.multiple


@dataclass(frozen=True)
class Subbands:
    """One plane in signal space.

    Attributes:
        low: (B, width, h, w), the last submodule's low map :math:`L'_n`.
        high: per submodule (B, signals, bands-1, L_i).
        boundaries: per submodule (B, bands-1) radians, what synthesis needs.
    """

    low: Tensor
    high: tuple[Tensor, ...]
    boundaries: tuple[Tensor, ...]

    def names(self) -> tuple[str, ...]:
        """Names that :meth:`__getitem__` takes, low first."""
        return tuple(name for name, _ in self.items())

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """(name, values) of every subband; the low one as a map, high ones as (B, signals, L_i)."""
        yield f"L{len(self.high)}", self.low
        for level, highs in enumerate(self.high, start=1):
            for band in range(highs.shape[-2]):
                yield f"H{level}_{band + 1}", highs[..., band, :]

    def __getitem__(self, name: str) -> Tensor:
        return dict(self.items())[name]

    def map(self, change: Callable[[str, Tensor], Tensor]) -> "Subbands":
        """Every subband replaced by ``change(name, values)``."""
        values = {name: change(name, value) for name, value in self.items()}
        low = values.pop(f"L{len(self.high)}")
        high = tuple(
            torch.stack([values[f"H{level}_{band + 1}"] for band in range(highs.shape[-2])], dim=-2)
            for level, highs in enumerate(self.high, start=1)
        )
        return replace(self, low=low, high=high)


class DecomposerLevel(nn.Module):
    """One decomposition submodule, Eqs. (8)-(13)."""

    def __init__(self, config: SigFormerConfig, pool: int) -> None:
        super().__init__()
        self.config = config
        self.attention = Attention(config.width, config.heads)
        self.to_signals = ToSignals(config.width, config.signals, pool, config.scan)
        self.to_map = ToMap(config.width, config.signals, pool, config.scan)
        self.mlp = Mlp(config.width)

    def forward(self, x: Tensor, sources: int, boundaries: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the low map, the high subbands and the boundaries used, each with the batch of ``x``."""
        x = self.attention(x)
        # Autocast has no half-precision FFT for odd lengths, and boundaries must not depend on precision.
        signals = self.to_signals(x).float()
        if boundaries is None:
            boundaries = self._shared_boundaries(signals, sources)
        parts = ewt(signals, self.config.bands, boundaries=boundaries[:, None, :])
        low = self.to_map(parts.subbands[..., 0, :], x.shape[-2:]) + skip(x, self.config.skip)
        return self.mlp(low), parts.subbands[..., 1:, :], boundaries

    def _shared_boundaries(self, signals: Tensor, sources: int) -> Tensor:
        """One bank per image, shared by its channels and by all sources of a pair: (sources*B, bands-1)."""
        magnitude = mean_magnitude(signals.unflatten(0, (sources, -1)), dim=(0, 2))
        if self.config.boundaries == "fixed":
            cut = cuts.fixed_boundaries(self.config.bands, like=magnitude).expand(len(magnitude), -1)
        else:
            cut = _CUTS[self.config.boundaries](magnitude, self.config.bands)
        return cut.repeat(sources, 1)


class ReconstructorLevel(nn.Module):
    """The mirror of a submodule, Eq. (14): MLP, synthesis with the stored bank, attention."""

    def __init__(self, config: SigFormerConfig, pool: int) -> None:
        super().__init__()
        self.skip = config.skip
        self.mlp = Mlp(config.width)
        self.to_signals = ToSignals(config.width, config.signals, pool, config.scan)
        self.to_map = ToMap(config.width, config.signals, pool, config.scan)
        self.attention = Attention(config.width, config.heads)

    def forward(self, low: Tensor, high: Tensor, boundaries: Tensor) -> Tensor:
        low = self.mlp(low)
        signals = self.to_signals(low).float()
        whole = iewt(Ewt(torch.cat([signals[..., None, :], high], dim=-2), boundaries[:, None, :]))
        return self.attention(self.to_map(whole, low.shape[-2:]) + skip(low, self.skip))


class SigFormer(nn.Module):
    """Decomposer and reconstructor for one image plane.

    Example:
        >>> model = SigFormer(SigFormerConfig(width=8, heads=2, signals=4))
        >>> parts = model.decompose(torch.rand(1, 1, 32, 32))
        >>> parts.names(), model.reconstruct(parts).shape
        (('L2', 'H1_1', 'H1_2', 'H2_1', 'H2_2'), torch.Size([1, 1, 32, 32]))
    """

    def __init__(self, config: SigFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Conv2d(1, config.width, config.patch, stride=config.patch)
        self.decomposer = nn.ModuleList(DecomposerLevel(config, pool) for pool in config.pools)
        self.reconstructor = nn.ModuleList(ReconstructorLevel(config, pool) for pool in config.pools)
        self.to_image = PatchesToImage(config.width, config.patch)
        start_isometric(self)

    def decompose(self, plane: Tensor, boundaries: tuple[Tensor, ...] | None = None) -> Subbands:
        """Planes (B, 1, H, W) in [0, 1] to subbands; H and W multiples of ``config.multiple``.

        Args:
            plane: the image plane.
            boundaries: of another decomposition, to make the two comparable band by band (PLGN's targets).
        """
        return self._decompose(plane, 1, boundaries)

    def decompose_together(self, planes: Tensor) -> tuple[Subbands, ...]:
        """Sources (n, B, 1, H, W) to n subband sets that share one wavelet bank per image and submodule."""
        joint = self._decompose(planes.flatten(0, 1), len(planes), None)
        size = planes.shape[1]
        return tuple(_slice(joint, slice(k * size, (k + 1) * size)) for k in range(len(planes)))

    def _decompose(self, plane: Tensor, sources: int, boundaries: tuple[Tensor, ...] | None) -> Subbands:
        x = self.embed(plane - 0.5)
        highs, used = [], []
        for index, level in enumerate(self.decomposer):
            x, high, cut = level(x, sources, boundaries[index] if boundaries else None)
            highs.append(high)
            used.append(cut)
        return Subbands(x, tuple(highs), tuple(used))

    def reconstruct(self, parts: Subbands) -> Tensor:
        """Subbands to planes (B, 1, H, W), unclamped."""
        x = parts.low
        for level, high, cut in zip(
            reversed(self.reconstructor), reversed(parts.high), reversed(parts.boundaries), strict=True
        ):
            x = level(x, high, cut)
        return self.to_image(x).float() + 0.5

    def forward(self, plane: Tensor) -> Tensor:
        """Self-reconstruction, the map trained by Eq. (15)."""
        return self.reconstruct(self.decompose(plane))


def start_isometric(model: SigFormer) -> None:
    """Start as a lossless chain: the patch embedding is a cosine basis, 1x1 convolutions select and give back its
    coefficients, attention and MLPs add nothing yet.

    Without a skip and without pooling the subbands then carry the whole image before the first training step.
    """
    config = model.config
    pixels = config.patch**2
    index = torch.arange(config.patch)
    basis = torch.cos(torch.pi / config.patch * (index + 0.5) * index[:, None]) * (2 / config.patch) ** 0.5
    basis[0] /= 2**0.5
    patches = torch.einsum("uy,vx->uvyx", basis, basis).reshape(pixels, config.patch, config.patch)
    kept = min(pixels, config.signals, config.width)
    with torch.no_grad():
        model.embed.weight[:kept, 0] = patches[:kept]
        model.embed.bias.zero_()
        model.to_image.pixels.weight.zero_()
        model.to_image.pixels.bias.zero_()
        model.to_image.pixels.weight[:, :kept, 0, 0] = patches[:kept].flatten(1).T
        for level in (*model.decomposer, *model.reconstructor):
            for branch in (level.attention.project, level.mlp.down, level.to_signals.mix, level.to_map.mix):
                branch.weight.zero_()
                branch.bias.zero_()
            diagonal = range(kept)
            level.to_signals.mix.weight[diagonal, diagonal] = 1.0
            level.to_map.mix.weight[diagonal, diagonal] = 1.0


def load_sigformer(path: Path, config: SigFormerConfig) -> SigFormer:
    """A pretrained SigFormer.

    Raises:
        UserError: no such file, or one of another configuration; the line names the differing keys.
    """
    model = SigFormer(config)
    load_weights(path, model, kind=KIND, config=config.model_dump(mode="json"))
    return model


def _slice(parts: Subbands, rows: slice) -> Subbands:
    return Subbands(
        parts.low[rows], tuple(h[rows] for h in parts.high), tuple(b[rows] for b in parts.boundaries)
    )
