"""SigFusion's fusion network FN: SigFormer with the subbands of all sources merged by 1x1 convolutions.

Wang et al., "SigFusion", AAAI 2026, section "Fusion Network" and Eq. (14).
"""

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from sigforge.methods.sigfusion.full.fusion import FullFusion
from sigforge.methods.sigfusion.full.network import FullConfig
from sigforge.methods.sigfusion.head import Decoded, SelectHead
from sigforge.methods.sigfusion.network import FusionNetwork
from sigforge.methods.sigfusion.released.fusion import ReleasedFusion
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig, Subbands
from sigforge.methods.weights import load_model

KIND = "fusion"
Form = Literal["tokens", "released", "full"]
HeadKind = Literal["none", "select"]


class Merge(nn.Module):
    """Subbands of all sources, concatenated along channels, to one set: a 1x1 convolution and a perceptron beside it.

    Starts as the mean. A sum of linear maps cannot take the stronger of two coefficients; the perceptron, which sees
    those of all sources at one place, can.
    """

    def __init__(self, convolution: type[nn.Conv1d] | type[nn.Conv2d], channels: int, sources: int) -> None:
        super().__init__()
        together = sources * channels
        self.mean = convolution(together, channels, 1)
        first = convolution(together, 2 * together, 1, bias=False)
        last = convolution(2 * together, channels, 1, bias=False)
        self.choose = nn.Sequential(first, nn.GELU(), last)
        with torch.no_grad():
            for value in (*self.mean.parameters(), *last.parameters()):
                value.zero_()
            for source in range(sources):
                self.mean.weight[range(channels), range(source * channels, (source + 1) * channels)] = 1 / sources

    def forward(self, stacked: Tensor) -> Tensor:
        return self.mean(stacked) + self.choose(stacked)


class FusionNet(FusionNetwork):
    """The form ``tokens``: fuses registered luma planes; starts out averaging the subbands of its sources.

    Args:
        sigformer: pretrained by Eq. 15, or as it starts.
        sources: how many are merged.
        select: with a :class:`SelectHead`.

    Example:
        >>> net = FusionNet(SigFormer(SigFormerConfig(width=8, heads=2, signals=4)))
        >>> net.fuse(torch.rand(1, 1, 33, 45), torch.rand(1, 1, 33, 45)).shape
        torch.Size([1, 1, 33, 45])
    """

    most_sources = 2

    def __init__(self, sigformer: SigFormer, sources: int = 2, *, select: bool = False) -> None:
        config: SigFormerConfig = sigformer.config
        super().__init__(SelectHead(config.width, len(config.subbands) - 1) if select else None)
        self.multiple, self.minimum_side = config.multiple, config.minimum_side
        self.sigformer = sigformer
        self.merge_low = Merge(nn.Conv2d, config.width, sources)
        self.merge_high = nn.ModuleDict(
            {name: Merge(nn.Conv1d, config.signals, sources) for name in config.subbands[1:]}
        )

    def decode(self, sources: Tensor) -> Decoded:
        """(n, B, 1, H, W) in [0, 1], sides multiples of ``config.multiple``."""
        parts = self.sigformer.decompose_together(sources)
        features = self.sigformer.features(self.merge(parts))
        plane = self.sigformer.picture(features)
        if self.head is None:
            return Decoded(plane, features)
        strengths = torch.stack([torch.cat(self._strengths(part), dim=1) for part in parts])
        return Decoded(plane, self._centred(features), [strengths])

    def merge(self, parts: tuple[Subbands, ...]) -> Subbands:
        """Concatenate the sources' subbands along channels and mix them down to one set."""

        def mix(name: str, _: Tensor) -> Tensor:
            stacked = torch.cat([part[name] for part in parts], dim=1)
            return self.merge_low(stacked) if name.startswith("L") else self.merge_high[name](stacked)

        return parts[0].map(mix)

    def _strengths(self, part: Subbands) -> list[Tensor]:
        """Per submodule the mean magnitude of each high band over its signals, (B, bands-1, h, w)."""
        config, size = self.sigformer.config, part.low.shape[-2:]
        maps = []
        for level, high in enumerate(part.high):
            grid = (size[0] // config.pools[level], size[1] // config.pools[level])
            bands = config.layout(level).unflatten(high.flatten(1, 2).abs(), grid).abs()
            mean = bands.unflatten(1, high.shape[1:3]).mean(1)
            maps.append(self._centred(F.interpolate(mean, size=size, mode="nearest")))
        return maps

    def _centred(self, tokens: Tensor) -> Tensor:
        """Maps of tokens that lie on the corners of patches, where windows are lapped, to the middles of patches."""
        config = self.sigformer.config
        if config.embedding != "lapped":
            return tokens
        spare = 1 - max(config.pools)
        return F.avg_pool2d(tokens[..., : spare or None, : spare or None], 2, stride=1)


class FusionConfig(BaseModel):
    """Which fusion network: the form of its SigFormer, its head, and what the form needs to know of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Form = "tokens"
    head: HeadKind = "none"
    slip: bool = True
    sigformer: SigFormerConfig = SigFormerConfig()
    full: FullConfig = FullConfig()

    def architecture(self, task: str) -> dict[str, object]:
        """What a model file says of itself: the task, the form, the head, and the options of this form alone."""
        own = {"tokens": "sigformer", "full": "full", "released": "slip"}[self.form]
        return {"task": task, "form": self.form, "head": self.head, own: self.model_dump(mode="json")[own]}


def build_fusion(config: FusionConfig, sigformer: SigFormer | None = None) -> FusionNetwork:
    """An untrained fusion network.

    Args:
        config: which.
        sigformer: where form ``tokens`` starts from; by default from an untrained one. The other forms are exact, or
            published, without a pretrained SigFormer.
    """
    select = config.head == "select"
    if config.form == "released":
        return ReleasedFusion(slip=config.slip, select=select)
    if config.form == "full":
        return FullFusion(config.full, select=select)
    return FusionNet(sigformer or SigFormer(config.sigformer), select=select)


def load_fusion(path: Path) -> FusionNetwork:
    """A trained fusion network from its file, which says how it is built.

    Raises:
        UserError: no such file, not a fusion network, or one of another version.
    """

    def build(facts: dict) -> FusionNetwork:
        return build_fusion(FusionConfig.model_validate({name: facts[name] for name in facts if name != "task"}))

    return load_model(path, build, kind=KIND)
