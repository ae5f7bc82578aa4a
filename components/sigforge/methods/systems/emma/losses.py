r"""EMMA's objective: what the sensors would see, and equivariance under shifts, rotations and reflections.

Zhao et al., "Equivariant Multi-Modality Image Fusion", CVPR 2024, Eqs. (5) and (6). The paper asks for unitary
transformations and leaves the set to its supplement; three of each kind, each applied alone, are the authors' choice.
Differs from their code: rotations are quarter turns, which are unitary; theirs (10, 130 and 250 degrees, bilinear)
blacken the corners and can be asked for by ``degrees``. Planes are (B, 1, H, W) in [0, 1].
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sigforge.losses.fusion import sobel

ALPHA_1, ALPHA_2 = 1.0, 0.1
QUARTER_TURNS = (90.0, 180.0, 270.0)
SHIFTS = 3


@dataclass(frozen=True)
class Shift:
    """Circular shift by whole pixels.

    Example:
        >>> image = torch.rand(1, 1, 8, 8)
        >>> torch.equal(Shift(3, -2).inverse(Shift(3, -2)(image)), image)
        True
    """

    rows: int
    columns: int

    def __call__(self, images: Tensor) -> Tensor:
        return images.roll((self.rows, self.columns), dims=(-2, -1))

    @property
    def inverse(self) -> "Shift":
        return Shift(-self.rows, -self.columns)


@dataclass(frozen=True)
class Rotation:
    """Counter-clockwise rotation about the centre; exact for quarter turns, else bilinear with zeros outside."""

    degrees: float

    def __call__(self, images: Tensor) -> Tensor:
        turns, rest = divmod(self.degrees, 90)
        return _rotate(images, self.degrees) if rest else torch.rot90(images, int(turns), dims=(-2, -1))

    @property
    def inverse(self) -> "Rotation":
        return Rotation(-self.degrees)


@dataclass(frozen=True)
class Reflection:
    """Mirror image along the given dimensions; its own inverse."""

    dims: tuple[int, ...]

    def __call__(self, images: Tensor) -> Tensor:
        return images.flip(self.dims)

    @property
    def inverse(self) -> "Reflection":
        return self


Transform = Shift | Rotation | Reflection
REFLECTIONS = (Reflection((-1,)), Reflection((-2,)), Reflection((-2, -1)))


def draw_transforms(
    rng: np.random.Generator, side: int, *, shifts: int = SHIFTS, degrees: Sequence[float] = QUARTER_TURNS
) -> tuple[Transform, ...]:
    """One step's set G for images of ``side`` x ``side`` pixels: drawn shifts, the rotations, the three reflections.

    Args:
        rng: draws the shifts.
        side: of the images, pixels.
        shifts: how many; their offsets are drawn without replacement from all but zero.
        degrees: of the rotations; the authors' code has (10, 130, 250).
    """
    offsets = [*range(1 - side, 0), *range(1, side)]
    rows, columns = (rng.choice(offsets, shifts, replace=False).tolist() for _ in range(2))
    return (*map(Shift, rows, columns), *map(Rotation, degrees), *REFLECTIONS)


def emma_terms(
    fuse: Callable[[Tensor], Tensor],
    sense: Callable[[Tensor], Tensor],
    sources: Tensor,
    transforms: Sequence[Transform],
) -> dict[str, Tensor]:
    """The unweighted terms of Eq. (6); gradients pass through the sensing networks and both fusions.

    Args:
        fuse: sources (2, B, 1, H, W) to fused (B, 1, H, W).
        sense: fused images to pseudo-sources (2, B, 1, H, W).
        sources: (2, B, 1, H, W) in [0, 1].
        transforms: the set G; the fused image itself is always one of those compared.

    Returns:
        sense_a and sense_b (measurement consistency), equivariance (invariant set consistency), each a scalar.
    """
    fused = fuse(sources)
    sensed = sense(fused)
    moved = torch.cat([fused, *(transform(fused) for transform in transforms)])
    return {
        "sense_a": image_distance(sensed[0], sources[0]),
        "sense_b": image_distance(sensed[1], sources[1]),
        "equivariance": image_distance(moved, fuse(sense(moved))),
    }


def emma_total(terms: dict[str, Tensor], *, alpha_1: float = ALPHA_1, alpha_2: float = ALPHA_2) -> Tensor:
    """Eq. (6) from its terms.

    Args:
        terms: ``sense_a``, ``sense_b`` and ``equivariance``, each a scalar.
        alpha_1: weight of the second source's sensing loss.
        alpha_2: weight of the equivariance.

    Example:
        >>> emma_total({name: torch.tensor(1.0) for name in ("sense_a", "sense_b", "equivariance")})
        tensor(2.1000)
    """
    return terms["sense_a"] + alpha_1 * terms["sense_b"] + alpha_2 * terms["equivariance"]


def image_distance(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute difference of two batches plus that of their gradients (below Eq. 6)."""
    with torch.autocast(x.device.type, enabled=False):
        x, y = x.float(), y.float()
        return F.l1_loss(x, y) + F.l1_loss(sobel(x), sobel(y)) / 8


def _rotate(images: Tensor, degrees: float) -> Tensor:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    height, width = images.shape[-2:]
    # The grid's unit is half a side, which differs between the two directions.
    turn = images.new_tensor([[cos, -sin * height / width, 0], [sin * width / height, cos, 0]])
    grid = F.affine_grid(turn.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
