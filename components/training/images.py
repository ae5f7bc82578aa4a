"""Image planes for training, decoded once and kept within a memory budget."""

from collections import OrderedDict
from pathlib import Path

import numpy as np

from components.colour import rgb_to_ycbcr
from components.images import read_image

PLANES = {"y": 0, "cb": 1, "cr": 2}
BUDGET = 1 << 30
"""Bytes of decoded planes kept; the least recently used go first."""


def read_planes(path: Path | str) -> np.ndarray:
    """(3, H, W) float32 Y, Cb, Cr in [0, 1] of an image file; neutral chroma (0.5) for grey images."""
    image = read_image(path)[0]
    if image.ndim == 2:
        neutral = np.full_like(image, 0.5)
        return np.stack([image, neutral, neutral])
    return np.ascontiguousarray(np.moveaxis(rgb_to_ycbcr(image), -1, 0), dtype=np.float32)


class PlaneCache:
    """Planes of image files by name; memory stays below ``budget`` however many files there are."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget, self.used = budget, 0
        self.kept: OrderedDict[tuple[str, str], np.ndarray] = OrderedDict()

    def __call__(self, path: Path | str, plane: str = "y") -> np.ndarray:
        """(H, W) float32 of one plane."""
        key = (str(path), plane)
        if key not in self.kept:
            self._keep(key, read_planes(path)[PLANES[plane]].copy())
        self.kept.move_to_end(key)
        return self.kept[key]

    def _keep(self, key: tuple[str, str], planes: np.ndarray) -> None:
        self.kept[key] = planes
        self.used += planes.nbytes
        while self.used > self.budget and len(self.kept) > 1:
            self.used -= self.kept.popitem(last=False)[1].nbytes
