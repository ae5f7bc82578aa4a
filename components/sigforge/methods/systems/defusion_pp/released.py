"""DeFusion++ as its authors built it, by what was public of their code for a day: networks UCMIMNet and MUCMIMNet.

Against :mod:`~sigforge.methods.systems.defusion_pp.network`, which follows the paper: a class token and fixed
positions; separate cross attentions for common, unique and fused tokens, whose residual carries the source that asks;
a second copy of each for the shallow tokens (embedding and first block), so that detail passes the twelve blocks by;
the uniques also keep their source's own tokens; a long skip; one block and a linear layer to pixels.
"""

import re
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sigforge.methods.systems.defusion_pp.network import PATCH, Grid, VitBlock, grid_of
from sigforge.methods.tiling import run_padded, run_tiled

TILE, OVERLAP = 224, 64
"""The authors' networks take 224x224 only."""

ENCODER_HEADS, LAST_HEADS, HEADS = 6, 12, 16
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, by which the network normalises what it sees, not what it shows."""


class TokenLevels(NamedTuple):
    """Tokens (B, 1 + N, width), the class token first, of what the encoder saw last and of what it saw first."""

    deep: Tensor
    shallow: Tensor

    @property
    def total(self) -> Tensor:
        """Both added up."""
        return self.deep + self.shallow


class ReleasedFeatures(NamedTuple):
    """A decomposition: what both sources show, in the order that was asked for, and what either shows alone."""

    common: TokenLevels
    unique_a: TokenLevels
    unique_b: TokenLevels


class ReleasedDeFusionPP(nn.Module):
    """Decomposition into tokens at two depths, and the fused image from them.

    Args:
        channels: of the images, three in the authors' networks; a luma is repeated.
        width: of a token, a multiple of 48.
        depth: blocks of the encoder.

    Example:
        >>> net = ReleasedDeFusionPP(width=48, depth=1)
        >>> net.fuse(torch.rand(1, 1, 21, 30), torch.rand(1, 1, 21, 30)).shape
        torch.Size([1, 1, 21, 30])
    """

    def __init__(self, *, channels: int = 3, width: int = 192, depth: int = 12) -> None:
        super().__init__()
        self.channels = channels
        self.encoder = TokenEncoder(channels, width, depth)
        self.norm_embedding, self.norm_first = nn.LayerNorm(width), nn.LayerNorm(width)
        self.common, self.common_shallow = CrossBlock(width, key_of_query=True), CrossBlock(width, key_of_query=True)
        self.unique, self.unique_shallow = CrossBlock(width), CrossBlock(width)
        self.own, self.own_shallow = VitBlock(width, HEADS), VitBlock(width, HEADS)
        self.join, self.join_shallow = CrossBlock(width), CrossBlock(width)
        self.recon = nn.Sequential(VitBlock(width, HEADS), VitBlock(width, HEADS))
        self.show_common, self.show_unique, self.show_fused = (TokenHead(channels, width) for _ in range(3))
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        self.masked_blocks = nn.Sequential(VitBlock(width, HEADS), VitBlock(width, HEADS), nn.LayerNorm(width))
        self.masked_pixels = nn.Linear(width, channels * PATCH**2)

    def decompose(self, sources: Tensor, *, b_first: bool = False, corner: Grid = (0, 0)) -> ReleasedFeatures:
        """Tokens of what both sources show and of what either shows alone.

        Args:
            sources: (2, B, C, H, W) in [0, 1], sides multiples of 16.
            b_first: whose order the common tokens have; the authors toss a coin in training.
            corner: place of the images in the authors' grid of 14x14, rows and columns from its corner.
        """
        a, b = (self.levels(source, corner) for source in sources)
        common = self._common(b, a) if b_first else self._common(a, b)
        return ReleasedFeatures(common, self._unique(b, a), self._unique(a, b))

    def levels(self, image: Tensor, corner: Grid = (0, 0)) -> TokenLevels:
        """Deep and shallow tokens of (B, C, H, W) at a place of the authors' grid."""
        embedding, first, last = self.encoder(image, corner)
        return TokenLevels(last, self.norm_embedding(embedding) + self.norm_first(first))

    def fused_tokens(self, features: ReleasedFeatures) -> Tensor:
        """What both uniques ask of the common tokens, at both depths, added up."""
        total = torch.zeros_like(features.common.deep)
        for unique in (features.unique_a, features.unique_b):
            total = total + self.join(features.common.deep, unique.deep)
            total = total + self.join_shallow(features.common.shallow, unique.shallow)
        return total

    def forward(self, sources: Tensor) -> Tensor:
        """(2, B, C, H, W) in [0, 1], sides multiples of 16, to the fused image (B, C, H, W), unclamped."""
        return self.fused_image(self.decompose(sources), grid_of(sources))

    def fused_image(self, features: ReleasedFeatures, grid: Grid) -> Tensor:
        """The image of all tokens, (B, C, H, W)."""
        tokens = self.fused_tokens(features)
        return self.show_fused(self.recon(tokens) + tokens, grid)

    def part_images(self, features: ReleasedFeatures, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
        """The images of what both show, and of what either shows alone."""
        common, a, b = (part.total for part in features)
        return self.show_common(common, grid), self.show_unique(a, grid), self.show_unique(b, grid)

    def masked_image(self, features: ReleasedFeatures, grid: Grid, kept: Tensor, *, corner: Grid = (0, 0)) -> Tensor:
        """The image of some tokens only.

        Args:
            features: of the whole images.
            grid: rows and columns of tokens.
            kept: (B, K) places that stay, the same in all groups and at both depths.
            corner: as the images were decomposed.

        Returns:
            (B, C, H, W).
        """
        width = self.mask_token.numel()
        places = F.pad(kept + 1, (1, 0))[..., None].expand(-1, -1, width)
        some = ReleasedFeatures(*(TokenLevels(*(tokens.gather(1, places) for tokens in part)) for part in features))
        tokens = self.recon(self.fused_tokens(some))
        whole = self.mask_token.expand(len(tokens), 1 + grid[0] * grid[1], -1).scatter(1, places, tokens)
        placed = whole + positions(grid, width, whole.device, corner)
        return unpatched(self.masked_pixels(self.masked_blocks(placed)), grid)

    @torch.inference_mode()
    def fuse(self, a: Tensor, b: Tensor) -> Tensor:
        """Registered lumas (B, 1, H, W) in [0, 1] of any size to one, clamped to [0, 1], in tiles of 224."""
        channels = self.encoder.embed.in_channels

        def whole(stack: Tensor) -> Tensor:
            return self(stack.expand(-1, -1, channels, -1, -1)).mean(1, keepdim=True)

        def padded(stack: Tensor) -> Tensor:
            return run_padded(whole, stack, multiple=PATCH)

        return run_tiled(padded, torch.stack([a, b]), tile=TILE, overlap=OVERLAP).clamp(0, 1)

    def _common(self, first: TokenLevels, second: TokenLevels) -> TokenLevels:
        return TokenLevels(self.common(first.deep, second.deep), self.common_shallow(first.shallow, second.shallow))

    def _unique(self, other: TokenLevels, source: TokenLevels) -> TokenLevels:
        deep = self.unique(other.deep, source.deep) + self.own(source.deep)
        return TokenLevels(deep, self.unique_shallow(other.shallow, source.shallow) + self.own_shallow(source.shallow))


class TokenEncoder(nn.Module):
    """The vision transformer (TinyMIM's ViT-T): a class token, fixed positions, no norm behind the last block.

    Example:
        >>> [x.shape for x in TokenEncoder(1, 48, 2)(torch.rand(2, 1, 32, 48))]
        [torch.Size([2, 7, 48]), torch.Size([2, 7, 48]), torch.Size([2, 7, 48])]
    """

    def __init__(self, channels: int = 3, width: int = 192, depth: int = 12) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, width, PATCH, stride=PATCH)
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        heads = [ENCODER_HEADS] * (depth - 1) + [LAST_HEADS]
        blocks = (VitBlock(width, count, eps=1e-6, drop=0.1 * (count != LAST_HEADS)) for count in heads)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor, corner: Grid = (0, 0)) -> tuple[Tensor, Tensor, Tensor]:
        """(B, C, H, W), sides multiples of 16, to tokens (B, 1 + N, width): embedded, after first and last block."""
        if image.shape[1] == len(MEAN):
            mean, deviation = (image.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
            image = (image - mean) / deviation
        tokens = torch.cat([self.class_token.expand(len(image), -1, -1), self.embed(image).flatten(2).mT], dim=1)
        embedding = tokens + positions(grid_of(image), tokens.shape[-1], tokens.device, corner)
        first = last = self.blocks[0](embedding)
        for block in self.blocks[1:]:
            last = block(last)
        return embedding, first, last


class CrossBlock(nn.Module):
    """Attention of one source's tokens to the other's, with the asking source's residual; norms behind.

    Args:
        key_of_query: the key comes from the source that asks, so that what both share is looked up; else from the
            other.
    """

    def __init__(self, width: int, *, key_of_query: bool = False) -> None:
        super().__init__()
        self.key_of_query = key_of_query
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.attention = nn.MultiheadAttention(width, HEADS, dropout=0.1, batch_first=True)
        self.norm1, self.norm2, self.dropout = nn.LayerNorm(width), nn.LayerNorm(width), nn.Dropout(0.1)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, other: Tensor, asking: Tensor) -> Tensor:
        """Tokens (B, M, width) of both to the same shape."""
        key = self.key(asking if self.key_of_query else other)
        mixed, _ = self.attention(self.query(asking), key, self.value(other), need_weights=False)
        tokens = self.norm1(asking + self.dropout(mixed))
        return self.norm2(tokens + self.dropout(self.narrow(self.dropout(self.widen(tokens).relu()))))


class TokenHead(nn.Module):
    """One block, then every token but the class token to its patch of pixels."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.block, self.pixels = VitBlock(width, HEADS), nn.Linear(width, channels * PATCH**2)

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        """(B, 1 + N, width) to (B, C, 16 h, 16 w)."""
        return unpatched(self.pixels(self.block(tokens)), grid)


class TeacherHeads(nn.Module):
    """What the unique and common tokens say of a frozen encoder, one per modality (stage MCUD).

    Args:
        width: of the network's tokens.
        seen: width of each teacher's.
    """

    def __init__(self, width: int, seen: tuple[int, int]) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in seen)
        self.predict = nn.ModuleList(nn.Linear(width, size) for size in seen)

    def forward(self, net: ReleasedDeFusionPP, sources: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Predictions of both teachers, and the normalised common tokens of both orders, of (2, B, C, H, W)."""
        a, b = (net.levels(source) for source in sources)
        totals = [net._common(*order).total for order in ((a, b), (b, a))]
        commons = [F.layer_norm(tokens, tokens.shape[-1:]) for tokens in totals]
        uniques = [net._unique(b, a).total, net._unique(a, b).total]
        parts = zip(self.predict, self.norms, uniques, commons, strict=True)
        return [predict(norm(unique) + common) for predict, norm, unique, common in parts], commons


def positions(grid: Grid, width: int, device: torch.device | None = None, corner: Grid = (0, 0)) -> Tensor:
    r"""Fixed positions of a grid of patches, zero for the class token in front.

    sin and cos of :math:`x w_i`, then of :math:`y w_i`, :math:`w_i = 10000^{-4i/\mathrm{width}}`. A grid of another
    size than the authors' 14x14 starts in the same corner unless another one is given.

    Args:
        grid: rows and columns.
        width: of a token, a multiple of 4.
        device: of the answer.
        corner: row and column where the grid begins.

    Returns:
        (1 + rows x columns, width).
    """
    rates = 10_000 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    axes = (torch.arange(start, start + side, dtype=torch.float64) for start, side in zip(corner, grid, strict=True))
    y, x = torch.meshgrid(*axes, indexing="ij")
    parts = [wave(axis.flatten()[:, None] * rates) for axis in (x, y) for wave in (torch.sin, torch.cos)]
    return F.pad(torch.cat(parts, dim=1).float(), (0, 0, 1, 0)).to(device)


def unpatched(patches: Tensor, grid: Grid) -> Tensor:
    """(B, 1 + N, 16 x 16 x C) with channels last and the class token first, to images (B, C, 16 h, 16 w)."""
    inside = patches[:, 1:].unflatten(-1, (PATCH**2, -1)).permute(0, 3, 2, 1).flatten(1, 2)
    return F.fold(inside, (PATCH * grid[0], PATCH * grid[1]), PATCH, stride=PATCH)


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The authors' state dict under our names, without fixed positions and the norm that nobody uses."""
    kept = {name: tensor for name, tensor in state.items() if not re.search(UNUSED, name)}
    return {_our_name(name): tensor.flatten() if name == "mask_token" else tensor for name, tensor in kept.items()}


UNUSED = r"pos_embed$|^encoder\.norm\.|^latent_predict|^mm_|^model_encoder"
"""Fixed, never used, or not of the network that fuses."""

_RENAMES = {
    r"^encoder\.cls_token$": "encoder.class_token",
    r"^encoder\.patch_embed\.proj\.": "encoder.embed.",
    r"^enc_norm1\.": "norm_embedding.",
    r"^enc_norm2\.": "norm_first.",
    r"^decode_common_skipconn\.": "common_shallow.",
    r"^decoder_unique_skipconn\.": "unique_shallow.",
    r"^decoder_unique_residual\.": "own.",
    r"^decoder_unique_residual_skipconn\.": "own_shallow.",
    r"^decoder_fuse_skipconn\.": "join_shallow.",
    r"^decoder_common_blocks\.0\.": "common.",
    r"^decoder_unique_blocks\.0\.": "unique.",
    r"^decoder_fuse_blocks\.0\.": "join.",
    r"^decoder_(common|unique)_blocks\.1\.": r"show_\1.block.",
    r"^decoder_(common|unique)_blocks\.2\.": r"show_\1.pixels.",
    r"^decoder_fuse_blocks\.1\.": "show_fused.block.",
    r"^decoder_fuse_blocks\.2\.": "show_fused.pixels.",
    r"^recon_blocks_mim_encoder\.": "recon.",
    r"^mim_decoder_blocks\.": "masked_blocks.",
    r"^mim_decoder_norm\.": "masked_blocks.2.",
    r"^mim_decoder_pred\.": "masked_pixels.",
    r"\.multi_input_self_attn\.multihead_attn\.": ".attention.",
    r"\.multi_input_self_attn\.": ".",
    r"\.linear1\.": ".widen.",
    r"\.linear2\.": ".narrow.",
    r"\.attn\.qkv\.": ".qkv.",
    r"\.attn\.proj\.": ".project.",
    r"\.mlp\.fc1\.": ".perceptron.0.",
    r"\.mlp\.fc2\.": ".perceptron.2.",
}


def _our_name(name: str) -> str:
    for pattern, replacement in _RENAMES.items():
        name = re.sub(pattern, replacement, name)
    return name
