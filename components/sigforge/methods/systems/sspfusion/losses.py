r"""SSPFusion's losses: structure maps that features supervise themselves, and the fused image.

Yang et al., "SSPFusion: A semantic structure-preserving approach for multi-modality image fusion", Eqs. (2)-(4) and
(9)-(14). :math:`\nabla` is the Sobel magnitude |x| + |y|, as everywhere here. Differs from the print: Eq. (2) has its
cases swapped (it would mark what is flat, while all the text speaks of edges) and averages the gradient, not the map
(else 0.3 % of the pixels were edges, and Eq. 4 some thirty times the other terms); the sums of Eq. (4) run over all
maps of a level, and a small constant keeps one without edges finite; Eq. (10) is the mean over pixels. Images are
(B, 1, H, W) in [0, 1].
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from sigforge.losses.fusion import fusion_terms
from sigforge.signal.gradients import sobel_magnitude

ALPHA, BETA = 1.0, 1.0
EPSILON = 1e-3
WITHOUT_EDGES = 1e-3
"""Added to both sides of Eq. (4)'s fraction, per pixel."""

FUSION = {"ssim": "ssim", "smooth": "max", "grad": "grad"}
"""Eqs. (12)-(14) and what :func:`sigforge.losses.fusion.fusion_terms` calls them."""


def structure_target(features: Tensor) -> Tensor:
    r"""Eq. (2): 1 where a map's Sobel magnitude exceeds its mean over the map, else 0; (B, C, H, W), detached.

    Example:
        >>> step = torch.zeros(1, 1, 4, 6)
        >>> step[..., 3:] = 1
        >>> structure_target(step)[0, 0, 1]
        tensor([0., 0., 1., 1., 0., 0.])
    """
    magnitude = sobel_magnitude(features.detach().float().flatten(0, 1)[:, None])
    edges = magnitude > magnitude.mean((-2, -1), keepdim=True)
    return edges.float()[:, 0].unflatten(0, features.shape[:2])


def dice_distance(predicted: Tensor, target: Tensor) -> Tensor:
    r"""Eq. (4), :math:`(\sum p^2+\sum g^2)/2\sum pg`, per image, then the mean over (B, C, H, W); 1 is the best.

    Example:
        >>> edges = torch.eye(4)[None, None]
        >>> float(dice_distance(edges, edges)), float(dice_distance(1 - edges, edges)) > 100
        (1.0, True)
    """
    squares = (predicted**2 + target**2).mean((1, 2, 3))
    shared = 2 * (predicted * target).mean((1, 2, 3))
    return ((squares + WITHOUT_EDGES) / (shared + WITHOUT_EDGES)).mean()


def structure_loss(maps: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Eq. (3): the dice distances of all levels together."""
    return torch.stack([dice_distance(p, g) for p, g in zip(maps, targets, strict=True)]).sum()


def charbonnier(predicted: Tensor, target: Tensor) -> Tensor:
    r"""Eq. (10): :math:`\sqrt{(S-S^{gt})^2+\varepsilon^2}`, mean over the pixels."""
    return ((predicted - target) ** 2 + EPSILON**2).sqrt().mean()


def fused_terms(fused: Tensor, a: Tensor, b: Tensor) -> dict[str, Tensor]:
    """The terms of Eq. (11): ssim, smooth and grad, Eqs. (12) to (14).

    Args:
        fused: (B, 1, H, W) in [0, 1].
        a: first source, likewise.
        b: second source, likewise.

    Returns:
        each a scalar, unweighted.

    Example:
        >>> a = torch.rand(1, 1, 16, 16)
        >>> sorted(fused_terms(a, a, a))
        ['grad', 'smooth', 'ssim']
    """
    terms = fusion_terms(fused, a, b)
    return {name: terms[ours] for name, ours in FUSION.items()}
