r"""A reconstruction block that sees the sources: ours, not the paper's (``sigformer.head: select``).

SigFormer's decoded plane and the sources themselves are candidates at every pixel; the head weighs them by a softmax,
:math:`F = \sum_n w_n S_n + w_D D`. It reads each source with its gradients and its high subbands, and the
reconstructor's features. One set of layers serves every source beside the mean of all, so swapping the sources swaps
their weights. The decoded plane enters between the darkest and the brightest source of each pixel, so equal sources
come back as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sigforge.signal.gradients import sobel

CUES = 3
"""What is read of every source itself: its values, its gradient's length and that one's local mean."""
WIDTH, REACHES, WINDOW = 24, (1, 2, 4), 9


@dataclass(frozen=True)
class Decoded:
    """What a form of SigFormer hands to the head.

    Attributes:
        plane: (B, 1, H, W), the picture it decodes.
        features: (B, C, h, w), the reconstructor's last map, at any resolution.
        strengths: maps (n, B, K, h, w), how strong the high subbands of every source are, at any resolution.
    """

    plane: Tensor
    features: Tensor
    strengths: Sequence[Tensor] = ()


@dataclass(frozen=True)
class Fused:
    """A fused picture and how it came about.

    Attributes:
        image: (B, 1, H, W), unclamped.
        decoded: SigFormer's own picture, (B, 1, H, W); None without SigFormer.
        weights: (n, B, 1, H, W) of the sources and, where there is one, of the decoded plane as the last; they sum to
            1. None without a head.
    """

    image: Tensor
    decoded: Tensor | None = None
    weights: Tensor | None = None


class Separable(nn.Module):
    """Depthwise 3x3 of a reach, 1x1, GELU, added."""

    def __init__(self, width: int, reach: int) -> None:
        super().__init__()
        same: dict[str, Any] = {"padding": reach, "dilation": reach, "padding_mode": "replicate"}
        self.local = nn.Conv2d(width, width, 3, groups=width, **same)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.gelu(self.mix(self.local(x)))


class SelectHead(nn.Module):
    """Weights for n sources and a decoded plane; at the start all are equal, so nothing is chosen yet.

    Args:
        features: channels of the reconstructor's map; 0 without SigFormer.
        strengths: maps per source of its high subbands.
        width: channels of the head.

    Example:
        >>> head = SelectHead()
        >>> sources = torch.rand(3, 1, 1, 20, 17)
        >>> torch.allclose(head(sources).image, sources.mean(0))
        True
    """

    def __init__(self, features: int = 0, strengths: int = 0, width: int = WIDTH) -> None:
        super().__init__()
        self.stem = nn.Conv2d(CUES + strengths, width, 3, padding=1, padding_mode="replicate")
        self.together = nn.Conv2d(width, width, 1)
        self.read = nn.Conv2d(features, width, 1) if features else None
        self.read_plane = nn.Conv2d(1, width, 1, bias=False) if features else None
        self.body = nn.Sequential(*(Separable(width, reach) for reach in REACHES))
        self.weigh = nn.Conv2d(width, 1, 1, bias=False)
        self.weigh_plane = nn.Conv2d(width, 1, 1) if features else None
        for layer in (self.weigh, self.weigh_plane):
            for value in layer.parameters() if layer else ():
                nn.init.zeros_(value)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs leave it out

    def forward(self, sources: Tensor, decoded: Decoded | None = None) -> Fused:
        """Sources (n, B, 1, H, W) in [0, 1], n >= 2, to their fusion."""
        own = self._own(sources, decoded.strengths if decoded else ())
        seen = self.stem(own).unflatten(0, (len(sources), -1))
        around = self.together(seen.mean(0))
        if decoded and self.read_plane is not None:
            around = around + self._features(decoded, sources.shape[-2:]) + self.read_plane(decoded.plane - 0.5)
        hidden = self.body(F.gelu(seen + around).flatten(0, 1))
        scores, candidates = self.weigh(hidden).unflatten(0, (len(sources), -1)), sources
        if decoded and self.weigh_plane is not None:
            plane = decoded.plane.clamp(sources.amin(0), sources.amax(0))
            mean = hidden.unflatten(0, (len(sources), -1)).mean(0)
            scores = torch.cat([scores, self.weigh_plane(mean)[None]])
            candidates = torch.cat([sources, plane.to(sources.dtype)[None]])
        weights = scores.float().softmax(0)
        return Fused((weights * candidates).sum(0), decoded.plane if decoded else None, weights)

    def _features(self, decoded: Decoded, size: tuple[int, ...]) -> Tensor:
        if self.read is None:
            raise ValueError("this head was built without SigFormer's features")
        return _enlarged(self.read(decoded.features), size)

    def _own(self, sources: Tensor, strengths: Sequence[Tensor]) -> Tensor:
        """What is read of every source, (n B, cues, H, W)."""
        maps = [_enlarged(each.flatten(0, 1), sources.shape[-2:]) for each in strengths]
        together = torch.cat([cues(sources).flatten(0, 1), *maps], dim=1)
        return together.contiguous(memory_format=torch.channels_last)


def cues(sources: Tensor) -> Tensor:
    """Values, gradient length and its local mean of planes (n, B, 1, H, W): (n, B, 3, H, W)."""
    planes = sources.flatten(0, 1)
    length = (sobel(planes).square().sum(1, keepdim=True) + 1e-6).sqrt() / 4
    half = WINDOW // 2
    mean = F.avg_pool2d(F.pad(length, (half,) * 4, mode="replicate"), WINDOW, stride=1)
    return torch.cat([planes - 0.5, length, mean], dim=1).unflatten(0, sources.shape[:2])


def _enlarged(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    return maps if maps.shape[-2:] == size else F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
