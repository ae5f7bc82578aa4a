"""Building blocks of SigFormer: attention, perceptron, and the way from maps to signals and back.

Wang et al., "SigFusion", AAAI 2026, Eqs. (8), (9), (11) and (12). Maps are (B, C, h, w) of any size.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from components.signal.scan import Scan, flatten, unflatten


class Attention(nn.Module):
    r"""MHSA with its residual, :math:`X' = \Psi(X) + X` (Eq. 8), on (B, C, h, w) maps of any size.

    Position comes from a depthwise 3x3 convolution, so nothing depends on resolution.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.position = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        tokens = self.norm((x + self.position(x)).flatten(2).transpose(1, 2))
        q, k, v = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.project(mixed).transpose(1, 2).unflatten(-1, size)


class Mlp(nn.Module):
    """Pre-norm two-layer perceptron over channels with its residual (Eq. 12)."""

    def __init__(self, width: int, expansion: int = 2) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x.movedim(1, -1))
        return x + self.down(F.gelu(self.up(tokens))).movedim(-1, 1)


class ToSignals(nn.Module):
    r""":math:`\Upsilon` of Eq. 9: down-sample, 1x1 convolution, flatten; maps to (B, signals, L)."""

    def __init__(self, width: int, signals: int, pool: int, scan: Scan) -> None:
        super().__init__()
        self.pool, self.scan = pool, scan
        self.mix = nn.Conv2d(width, signals, 1)

    def forward(self, x: Tensor) -> Tensor:
        return flatten(self.mix(F.avg_pool2d(x, self.pool)), self.scan)


class ToMap(nn.Module):
    r""":math:`\Upsilon^T` of Eq. 11: reshape, 1x1 convolution, up-sample to ``size``."""

    def __init__(self, width: int, signals: int, pool: int, scan: Scan) -> None:
        super().__init__()
        self.pool, self.scan = pool, scan
        self.mix = nn.Conv2d(signals, width, 1)

    def forward(self, signals: Tensor, size: tuple[int, int]) -> Tensor:
        small = (size[0] // self.pool, size[1] // self.pool)
        maps = self.mix(unflatten(signals, small, self.scan))
        return maps if self.pool == 1 else F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


class PatchesToImage(nn.Module):
    """The reconstruction block: pixel shuffle, then a small residual convolution against block edges."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.pixels = nn.Conv2d(width, patch * patch, 1)
        self.patch = patch
        self.refine = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.GELU(), nn.Conv2d(16, 1, 3, padding=1))
        nn.init.zeros_(self.refine[-1].weight)
        nn.init.zeros_(self.refine[-1].bias)

    def forward(self, x: Tensor) -> Tensor:
        image = F.pixel_shuffle(self.pixels(x), self.patch)
        return image + self.refine(image)


def skip(x: Tensor, kind: str) -> Tensor | float:
    """What passes a submodule beside its signals: everything, the part coarser than 4 x 4 tokens, or nothing."""
    if kind == "full":
        return x
    if kind == "none":
        return 0.0
    factor = min(4, *x.shape[-2:])
    return F.interpolate(F.avg_pool2d(x, factor), size=x.shape[-2:], mode="bilinear", align_corners=False)
