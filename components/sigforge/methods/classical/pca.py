"""Fusion by principal components (PCA).

Naidu & Raol, "Pixel-level Image Fusion using Wavelets and Principal Component Analysis", Defence Science Journal 58(3),
2008, section 3: the sources are weighted by the leading eigenvector of their covariance.
Differs from the paper: any number of sources; where sources are anticorrelated the eigenvector has negative entries,
whose magnitudes are taken, so that the result stays between the sources; sources without any contrast share equally.
"""

import torch
from torch import Tensor

from sigforge.dataset.tasks import TASKS
from sigforge.methods.registry import fusion_method

# Variance in squared intensity below which a source counts as flat: rounding of a constant float32 plane.
FLAT = 1e-12


@fusion_method(
    "pca",
    tasks=TASKS,
    paper="Naidu & Raol, Pixel-level Image Fusion using Wavelets and Principal Component Analysis, Defence Sci. J.",
    year=2008,
    equation="F = sum_n w_n I_n, w = |v| / sum |v|, v = leading eigenvector of cov(I_1, ..., I_n)",
    notes="magnitudes of the eigenvector where sources are anticorrelated",
)
def fuse_pca(sources: Tensor) -> Tensor:
    """Weight the sources by their share in the first principal component.

    Args:
        sources: ``(n, B, 1, H, W)`` in [0, 1].

    Returns:
        Fused planes, ``(B, 1, H, W)`` in [0, 1].

    Example:
        >>> flat, contrast = torch.full((1, 1, 8, 8), 0.5), torch.rand(1, 1, 8, 8)
        >>> torch.allclose(fuse_pca(torch.stack((flat, contrast))), contrast)
        True
    """
    weights = _weights(sources.flatten(2).transpose(0, 1).double())
    return (weights.T[..., None, None, None].to(sources.dtype) * sources).sum(0).clamp(0, 1)


def _weights(pixels: Tensor) -> Tensor:
    """(B, n, pixels) to weights (B, n) that sum to one."""
    centred = pixels - pixels.mean(-1, keepdim=True)
    covariance = centred @ centred.mT / pixels.shape[-1]
    leading = torch.linalg.eigh(covariance).eigenvectors[..., -1].abs()
    flat = covariance.diagonal(dim1=-2, dim2=-1).amax(-1, keepdim=True) < FLAT
    leading = leading.masked_fill(flat, 1.0)
    return leading / leading.sum(-1, keepdim=True)
