"""Fusion rules: how coefficients or weights of several sources become one. Sources lie along the first dimension.

Up to rounding, none of them depends on the order of the sources, ties included.
"""

from torch import Tensor

# Mertens et al. and Li et al. both add this before dividing, so that nowhere the weights sum to zero.
TINY = 1e-12


def max_abs(coefficients: Tensor) -> Tensor:
    """The coefficient of largest magnitude; of two that differ in sign alone, the positive one.

    Args:
        coefficients: ``(n, ...)``.

    Example:
        >>> import torch
        >>> max_abs(torch.tensor([[1.0, -3.0, 2.0], [-1.0, 2.0, 0.0]]))
        tensor([ 1., -3.,  2.])
    """
    low, high = coefficients.amin(0), coefficients.amax(0)
    return high.where(high >= -low, low)


def normalise(weights: Tensor) -> Tensor:
    """Scale non-negative weights ``(n, ...)`` to sum to one over the sources; equal shares where all are zero."""
    weights = weights + TINY
    return weights / weights.sum(0)
