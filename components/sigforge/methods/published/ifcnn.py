"""IFCNN: features by convolutions, merged by maximum, mean or sum.

Zhang et al., "IFCNN: A general image fusion framework based on convolutional neural network", Information Fusion 54,
2020. The network takes RGB; a luma goes in as three equal channels and the luma of what comes out is the result, as
the authors do with grey images. Left out: their contrast equalisation of fused exposures, which is no part of the
network.
"""

from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from sigforge.core.colour import luma
from sigforge.dataset.tasks import Task
from sigforge.methods.published.method import Weights, published
from sigforge.methods.published.network import PublishedNet

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Merging = Literal["max", "mean", "sum"]
_MERGES: dict[Merging, Callable[..., Tensor]] = {"max": torch.amax, "mean": torch.mean, "sum": torch.sum}


class Ifcnn(PublishedNet):
    """IFCNN for any number of sources.

    Args:
        merge: how the features of the sources are merged.
        imagenet: normalise by ImageNet's mean and deviation, as for the paper's results; the authors' script
            leaves grey images and exposures as they are.

    Example:
        >>> Ifcnn("max").eval()(torch.rand(3, 1, 3, 20, 31)).shape
        torch.Size([1, 3, 20, 31])
    """

    mean: Tensor
    std: Tensor
    radius = 5
    renames: ClassVar[dict[str, str]] = {
        r"^conv1\.": "stem.",
        r"^conv([23])\.conv\.": r"block\1.0.",
        r"^conv([23])\.bn\.": r"block\1.1.",
        r"^conv4\.": "head.",
    }

    def __init__(self, merge: Merging, *, imagenet: bool = True) -> None:
        super().__init__()
        self.merge = _MERGES[merge]
        mean, std = (IMAGENET_MEAN, IMAGENET_STD) if imagenet else ((0,) * 3, (1,) * 3)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.stem = nn.Conv2d(3, 64, 7, padding=3, padding_mode="replicate", bias=False)
        self.block2, self.block3 = _block(), _block()
        self.head = nn.Conv2d(64, 3, 1)

    def forward(self, sources: Tensor) -> Tensor:
        """Normalised RGB (n, B, 3, H, W) to normalised RGB (B, 3, H, W)."""
        features = torch.stack([self.block2(self.stem(source)) for source in sources])
        return self.head(self.block3(self.merge(features, dim=0)))

    def fuse(self, sources: Tensor) -> Tensor:
        """Lumas (n, B, 1, H, W) in [0, 1] to (B, 1, H, W) in [0, 1]."""
        fused = self.run((sources.expand(-1, -1, 3, -1, -1) - self.mean) / self.std)
        return luma((fused * self.std + self.mean).clamp(0, 1))


def _block() -> nn.Sequential:
    conv = nn.Conv2d(64, 64, 3, padding=1, padding_mode="replicate", bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(64), nn.ReLU())


_SHA256: dict[Merging, str] = {
    "max": "6022b44c88a2f0367ba9b08fcdf0d663745d9a966fca0ee1f41867797b6ff53f",
    "mean": "fd2ee9361f1d428fc9749e28e8a2c5c5ef6ce6528ab6f5ad8ef5def42e7ffa4b",
    "sum": "a8c1d293f1bf16a93e6244a4bf8f7a7bd300dc10555c8597ad7ef3320b0410cb",
}
_WEIGHTS = {
    merge: Weights(
        f"ifcnn-{merge}",
        f"Code/snapshots/IFCNN-{merge.upper()}.pth",
        sha256,
        "uzeful/IFCNN",
        "8fe59c2b1553e52acc793986208ca479d134a8da",
    )
    for merge, sha256 in _SHA256.items()
}


def _register(name: str, merge: Merging, tasks: tuple[Task, ...], *, imagenet: bool, notes: str) -> None:
    published(
        name,
        build=partial(Ifcnn, merge, imagenet=imagenet),
        weights=_WEIGHTS[merge],
        tasks=tasks,
        paper="Zhang et al., IFCNN: A General Image Fusion Framework, Information Fusion",
        year=2020,
        parameters=83_587,
        flops=79_626_240_000,
        equation=f"F = head(conv({merge}_n features(I_n)))",
        n_sources=(2, None),
        notes=notes,
    )


_THREE: tuple[Task, ...] = ("vif", "mif", "mfif")
_register("ifcnn_max", "max", _THREE, imagenet=True, notes="ImageNet normalisation, as behind the paper's results")
_register("ifcnn_max_raw", "max", ("vif", "mif"), imagenet=False, notes="no normalisation, as in the authors' script")
_register("ifcnn_mean", "mean", _THREE, imagenet=True, notes="ImageNet normalisation; for comparison only")
_register("ifcnn_mean_raw", "mean", ("mef",), imagenet=False, notes="as for the authors' exposures, without CLAHE")
_register("ifcnn_sum", "sum", _THREE, imagenet=True, notes="ImageNet normalisation; for comparison only")
