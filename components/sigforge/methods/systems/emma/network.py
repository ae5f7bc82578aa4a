"""EMMA: U-Fuser, and the pseudo-sensing networks that look at a fused image as each sensor would.

Zhao et al., "Equivariant Multi-Modality Image Fusion", CVPR 2024, section 3.3; layer sizes as in the authors' code,
where the feed-forward part of a block and its query, key and value mix channels more than Restormer's do. Differs from
the authors: any size by mirrored padding instead of a mosaic of crops, and the fused image is not stretched to the full
range when it is saved.
"""

from pathlib import Path
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn
from torch.nn import functional

from sigforge.methods.published.refusion import HEADS, RestormerAttention, RestormerNorm
from sigforge.methods.tiling import run_padded, run_tiled
from sigforge.methods.weights import load_model

KIND, SENSING_KIND = "emma", "emma-sensing"
TILE, OVERLAP = 1024, 128


class UFuserConfig(BaseModel):
    """How U-Fuser is built; the defaults are the authors'."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    widths: tuple[int, int, int, int] = Field((8, 16, 32, 32), description="channels, finest scale first")

    @field_validator("widths")
    @classmethod
    def _whole_heads(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(width < HEADS or width % HEADS for width in widths):
            raise ValueError(f"each must be a multiple of the {HEADS} heads")
        return widths


class SensingConfig(BaseModel):
    """How a sensing network is built; the default is the authors', 39.4 M parameters each; 32 has 9.9 M."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(64, ge=1, description="channels at full resolution, doubled four times")


class UFuser(nn.Module):
    """The fusion network F of the paper, for two sources.

    Attributes:
        renames: regular expressions from the authors' tensor names to ours, in order.

    Example:
        >>> net = UFuser(UFuserConfig(widths=(8, 8, 8, 8)))
        >>> net.fuse(torch.rand(1, 1, 21, 34), torch.rand(1, 1, 21, 34)).shape
        torch.Size([1, 1, 21, 34])
    """

    multiple: ClassVar[int] = 8
    minimum: ClassVar[int] = 16  # the coarsest scale is padded by reflection
    renames: ClassVar[dict[str, str]] = {
        r"^I_en_(\d)": r"encoders.0.scale\1",
        r"^V_en_(\d)": r"encoders.1.scale\1",
        r"^I_down(\d)": r"encoders.0.down\1",
        r"^V_down(\d)": r"encoders.1.down\1",
        r"^f_(\d)": r"fuse\1",
        r"^de_(\d)": r"decode\1",
        r"^last\.0": "head",
        r"\.body\.": ".",
        "GlobalFeature.norm": "norm",
        "GlobalFeature.attn.scale": "attention.weigh.temperature",
        "GlobalFeature.attn.qkv1": "attention.qkv.0",
        "GlobalFeature.attn.qkv2": "attention.qkv.1",
        "GlobalFeature.attn.proj": "attention.project",
        "GlobalFeature.mlp.project_in": "mlp.expand.0",
        "GlobalFeature.mlp.dwconv": "mlp.expand.1",
        "GlobalFeature.mlp.project_out": "mlp.project",
        r"LocalFeature\.Extraction\.(\d)\.conv\.": r"local.\1.",
        "FFN": "merge",
    }

    def __init__(self, config: UFuserConfig | None = None) -> None:
        super().__init__()
        self.config = config or UFuserConfig()
        c1, c2, c3, c4 = widths = self.config.widths
        self.encoders = nn.ModuleList(ScaleEncoder(widths) for _ in range(2))
        for scale, width in enumerate(widths, start=1):
            setattr(self, f"fuse{scale}", RestormerCnn(2 * width, width))
        self.decode4, self.up4 = RestormerCnn(c4, c4), upsample(c4, c3)
        self.decode3, self.up3 = RestormerCnn(2 * c3, c3), upsample(c3, c2)
        self.decode2, self.up2 = RestormerCnn(2 * c2, c2), upsample(c2, c1)
        self.decode1 = RestormerCnn(2 * c1, c1)
        self.head = _conv3x3(c1, 1, bias=True)

    def forward(self, sources: Tensor) -> Tensor:
        """(2, B, 1, H, W) in [0, 1], sides multiples of 8, to (B, 1, H, W) in (0, 1)."""
        features = [encoder(source) for encoder, source in zip(self.encoders, sources, strict=True)]
        f1, f2, f3, f4 = (
            getattr(self, f"fuse{scale}")(torch.cat(pair, dim=1))
            for scale, pair in enumerate(zip(*features, strict=True), start=1)
        )
        x = self.up4(self.decode4(f4))
        x = self.up3(self.decode3(torch.cat([x, f3], dim=1)))
        x = self.up2(self.decode2(torch.cat([x, f2], dim=1)))
        return self.head(self.decode1(torch.cat([x, f1], dim=1))).sigmoid()

    @torch.inference_mode()
    def fuse(self, a: Tensor, b: Tensor) -> Tensor:
        """Lumas (B, 1, H, W) in [0, 1] of any size, infrared first for ``vif``, to their fusion in [0, 1]."""

        def whole(stack: Tensor) -> Tensor:
            return run_padded(self, stack, multiple=self.multiple, minimum=self.minimum)

        return run_tiled(whole, torch.stack([a, b]), tile=TILE, overlap=OVERLAP)


class Sensing(nn.Module):
    """The pair of pseudo-sensing networks A_i, A_v: a fused image as the sensor of each source would see it."""

    multiple: ClassVar[int] = 16

    def __init__(self, config: SensingConfig | None = None) -> None:
        super().__init__()
        self.config = config or SensingConfig()
        self.a, self.b = UNet(self.config.width), UNet(self.config.width)

    def forward(self, fused: Tensor) -> Tensor:
        """(B, 1, H, W) in [0, 1], sides multiples of 16, to the pseudo-sources (2, B, 1, H, W) in (0, 1)."""
        return torch.stack([self.a(fused), self.b(fused)])

    def freeze(self) -> "Sensing":
        """As it stays while U-Fuser trains: no gradients of its own, batch statistics fixed."""
        return self.requires_grad_(False).eval()


def load_emma(path: Path) -> UFuser:
    """A trained U-Fuser from its file.

    Raises:
        UserError: no such file, not a U-Fuser, or one of another version.
    """
    return load_model(path, lambda config: UFuser(UFuserConfig.model_validate(config)), kind=KIND)


def load_sensing(path: Path) -> Sensing:
    """The trained sensing networks from their file, frozen.

    Raises:
        UserError: no such file, not sensing networks, or those of another version.
    """
    return load_model(path, lambda config: Sensing(SensingConfig.model_validate(config)), kind=SENSING_KIND).freeze()


class ScaleEncoder(nn.Module):
    """One source to its features at four scales, each half the size of the one before."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        for scale, (inputs, width) in enumerate(zip((1, *widths), widths, strict=False), start=1):
            setattr(self, f"scale{scale}", RestormerCnn(inputs, width))
            if scale < len(widths):
                setattr(self, f"down{scale}", _conv3x3(width, width, stride=2))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 1, H, W) to four maps, finest first."""
        features = []
        for scale in (1, 2, 3, 4):
            x = x if scale == 1 else getattr(self, f"down{scale - 1}")(x)
            x = getattr(self, f"scale{scale}")(x)
            features.append(x)
        return features


class RestormerCnn(nn.Module):
    """Restormer block and residual block side by side on embedded features, then a convolution over both."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.embed = _conv3x3(inputs, width)
        self.norm1, self.attention = RestormerNorm(width), ChannelHeadAttention(width)
        self.norm2, self.mlp = RestormerNorm(width), GatedMlp(width)
        self.local = nn.Sequential(*(ResidualBlock(width) for _ in range(2)))
        self.merge = _conv3x3(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, width, h, w)."""
        x = self.embed(x)
        attended = x + self.attention(self.norm1(x))
        attended = attended + self.mlp(self.norm2(attended))
        return self.merge(torch.cat([attended, self.local(x)], dim=1))


class ChannelHeadAttention(nn.Module):
    """Attention between the channels of each head; at one channel per head (scale 1) it passes the values on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Sequential(
            nn.Conv2d(width, 3 * width, 1, bias=False), nn.Conv2d(3 * width, 3 * width, 3, padding=1, bias=False)
        )
        self.weigh = RestormerAttention()
        self.project = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.weigh(*self.qkv(x).chunk(3, dim=1)))


class GatedMlp(nn.Module):
    """One half of the widened features gates the other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Sequential(
            nn.Conv2d(width, 2 * width, 1, bias=False), _conv3x3(2 * width, 2 * width, groups=width)
        )
        self.project = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.expand(x).chunk(2, dim=1)
        return self.project(functional.gelu(gate) * value)


class ResidualBlock(nn.Sequential):
    """Two convolutions beside a skip."""

    def __init__(self, width: int) -> None:
        super().__init__(_conv3x3(width, width, bias=True), nn.ReLU(), _conv3x3(width, width, bias=True))

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class UNet(nn.Module):
    """Five-level U-Net from one plane to one, the backbone of a sensing network.

    Attributes:
        renames: as :attr:`UFuser.renames`.
    """

    renames: ClassVar[dict[str, str]] = {
        r"^down(\d)\.conv": r"down.\1",
        r"^up_sample(\d)": r"grow.\1",
        r"^up(\d)\.conv": r"up.\1",
        r"^last\.0": "head",
    }

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = {level: width * 2 ** (level - 1) for level in range(1, 6)}
        self.down = nn.ModuleDict({str(n): _double(widths.get(n - 1, 1), widths[n]) for n in range(1, 6)})
        self.grow = nn.ModuleDict({str(n): upsample(widths[n], widths[n - 1]) for n in range(5, 1, -1)})
        self.up = nn.ModuleDict({str(n): _double(widths[n + 1], widths[n]) for n in range(4, 0, -1)})
        self.head = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W), sides multiples of 16, to the same shape in (0, 1)."""
        skips = []
        for level, block in self.down.items():
            x = block(x if level == "1" else functional.max_pool2d(x, 2))
            skips.append(x)
        skips.pop()
        for grow, block in zip(self.grow.values(), self.up.values(), strict=True):
            x = block(torch.cat([grow(x), skips.pop()], dim=1))
        return self.head(x).sigmoid()


def upsample(inputs: int, outputs: int) -> nn.Sequential:
    """Twice the size by a transposed convolution, rectified."""
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False), nn.ReLU())


def _double(inputs: int, outputs: int) -> nn.Sequential:
    layers = [
        layer
        for channels in (inputs, outputs)
        for layer in (nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())
    ]
    return nn.Sequential(*layers)


def _conv3x3(inputs: int, outputs: int, *, stride: int = 1, groups: int = 1, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, groups=groups, bias=bias, padding_mode="reflect")
