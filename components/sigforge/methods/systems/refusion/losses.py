r"""ReFusion's losses: a fusion loss whose weights a network proposes, and the reconstruction loss that judges it.

Bai et al., "ReFusion", IJCV 133, 2025, Eqs. (1)-(6). :math:`\nabla` is the Sobel magnitude |x| + |y| with replicated
borders. Planes are (B, 1, H, W), sources and their weights (2, B, 1, H, W).
"""

from typing import NamedTuple

from torch import Tensor

from sigforge.losses.fusion import sobel_magnitude


class LossWeights(NamedTuple):
    """What the fused image shall take from each source at each pixel; over the sources both sum to 1.

    Args:
        intensity: W of Eq. (2), (2, B, 1, H, W).
        gradient: V of Eq. (3), the same shape.
    """

    intensity: Tensor
    gradient: Tensor


def fusion_loss(fused: Tensor, sources: Tensor, weights: LossWeights, *, alpha1: float = 1.0) -> Tensor:
    r"""Eqs. (1)-(3): :math:`\frac1{HW}\sum_{ij}\sum_k W_k(I_k-I_f)^2 + \alpha_1 V_k(\nabla I_k-\nabla I_f)^2`.

    Args:
        fused: (B, 1, H, W) in [0, 1].
        sources: (K, B, 1, H, W) in [0, 1].
        weights: proposed for every pixel of every source, both (K, B, 1, H, W); they sum to 1 over the sources.
        alpha1: weight of the gradient term.

    Example:
        >>> import torch
        >>> a, b = torch.rand(2, 1, 1, 8, 8)
        >>> only_a = torch.stack([torch.ones_like(a), torch.zeros_like(b)])
        >>> float(fusion_loss(a, torch.stack([a, b]), LossWeights(only_a, only_a)))
        0.0
    """
    intensity = weights.intensity * (sources - fused) ** 2
    gradient = weights.gradient * (gradients(sources) - sobel_magnitude(fused)) ** 2
    return intensity.sum(0).mean() + alpha1 * gradient.sum(0).mean()


def reconstruction_loss(rebuilt: Tensor, sources: Tensor, *, alpha2: float = 1.0) -> Tensor:
    r"""Eqs. (4)-(6): :math:`\frac1{HW}\sum_{ij}\max_k(I_k-\hat I_k)^2+\alpha_2\max_k(\nabla I_k-\nabla\hat I_k)^2`.

    Args:
        rebuilt: (K, B, 1, H, W), the sources as rebuilt from the fused image.
        sources: (K, B, 1, H, W) in [0, 1].
        alpha2: weight of the gradient term.

    Example:
        >>> import torch
        >>> sources = torch.rand(2, 1, 1, 8, 8)
        >>> float(reconstruction_loss(sources, sources))
        0.0
    """
    intensity = (sources - rebuilt) ** 2
    gradient = (gradients(sources) - gradients(rebuilt)) ** 2
    return intensity.amax(0).mean() + alpha2 * gradient.amax(0).mean()


def gradients(planes: Tensor) -> Tensor:
    """Sobel magnitude of (n, B, 1, H, W)."""
    return sobel_magnitude(planes.flatten(0, 1)).unflatten(0, planes.shape[:2])
