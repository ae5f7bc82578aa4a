"""Building blocks of SigFormer: attention, perceptron, and the way from maps to signals and back.

Wang et al., "SigFusion", AAAI 2026, Eqs. (8), (9), (11) and (12). Maps are (B, C, h, w) of any size.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sigforge.signal.scan import Scan, flatten, unflatten


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of (B, C, h, w) maps, without a bias.

    No layer of these blocks has one: tokens of flat regions hold next to no detail, are blown up to unit length here,
    and a bias behind would be added to all of them alike, which shows as a grid of patches.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.movedim(1, -1), self.gain.shape, self.gain).movedim(-1, 1)


class Attention(nn.Module):
    r"""MHSA with its residual, :math:`X' = \Psi(X) + X` (Eq. 8), on (B, C, h, w) maps of any size.

    Position comes from a depthwise 3x3 convolution, so nothing depends on resolution.

    Args:
        share: side of the squares of tokens that share a key and a value, their mean, as in the pyramid vision
            transformer (Wang et al., ICCV 2021); 1 is plain attention. Its time falls with the square of this.
    """

    def __init__(self, width: int, heads: int, share: int = 1) -> None:
        super().__init__()
        self.heads, self.share = heads, share
        self.norm = ChannelNorm(width)
        self.position = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.project = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        normed = self.norm(x)
        maps = normed + self.position(normed)
        q, k, v = self._shared(maps) if self.share > 1 else self._split(maps, self.qkv.weight, 3)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.project(mixed).transpose(1, 2).unflatten(-1, size)

    def _shared(self, maps: Tensor) -> tuple[Tensor, ...]:
        width = maps.shape[1]
        few = F.avg_pool2d(maps, self.share, ceil_mode=True, count_include_pad=False)
        queries, others = self.qkv.weight.split([width, 2 * width])
        return *self._split(maps, queries, 1), *self._split(few, others, 2)

    def _split(self, maps: Tensor, weight: Tensor, count: int) -> tuple[Tensor, ...]:
        """``count`` projections of all tokens, each (B, heads, tokens, width / heads)."""
        projected = F.linear(maps.flatten(2).transpose(1, 2), weight)
        return projected.unflatten(-1, (count, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()


class Convolution(nn.Module):
    """What takes the place of MHSA in the paper's ablation "CNN": a 3x3 convolution in the same residual frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.mix = nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect", bias=False)
        self.project = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.project(F.gelu(self.mix(self.norm(x))))


class Mlp(nn.Module):
    """Pre-norm two-layer perceptron over channels with its residual (Eq. 12)."""

    def __init__(self, width: int, expansion: int = 2) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.up = nn.Linear(width, expansion * width, bias=False)
        self.down = nn.Linear(expansion * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).movedim(1, -1)
        return x + self.down(F.gelu(self.up(tokens))).movedim(-1, 1)


@dataclass(frozen=True)
class Layout:
    """How maps (B, C, h, w) become signals (B, C, h*w) and back, exactly.

    Args:
        scan: order of the tokens.
        carrier: change the sign of every channel but the first from token to token. The first channel starts as the
            mean of a patch, the others as its detail; a texture that stays the same over many tokens is fine detail of
            the image but slow along the scan, and only with the carrier does it land in the high bands.
        turned: read columns where ``scan`` says rows; every second submodule does, so that what both call low is smooth
            in both directions.
    """

    scan: Scan
    carrier: bool
    turned: bool

    def flatten(self, maps: Tensor) -> Tensor:
        signed = self._signed(maps)
        return flatten(signed.mT if self.turned else signed, self.scan)

    def unflatten(self, signals: Tensor, size: tuple[int, int]) -> Tensor:
        maps = unflatten(signals, size[::-1], self.scan).mT if self.turned else unflatten(signals, size, self.scan)
        return self._signed(maps)

    def _signed(self, maps: Tensor) -> Tensor:
        if not self.carrier:
            return maps
        rows, columns = (torch.arange(side, device=maps.device) for side in maps.shape[-2:])
        sign = 1 - 2 * ((rows[:, None] + columns) % 2)
        return torch.cat([maps[:, :1], maps[:, 1:] * sign], dim=1)


class ToSignals(nn.Module):
    r""":math:`\Upsilon` of Eq. 9: down-sample, 1x1 convolution, flatten; maps to (B, signals, L)."""

    def __init__(self, width: int, signals: int, pool: int, layout: Layout) -> None:
        super().__init__()
        self.pool, self.layout = pool, layout
        self.mix = nn.Conv2d(width, signals, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layout.flatten(self.mix(F.avg_pool2d(x, self.pool)))


class ToMap(nn.Module):
    r""":math:`\Upsilon^T` of Eq. 11: reshape, 1x1 convolution, up-sample to ``size``."""

    def __init__(self, width: int, signals: int, pool: int, layout: Layout) -> None:
        super().__init__()
        self.pool, self.layout = pool, layout
        self.mix = nn.Conv2d(signals, width, 1, bias=False)

    def forward(self, signals: Tensor, size: tuple[int, int]) -> Tensor:
        small = (size[0] // self.pool, size[1] // self.pool)
        maps = self.mix(self.layout.unflatten(signals, small))
        return maps if self.pool == 1 else F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


class Embedding(nn.Module):
    """Image planes (B, 1, H, W) to tokens (B, width, h, w) and, by :class:`PatchesToImage`, back.

    ``window`` equal to ``patch`` cuts the plane into patches. A window of twice the patch overlaps by half, which
    leaves no block edges where tokens were changed; the plane is then continued by reflection, by one token on the
    left and ``margin`` on the right, so that every pixel lies in two windows.
    """

    def __init__(self, width: int, patch: int, window: int, margin: int) -> None:
        super().__init__()
        self.patch, self.margin = patch, margin if window > patch else 0
        self.tokens = nn.Conv2d(1, width, window, stride=patch, bias=False)

    def forward(self, plane: Tensor) -> Tensor:
        if self.margin:
            left, right = self.patch, self.patch * self.margin
            plane = F.pad(plane, (left, right, left, right), mode="reflect")
        return self.tokens(plane)


class PatchesToImage(nn.Module):
    """The reconstruction block: transposed convolution, then a small residual convolution against block edges."""

    def __init__(self, width: int, patch: int, window: int, margin: int) -> None:
        super().__init__()
        self.patch, self.margin = patch, margin if window > patch else 0
        self.pixels = nn.ConvTranspose2d(width, 1, window, stride=patch)
        first, last = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 1, 3, padding=1)
        self.refine = nn.Sequential(first, nn.GELU(), last)
        for value in last.parameters():
            nn.init.zeros_(value)

    def forward(self, x: Tensor) -> Tensor:
        image = self.pixels(x)
        if self.margin:
            inside = slice(self.patch, -self.patch * self.margin)
            image = image[..., inside, inside]
        return image + self.refine(image)


def skip(x: Tensor, kind: str) -> Tensor | float:
    """What passes a submodule beside its signals: everything, the part coarser than 4 x 4 tokens, or nothing."""
    if kind == "full":
        return x
    if kind == "none":
        return 0.0
    factor = min(4, *x.shape[-2:])
    return F.interpolate(F.avg_pool2d(x, factor), size=x.shape[-2:], mode="bilinear", align_corners=False)
