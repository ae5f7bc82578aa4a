"""What is measured of a pair: how far its two sources say the same, and where which of them says more.

Statistics of single images cannot see that both sources of a pair are one photograph twice. Everything here is measured
on luma rounded to 8 bits, in one square from the middle of each pair, at the pair's own scale.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from skimage.measure import label

from sigforge.core.colour import luma
from sigforge.core.errors import UserError
from sigforge.core.images import to_uint8
from sigforge.evaluation.realism.image_statistics import CUTS, ROUNDING, WIDTHS
from sigforge.evaluation.realism.likeness import correlation, gradient
from sigforge.signal.ewt import ewt

SIDE = 256
LEAST_SIDE = 32

STRONG = 0.9
"""Gradients above this quantile of the stronger source's are strong."""

NEIGHBOURHOOD = 9
"""Pixels along a side of the window in which both sources' gradient energies are compared."""

JOINT = 16
"""Bins along each side of the joint histogram; every grey level of a coarse bin counts alike."""

Z = len(WIDTHS)


@dataclass(frozen=True)
class PairStatistics:
    """Of n pairs; Z = 5 octave subbands, lowest first, in the mean over rows and columns.

    Attributes:
        correlation: (n,) of both sources; 0 where one is constant.
        gradient_correlation: (n,) of their gradient magnitudes.
        subband_correlation: (n, Z) of their subbands, with sign.
        strong_share: (n,) share of the strong gradients that ``a`` wins.
        brighter_share: (n,) share of the pixels where ``a`` is brighter; where both are equal, nobody is.
        subband_share: (n, Z) share of the energy of both that ``a`` has.
        decided: (n, Z) mean over places of |2 s - 1|, s the local share of energy; 0 if both are equal everywhere.
        run_length: (n,) mean length of a run of places that one source wins, pixels, rows and columns.
        region: (n,) area of the connected region that a random pixel lies in, as a share of the image.
        information: (n,) mutual information, bits, of 32 by 32 grey levels.
        mean: (n, 2) of ``a`` and ``b``, grey levels.
        contrast: (n, 2) standard deviations, grey levels.
        level: (n, 2, Z) power of the subbands, dB.
        joint: (n, 16, 16) share of pixels with every pair of coarse grey levels.
    """

    correlation: np.ndarray
    gradient_correlation: np.ndarray
    subband_correlation: np.ndarray
    strong_share: np.ndarray
    brighter_share: np.ndarray
    subband_share: np.ndarray
    decided: np.ndarray
    run_length: np.ndarray
    region: np.ndarray
    information: np.ndarray
    mean: np.ndarray
    contrast: np.ndarray
    level: np.ndarray
    joint: np.ndarray

    def __len__(self) -> int:
        return len(self.correlation)

    @property
    def features(self) -> np.ndarray:
        """(n, 39) numbers for a classifier that sees both sources: all but the joint histogram."""
        columns = [getattr(self, field.name).reshape(len(self), -1) for field in fields(self) if field.name != "joint"]
        return np.concatenate(columns, axis=1).astype(np.float64)

    def take(self, pairs: np.ndarray) -> "PairStatistics":
        """Of some of the pairs, in the order given."""
        return PairStatistics(**{field.name: getattr(self, field.name)[pairs] for field in fields(self)})


def measure_pairs(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], *, side: int = SIDE, name: str = "pairs"
) -> PairStatistics:
    """Measure some pairs, of which only one need be in memory.

    Args:
        pairs: registered images of one size, (H, W) or (H, W, 3) in [0, 1].
        side: of the square that is measured, pixels; a smaller pair is measured as far as it goes.
        name: what errors call the set.

    Raises:
        UserError: no pair, two sizes in one, or a side below 32 pixels.

    Example:
        >>> image = np.random.default_rng(0).random((64, 64))
        >>> twice = measure_pairs([(image, image)], side=64)
        >>> twice.correlation.round(3), twice.decided.max()
        (array([1.]), np.float64(0.0))
    """
    rows = []
    for index, (a, b) in enumerate(pairs):
        if a.shape[:2] != b.shape[:2]:
            raise UserError(f"{name}: pair {index} has sources of {a.shape[:2]} and {b.shape[:2]}: register them first")
        if min(a.shape[:2]) < LEAST_SIDE or side < LEAST_SIDE:
            raise UserError(f"{name}: pair {index} is measured on less than {LEAST_SIDE} pixels: give larger images")
        rows.append(_measure_pair(*(_middle(image, side) for image in (a, b))))
    if not rows:
        raise UserError(f"{name}: holds no pair: give some")
    return PairStatistics(**{name: np.array([row[name] for row in rows]) for name in rows[0]})


def _middle(image: np.ndarray, side: int) -> np.ndarray:
    grey = to_uint8(luma(image)).astype(np.float32)
    (top, height), (left, width) = (((n - min(n, side)) // 2, min(n, side)) for n in grey.shape)
    return grey[top : top + height, left : left + width]


def _measure_pair(a: np.ndarray, b: np.ndarray) -> dict[str, object]:
    gradients = [gradient(plane) for plane in (a, b)]
    stronger = np.maximum(*gradients)
    strong = stronger >= max(1.0, np.quantile(stronger, STRONG))
    joint = np.histogram2d(a.ravel(), b.ravel(), bins=32, range=((0, 256), (0, 256)))[0] / a.size
    coarse = joint.reshape(JOINT, 32 // JOINT, JOINT, 32 // JOINT).sum(axis=(1, 3))
    return {
        "correlation": correlation(a, b),
        "gradient_correlation": correlation(*gradients),
        "strong_share": _share_won(*(one[strong] for one in gradients)),
        "brighter_share": float((a > b).mean()),
        "information": _information(joint),
        "mean": [a.mean(), b.mean()],
        "contrast": [a.std(), b.std()],
        "joint": coarse,
        **_coherence(*gradients),
        **_subbands(a, b),
    }


def _share_won(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the places where ``a`` is larger, ties half; 0.5 where there is no place."""
    return float((a > b).mean() + 0.5 * (a == b).mean()) if a.size else 0.5


def _information(joint: np.ndarray) -> float:
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log2(joint[seen] / independent[seen])).sum())


def _coherence(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """How large the places are that one source wins: by gradient energy in a small window."""
    energies = [cv2.blur(one**2, (NEIGHBOURHOOD, NEIGHBOURHOOD)) for one in (a, b)]
    wins = energies[0] > energies[1]
    changes = [(np.diff(wins, axis=axis) != 0).sum() for axis in (0, 1)]
    runs = [wins.shape[1 - axis] + change for axis, change in zip((0, 1), changes, strict=True)]
    areas = np.bincount(label(wins.astype(np.uint8) + 1, connectivity=1).ravel())
    return {"run_length": 2 * wins.size / sum(runs), "region": float((areas.astype(float) ** 2).sum()) / wins.size**2}


def _subbands(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """Of fixed empirical wavelet subbands of rows and of columns."""
    boundaries = math.pi * torch.tensor(CUTS, dtype=torch.float64)
    found = []
    for turned in (False, True):
        planes = np.stack([plane.T - plane.mean() if turned else plane - plane.mean() for plane in (a, b)])
        bands = ewt(torch.from_numpy(planes.copy()), Z, boundaries=boundaries).subbands.numpy()
        found.append(np.moveaxis(bands, 2, 1))  # (2, Z, rows, columns)
    first, second = ([one[index] for one in found] for index in (0, 1))
    power = np.mean([[(band**2).mean(axis=(1, 2)) for band in side] for side in (first, second)], axis=1)
    noisy = power + ROUNDING * WIDTHS
    pairs = [list(zip(*sides, strict=True)) for sides in zip(first, second, strict=True)]
    return {
        "subband_correlation": np.mean([[correlation(*both) for both in bands] for bands in pairs], axis=0),
        "subband_share": noisy[0] / noisy.sum(axis=0),
        "decided": np.mean([[_decided(*both, WIDTHS[z]) for z, both in enumerate(bands)] for bands in pairs], axis=0),
        "level": 10 * np.log10(noisy),
    }


def _decided(a: np.ndarray, b: np.ndarray, width: float) -> float:
    first, second = (cv2.blur(band**2, (NEIGHBOURHOOD, NEIGHBOURHOOD)) + ROUNDING * width for band in (a, b))
    return float((np.abs(first - second) / (first + second)).mean())
