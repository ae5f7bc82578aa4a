"""DenseFuse: a dense encoder, averaged features, a plain decoder.

Li & Wu, "DenseFuse: A Fusion Approach to Infrared and Visible Images", IEEE TIP 28(5), 2019, section III. After the
authors' PyTorch version, whose addition strategy is the mean and whose last layer has a ReLU.
"""

from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from sigforge.core.colour import luma
from sigforge.dataset.tasks import TASKS
from sigforge.methods.published.method import Weights, published
from sigforge.methods.published.network import PublishedNet, conv3x3

GROWTH = 16


class DenseFuse(PublishedNet):
    """DenseFuse for planes (``channels`` 1) or RGB (3).

    Example:
        >>> DenseFuse()(torch.rand(2, 1, 1, 20, 31)).shape
        torch.Size([1, 1, 20, 31])
    """

    minimum = 2
    radius = 8
    renames: ClassVar[dict[str, str]] = {
        r"\.conv2d\.": ".",
        r"^conv1\.": "stem.",
        r"^DB1\.denseblock\.(\d)\.dense_conv\.": r"dense.\1.",
        r"^conv2\.": "decoder.0.",
        r"^conv3\.": "decoder.1.",
        r"^conv4\.": "decoder.2.",
        r"^conv5\.": "decoder.3.",
    }

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.channels = channels
        self.stem = conv3x3(channels, GROWTH)
        self.dense = nn.ModuleList(conv3x3(GROWTH * depth, GROWTH) for depth in (1, 2, 3))
        self.decoder = nn.ModuleList([conv3x3(64, 64), conv3x3(64, 32), conv3x3(32, 16), conv3x3(16, channels)])

    def forward(self, sources: Tensor) -> Tensor:
        """(n, B, C, H, W) in [0, 255] to (B, C, H, W), at least 0 but not bounded by 255."""
        image = torch.stack([self.encode(source) for source in sources]).mean(0)
        for conv in self.decoder:
            image = conv(image).relu()
        return image

    def encode(self, source: Tensor) -> Tensor:
        """Features (B, 64, H, W) of one source; each dense layer sees all before it."""
        features = self.stem(source).relu()
        for conv in self.dense:
            features = torch.cat([features, conv(features).relu()], dim=1)
        return features

    def fuse(self, sources: Tensor) -> Tensor:
        """Lumas (n, B, 1, H, W) in [0, 1] to (B, 1, H, W) in [0, 1]."""
        fused = self.run(255 * sources.expand(-1, -1, self.channels, -1, -1)) / 255
        return luma(fused.clamp(0, 1))


def _register(name: str, file: str, sha256: str, channels: int, parameters: int, flops: int, notes: str) -> None:
    published(
        name,
        build=partial(DenseFuse, channels),
        weights=Weights(
            name.replace("_", "-"),
            f"models/{file}",
            sha256,
            "hli1221/densefuse-pytorch",
            "4394b63e9295db1c6b7a5c3664551c90f0605f2b",
        ),
        tasks=TASKS,
        paper="Li & Wu, DenseFuse: A Fusion Approach to Infrared and Visible Images, IEEE TIP",
        year=2019,
        parameters=parameters,
        flops=flops,
        equation="F = decoder(mean_n encoder(I_n))",
        n_sources=(2, None),
        notes=notes,
    )


_register(
    "densefuse",
    "densefuse_gray.model",
    "b34cf3650f04161b31ac2467decfeedf7eba39165b7618f846e0f298ecd2ac65",
    1,
    74_193,
    54_057_369_600,
    "an autoencoder trained on photographs; the paper is on infrared and visible images",
)
_register(
    "densefuse_rgb",
    "densefuse_rgb.model",
    "d1829f47c0ff02ecfc294907655384eebc911a00deb89b91e354ae47c8728ea5",
    3,
    74_771,
    54_588_211_200,
    "the RGB network on three equal channels",
)
