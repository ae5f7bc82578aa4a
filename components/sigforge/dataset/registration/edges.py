"""What two modalities have in common: where edges are, not how bright things are or which side is the brighter one."""

import cv2
import numpy as np

from sigforge.core.colour import luma

SMOOTHING = 1.0
"""Sigma before the derivative, pixels: sensor noise has edges everywhere."""
LEAST = 8 / 255
"""A slope of one grey level per pixel, as Sobel gives it: weaker ones are quantisation and noise."""
_NONE = 1e-6


def edges(image: np.ndarray) -> np.ndarray:
    """Strength of edges, compressed so that a few strong ones do not decide alone.

    Args:
        image: (H, W) or (H, W, 3) in [0, 1].

    Returns:
        Float32 (H, W), mean 0 and standard deviation 1; all 0 where there is no edge.
    """
    grey = cv2.GaussianBlur(np.ascontiguousarray(luma(image), np.float32), (0, 0), SMOOTHING)
    x, y = (cv2.Sobel(grey, cv2.CV_32F, *order, ksize=3) for order in ((1, 0), (0, 1)))
    strength = np.sqrt(x * x + y * y)
    typical = max(float(np.median(strength)), LEAST)
    compressed = np.log1p(strength / typical)
    spread = float(compressed.std())
    return (compressed - compressed.mean()) / spread if spread > _NONE else np.zeros_like(compressed)
