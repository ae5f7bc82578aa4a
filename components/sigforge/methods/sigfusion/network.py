"""What the forms of the fusion network FN share: a decoded plane, a head that may choose, images of any size."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from sigforge.core.errors import UserError
from sigforge.methods.sigfusion.head import Decoded, Fused, SelectHead
from sigforge.methods.tiling import run_padded, run_tiled


class FusionNetwork(nn.Module):
    """Base of the forms; each says how it decodes.

    Args:
        head: chooses between the sources and the decoded plane; without one the decoded plane is the result.

    Attributes:
        multiple: sides that :meth:`decode` takes are multiples of this.
        minimum_side: and at least this.
        tile: images larger than a square of this side are fused in tiles, pixels.
        most_sources: None for any number.
    """

    multiple: int = 1
    minimum_side: int = 1
    tile: ClassVar[int] = 256
    most_sources: ClassVar[int | None] = None

    def __init__(self, head: SelectHead | None) -> None:
        super().__init__()
        self.head = head

    def decode(self, sources: Tensor) -> Decoded:
        """Sources (n, B, 1, H, W) in [0, 1] to the plane that SigFormer decodes, and what a head reads."""
        raise NotImplementedError

    def explain(self, sources: Tensor) -> Fused:
        """The fusion of (n, B, 1, H, W) with the decoded plane and, where there is a head, its weights."""
        decoded = self.decode(sources)
        return self.head(sources, decoded) if self.head else Fused(decoded.plane, decoded.plane)

    def forward(self, sources: Tensor) -> Tensor:
        """(n, B, 1, H, W) in [0, 1], sides multiples of ``multiple``, to (B, 1, H, W), unclamped."""
        return self.explain(sources).image

    @torch.inference_mode()
    def fuse(self, *sources: Tensor) -> Tensor:
        """Registered lumas (B, 1, H, W) in [0, 1] of any size to one, clamped to [0, 1]; large images in tiles.

        Raises:
            UserError: fewer than two sources, more than the form takes, or sources of different size.
        """
        check_sources(sources, self.most_sources)

        def whole(stack: Tensor) -> Tensor:
            return run_padded(self, stack, multiple=self.multiple, minimum=self.minimum_side)

        return run_tiled(whole, torch.stack(sources), tile=self.tile, overlap=self.tile // 8).clamp(0, 1)


def check_sources(sources: tuple[Tensor, ...], most: int | None = None) -> None:
    """Refuse what cannot be fused.

    Raises:
        UserError: fewer than two sources, more than ``most``, or sources of different size.
    """
    if len(sources) < 2 or len(sources) > (most or len(sources)):
        wanted = "two or more sources" if most is None else f"{most} sources"
        raise UserError(f"this fusion network takes {wanted}, got {len(sources)}")
    shapes = [tuple(source.shape) for source in sources]
    if len(set(shapes)) > 1:
        sizes = ", ".join(f"{shape[-2]}x{shape[-1]}" for shape in shapes)
        raise UserError(f"sources differ in size or number: {sizes}; register them to one size first")
