"""Gaussian and Laplacian pyramids for images of any size.

Burt & Adelson, "The Laplacian Pyramid as a Compact Image Code", IEEE Trans. Communications 31(4), 1983: REDUCE and
EXPAND with the generating kernel ``[1/4 - a/2, 1/4, a, 1/4, 1/4 - a/2]``.
Differs from the paper: sides may have any length (a side of N reduces to ceil(N / 2), the paper needs M 2^N + 1), and
borders follow the code of Mertens et al.: mirrored in REDUCE, replicated in EXPAND.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sigforge.methods.classical.filters import correlate, separable


def max_levels(image: Tensor) -> int:
    """How often an image can be halved before its shorter side is one pixel."""
    return min(image.shape[-2:]).bit_length() - 1


def gaussian_pyramid(image: Tensor, levels: int, *, a: float) -> list[Tensor]:
    """The image and ``levels`` reduced copies, finest first.

    Args:
        image: ``(..., H, W)``.
        levels: number of reductions; each halves both sides, rounding up.
        a: centre tap of the generating kernel; the paper prefers 0.4, 0.375 gives the binomial kernel.

    Example:
        >>> [tuple(layer.shape) for layer in gaussian_pyramid(torch.zeros(7, 9), 2, a=0.4)]
        [(7, 9), (4, 5), (2, 3)]
    """
    layers = [image]
    for _ in range(levels):
        layers.append(_reduce(layers[-1], a))
    return layers


def laplacian_pyramid(image: Tensor, levels: int, *, a: float) -> list[Tensor]:
    """Band-pass layers of an image, finest first, then the low-pass rest.

    Args:
        image: ``(..., H, W)``.
        levels: how many band-pass layers.
        a: centre weight of Burt and Adelson's generating kernel.

    Returns:
        ``levels + 1`` tensors; each has half the sides of the one before, rounded up.

    Example:
        >>> [tuple(layer.shape) for layer in laplacian_pyramid(torch.zeros(7, 9), 2, a=0.4)]
        [(7, 9), (4, 5), (2, 3)]
    """
    gaussian = gaussian_pyramid(image, levels, a=a)
    details = [fine - expand(coarse, fine.shape[-2:], a=a) for fine, coarse in pairwise(gaussian)]
    return [*details, gaussian[-1]]


def collapse(layers: Sequence[Tensor], *, a: float) -> Tensor:
    """Rebuild the image from its Laplacian pyramid; exact up to rounding when ``a`` is the one it was built with.

    Example:
        >>> image = torch.rand(7, 9)
        >>> torch.allclose(collapse(laplacian_pyramid(image, 2, a=0.4), a=0.4), image, atol=1e-6)
        True
    """
    *details, image = layers
    for detail in reversed(details):
        image = detail + expand(image, detail.shape[-2:], a=a)
    return image


def _reduce(image: Tensor, a: float) -> Tensor:
    side = 0.25 - a / 2
    return separable(image, (side, 0.25, a, 0.25, side), "symmetric")[..., ::2, ::2]


def expand(image: Tensor, size: Sequence[int], *, a: float) -> Tensor:
    """EXPAND of Burt and Adelson; a flat image stays flat.

    Args:
        image: ``(..., H, W)``.
        size: height and width of the result, at most twice those of ``image``.
        a: centre weight of the generating kernel.

    Example:
        >>> expand(torch.ones(2, 3), (4, 5), a=0.4).unique()
        tensor([1.])
    """
    return _expand_dim(_expand_dim(image, size[0], -2, a), size[1], -1, a)


def _expand_dim(image: Tensor, size: int, dim: int, a: float) -> Tensor:
    # The kernel meets only every second tap: three at even outputs, two at odd ones, so a flat image stays flat.
    side = 0.5 - a
    even = correlate(image, (side, 2 * a, side), dim)
    odd = correlate(image, (0.0, 0.5, 0.5), dim)
    return torch.stack((even, odd), dim).flatten(dim - 1, dim).narrow(dim, 0, size)
