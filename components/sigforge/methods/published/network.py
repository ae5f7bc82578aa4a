"""What the published networks share: images of any size, and the names their checkpoints use."""

import re
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from sigforge.methods.tiling import run_padded, run_tiled

Network = Callable[[Tensor], Tensor]


class PublishedNet(nn.Module):
    """A published network; ``forward`` maps sources (n, B, C, H, W) to (B, C, H, W) in the authors' own units.

    Attributes:
        multiple: sides must be multiples of this many pixels.
        minimum: shortest side that the padding inside can handle, in pixels.
        radius: how far an output pixel sees, in pixels; None if it sees the whole image.
        tile: side from which images are fused in tiles, in pixels.
        memory_format: of the weights; channels last where that is faster on a CPU and as near to the authors' output.
        renames: regular expressions that turn published tensor names into ours, with their replacements, in order.
        swapped: ``fuse`` gives the sources to the network in the other order; set from the weights.
        unused: published tensors that fusing does not need, as a regular expression on their names.
    """

    multiple: ClassVar[int] = 1
    minimum: ClassVar[int] = 1
    radius: ClassVar[int | None] = None
    tile: ClassVar[int] = 1024
    memory_format: ClassVar[torch.memory_format] = torch.contiguous_format
    renames: ClassVar[dict[str, str]] = {}
    unused: ClassVar[str] = r"$^"
    swapped: bool = False

    def fuse(self, sources: Tensor) -> Tensor:
        """Lumas (n, B, 1, H, W) in [0, 1] of any size to their fusion (B, 1, H, W) in [0, 1]."""
        raise NotImplementedError

    def run(self, sources: Tensor) -> Tensor:
        """``forward`` on any size: padded where the network needs it, in tiles where the image is large."""

        def whole(stack: Tensor) -> Tensor:
            return run_padded(self, stack, multiple=self.multiple, minimum=self.minimum)

        if self.radius is None:
            return run_tiled(whole, sources, tile=self.tile, overlap=self.tile // 8)
        return run_local(whole, sources, radius=self.radius, tile=self.tile)

    @classmethod
    def renamed(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A published state under our names, without what fusing does not need."""
        return {cls._our_name(name): value for name, value in state.items() if not re.search(cls.unused, name)}

    @classmethod
    def _our_name(cls, name: str) -> str:
        for pattern, replacement in cls.renames.items():
            name = re.sub(pattern, replacement, name)
        return name


def run_local(network: Network, images: Tensor, *, radius: int, tile: int) -> Tensor:
    """Apply a network that sees a limited surrounding, tile by tile, with the same result as at once.

    Every tile is cut out with its surroundings and only its own pixels are kept, so nothing is blended.

    Args:
        network: maps (..., H, W) to (..., H, W).
        images: of any size; those with no side above ``tile`` go through as they are.
        radius: pixels around each that the network sees.
        tile: side of a tile without its surroundings; a multiple of the network's strides.

    Example:
        >>> image = torch.rand(1, 1, 40, 31)
        >>> blur = nn.AvgPool2d(5, stride=1, padding=2)
        >>> torch.allclose(run_local(blur, image, radius=2, tile=8), blur(image))
        True
    """
    height, width = images.shape[-2:]
    if max(height, width) <= tile:
        return network(images)
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            y, x = max(0, top - radius), max(0, left - radius)
            part = network(images[..., y : top + tile + radius, x : left + tile + radius])
            row.append(part[..., top - y : top - y + tile, left - x : left - x + tile])
        rows.append(torch.cat(row, dim=-1))
    return torch.cat(rows, dim=-2)[..., :height, :width]


def conv3x3(inputs: int, outputs: int, *, stride: int = 1) -> nn.Conv2d:
    """3x3 convolution with reflected borders and a bias, the commonest layer of these networks.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        stride: 2 halves the sides.
    """
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, padding_mode="reflect")


def stretch_to_unit(images: Tensor) -> Tensor:
    """Each image of (B, 1, H, W) linearly to [0, 1]; a flat one is only clamped.

    Example:
        >>> stretch_to_unit(torch.tensor([[[[0.2, 0.3, 0.4]]]]))
        tensor([[[[0.0000, 0.5000, 1.0000]]]])
    """
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    spread = high - low
    return torch.where(spread > 0, (images - low) / spread.where(spread > 0, 1), images.clamp(0, 1))


def soft_threshold(x: Tensor, threshold: Tensor) -> Tensor:
    r""":math:`\operatorname{sign}(x)\max(|x| - t, 0)`; a learned t may be negative and then lifts.

    Example:
        >>> soft_threshold(torch.tensor([-2.0, 0.5, 2.0]), torch.tensor(1.0))
        tensor([-1.,  0.,  1.])
    """
    return x.sign() * (x.abs() - threshold).relu()
