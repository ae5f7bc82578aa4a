r"""SigFormer: cascaded attention and empirical wavelet decomposition, and the mirrored reconstruction.

Wang et al., "SigFusion", AAAI 2026, Eqs. (8)-(14). The paper leaves sizes, down-sampling, scan order and the wavelet
boundaries open; what stands here is listed with reasons in ``docs/decisions.md``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from sigforge.methods.sigfusion.blocks import (
    Attention,
    Convolution,
    Embedding,
    Layout,
    Mlp,
    PatchesToImage,
    ToMap,
    ToSignals,
    skip,
)
from sigforge.methods.sigfusion.lapped import cosine_basis, lapped_basis, square_basis
from sigforge.methods.sigfusion.transform import Signal, analyse, synthesise
from sigforge.methods.weights import load_weights
from sigforge.signal import boundaries as cuts
from sigforge.signal.ewt import Rule, mean_magnitude
from sigforge.signal.scan import Scan

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
    scan: Literal["levels", "channels", "rows"] = Field(
        "levels",
        description="who reads columns, not rows: every second submodule, that and every second channel, or nobody",
    )
    skip: Literal["full", "pooled", "none"] = Field("full", description="what Eq. 11 adds to the low subband")
    embedding: Literal["lapped", "patch"] = Field("lapped", description="windows that overlap by half, or patches")
    carrier: bool = Field(True, description="detail channels change sign from token to token before flattening")
    signal: Signal = Field("ewt", description="how signals split; dwt and none are the paper's ablations")
    backbone: Literal["transformer", "cnn"] = Field("transformer", description="cnn is the paper's ablation")
    share: int = Field(4, ge=1, description="side of the squares of tokens that share a key and a value in attention")

    @model_validator(mode="after")
    def _divides(self) -> "SigFormerConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.embedding == "lapped" and self.patch % 2:
            raise ValueError(f"patch {self.patch} is odd; a lapped embedding needs an even one")
        return self

    @property
    def window(self) -> int:
        """Side of the windows that tokens see, pixels."""
        return 2 * self.patch if self.embedding == "lapped" else self.patch

    def layout(self, level: int) -> Layout:
        """How maps become signals in submodule ``level``, counted from 0."""
        order: Scan = "alternate" if self.scan == "channels" else "rows"
        return Layout(order, self.carrier, turned=self.scan != "rows" and level % 2 == 1)

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

    def __init__(self, config: SigFormerConfig, level: int) -> None:
        super().__init__()
        self.config = config
        self.attention = _backbone(config)
        self.to_signals = ToSignals(config.width, config.signals, config.pools[level], config.layout(level))
        self.to_map = ToMap(config.width, config.signals, config.pools[level], config.layout(level))
        self.mlp = Mlp(config.width)

    def forward(self, x: Tensor, sources: int, boundaries: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """One submodule of the decomposer, Eqs. (8)-(13).

        Args:
            x: (S*B, C, h, w) feature maps, the S sources one behind the other.
            sources: S; the sources of a pair share one filter bank.
            boundaries: (S*B, bands-1) in radians to cut at; None finds them in the spectra.

        Returns:
            the low map (S*B, C, h, w), the high subbands and the boundaries used, each with the batch of ``x``.
        """
        x = self.attention(x)
        # Autocast has no half-precision FFT for odd lengths, and boundaries must not depend on precision.
        signals = self.to_signals(x).float()
        if boundaries is None:
            boundaries = self._shared_boundaries(signals, sources)
        subbands = analyse(signals, self.config.signal, self.config.bands, boundaries)
        low = self.to_map(subbands[..., 0, :], x.shape[-2:]) + skip(x, self.config.skip)
        return self.mlp(low), subbands[..., 1:, :], boundaries

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

    def __init__(self, config: SigFormerConfig, level: int) -> None:
        super().__init__()
        self.config = config
        self.mlp = Mlp(config.width)
        self.to_signals = ToSignals(config.width, config.signals, config.pools[level], config.layout(level))
        self.to_map = ToMap(config.width, config.signals, config.pools[level], config.layout(level))
        self.attention = _backbone(config)

    def forward(self, low: Tensor, high: Tensor, boundaries: Tensor) -> Tensor:
        """One submodule of the reconstructor, Eq. (14).

        Args:
            low: (B, C, h, w), the low map.
            high: (B, signals, bands-1, L), the high subbands of the same level.
            boundaries: (B, bands-1) in radians that they were analysed with.

        Returns:
            (B, C, h, w).
        """
        low = self.mlp(low)
        signals = self.to_signals(low).float()
        whole = synthesise(torch.cat([signals[..., None, :], high], dim=-2), self.config.signal, boundaries)
        return self.attention(self.to_map(whole, low.shape[-2:]) + skip(low, self.config.skip))


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
        sizes = (config.width, config.patch, config.window, max(config.pools))
        self.embed = Embedding(*sizes)
        self.decomposer = nn.ModuleList(DecomposerLevel(config, level) for level in range(config.levels))
        self.reconstructor = nn.ModuleList(ReconstructorLevel(config, level) for level in range(config.levels))
        self.to_image = PatchesToImage(*sizes)
        start_isometric(self)

    def decompose(self, plane: Tensor, boundaries: tuple[Tensor, ...] | None = None) -> Subbands:
        """Planes (B, 1, H, W) in [0, 1] to subbands; H and W multiples of ``config.multiple``.

        Args:
            plane: the image plane.
            boundaries: of another decomposition, to make the two comparable band by band (PLGN's targets).

        Raises:
            ValueError: not such a plane, or smaller than ``config.minimum_side``; says what would work.
        """
        self._check(plane)
        return self._decompose(plane, 1, boundaries)

    def decompose_together(self, planes: Tensor) -> tuple[Subbands, ...]:
        """Sources (n, B, 1, H, W) to n subband sets that share one wavelet bank per image and submodule."""
        self._check(planes[0])
        joint = self._decompose(planes.flatten(0, 1), len(planes), None)
        size = planes.shape[1]
        return tuple(_slice(joint, slice(k * size, (k + 1) * size)) for k in range(len(planes)))

    def _check(self, plane: Tensor) -> None:
        config, shape = self.config, tuple(plane.shape)
        if len(shape) != 4 or shape[1] != 1 or not plane.is_floating_point():
            raise ValueError(f"SigFormer takes float planes (B, 1, H, W), got {plane.dtype} of shape {shape}")
        if min(shape[2:]) < config.minimum_side or any(side % config.multiple for side in shape[2:]):
            raise ValueError(
                f"image of {shape[2]}x{shape[3]}: sides must be multiples of {config.multiple}, at least "
                f"{config.minimum_side}; sigforge.methods.tiling.run_padded pads and crops back"
            )

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
        return self.picture(self.features(parts))

    def features(self, parts: Subbands) -> Tensor:
        """The reconstructor's last map of tokens, (B, width, h, w)."""
        x = parts.low
        for level, high, cut in zip(
            reversed(self.reconstructor), reversed(parts.high), reversed(parts.boundaries), strict=True
        ):
            x = level(x, high, cut)
        return x

    def picture(self, features: Tensor) -> Tensor:
        """Tokens to planes (B, 1, H, W), unclamped."""
        return self.to_image(features).float() + 0.5

    def forward(self, plane: Tensor) -> Tensor:
        """Self-reconstruction, the map trained by Eq. (15)."""
        return self.reconstruct(self.decompose(plane))


def start_isometric(model: SigFormer) -> None:
    """Start as a chain that loses next to nothing: the embedding is an orthonormal basis, 1x1 convolutions select and
    give back its coefficients, attention and MLPs add nothing yet.

    Without a skip and without pooling the subbands then carry the whole image, exactly. With Eq. 11's full skip every
    reconstructor submodule adds the image it synthesises to the one that passes by, so the decomposers' way back starts
    at zero and the output is halved once per submodule; only where two bands overlap is anything lost.
    """
    config = model.config
    doubled = config.skip == "full"
    rows = lapped_basis(config.patch) if config.embedding == "lapped" else cosine_basis(config.patch)
    kept = min(config.patch**2, config.signals, config.width)
    functions = torch.from_numpy(square_basis(rows)[:kept]).float()
    with torch.no_grad():
        model.embed.tokens.weight[:kept, 0] = functions
        model.to_image.pixels.weight.zero_()
        nn.init.zeros_(cast(Tensor, model.to_image.pixels.bias))
        model.to_image.pixels.weight[:kept, 0] = functions / 2 ** (config.levels * doubled)
        for level in (*model.decomposer, *model.reconstructor):
            for branch in (level.attention.project, level.mlp.down, level.to_signals.mix, level.to_map.mix):
                branch.weight.zero_()
            diagonal = range(kept)
            level.to_signals.mix.weight[diagonal, diagonal] = 1.0
            if not (doubled and isinstance(level, DecomposerLevel)):
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
    return Subbands(parts.low[rows], tuple(h[rows] for h in parts.high), tuple(b[rows] for b in parts.boundaries))


def _backbone(config: SigFormerConfig) -> nn.Module:
    if config.backbone == "cnn":
        return Convolution(config.width)
    return Attention(config.width, config.heads, config.share)
