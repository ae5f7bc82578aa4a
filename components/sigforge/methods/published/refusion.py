"""ReFusion's fusion network: two Restormer encoders, cross-attention with gates, a Restormer decoder.

Bai et al., "ReFusion: Learning Image Fusion from Reconstruction with Learnable Loss via Meta-Learning", IJCV 133,
2025, section on the fusion module. Blocks after Zamir et al., "Restormer", CVPR 2022. The authors save the fused luma
stretched to the full range, which raises entropy and deviation: an option here, on as in their pictures.
"""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from sigforge.dataset.tasks import Task
from sigforge.methods.published.method import Weights, published
from sigforge.methods.published.network import PublishedNet, stretch_to_unit

WIDTH, HEADS, BLOCKS = 16, 8, 2


class ReFusion(PublishedNet):
    """ReFusion's fusion module for two sources.

    Example:
        >>> ReFusion()(torch.rand(2, 1, 1, 20, 31)).shape
        torch.Size([1, 1, 20, 31])
    """

    unused = r"\.conv\.weight$"  # every convolution is stored twice
    renames: ClassVar[dict[str, str]] = {
        r"\.body\.": ".",
        r"^project_in_1\.": "stems.0.",
        r"^project_in_2\.": "stems.1.",
        r"^encoder1\.": "encoders.0.",
        r"^encoder2\.": "encoders.1.",
        r"^project_out_([01])\.": r"head\1.",
        r"qkv\.weight": "qkv.mix.weight",
        r"qkv_dwconv\.": "qkv.depthwise.",
        r"ffn\.project_in\.": "ffn.expand.mix.",
        r"ffn\.dwconv\.": "ffn.expand.depthwise.",
        r"ffn\.project_out\.": "ffn.project.",
        r"attn\.project_out\.": "attn.project.",
        r"attn\.temperature": "attn.attention.temperature",
        r"^FM\.temperature1": "fusion.attentions.0.temperature",
        r"^FM\.temperature2": "fusion.attentions.1.temperature",
        r"^FM\.qkv1\.": "fusion.qkvs.0.mix.",
        r"^FM\.qkv1_dwconv\.": "fusion.qkvs.0.depthwise.",
        r"^FM\.qkv2\.": "fusion.qkvs.1.mix.",
        r"^FM\.qkv2_dwconv\.": "fusion.qkvs.1.depthwise.",
        r"^FM\.project_mid1": "fusion.projects.0",
        r"^FM\.project_mid2": "fusion.projects.1",
        r"^FM\.project_E\.": "fusion.gates.mix.",
        r"^FM\.project_E_d\.": "fusion.gates.depthwise.",
        r"^FM\.project_E1\.": "fusion.expands.0.mix.",
        r"^FM\.project_E1_d\.": "fusion.expands.0.depthwise.",
        r"^FM\.project_E2\.": "fusion.expands.1.mix.",
        r"^FM\.project_E2_d\.": "fusion.expands.1.depthwise.",
        r"^FM\.project_out1\.": "fusion.outs.0.",
        r"^FM\.project_out2\.": "fusion.outs.1.",
    }

    def __init__(self) -> None:
        super().__init__()
        self.stems = _pair(lambda: nn.Conv2d(1, WIDTH, 3, padding=1, bias=False))
        self.encoders = _pair(lambda: nn.Sequential(*(Restormer(WIDTH) for _ in range(BLOCKS))))
        self.fusion = GatedCrossAttention(WIDTH)
        self.decoder = nn.Sequential(*(Restormer(2 * WIDTH) for _ in range(BLOCKS)))
        self.head0 = nn.Conv2d(2 * WIDTH, WIDTH, 3, padding=1, bias=False)
        self.head1 = nn.Conv2d(WIDTH, 1, 3, padding=1, bias=False)

    def forward(self, sources: Tensor) -> Tensor:
        """(2, B, 1, H, W) in [0, 1] to (B, 1, H, W) in (0, 1)."""
        encoded = [e(stem(x)) for e, stem, x in zip(self.encoders, self.stems, sources, strict=True)]
        decoded = self.decoder(self.fusion(*encoded))
        return self.head1(functional.leaky_relu(self.head0(decoded))).sigmoid()

    def fuse(self, sources: Tensor, *, stretch: bool = True) -> Tensor:
        """Lumas (2, B, 1, H, W) in [0, 1] to (B, 1, H, W) in [0, 1], each ``stretch``-ed to the full range."""
        fused = self.run(sources)
        return stretch_to_unit(fused) if stretch else fused


class Restormer(nn.Module):
    """Channel attention, then a gated feed-forward network, each behind a norm and beside a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.attn = RestormerNorm(width), SelfAttention(width)
        self.norm2, self.ffn = RestormerNorm(width), GatedFeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same shape."""
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class RestormerNorm(nn.Module):
    """Layer norm over the channels of each pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same shape."""
        variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
        scale = self.weight[:, None, None] * (variance + 1e-5).rsqrt()
        return (x - mean) * scale + self.bias[:, None, None]


class Pointwise(nn.Module):
    """1x1 convolution, then a 3x3 convolution of each channel alone."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.depthwise = nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H, W)."""
        return self.depthwise(self.mix(x))


class RestormerAttention(nn.Module):
    """Attention between the channels of each head, at a learned temperature; its cost is linear in pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(HEADS, 1, 1))

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention between channels, head by head; its cost is linear in the number of pixels.

        Args:
            query: (B, C, H, W).
            key: likewise.
            value: likewise.

        Returns:
            (B, C, H, W).
        """
        q, k, v = (x.unflatten(1, (HEADS, -1)).flatten(3) for x in (query, key, value))
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        weights = (self.temperature * (q @ k.mT)).softmax(-1)
        return (weights @ v).view_as(value)


class SelfAttention(nn.Module):
    """Channel attention of features with themselves (Restormer's MDTA)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.attention = Pointwise(width, 3 * width), RestormerAttention()
        self.project = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same shape."""
        return self.project(self.attention(*self.qkv(x).chunk(3, dim=1)))


class GatedFeedForward(nn.Module):
    """One half of the widened features gates the other (Restormer's GDFN)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = Pointwise(width, 4 * width)
        self.project = nn.Conv2d(2 * width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same shape."""
        gate, value = self.expand(x).chunk(2, dim=1)
        return self.project(functional.gelu(gate) * value)


class GatedCrossAttention(nn.Module):
    """The paper's AFM: each source is asked by the other, then both are gated by what they have together."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkvs, self.attentions = _pair(lambda: Pointwise(width, 3 * width)), _pair(RestormerAttention)
        self.projects = _pair(lambda: nn.Conv2d(width, width, 1, bias=False))
        self.gates = Pointwise(2 * width, 8 * width)
        self.expands = _pair(lambda: Pointwise(width, 4 * width))
        self.outs = _pair(lambda: nn.Conv2d(4 * width, 2 * width, 1, bias=False))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Two (B, width, H, W) to (B, 2 width, H, W)."""
        (query_a, *rest_a), (query_b, *rest_b) = (f(x).chunk(3, dim=1) for f, x in zip(self.qkvs, (a, b), strict=True))
        a = a + self.projects[0](self.attentions[0](query_b, *rest_a))
        b = b + self.projects[1](self.attentions[1](query_a, *rest_b))
        both = torch.cat([a, b], dim=1)
        gates = functional.gelu(self.gates(both)).chunk(2, dim=1)
        branches = zip(self.outs, self.expands, (a, b), gates, strict=True)
        return both + sum(out(expand(x) * gate) for out, expand, x, gate in branches)


def _pair(make: Callable[[], nn.Module]) -> nn.ModuleList:
    return nn.ModuleList(make() for _ in range(2))


_FILES: dict[Task, tuple[str, str]] = {
    "vif": ("IVIF", "1b8358d8dab5e95c9d3f668782abda85359685669444946001ac41ea96891b2c"),
    "mif": ("MIF", "5cc483457390ea8ffeeedbf41287adf23880f860b2f9b6b6045329598fd2e0e5"),
    "mfif": ("MFIF", "0ba2c1070a37e3a067afa66c39eae7e96e782d9261afcab454af069c460221f2"),
    "mef": ("MEIF", "6815d372069b2b96a59c02dff31d42d7d5604c5507227c5b6801d967832461d4"),
}
published(
    "refusion",
    build=ReFusion,
    weights={
        task: Weights(
            f"refusion-{task}",
            f"models/ReFusion_{name}.pth",
            sha256,
            "HaowenBai/ReFusion",
            "54b733420e67042aa6ddd146ec3edef902122930",
        )
        for task, (name, sha256) in _FILES.items()
    },
    paper="Bai et al., ReFusion: Learning Image Fusion from Reconstruction with Learnable Loss, IJCV",
    year=2025,
    parameters=59_856,
    flops=36_972_134_400,
    equation="F = sigmoid(decoder(AFM(encoder_a(A), encoder_b(B))))",
    notes="stretched to the full range as the authors save it (option stretch)",
)
