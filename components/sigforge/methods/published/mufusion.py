"""MUFusion: an encoder and decoder with dense skips, trained against its own memory.

Cheng, Xu & Wu, "MUFusion: A general unsupervised image fusion network based on memory unit", Information Fusion 92,
2023, section on the architecture. As in the authors' script, images are fused in patches of 128 pixels at steps of 124,
overlaps averaged, and saved stretched to the full range (an option).
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from sigforge.dataset.tasks import Task
from sigforge.methods.published.method import Weights, published
from sigforge.methods.published.network import PublishedNet, conv3x3, stretch_to_unit
from sigforge.methods.tiling import pad_to

PATCH, STEP = 128, 124


class MuFusion(PublishedNet):
    """MUFusion for two sources.

    Example:
        >>> MuFusion()(torch.rand(2, 1, 1, 20, 32)).shape
        torch.Size([1, 1, 20, 32])
    """

    multiple, minimum = 2, 4
    memory_format = torch.channels_last
    renames: ClassVar[dict[str, str]] = {r"^conv(\d+)\.1\.": r"conv\1."}

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv3x3(2, 32), conv3x3(32, 32)
        self.conv3, self.conv4 = conv3x3(64, 64, stride=2), conv3x3(64, 64)
        self.conv5, self.conv6 = conv3x3(128, 64), conv3x3(192, 64)
        self.conv66, self.conv55 = conv3x3(64, 64), conv3x3(128, 64)
        self.conv44, self.conv33 = conv3x3(128, 64), conv3x3(128, 64)
        self.conv22, self.conv11 = conv3x3(96, 32), conv3x3(64, 1)

    def forward(self, sources: Tensor) -> Tensor:
        """(2, B, 1, H, W) in [0, 1] with even sides to (B, 1, H, W) in [-1, 1]."""
        fine1 = self.conv1(torch.cat(tuple(sources), dim=1)).relu()
        fine2 = self.conv2(fine1).relu()
        half3 = self.conv3(torch.cat([fine1, fine2], dim=1)).relu()
        half4 = self.conv4(half3).relu()
        half5 = self.conv5(torch.cat([half3, half4], dim=1)).relu()
        half6 = self.conv6(torch.cat([half3, half4, half5], dim=1)).relu()
        half = self.conv66(half6).relu()
        half = self.conv55(torch.cat([half5, half], dim=1)).relu()
        half = self.conv44(torch.cat([half4, half], dim=1)).relu()
        half = self.conv33(torch.cat([half3, half], dim=1)).relu()
        fine = functional.interpolate(half, scale_factor=2, mode="bicubic")
        fine = self.conv22(torch.cat([fine2, fine], dim=1)).relu()
        return self.conv11(torch.cat([fine1, fine], dim=1)).tanh()

    def run(self, sources: Tensor) -> Tensor:
        """``forward`` on any size, in the authors' overlapping patches."""
        height, width = sources.shape[-2:]
        sources = pad_to(sources, *(max(self.minimum, side + side % 2) for side in (height, width)))
        total, count = torch.zeros_like(sources[0]), torch.zeros_like(sources[0])
        for top in _starts(total.shape[-2]):
            for left in _starts(total.shape[-1]):
                window = (..., slice(top, top + PATCH), slice(left, left + PATCH))
                total[window] += self(sources[window])
                count[window] += 1
        return (total / count)[..., :height, :width]

    def fuse(self, sources: Tensor, *, stretch: bool = True) -> Tensor:
        """Lumas (2, B, 1, H, W) in [0, 1] to (B, 1, H, W) in [0, 1], each ``stretch``-ed to the full range."""
        fused = self.run(sources)
        return stretch_to_unit(fused) if stretch else fused.clamp(0, 1)


def _starts(side: int) -> list[int]:
    """Where patches start; the last one ends with the image."""
    last = max(0, side - PATCH)
    return [*range(0, last, STEP), last]


def _weights(name: str, path: str, sha256: str) -> Weights:
    return Weights(name, path, sha256, "AWCXV/MUFusion", "223134e6317081bbf57cf51d175e93b386bb7602", licence="MIT")


def _register(name: str, weights: dict[Task, Weights], notes: str) -> None:
    published(
        name,
        build=MuFusion,
        weights=weights,
        paper="Cheng, Xu & Wu, MUFusion: A General Unsupervised Image Fusion Network, Information Fusion",
        year=2023,
        parameters=554_721,
        flops=131_365_601_280,
        equation="F = tanh(decoder(encoder([A, B])))",
        notes=notes,
    )


_FILES: dict[Task, tuple[str, str]] = {
    "vif": ("ir_vis/models/TNO.model", "5d96ad1812c61e005edb439c85e341bac91c7bf275f1a41cd20a0a62769b2dbb"),
    "mif": ("medical/models/harvard.model", "f8537a378d5b980fc190897eb94981fc74ab8afb5d362e7aada86b672455584d"),
    "mfif": ("multi-focus/models/Final.model", "2c1bcfb97a27d9f8f2fe52c907b821d0e01cf5d50ad7e2cbb04014baa0b5d491"),
    "mef": ("multi-exposure/models/Final.model", "d48691ab1f3e2ae64d381bfd6d3cc85554936c30de3fbc6fcd3a5820e1791575"),
}
_STRETCHED = "stretched to the full range as the authors save it (option stretch)"
_register(
    "mufusion",
    {task: _weights(f"mufusion-{task}", path, sha256) for task, (path, sha256) in _FILES.items()},
    f"{_STRETCHED}; vif: trained on TNO; mif: takes the first source for PET, so that CT comes out soft",
)
_register(
    "mufusion_roadscene",
    {
        "vif": _weights(
            "mufusion-roadscene",
            "ir_vis/models/RoadScene.model",
            "8c358e4869092fb0bb553947674ee1b04bfffe06eb200354c3a62ee005f093fd",
        )
    },
    f"{_STRETCHED}; trained on RoadScene",
)
