"""DeFusion++: a vision transformer whose cross attention splits two images into common and unique features.

Liang et al., "Fusion from Decomposition: A Self-Supervised Approach for Image Fusion and Beyond" (DeFusion++), Eqs.
(2), (4), (6), (8), section 4.1: ViT-T, four blocks in the encoder of masked features, two in each projector. Where it
is silent: patches of 16; positions learned and resized bicubically; the common feature is the mean of Eq. (4)'s two;
the groups of tokens are joined along the sequence, each marked by an embedding, and averaged at each place behind the
encoder, where a mask token fills the places of which no token was sampled; two blocks in the decoder.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sigforge.methods.tiling import run_padded, run_tiled

PATCH, GRID = 16, 14
TILE, OVERLAP = 448, 64

Grid = tuple[int, int]


class Features(NamedTuple):
    """Tokens (B, N, width) of a decomposition, row by row."""

    commons: tuple[Tensor, Tensor]
    unique_a: Tensor
    unique_b: Tensor

    @property
    def common(self) -> Tensor:
        """What both sources show."""
        return (self.commons[0] + self.commons[1]) / 2

    @property
    def groups(self) -> tuple[Tensor, Tensor, Tensor]:
        """Common, unique to the first, unique to the second."""
        return self.common, self.unique_a, self.unique_b


class DeFusionPP(nn.Module):
    """Decomposition into tokens, and the fused image from them.

    Args:
        channels: of the images; one, a luma, is this project's way.
        width, heads, depth: of the ViT encoder; the paper's is ViT-T.

    Example:
        >>> net = DeFusionPP(width=24, depth=1)
        >>> net.fuse(torch.rand(1, 1, 21, 30), torch.rand(1, 1, 21, 30)).shape
        torch.Size([1, 1, 21, 30])
    """

    def __init__(self, *, channels: int = 1, width: int = 192, heads: int = 3, depth: int = 12) -> None:
        super().__init__()
        self.channels = channels
        self.encoder = VitEncoder(channels, width, heads, depth)
        self.attention = CrossAttention(width, heads)
        self.group = nn.Parameter(0.02 * torch.randn(3, width))
        self.masked_encoder = nn.Sequential(_blocks(width, heads, 4), nn.LayerNorm(width))
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        self.show_common, self.show_unique, self.show_fused, self.show_sampled = (
            Projector(channels, width, heads) for _ in range(4)
        )

    def decompose(self, sources: Tensor) -> Features:
        """(2, B, C, H, W), sides multiples of 16, to the features of Eq. (2)."""
        a, b = (self.encoder(source) for source in sources)
        return self.attention(a, b)

    def join(self, features: Features, grid: Grid, chosen: Tensor | None = None) -> Tensor:
        """Fused features, from all tokens or from some.

        Args:
            features: the common and both unique groups of tokens, (B, N, width) each.
            grid: rows and columns of tokens, N in all.
            chosen: (B, 3, K) places of the tokens that are kept in each group; None keeps all.

        Returns:
            (B, N, width).
        """
        position = self.encoder.positions(grid)
        tokens = torch.stack(features.groups, dim=1) + self.group[:, None] + position
        if chosen is None:
            return self.masked_encoder(tokens.flatten(1, 2)).unflatten(1, (3, -1)).mean(1)
        picked = tokens.gather(2, chosen[..., None].expand(-1, -1, -1, tokens.shape[-1]))
        return self._put_back(self.masked_encoder(picked.flatten(1, 2)), chosen.flatten(1), position)

    def forward(self, sources: Tensor) -> Tensor:
        """(2, B, C, H, W) in [0, 1], sides multiples of 16, to the fused image (B, C, H, W), unclamped."""
        grid = grid_of(sources)
        return self.show_fused(self.join(self.decompose(sources), grid), grid)

    @torch.inference_mode()
    def fuse(self, a: Tensor, b: Tensor) -> Tensor:
        """Registered lumas (B, 1, H, W) in [0, 1] of any size to one, clamped to [0, 1]; large images in tiles."""
        channels = self.encoder.embed.in_channels

        def whole(stack: Tensor) -> Tensor:
            return self(stack.expand(-1, -1, channels, -1, -1)).mean(1, keepdim=True)

        def padded(stack: Tensor) -> Tensor:
            return run_padded(whole, stack, multiple=PATCH)

        return run_tiled(padded, torch.stack([a, b]), tile=TILE, overlap=OVERLAP).clamp(0, 1)

    def _put_back(self, tokens: Tensor, places: Tensor, position: Tensor) -> Tensor:
        """Mean of the tokens (B, M, width) at each of their ``places`` (B, M); the mask token where there is none."""
        onto = F.one_hot(places, len(position)).to(tokens.dtype).mT
        count = onto.sum(-1, keepdim=True)
        return torch.where(count > 0, onto @ tokens / count.clamp(min=1), self.mask_token + position)


class VitEncoder(nn.Module):
    """A vision transformer without a class token: H, and of another size and frozen, the paper's H_fix.

    Example:
        >>> VitEncoder(1, 48, 3, 1)(torch.rand(2, 1, 32, 48)).shape
        torch.Size([2, 6, 48])
    """

    def __init__(self, channels: int = 1, width: int = 192, heads: int = 3, depth: int = 12) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, width, PATCH, stride=PATCH)
        self.position = nn.Parameter(0.02 * torch.randn(1, width, GRID, GRID))
        self.blocks = _blocks(width, heads, depth)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W), sides multiples of 16, to tokens (B, N, width)."""
        tokens = self.embed(image).flatten(2).mT + self.positions(grid_of(image))
        return self.norm(self.blocks(tokens))

    def positions(self, grid: Grid) -> Tensor:
        """Embedding of every place of a grid of patches (N, width)."""
        resized: Tensor = self.position
        if grid != (GRID, GRID):
            resized = F.interpolate(resized, size=grid, mode="bicubic", align_corners=False)
        return resized[0].flatten(1).mT


class CrossAttention(nn.Module):
    """One attention for both tasks; which source gives query, key and value tells them apart (Eqs. 4 and 6)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm, self.perceptron = nn.LayerNorm(width), _perceptron(width)

    def forward(self, a: Tensor, b: Tensor) -> Features:
        """Tokens of both sources (B, N, width) to common features, one for each order, and unique ones."""
        (q1, k1, v1), (q2, k2, v2) = (self._split(x) for x in (a, b))
        commons = self._attend(q2, k2, v1), self._attend(q1, k1, v2)
        return Features(commons, self._attend(q2, k1, v1), self._attend(q1, k2, v2))

    def _split(self, tokens: Tensor) -> Tensor:
        return self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        mixed = self.project(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
        return mixed + self.perceptron(self.norm(mixed))


class VitBlock(nn.Module):
    """Self-attention, then a perceptron, each behind a norm and beside a skip.

    Args:
        width: of a token.
        heads: of the attention, a divisor of the width.
        eps: of the norms.
        drop: part of the images of which training leaves out what stands beside a skip (stochastic depth), in [0, 1).
    """

    def __init__(self, width: int, heads: int, *, eps: float = 1e-5, drop: float = 0.0) -> None:
        super().__init__()
        self.heads, self.drop = heads, drop
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=eps), nn.LayerNorm(width, eps=eps)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = _perceptron(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) to the same shape."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self._some(self.project(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)))
        return x + self._some(self.perceptron(self.norm2(x)))

    def _some(self, added: Tensor) -> Tensor:
        """In training nothing for some of the images, and more for the others to make up for it."""
        if not self.training or not self.drop:
            return added
        return added * added.new_empty(len(added), 1, 1).bernoulli_(1 - self.drop) / (1 - self.drop)


class Projector(nn.Module):
    """PH: two blocks, then every token to its patch of pixels."""

    def __init__(self, channels: int, width: int, heads: int) -> None:
        super().__init__()
        self.blocks, self.norm = _blocks(width, heads, 2), nn.LayerNorm(width)
        self.pixels = nn.Linear(width, channels * PATCH**2)

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        """(B, N, width) to (B, C, 16 h, 16 w)."""
        patches = self.pixels(self.norm(self.blocks(tokens))).mT
        return F.fold(patches, (PATCH * grid[0], PATCH * grid[1]), PATCH, stride=PATCH)


def grid_of(images: Tensor) -> Grid:
    """Rows and columns of patches of (..., H, W)."""
    return images.shape[-2] // PATCH, images.shape[-1] // PATCH


def _blocks(width: int, heads: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(VitBlock(width, heads) for _ in range(depth)))


def _perceptron(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
