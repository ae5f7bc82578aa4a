"""Which square of a photograph a sample shows: the middle one first, then others that differ from all before.

A photograph's crops depend on the seed, its bytes and its size alone. Asking for more of them never changes the first.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from sigforge.core.errors import UserError
from sigforge.core.seeds import rng_of

TRIES = 8
"""Squares drawn for each crop that is asked for; a photograph that has no room for another is told by their end."""

APART = 16
"""A crop is new if each earlier one has an edge farther than 1/16 of the side away, or is the mirror of the other."""


@dataclass(frozen=True)
class PhotoCrop:
    """A square of a photograph: corner and side in its pixels, and whether it is mirrored left to right."""

    top: int
    left: int
    side: int
    flip: bool = False

    def cut(self, photo: np.ndarray, size: int) -> np.ndarray:
        """The square of (H, W[, 3]), shrunk to ``size`` x ``size``."""
        square = photo[self.top : self.top + self.side, self.left : self.left + self.side]
        square = square[:, ::-1] if self.flip else square
        return cv2.resize(np.ascontiguousarray(square), (size, size), interpolation=cv2.INTER_AREA)

    def facts(self, size: int) -> dict[str, object]:
        """What a sample records: ``box`` (left, top, right, bottom), ``scale`` and ``flip``.

        Example:
            >>> PhotoCrop(0, 80, 320).facts(256)
            {'box': [80, 0, 400, 320], 'scale': 0.8, 'flip': False}
        """
        box = [self.left, self.top, self.left + self.side, self.top + self.side]
        return {"box": box, "scale": round(size / self.side, 6), "flip": self.flip}


def crop_of(height: int, width: int, size: int, number: int = 0, names: tuple[object, ...] = (0,)) -> PhotoCrop:
    """Crop ``number`` of a photograph; 0 is the largest square in the middle.

    The others have sides between ``size`` and the photograph's shorter side, lie anywhere and are mirrored half of the
    time, all drawn uniformly.

    Args:
        height: of the photograph, pixels.
        width: likewise.
        size: side of the image that is made of it; crops are never enlarged.
        number: counted from 0.
        names: the seed, and what names the photograph.

    Raises:
        UserError: the photograph is smaller than ``size`` (enlarging it would invent blur), or has no room for so many
            crops.

    Example:
        >>> crop_of(321, 481, 256)
        PhotoCrop(top=0, left=80, side=321, flip=False)
    """
    shorter = min(height, width)
    if shorter < size:
        raise UserError(f"photograph of {height}x{width} is smaller than synth.size {size}")
    if number == 0:
        return PhotoCrop((height - shorter) // 2, (width - shorter) // 2, shorter)
    found = _crops(height, width, size, number, names)
    if number >= len(found):
        raise UserError(f"photograph of {height}x{width} has room for {len(found)} different crops of {size}")
    top, left, length = (int(value) for value in found[number][:3])
    return PhotoCrop(top, left, length, flip=bool(found[number][3]))


def crop_of_photo(image: np.ndarray, sha256: str, size: int, number: int, *, seed: int) -> PhotoCrop:
    """The crop of a photograph as synthesis names it: by the seed and the hash of its file, see :func:`crop_of`.

    Args:
        image: (H, W) or (H, W, 3).
        sha256: hex digest of its file.
        size: side of the image that is made of it, pixels.
        number: which crop, counted from 0.
        seed: of the run.

    Raises:
        UserError: the photograph is smaller than ``size``, or has no room for so many crops.

    Example:
        >>> crop_of_photo(np.zeros((300, 400, 3)), "ab12", 256, 0, seed=0)
        PhotoCrop(top=0, left=50, side=300, flip=False)
    """
    height, width = image.shape[:2]
    return crop_of(height, width, size, number, (seed, sha256))


@lru_cache(maxsize=4096)
def _crops(height: int, width: int, size: int, number: int, names: tuple[object, ...]) -> np.ndarray:
    """Rows (top, left, side, flip) of crops 0 to ``number`` at most, as many as there is room for."""
    shorter = min(height, width)
    draws = rng_of(names[0], "crop", *names[1:]).random((TRIES * number, 4))
    sides = size + np.floor(draws[:, 0] * (shorter - size + 1))
    tops, lefts = (np.floor(draws[:, k] * (room - sides + 1)) for k, room in ((1, height), (2, width)))
    candidates = np.stack([tops, lefts, sides, draws[:, 3] < 0.5], axis=1).astype(int)
    middle = crop_of(height, width, size)
    found = np.array([[middle.top, middle.left, middle.side, 0]])
    for candidate in candidates:
        if len(found) > number:
            break
        if _is_new(candidate, found):
            found = np.concatenate([found, candidate[None]])
    return found


def _is_new(candidate: np.ndarray, found: np.ndarray) -> bool:
    edges = np.abs(_edges(found) - _edges(candidate[None])).max(axis=1)
    return bool(((edges > candidate[2] / APART) | (found[:, 3] != candidate[3])).all())


def _edges(crops: np.ndarray) -> np.ndarray:
    """(n, 4): top, left, bottom, right."""
    return np.concatenate([crops[:, :2], crops[:, :2] + crops[:, 2:3]], axis=1)
