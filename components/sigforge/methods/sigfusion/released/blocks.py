"""Blocks of the authors' networks: Restormer's channel attention, a convolutional feed-forward part, the EWT side path.

All run at the resolution of the picture, on (B, C, H, W) of any size, and pad with zeros. The channel attention is
MDTA of Zamir et al., "Restormer", CVPR 2022; the feed-forward part is plain, with a full 3x3 convolution and no gate.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sigforge.methods.sigfusion.released.transform import analyse, synthesise

SIDE = 32
"""Of the grid that a map is read at: signals have 32 x 32 samples whatever the image."""
HEADS, EXPANSION = 8, 2.66


class ReleasedNorm(nn.Module):
    """Layer normalisation over channels at every pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.movedim(1, -1), self.weight.shape, self.weight, self.bias).movedim(-1, 1)


class ReleasedAttention(nn.Module):
    """Attention between channels: a head's channels are mixed by the softmax of their correlations over all pixels."""

    def __init__(self, width: int, heads: int = HEADS) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(width, 3 * width, 1, bias=False)
        self.local = nn.Conv2d(3 * width, 3 * width, 3, padding=1, groups=3 * width, bias=False)
        self.project = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(1, (self.heads, -1)).flatten(3) for part in self.local(self.qkv(x)).chunk(3, dim=1))
        mixing = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT * self.temperature).softmax(-1)
        return self.project((mixing @ v).flatten(1, 2).unflatten(-1, x.shape[-2:]))


class ReleasedFeed(nn.Module):
    """1x1, full 3x3, GELU, 1x1; nine tenths of a block's work."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = int(EXPANSION * width)
        self.up = nn.Conv2d(width, hidden, 1, bias=False)
        self.spread = nn.Conv2d(hidden, hidden, 3, padding=1, bias=False)
        self.down = nn.Conv2d(hidden, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.spread(self.up(x))))


class Block(nn.Module):
    """Attention and feed-forward part, each normalised before and added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.attention = ReleasedNorm(width), ReleasedAttention(width)
        self.norm2, self.feed = ReleasedNorm(width), ReleasedFeed(width)

    def attend(self, x: Tensor) -> Tensor:
        """With the first half of the block."""
        return x + self.attention(self.norm1(x))

    def fed(self, x: Tensor) -> Tensor:
        """With the second half of the block."""
        return x + self.feed(self.norm2(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.fed(self.attend(x))


class Affine(nn.Module):
    """Three 1x1 convolutions of one channel in a row, between steps of nearest-neighbour scaling: one a x + c."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(3)))

    def forward(self, x: Tensor, size: tuple[int, ...]) -> Tensor:
        """(B, 1, h, w) at ``size`` through squares of 64 and 128, largest first when shrinking."""
        squares = ((128, 128), (64, 64)) if size == (SIDE, SIDE) else ((64, 64), (128, 128))
        for step, target in zip(self.steps, (*squares, size), strict=True):
            x = step(F.interpolate(x, size=target, mode="nearest"))
        return x


class SidePath(nn.Module):
    """From a map to one signal of 1024 samples, and back to a map of 32 x 32 cells stretched over the image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(width, 1, 3, padding=1)
        self.shrink, self.stretch = Affine(), Affine()
        self.expand = nn.Conv2d(1, width, 3, padding=1)

    def signal(self, x: Tensor) -> Tensor:
        """(B, 1024), row by row."""
        return self.shrink(self.reduce(x), (SIDE, SIDE)).flatten(1)

    def map(self, signal: Tensor, size: tuple[int, ...]) -> Tensor:
        """(B, width, *size)."""
        return self.expand(self.stretch(signal.view(-1, 1, SIDE, SIDE), size))


class EncoderBlock(Block):
    """A block that adds the low band of its map's signal between attention and feed-forward part."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.side = SidePath(width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        """The map, the bands (B, 3, 1024) and their filters."""
        x = self.attend(x)
        bands, filters, _ = analyse(self.side.signal(x))
        return self.fed(x + self.side.map(bands[:, 0], x.shape[-2:])), bands, filters


class DecoderBlock(Block):
    """A block that first adds the synthesis of the stored high bands with the running map's own signal as low band."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.side = SidePath(width)

    def synthesis(self, x: Tensor, bands: Tensor, filters: Tensor) -> Tensor:
        """The map that is added.

        Args:
            x: (B, C, H, W), whose own signal is the low band.
            bands: (B, 3, 1024) of the encoder; the first, the low one, is not read.
            filters: the bank that they were analysed with.

        Returns:
            (B, C, H, W).
        """
        low = self.side.signal(x)[:, None]
        return self.side.map(synthesise(torch.cat([low, bands[:, 1:]], dim=1), filters), x.shape[-2:])

    def forward(self, x: Tensor, bands: Tensor, filters: Tensor) -> Tensor:  # type: ignore[override]
        """The block on ``x`` with the synthesis added.

        Args:
            x: (B, C, H, W).
            bands: (B, 3, 1024) of the encoder.
            filters: the bank that they were analysed with.

        Returns:
            (B, C, H, W).
        """
        return super().forward(x + self.synthesis(x, bands, filters))
