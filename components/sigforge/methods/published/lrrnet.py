"""LRRNet: low-rank and sparse parts by unrolled optimisation, each fused by a convolution.

Li et al., "LRRNet: A Novel Representation Learning Guided Fusion Network for Infrared and Visible Images", IEEE TPAMI
45(9), 2023, section on the network (LLRR blocks). Sources are stretched to the full range before the network, the
result after it; the network's own range is narrow, so the second stretch is needed for a picture at all.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from sigforge.methods.published.method import Weights, published
from sigforge.methods.published.network import PublishedNet, conv3x3, soft_threshold, stretch_to_unit

CHANNELS, BLOCKS = 128, 4


class LrrNet(PublishedNet):
    """LRRNet for an infrared and a visible source.

    Example:
        >>> LrrNet()(torch.rand(2, 1, 1, 8, 11)).shape
        torch.Size([1, 1, 8, 11])
    """

    minimum = 2
    radius = 11
    tile = 128  # 256 channels at full resolution: small tiles stay in the cache
    memory_format = torch.channels_last
    renames: ClassVar[dict[str, str]] = {
        r"\.conv2d\.": ".",
        r"^get_ls1\.": "splits.0.",
        r"^get_ls2\.": "splits.1.",
        r"conv_W00\.": "first.",
        r"lrrblock(\d)\.conv_Wdz\.": r"down.\1.",
        r"lrrblock(\d)\.conv_Wdtz\.": r"up.\1.",
        r"lamj$": "thresholds",
        r"lamz$": "decay",
        r"^decoder\.conv_ReZx\.": "lows.0.",
        r"^decoder\.conv_ReZy\.": "lows.1.",
        r"^decoder\.conv_ReUx\.": "highs.0.",
        r"^decoder\.conv_ReUy\.": "highs.1.",
        r"^decoder\.conv_ReL\.": "low.",
        r"^decoder\.conv_ReH\.": "high.",
    }

    def __init__(self) -> None:
        super().__init__()
        self.splits = nn.ModuleList(LowRankSplit() for _ in range(2))
        self.lows = nn.ModuleList(conv3x3(CHANNELS, 1) for _ in range(2))
        self.highs = nn.ModuleList(conv3x3(CHANNELS, 1) for _ in range(2))
        self.low, self.high = conv3x3(2, 1), conv3x3(2, 1)

    def forward(self, sources: Tensor) -> Tensor:
        """(2, B, 1, H, W), each stretched to [0, 1], to (B, 1, H, W), unclamped."""
        parts = [split(x).chunk(2, dim=1) for split, x in zip(self.splits, sources, strict=True)]
        low = torch.cat([conv(part[0]) for conv, part in zip(self.lows, parts, strict=True)], dim=1)
        high = torch.cat([conv(part[1]) for conv, part in zip(self.highs, parts, strict=True)], dim=1)
        return self.low(low) + self.high(high)

    def fuse(self, sources: Tensor, *, stretch: bool = True) -> Tensor:
        """Lumas (2, B, 1, H, W) in [0, 1] to (B, 1, H, W) in [0, 1], each ``stretch``-ed to the full range."""
        fused = self.run(torch.stack([authors_stretch(source) for source in sources]))
        return stretch_to_unit(fused) if stretch else fused.clamp(0, 1)


class LowRankSplit(nn.Module):
    """Low-rank (first half) and salient (second half) coefficients of one source."""

    def __init__(self) -> None:
        super().__init__()
        self.first = conv3x3(1, 2 * CHANNELS)
        self.down = nn.ModuleList(conv3x3(2 * CHANNELS, 1) for _ in range(BLOCKS))
        self.up = nn.ModuleList(conv3x3(1, 2 * CHANNELS) for _ in range(BLOCKS))
        self.thresholds = nn.Parameter(torch.full((1, 2 * CHANNELS), 0.01))
        self.decay = nn.Parameter(torch.ones(1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """(B, 1, H, W) to (B, 256, H, W)."""
        thresholds = self.thresholds[..., None, None]
        code = soft_threshold(self.first(image), thresholds)
        for down, up in zip(self.down, self.up, strict=True):
            code = soft_threshold(self.decay * code + up(image - down(code)), thresholds)
        return code


def authors_stretch(images: Tensor) -> Tensor:
    """Each image of (B, 1, H, W) stretched as the authors do, who add 1e-5 to the spread of 0..255 levels."""
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    return (images - low) / (high - low + 1e-5 / 255)


published(
    "lrrnet",
    build=LrrNet,
    weights=Weights(
        "lrrnet",
        "model/final_lrr_net_lam2_1.5_wir_3.0_lam3_gram_2000_epoch_4_block_4.model",
        "1de9dd8dee9b650ce69c74ea53e3b9a6b749222f1059a689aabf28f68ee63e29",
        "hli1221/imagefusion-LRRNet",
        "e489fc325ea6acb9b7327b1de2c0cc4a09172ba4",
    ),
    tasks=("vif",),
    paper="Li et al., LRRNet: A Novel Representation Learning Guided Fusion Network, IEEE TPAMI",
    year=2023,
    parameters=49_204,
    flops=36_661_113_216,
    equation="F = conv(low-rank parts) + conv(salient parts)",
    notes="stretched to the full range as the authors save it (option stretch)",
)
