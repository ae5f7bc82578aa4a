"""DeFusion: a convolutional network that splits two images into what they share and what each has alone.

Liang, Jiang, Liu & Ma, "Fusion from Decomposition", ECCV 2022. Layers after the authors' layout without skips in the
decoder of the common part, the one their training uses; ``common_skips`` is the layout of the weights they released.
Both sources go through the same encoder and decoder. There is no normalisation anywhere.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sigforge.methods.tiling import run_padded, run_tiled
from sigforge.methods.weights import load_model

KIND = "defusion"
MULTIPLE, TILE, OVERLAP = 8, 512, 64
UNUSED = "decoder_common_projection_layer"
"""The authors store a projection of the common part, but show it, too, through the unique parts' one."""


class Parts(NamedTuple):
    """Images (B, C, H, W), not negative: what both show, what one shows alone, and everything."""

    common: Tensor
    unique_a: Tensor
    unique_b: Tensor
    fused: Tensor


class DeFusion(nn.Module):
    """Common and unique decomposition of two images, and their fusion from it.

    Args:
        channels: of the images; the authors' networks see three, a luma is repeated.
        width: channels of the first layer; all others scale with it.
        common_skips: give the common decoder the encoders' features at 1/8, 1/4 and 1/2 size, as the released weights
            need it.

    Example:
        >>> net = DeFusion(width=8)
        >>> net.fuse(torch.rand(1, 1, 5, 8), torch.rand(1, 1, 5, 8)).shape
        torch.Size([1, 1, 5, 8])
    """

    def __init__(self, *, channels: int = 3, width: int = 16, common_skips: bool = False) -> None:
        super().__init__()
        w, extra = width, 2 * common_skips  # encoder features, of each source, that the common decoder is given
        self.channels, self.common_skips = channels, common_skips
        self.stem = nn.Conv2d(channels, w, 3, padding=1)
        self.encoder = nn.ModuleList(
            [
                _stage(w, w // 2, blocks=6, smooth=True),
                _stage(2 * w, w, blocks=6),
                _stage(4 * w, 2 * w, blocks=4, stride=2),
                _stage(8 * w, 4 * w, blocks=4, stride=2),
            ]
        )
        self.common_encoder = _stage(32 * w, 16 * w, blocks=4)
        self.common_decoder = nn.ModuleList(
            [
                _stage((64 + 16 * extra) * w, 4 * w, blocks=2),
                _stage((16 + 8 * extra) * w, w, blocks=2),
                _stage((4 + 4 * extra) * w, w // 4, blocks=2),
                _stage(w, w // 4, blocks=2),
            ]
        )
        self.unique_decoder = nn.ModuleList(
            [
                _stage(80 * w, 6 * w, blocks=4),
                _stage(32 * w, 2 * w, blocks=4),
                _stage(12 * w, w, blocks=6),
                _stage(4 * w, w // 4, blocks=6),
            ]
        )
        self.show_part, self.show_fused = (nn.Conv2d(w, channels, 3, padding=1) for _ in range(2))
        _initialise(self)

    def forward(self, sources: Tensor) -> Parts:
        """(2, B, C, H, W) in [0, 1], sides multiples of 8, to the four images."""
        features = [self.encode(source) for source in sources]
        common = self.common_encoder(torch.cat([deepest for *_, deepest in features], dim=1))
        skips = [torch.cat(pair, dim=1) for pair in zip(*features, strict=True)] if self.common_skips else []
        embeddings = [_decode(self.common_decoder, common, skips)]
        embeddings += [_decode(self.unique_decoder, common, own) for own in features]
        common, unique_a, unique_b = (self.show_part(x).relu() for x in embeddings)
        return Parts(common, unique_a, unique_b, self.show_fused(sum(embeddings)).relu())

    def encode(self, image: Tensor) -> list[Tensor]:
        """Features of one image at 1/2, 1/4 and 1/8 of its size."""
        x = self.encoder[0](self.stem(image).relu())
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        features = []
        for stage in self.encoder[1:]:
            x = stage(x)
            features.append(x)
        return features

    @torch.inference_mode()
    def fuse(self, a: Tensor, b: Tensor) -> Tensor:
        """Registered lumas (B, 1, H, W) in [0, 1] of any size to one, clamped to [0, 1]; large images in tiles."""

        def whole(stack: Tensor) -> Tensor:
            fused = self(stack.expand(-1, -1, self.channels, -1, -1)).fused
            return fused.mean(1, keepdim=True)

        def padded(stack: Tensor) -> Tensor:
            return run_padded(whole, stack, multiple=MULTIPLE)

        return run_tiled(padded, torch.stack([a, b]), tile=TILE, overlap=OVERLAP).clamp(0, 1)


class Bottleneck(nn.Module):
    """1x1, split attention, 1x1, beside a shortcut; ``stride`` and ``smooth`` (stride 1) by average pooling."""

    def __init__(self, inputs: int, planes: int, *, stride: int = 1, smooth: bool = False) -> None:
        super().__init__()
        outputs = 4 * planes
        self.narrow = nn.Conv2d(inputs, planes, 1, bias=False)
        self.attention = SplitAttention(planes)
        self.widen = nn.Conv2d(planes, outputs, 1, bias=False)
        self.pool = nn.AvgPool2d(3, stride, padding=1) if smooth or stride > 1 else nn.Identity()
        self.shrink = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs or stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, 4 planes, H/stride, W/stride)."""
        mixed = self.widen(self.pool(self.attention(self.narrow(x).relu())))
        return (mixed + self.shortcut(self.shrink(x))).relu()


class SplitAttention(nn.Module):
    """Two 3x3 convolutions, of one half of the channels each, weighed against each other per channel (ResNeSt)."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        hidden = max(planes // 2, 32)
        self.convolve = nn.Conv2d(planes, 2 * planes, 3, padding=1, groups=2, bias=False)
        self.squeeze, self.excite = nn.Conv2d(planes, hidden, 1), nn.Conv2d(hidden, 2 * planes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, planes, H, W) to the same shape."""
        splits = self.convolve(x).relu().unflatten(1, (2, -1))
        mean = splits.sum(1).mean((-2, -1), keepdim=True)
        weights = self.excite(self.squeeze(mean).relu()).unflatten(1, (2, -1)).softmax(1)
        return (weights * splits).sum(1)


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The authors' state dict under our names; both sources' branches are stored there, and ``lower`` wins."""
    used = (name for name in state if not name.startswith(UNUSED))
    return {_our_name(name): state[name] for name in sorted(used, key=lambda name: "lower" in name)}


def load_defusion(path: Path) -> DeFusion:
    """A trained network from its file, which says how it is built.

    Raises:
        UserError: no such file, not this network, or one of another version.
    """
    return load_model(path, lambda config: DeFusion(**config), kind=KIND)


_SIDE = "(?:upper|lower)"
_RENAMES = {
    rf"^encoder_{_SIDE}\.0\.": "stem.",
    rf"^encoder_{_SIDE}\.2\.layer\.": "encoder.0.",
    rf"^{_SIDE}_encoder_layer(\d)\.layer\.": r"encoder.\1.",
    r"^common_encoder\.0\.layer\.": "common_encoder.",
    **{rf"^decoder_common_layer{k + 1}\.(0\.)?layer\.": f"common_decoder.{k}." for k in range(4)},
    **{rf"^decoder_{_SIDE}_layer{k + 1}\.(0\.)?layer\.": f"unique_decoder.{k}." for k in range(4)},
    rf"^decoder_{_SIDE}_projection_layer\.0\.": "show_part.",
    r"^fusion_rule\.0\.": "show_fused.",
    r"\.conv1\.": ".narrow.",
    r"\.conv2\.conv\.": ".attention.convolve.",
    r"\.conv2\.fc1\.": ".attention.squeeze.",
    r"\.conv2\.fc2\.": ".attention.excite.",
    r"\.conv3\.": ".widen.",
    r"\.downsample\.\d\.": ".shortcut.",
}


def _our_name(name: str) -> str:
    for pattern, replacement in _RENAMES.items():
        name = re.sub(pattern, replacement, name)
    return name


def _stage(inputs: int, planes: int, *, blocks: int, stride: int = 1, smooth: bool = False) -> nn.Sequential:
    first = Bottleneck(inputs, planes, stride=stride, smooth=smooth)
    return nn.Sequential(first, *(Bottleneck(4 * planes, planes) for _ in range(blocks - 1)))


def _decode(stages: nn.ModuleList, common: Tensor, skips: list[Tensor]) -> Tensor:
    """From 1/8 size to full size; the features of ``skips``, if any, join at their own sizes."""
    waiting: Iterator[Tensor] = reversed(skips)
    x = common
    for index, stage in enumerate(stages):
        if index:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        skip = next(waiting, None)
        x = stage(x if skip is None else torch.cat([x, skip], dim=1))
    return x


def _initialise(net: DeFusion) -> None:
    """Normal weights by the number of outputs (the authors'), but small ones for what makes images."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / (layer.kernel_size[0] ** 2 * layer.out_channels)))
    # With the authors', images start at 50 instead of 1, and the first steps push most pixels below 0, where the ReLU
    # behind them lets no gradient through.
    for layer in (net.show_part, net.show_fused):
        nn.init.normal_(layer.weight, std=1e-3)
        assert layer.bias is not None
        nn.init.constant_(layer.bias, 0.25)
