"""How alike the two sources of a pair are, in one number."""

import math

import numpy as np

from sigforge.core.colour import luma


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's, 0 where one of both is constant."""
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def gradient(plane: np.ndarray) -> np.ndarray:
    """(H-1, W-1) magnitudes of forward differences of (H, W)."""
    return np.hypot(np.diff(plane, axis=1)[:-1], np.diff(plane, axis=0)[:, :-1])


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """How far two registered sources say the same: the mean of the correlations of grey levels and of gradients.

    Args:
        a, b: (H, W) or (H, W, 3), of one size.

    Example:
        >>> image = np.random.default_rng(0).random((8, 8))
        >>> round(likeness(image, image), 6)
        1.0
    """
    planes = [np.asarray(luma(image), np.float32) for image in (a, b)]
    return (correlation(*planes) + correlation(*map(gradient, planes))) / 2
