"""Blocks of the full-resolution SigFormer: channel attention, depthwise feed-forward part, side signals, merges.

Attention between channels is MDTA of Zamir et al., "Restormer", CVPR 2022; its time grows with the number of pixels,
not with its square. Maps are (B, C, H, W) in channels-last memory, where depthwise convolutions are thrice as fast.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sigforge.signal.boundaries import line_boundaries
from sigforge.signal.ewt import Ewt, ewt, iewt, mean_magnitude

EPS = 1e-4
"""Of normalised lengths: features of flat regions must not be blown up to unit length."""


class PixelNorm(nn.Module):
    """Layer normalisation over channels at every pixel, without a bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.movedim(1, -1), self.gain.shape, self.gain, eps=EPS).movedim(-1, 1)


class ChannelAttention(nn.Module):
    r"""Eq. 8, :math:`X' = \Psi(X) + X`, with attention between the channels of a head; adds nothing at the start."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.norm = heads, PixelNorm(width)
        self.qkv = nn.Conv2d(width, 3 * width, 1, bias=False)
        self.local = nn.Conv2d(3 * width, 3 * width, 3, padding=1, groups=3 * width, bias=False)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.project = nn.Parameter(torch.zeros(width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.local(self.qkv(self.norm(x))).permute(0, 2, 3, 1).flatten(1, 2).chunk(3, dim=-1)
        # Mixing channels and projecting are both linear: one matrix per image, (B, width, width).
        mixing = torch.einsum("ohc,bhcd->bohd", self.project.unflatten(1, (self.heads, -1)), self._mixing(q, k))
        return x + (v @ mixing.flatten(2).mT).unflatten(1, x.shape[-2:]).permute(0, 3, 1, 2)

    def _mixing(self, q: Tensor, k: Tensor) -> Tensor:
        """Softmax of the correlations between channels over all pixels, (B, heads, c, c)."""
        q, k = (part.unflatten(2, (self.heads, -1)).transpose(1, 2).float() for part in (q, k))
        lengths = [part.square().sum(2).clamp(min=1e-12).sqrt() for part in (q, k)]
        correlation = (q.mT @ k) / lengths[0][..., None] / lengths[1][..., None, :]
        return (correlation * self.temperature).softmax(-1)


class FeedForward(nn.Module):
    """Eq. 12 at full resolution: 1x1, depthwise 3x3, GELU, 1x1, added; adds nothing at the start."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        hidden = expansion * width
        self.norm = PixelNorm(width)
        self.up = nn.Conv2d(width, hidden, 1, bias=False)
        self.local = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False)
        self.down = nn.Conv2d(hidden, width, 1, bias=False)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.gelu(self.local(self.up(self.norm(x)))))


class SideSignals(nn.Module):
    r""":math:`\Upsilon` of Eq. 9 and its way back: the map's average over squares, 1x1, read as 1-D signals.

    What the signals cannot hold (detail finer than a square, other channels) stays in the map. Up-sampling is bilinear,
    so changed signals leave no lattice of squares.

    Args:
        width: channels of the map.
        signals: 1-D signals; at the start the first channels.
        pool: side of the squares, pixels.
        turned: read column by column.
        reads: maps become signals here, not only signals maps.
    """

    def __init__(self, width: int, signals: int, pool: int, *, turned: bool, reads: bool) -> None:
        super().__init__()
        self.pool, self.turned = pool, turned
        self.expand = _selecting(signals, width)
        self.reduce = _selecting(width, signals) if reads else None

    def signals(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W), sides multiples of ``pool``, to (B, signals, H W / pool^2)."""
        if self.reduce is None:
            raise ValueError("these signals become maps only")
        small = self.reduce(F.avg_pool2d(x, self.pool))
        return (small.mT if self.turned else small).flatten(2)

    def map(self, signals: Tensor, size: tuple[int, ...]) -> Tensor:
        """Signals to what they add to a map of ``size``, (B, C, H, W)."""
        return self._enlarged(self.expand(self._grid(signals, size)), size)

    def strength(self, bands: Tensor, size: tuple[int, ...]) -> Tensor:
        """(B, signals, K, L) high bands to their mean magnitude over the signals, as maps (B, K, H, W)."""
        return self._enlarged(self._grid(bands.abs().mean(1), size), size)

    def _grid(self, signals: Tensor, size: tuple[int, ...]) -> Tensor:
        rows, columns = (side // self.pool for side in size)
        return signals.unflatten(-1, (columns, rows)).mT if self.turned else signals.unflatten(-1, (rows, columns))

    def _enlarged(self, small: Tensor, size: tuple[int, ...]) -> Tensor:
        return small if self.pool == 1 else F.interpolate(small, size=size, mode="bilinear", align_corners=False)


def _selecting(inputs: int, outputs: int) -> nn.Conv2d:
    """A 1x1 convolution that hands on the first channels as they are."""
    layer, count = nn.Conv2d(inputs, outputs, 1, bias=False), range(min(inputs, outputs))
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[count, count] = 1.0
    return layer


class MergeGate(nn.Module):
    """One subband of n sources to one: softmax weights per place and channel, from the sources' magnitudes.

    Sees every source beside the mean of all, so their order does not matter and their number is free. Starts as the
    mean.

    Args:
        convolution: of maps or of signals.
        channels: of the subband.
        reach: samples or pixels that a weight looks at, odd.
    """

    def __init__(self, convolution: type[nn.Conv1d] | type[nn.Conv2d], channels: int, reach: int) -> None:
        super().__init__()
        padding: dict[str, Any] = {"padding": reach // 2, "padding_mode": "replicate"}
        self.local = convolution(channels, channels, reach, groups=channels, bias=False, **padding)
        self.compare = convolution(2 * channels, 2 * channels, 1)
        self.weigh = convolution(2 * channels, channels, 1, bias=False)
        nn.init.zeros_(self.weigh.weight)

    def forward(self, sources: Tensor) -> Tensor:
        """(n, B, channels, ...) to (B, channels, ...)."""
        count = len(sources)
        strength = self.local(sources.flatten(0, 1).abs()).unflatten(0, (count, -1))
        compared = torch.cat([strength, strength.mean(0, keepdim=True).expand_as(strength)], dim=2).flatten(0, 1)
        weights = self.weigh(F.gelu(self.compare(compared))).unflatten(0, (count, -1)).softmax(0)
        return (weights * sources).sum(0)


def split(signals: Tensor, sources: int, bands: int) -> tuple[Tensor, Tensor]:
    """High EWT bands of signals, with cuts that all sources of an image share.

    Args:
        signals: (sources*B, C, L).
        sources: how many show one scene.
        bands: per signal, the low one included.

    Returns:
        (sources*B, C, bands-1, L), and the cuts (sources*B, bands-1) in radians.
    """
    signals = signals.float()  # no FFT of odd lengths in half precision; cuts must not depend on it either
    spectrum = mean_magnitude(signals.unflatten(0, (sources, -1)), dim=(0, 2))
    cuts = line_boundaries(spectrum, bands).repeat(sources, 1)
    return ewt(signals, bands, boundaries=cuts[:, None], check=False).subbands[..., 1:, :], cuts


def joined(high: Tensor, cuts: Tensor) -> Tensor:
    """The signals (B, C, L) that high bands (B, C, bands-1, L) stand for, low band left out."""
    bands = torch.cat([torch.zeros_like(high[..., :1, :]), high], dim=-2)
    return iewt(Ewt(bands, cuts[:, None]), check=False)
