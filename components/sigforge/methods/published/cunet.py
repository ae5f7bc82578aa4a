"""CU-Net: what two images share and what is theirs alone, by unrolled convolutional sparse coding.

Deng & Dragotti, "Deep Convolutional Neural Network for Multi-Modal Image Restoration and Fusion", IEEE TPAMI 43(10),
2021, the network for fusion (MIF). It takes RGB; a luma goes in as three equal channels and the luma of what comes
out is the result. The range of its training data is not published; [0, 1] fits, for then the output resembles the
inputs.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from sigforge.core.colour import luma
from sigforge.dataset.tasks import Task
from sigforge.methods.published.method import Weights, published
from sigforge.methods.published.network import PublishedNet, soft_threshold

FILTERS, STEPS = 64, 4


class CuNet(PublishedNet):
    """CU-Net for two RGB sources.

    Example:
        >>> CuNet()(torch.rand(2, 1, 3, 8, 11)).shape
        torch.Size([1, 3, 8, 11])
    """

    radius = 80  # 4 pixels for each of 20 convolutions in a row: 9 for a code, twice, and one after each
    renames: ClassVar[dict[str, str]] = {
        r"^net_u\.": "unique.0.",
        r"^net_v\.": "unique.1.",
        r"^net_z\.": "common.",
        r"^conv_u\.": "explained.0.",
        r"^conv_v\.": "explained.1.",
        r"^decoder\.conv_1\.": "decoders.0.",
        r"^decoder\.conv_2\.": "decoders.1.",
        r"^decoder\.conv_3\.": "decoders.2.",
        r"layer_in\.": "first.",
        r"lam_in$": "first_threshold",
        r"lam_(\d)$": r"thresholds.\1",
        r"down_conv_": "down.",
        r"up_conv_": "up.",
    }

    def __init__(self) -> None:
        super().__init__()
        self.unique = nn.ModuleList(SparseCode(3) for _ in range(2))
        self.explained = nn.ModuleList(_conv(FILTERS, 3) for _ in range(2))
        self.common = SparseCode(6)
        self.decoders = nn.ModuleList(_conv(FILTERS, 3) for _ in range(3))

    def forward(self, sources: Tensor) -> Tensor:
        """RGB (2, B, 3, H, W) in [0, 1] to (B, 3, H, W), unclamped."""
        u, v = (code(x) for code, x in zip(self.unique, sources, strict=True))
        residuals = [x - conv(code) for conv, x, code in zip(self.explained, sources, (u, v), strict=True)]
        z = self.common(torch.cat(residuals, dim=1))
        return sum(conv(code) for conv, code in zip(self.decoders, (u, z, v), strict=True))

    def fuse(self, sources: Tensor) -> Tensor:
        """Lumas (2, B, 1, H, W) in [0, 1] to (B, 1, H, W) in [0, 1]."""
        sources = sources.flip(0) if self.swapped else sources
        return luma(self.run(sources.expand(-1, -1, 3, -1, -1)).clamp(0, 1))


class SparseCode(nn.Module):
    """Sparse code of an image by learned iterations of shrinkage."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, FILTERS)
        self.down = nn.ModuleList(_conv(FILTERS, channels) for _ in range(STEPS))
        self.up = nn.ModuleList(_conv(channels, FILTERS) for _ in range(STEPS))
        self.first_threshold = nn.Parameter(torch.full((1,), 0.01))
        self.thresholds = nn.ParameterList(torch.full((1,), 0.01) for _ in range(STEPS))

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, 64, H, W)."""
        start = self.first(image)
        code = soft_threshold(start, self.first_threshold)
        for down, up, threshold in zip(self.down, self.up, self.thresholds, strict=True):
            code = soft_threshold(start + code - up(down(code)), threshold)
        return code


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 9, padding=4, bias=False)


_FILES: dict[Task, tuple[str, str]] = {
    "mfif": ("multi_focus", "7a2c45d745bda85098b444045de35a2853966d0fd9cdcc43a78e17f3c3f0d873"),
    "mef": ("multi_exposure", "2584aa7926224f966cc752f9016d98af00d3bb1697d8106ee5643827f2a64661"),
}
published(
    "cunet",
    build=CuNet,
    weights={
        task: Weights(
            f"cunet-{task}",
            f"MIF_Task_pytorch/{name}.pth",
            sha256,
            "cindydeng1991/TPAMI-CU-Net",
            "ac43ffccfe3a2c10e095a2fedd060d378c393b80",
            swapped=task == "mef",  # under-exposed first gives visible stripes
        )
        for task, (name, sha256) in _FILES.items()
    },
    paper="Deng & Dragotti, Deep Convolutional Neural Network for Multi-Modal Image Restoration and Fusion, IEEE TPAMI",
    year=2021,
    parameters=637_647,
    flops=391_761_100_800,
    equation="F = D_u * u + D_z * z + D_v * v, with u, v the unique codes and z the common one",
    notes="an RGB network on three equal channels; the published range of its inputs is unknown, [0, 1] assumed",
)
