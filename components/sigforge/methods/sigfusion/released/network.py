"""The authors' networks: encoder, decoder, signal modulator and fusion decoder, at full resolution, 32 channels wide.

Rebuilt from a description of github fengjiawei123/SigFusion at 044da077 and equal to recorded outputs of it. Parameters
that the authors store and never use (the perceptrons inside their synthesis, 21 million) are left out.
"""

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sigforge.methods.sigfusion.released.blocks import SIDE, Block, DecoderBlock, EncoderBlock

WIDTH, LEVELS = 32, 5


@dataclass(frozen=True)
class Encoding:
    """What the encoder makes of one plane.

    Attributes:
        feature: (B, 32, H, W).
        bands: per level (B, 3, 1024), the low one first.
        filters: per level (B, 3, 1024), in FFT order.
    """

    feature: Tensor
    bands: tuple[Tensor, ...]
    filters: tuple[Tensor, ...]


class Encoder(nn.Module):
    """One plane (B, 1, H, W) in [0, 1] to its :class:`Encoding`; no down-sampling anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, WIDTH, 3, padding=1, bias=False)
        self.blocks = nn.ModuleList(EncoderBlock(WIDTH) for _ in range(LEVELS))

    def forward(self, plane: Tensor) -> Encoding:
        x, bands, filters = self.embed(plane), [], []
        for block in self.blocks:
            x, split, bank = block(x)
            bands.append(split)
            filters.append(bank)
        return Encoding(x, tuple(bands), tuple(filters))


class Tail(nn.Module):
    """The reconstruction block: two plain blocks with a widening between them, one channel, a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.widen = Block(WIDTH), nn.Conv2d(WIDTH, 2 * WIDTH, 1)
        self.second, self.plane = Block(2 * WIDTH), nn.Conv2d(2 * WIDTH, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.plane(self.second(self.widen(self.first(x)))).sigmoid()


class Decoder(nn.Module):
    """Self-reconstruction. Levels are not mirrored: the deepest feature meets the bands of the first level first."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(DecoderBlock(WIDTH) for _ in range(LEVELS))
        self.tail = Tail()

    def forward(self, encoding: Encoding) -> Tensor:
        x = encoding.feature
        for block, bands, filters in zip(self.blocks, encoding.bands, encoding.filters, strict=True):
            x = block(x, bands, filters)
        return self.tail(x)


class FusionDecoder(nn.Module):
    """Merges two encodings and decodes them.

    Args:
        slip: as released, where the loop gives every block the same merged feature and keeps the last result, so that
            four of five blocks and levels are lost. Without it each block continues where the one before ended.
    """

    def __init__(self, *, slip: bool = True) -> None:
        super().__init__()
        self.slip = slip
        self.merge_features = nn.Conv2d(2 * WIDTH, WIDTH, 1)
        self.merge_bands = nn.Conv1d(2, 1, 1)
        self.blocks = nn.ModuleList(DecoderBlock(WIDTH) for _ in range(LEVELS))
        self.tail = Tail()

    def merge(self, a: Encoding, b: Encoding) -> Encoding:
        """Features by a 1x1 convolution, all bands by one pair of weights, filters by their mean."""
        bands = (self._merged(*both) for both in zip(a.bands, b.bands, strict=True))
        filters = ((one + other) / 2 for one, other in zip(a.filters, b.filters, strict=True))
        feature = self.merge_features(torch.cat([a.feature, b.feature], dim=1))
        return Encoding(feature, tuple(bands), tuple(filters))

    def _merged(self, a: Tensor, b: Tensor) -> Tensor:
        stacked = torch.stack([a, b], dim=2).flatten(0, 1)
        return self.merge_bands(stacked).view_as(a)

    def features(self, a: Encoding, b: Encoding) -> Tensor:
        """The last block's map, (B, 32, H, W)."""
        merged = self.merge(a, b)
        x, levels = merged.feature, list(zip(self.blocks, merged.bands, merged.filters, strict=True))
        for block, bands, filters in levels[-1:] if self.slip else levels:
            x = block(x, bands, filters)
        return x

    def forward(self, a: Encoding, b: Encoding) -> Tensor:
        return self.tail(self.features(a, b))


class Modulator(nn.Module):
    """The authors' signal modulator of one modality: blocks for the 2-D map, one perceptron for all high bands."""

    def __init__(self) -> None:
        super().__init__()
        length = SIDE * SIDE
        self.blocks = nn.Sequential(*(Block(WIDTH) for _ in range(LEVELS)))
        sizes = (length, 2 * length, 4 * length, length)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(sizes))

    def forward(self, encoding: Encoding) -> Encoding:
        bands = tuple(torch.cat([split[:, :1], self._high(split[:, 1:])], dim=1) for split in encoding.bands)
        return Encoding(self.blocks(encoding.feature), bands, encoding.filters)

    def _high(self, bands: Tensor) -> Tensor:
        first, second, last = self.layers
        return last(F.gelu(second(F.gelu(first(bands)))))
