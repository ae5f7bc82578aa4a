"""GIFNet: one model for every task, two window transformers that exchange what they learn.

Cheng et al., "One Model for ALL: Low-Level Task Interaction Is a Key to Task-Agnostic Image Fusion", CVPR 2025. The
transformer blocks are those of Song et al., "Vision Transformers for Single Image Dehazing", IEEE TIP 32, 2023:
windows shifted by reflected padding and no mask, a depthwise branch on the values, norms over the whole image.
"""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sigforge.dataset.tasks import TASKS
from sigforge.methods.published.method import Weights, published
from sigforge.methods.published.network import PublishedNet, conv3x3

GROWTH, WINDOW, HEADS = 32, 8, 2
WIDTH = 2 + 3 * GROWTH


class GifNet(PublishedNet):
    """GIFNet for two sources.

    Example:
        >>> GifNet().eval()(torch.rand(2, 1, 1, 8, 11)).shape
        torch.Size([1, 1, 8, 11])
    """

    minimum = 2 * WINDOW
    memory_format = torch.channels_last
    unused = r"^decoder_rec\.|relative_positions$|layer1\.weights\.|weights_mfif\.1"  # for training, or computed here
    renames: ClassVar[dict[str, str]] = {
        r"\.conv2d\.": ".",
        r"^getSharedFeatures\.conv_1\.": "shared.0.",
        r"^getSharedFeatures\.conv_2\.": "shared.1.",
        r"^getSharedFeatures\.conv_3\.": "shared.2.",
        r"^extractor_multask\.SwinTransformerSpecific\.": "",
        r"^patch_embed_ivif\.proj\.": "embeds.0.",
        r"^patch_embed_mfif\.proj\.": "embeds.1.",
        r"^layer1\.weights_mfif\.0": "exchange",
        r"^layer1\.blocks\.(\d)\.attn\.attn\.meta\.": r"blocks.\1.bias.mlp.",
        r"^layer1\.blocks\.": "blocks.",
        r"norm1_mfif\.meta1\.": "streams.1.norm.rescale.",
        r"norm1_mfif\.meta2\.": "streams.1.norm.rebias.",
        r"norm1_mfif\.": "streams.1.norm.",
        r"norm1\.meta1\.": "streams.0.norm.rescale.",
        r"norm1\.meta2\.": "streams.0.norm.rebias.",
        r"norm1\.": "streams.0.norm.",
        r"attn\.(\w+)_mfif\.": r"streams.1.\1.",
        r"attn\.(\w+)\.": r"streams.0.\1.",
        r"mlp_mfif\.mlp\.": "streams.1.mlp.",
        r"(\d)\.mlp\.mlp\.": r"\1.streams.0.mlp.",
        r"\.QK\.": ".query_key.",
        r"\.V\.": ".value.",
        r"\.proj\.": ".project.",
        r"^patch_unembed\.project\.0\.": "unembed.",
        r"^cnnDecoder\.fuseComplementFeatures\.mlp\.": "mix.",
        r"^cnnDecoder\.decoder\.1\.": "decoder.0.",
        r"^cnnDecoder\.decoder\.4\.": "decoder.1.",
        r"^cnnDecoder\.decoder\.7\.": "decoder.2.",
        r"^cnnDecoder\.decoder\.10\.": "decoder.3.",
    }

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.ModuleList(conv3x3(2 + GROWTH * depth, GROWTH) for depth in range(3))
        self.embeds = nn.ModuleList(conv3x3(WIDTH, WIDTH) for _ in range(2))
        self.blocks = nn.ModuleList([GifNetBlock(shift=0), GifNetBlock(shift=WINDOW // 2)])
        self.exchange = nn.Parameter(torch.zeros(1))
        self.unembed = conv3x3(WIDTH, WIDTH)
        self.mix = nn.Sequential(
            nn.Conv2d(2 * WIDTH, WIDTH, 1, bias=False), nn.ReLU(), nn.Conv2d(WIDTH, 128, 1, bias=False)
        )
        self.decoder = nn.ModuleList([conv3x3(128, 64), conv3x3(64, 32), conv3x3(32, 16), conv3x3(16, 1)])

    def forward(self, sources: Tensor) -> Tensor:
        """(2, B, 1, H, W) in [0, 1] to (B, 1, H, W) in [0, 1]."""
        shared = self.encode(sources)
        image = self.mix(torch.cat([shared, self.interact(shared)], dim=1))
        for conv in self.decoder[:-1]:
            image = conv(image).relu()
        return self.decoder[-1](image).tanh() / 2 + 0.5

    def encode(self, sources: Tensor) -> Tensor:
        """Densely connected features (B, 98, H, W); the sources are the first two channels."""
        features = torch.cat(tuple(sources), dim=1)
        for conv in self.shared:
            features = torch.cat([features, conv(features).relu()], dim=1)
        return features

    def interact(self, shared: Tensor) -> Tensor:
        """Features (B, 98, H, W) of the second stream after exchanging with the first."""
        first, second = (embed(shared) for embed in self.embeds)
        first, second = self.blocks[0](first, second)
        first, second = self.blocks[1](first, second + self.exchange * first)
        return self.unembed(second)

    def fuse(self, sources: Tensor) -> Tensor:
        """Lumas (2, B, 1, H, W) in [0, 1] to (B, 1, H, W) in [0, 1]."""
        return self.run(sources)


class GifNetBlock(nn.Module):
    """One transformer block of each stream, with position biases in common."""

    def __init__(self, *, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.bias = PositionBias()
        self.streams = nn.ModuleList(Stream() for _ in range(2))

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Both streams (B, 98, H, W); where windows are not shifted, the first is asked by the second's queries."""
        bias, streams = self.bias(), [cast(Stream, stream) for stream in self.streams]
        normed = [stream.norm(x) for stream, x in zip(streams, (first, second), strict=True)]
        pairs = [s.query_key(n[0]).chunk(2, dim=1) for s, n in zip(streams, normed, strict=True)]
        query, key = zip(*pairs, strict=True)
        queries = (query[0] if self.shift else query[1], query[1])
        out = []
        parts = zip(streams, (first, second), queries, key, normed, strict=True)
        for stream, x, q, k, (n, scale, offset) in parts:
            x = x + scale * stream.attend(q, k, stream.value(n), bias, self.shift) + offset
            out.append(x + stream.mlp(x))
        return out[0], out[1]


class Stream(nn.Module):
    """What one stream of a block learns of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = ImageNorm()
        self.query_key, self.value = nn.Conv2d(WIDTH, 2 * WIDTH, 1), nn.Conv2d(WIDTH, WIDTH, 1)
        self.conv = nn.Conv2d(WIDTH, WIDTH, 5, padding=2, padding_mode="reflect", groups=WIDTH)
        self.project = nn.Conv2d(WIDTH, WIDTH, 1)
        self.mlp = nn.Sequential(nn.Conv2d(WIDTH, 2 * WIDTH, 1), nn.ReLU(), nn.Conv2d(2 * WIDTH, WIDTH, 1))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor, shift: int) -> Tensor:
        """Window attention plus the depthwise branch, projected.

        Args:
            query: (B, 98, H, W), from either stream.
            key: likewise.
            value: likewise.
            bias: added to the attention's logits for the places of two tokens in their window, (heads, tokens, tokens).
            shift: pixels by which the windows are moved, 0 where they are not.

        Returns:
            (B, 98, H, W).
        """
        height, width = value.shape[-2:]
        q, k, v = (to_windows(x, shift) for x in (query, key, value))
        # Four axes: with three, PyTorch takes the slower way that writes every window's weights down.
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
        return self.project(self.conv(value) + from_windows(attended, height, width, shift))


class ImageNorm(nn.Module):
    """Norm over channels and pixels together, which also tells how to undo it after the attention."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(1, WIDTH, 1, 1)), nn.Parameter(torch.zeros(1, WIDTH, 1, 1))
        self.rescale, self.rebias = nn.Conv2d(1, WIDTH, 1), nn.Conv2d(1, WIDTH, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The normed features, and scale and offset (B, 98, 1, 1)."""
        variance, mean = torch.var_mean(x, dim=(1, 2, 3), correction=0, keepdim=True)
        std = (variance + 1e-5).sqrt()
        return (x - mean) / std * self.weight + self.bias, self.rescale(std), self.rebias(mean)


class PositionBias(nn.Module):
    """Attention bias from the log-spaced offset between two pixels of a window."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(2, 256), nn.ReLU(), nn.Linear(256, HEADS))
        grid = torch.cartesian_prod(*[torch.arange(WINDOW)] * 2)
        offsets = (grid[:, None] - grid[None]).float()
        self.register_buffer("offsets", offsets.sign() * offsets.abs().log1p(), persistent=False)

    def forward(self) -> Tensor:
        """(heads, 64, 64)."""
        return self.mlp(self.offsets).permute(2, 0, 1)


def to_windows(x: Tensor, shift: int) -> Tensor:
    """(B, C, H, W), reflected at the borders, to (B * windows, heads, 64, C / heads)."""
    height, width = x.shape[-2:]
    right, bottom = ((-side - shift) % WINDOW for side in (width, height))
    x = functional.pad(x, (shift, right, shift, bottom), mode="reflect")
    x = x.unflatten(2, (-1, WINDOW)).unflatten(4, (-1, WINDOW)).unflatten(1, (HEADS, -1))
    # B, head, c, rows, y, columns, x
    return x.permute(0, 3, 5, 1, 4, 6, 2).flatten(0, 2).flatten(2, 3)


def from_windows(windows: Tensor, height: int, width: int, shift: int) -> Tensor:
    """Invert :func:`to_windows`.

    Args:
        windows: what :func:`to_windows` returned, or values in its place.
        height: of the maps, pixels.
        width: likewise.
        shift: that :func:`to_windows` was given, pixels.

    Returns:
        (B, C, height, width).
    """
    rows, columns = (-(-(side + shift) // WINDOW) for side in (height, width))
    x = windows.unflatten(2, (WINDOW, WINDOW)).unflatten(0, (-1, rows, columns))  # B, rows, columns, head, y, x, c
    x = x.permute(0, 3, 6, 1, 4, 2, 5).flatten(1, 2).flatten(2, 3).flatten(3, 4)
    return x[..., shift : shift + height, shift : shift + width]


published(
    "gifnet",
    build=GifNet,
    weights=Weights(
        "gifnet",
        "model/Final.model",
        "bfc1dfef0d5b386b0c04f172daf8f6af52ba395f26dc3dd5757425fd32eb1038",
        "AWCXV/GIFNet",
        "c8ad04ae3bfefcebfa9abe94d1d5895c8db56a44",
    ),
    tasks=TASKS,
    paper="Cheng et al., One Model for ALL: Low-Level Task Interaction Is a Key to Task-Agnostic Image Fusion, CVPR",
    year=2025,
    parameters=743_032,
    flops=482_559_755_808,
    equation="F = decoder([E, T(E)]), E = encoder([A, B]), T two interacting window transformers",
    notes="trained on infrared-visible and multi-focus pairs only; parameters without those for training",
)
