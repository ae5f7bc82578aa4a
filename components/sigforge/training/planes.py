"""Image planes for training, decoded once and kept within a memory budget."""

from collections import OrderedDict
from pathlib import Path
from threading import Lock

import numpy as np

from sigforge.core.colour import rgb_to_ycbcr
from sigforge.core.images import read_image

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
        self.lock = Lock()

    def __call__(self, path: Path | str, plane: str = "y") -> np.ndarray:
        """(H, W) float32 of one plane."""
        key = (str(path), plane)
        with self.lock:
            planes = self.kept.pop(key, None)
            if planes is not None:
                self.kept[key] = planes
                return planes
        planes = read_planes(path)[PLANES[plane]].copy()
        with self.lock:
            self._keep(key, planes)
        return planes

    def _keep(self, key: tuple[str, str], planes: np.ndarray) -> None:
        self.used += planes.nbytes - (self.kept.pop(key).nbytes if key in self.kept else 0)
        self.kept[key] = planes
        while self.used > self.budget and len(self.kept) > 1:
            self.used -= self.kept.popitem(last=False)[1].nbytes
