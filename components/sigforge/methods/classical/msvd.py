"""Fusion by multi-resolution singular value decomposition (MSVD).

Naidu, "Image Fusion Technique using Multi-resolution Singular Value Decomposition", Defence Science Journal 61(5),
2011: the four pixels of every 2 x 2 block are rotated by the singular vectors of the matrix of all blocks; the first
component goes on to the next level, the other three are details.
Differs from the paper: the sources of a pair share one rotation, that of their blocks together. The paper rotates each
source by its own and goes back by the average of the two matrices, which is not orthogonal, depends on the signs that
the decomposition happens to give the vectors, and mixes them where singular values are close.
"""

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from sigforge.dataset.tasks import TASKS
from sigforge.methods.classical.filters import mirrored
from sigforge.methods.classical.pyramid import max_levels
from sigforge.methods.classical.rules import max_abs
from sigforge.methods.registry import at_least, fusion_method


@fusion_method(
    "msvd",
    tasks=TASKS,
    paper="Naidu, Image Fusion Technique using Multi-resolution Singular Value Decomposition, Defence Science Journal",
    year=2011,
    equation="D_l(F) = argmax_n |D_l(I_n)|, [A; D]_l = U_l^T X_l for 2 x 2 blocks X_l of A_l-1; A(F) = mean_n A(I_n)",
    notes="one rotation U_l for all sources; fewer levels where the image is too small for them",
)
def fuse_msvd(sources: Tensor, *, levels: int = 1) -> Tensor:
    """Fuse sources component by component in a multi-resolution singular value decomposition.

    Args:
        sources: ``(n, B, 1, H, W)`` in [0, 1].
        levels: decomposition depth, one in the paper's examples; no more than the shorter side can be halved.

    Returns:
        Fused planes, ``(B, 1, H, W)`` in [0, 1].

    Raises:
        UserError: ``levels`` is below one.

    Example:
        >>> fuse_msvd(torch.rand(2, 1, 1, 61, 83)).shape
        torch.Size([1, 1, 61, 83])
    """
    at_least(1, levels=levels)
    # In float64: rotations of nearly isotropic blocks would depend on the rounding of sums.
    return _fuse(sources.double(), min(levels, max_levels(sources))).clamp(0, 1).to(sources.dtype)


def _fuse(image: Tensor, depth: int) -> Tensor:
    if not depth:
        return image.mean(0)
    height, width = image.shape[-2:]
    even = mirrored(mirrored(image, 0, height % 2, -2), 0, width % 2, -1)
    blocks = pixel_unshuffle(even, 2)
    rotation = _singular_vectors(blocks)
    components = torch.einsum("bjk,nbjhw->nbkhw", rotation, blocks)
    approximation = _fuse(components[:, :, :1], depth - 1)
    fused = torch.cat((approximation, max_abs(components[:, :, 1:])), 1)
    return pixel_shuffle(torch.einsum("bjk,bkhw->bjhw", rotation, fused), 2)[..., :height, :width]


def _singular_vectors(blocks: Tensor) -> Tensor:
    """Left singular vectors (B, 4, 4) of the blocks (n, B, 4, h, w), largest singular value first."""
    columns = blocks.transpose(0, 1).transpose(1, 2).flatten(2)
    return torch.linalg.eigh(columns @ columns.mT).eigenvectors.flip(-1)
