"""What is measured of an image to say how near it is to others: subbands, spectrum, grey levels, gradients.

All of it on luma rounded to 8 bits, as shards hold it, in square crops of one size at the image's own scale, so that
images of different sizes compare. Rounding is noise of variance 1/12 of a grey level squared; that much is added to
every power, so that a constant image has a logarithm and what lies below rounding does not count.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache

import numpy as np
import torch

from sigforge.core.colour import luma
from sigforge.core.errors import UserError
from sigforge.core.images import to_uint8
from sigforge.signal.ewt import ewt

SIDE = 128
LEAST_SIDE = 32
"""Pixels; the slope needs a few rings of the spectrum."""

PARTS = 2
"""An image is divided into at most this many parts along a side; from the middle of each a crop is cut."""

CUTS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Boundaries of the wavelet bank in units of pi: octaves, fixed, for bands that follow the image would not compare."""

WIDTHS = np.diff((0, *CUTS, 1))
ROUNDING = 1 / 12
GREYS, GRADIENTS = 256, 362
"""Bins of one grey level; the largest gradient is 255 sqrt(2)."""

INTENSITY_SHARES, GRADIENT_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95), (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class ImageStatistics:
    """Of m crops of n images; R = side // 2 rings, Z = 5 subbands, all in grey levels of 255.

    Attributes:
        owner: (m,) the image that a crop is from, 0..n-1.
        level: (m, 2, Z) power of the subbands of rows and of columns, dB.
        kurtosis: (m, Z) natural logarithm of their kurtosis, mean over rows and columns; ln 3 for Gaussian noise.
        spectrum: (m, R) radially averaged power spectrum at k / side cycles per pixel, k = 1..R, dB; white noise of
            variance v has 10 log10 v everywhere.
        slope: (m,) exponent of the power law through the spectrum.
        intensity: (m, 256) share of pixels with every grey level.
        gradient: (m, 362) share of pixels with every gradient magnitude, of forward differences.
    """

    owner: np.ndarray
    level: np.ndarray
    kurtosis: np.ndarray
    spectrum: np.ndarray
    slope: np.ndarray
    intensity: np.ndarray
    gradient: np.ndarray

    @property
    def images(self) -> int:
        """n."""
        return int(self.owner.max()) + 1

    @property
    def weights(self) -> np.ndarray:
        """(m,) adding up to 1: every image weighs the same, however many crops it has."""
        return 1 / np.bincount(self.owner)[self.owner] / self.images

    @property
    def features(self) -> np.ndarray:
        """(m, 24) numbers for a classifier: levels, kurtosis, slope, quantiles of grey levels and of gradients."""
        quantiles = _quantiles(self.intensity, INTENSITY_SHARES), np.log1p(_quantiles(self.gradient, GRADIENT_SHARES))
        levels = self.level.reshape(len(self.level), -1)
        return np.concatenate((levels, self.kurtosis, self.slope[:, None], *quantiles), axis=1)

    def take(self, images: np.ndarray) -> "ImageStatistics":
        """Of some of the images, numbered anew in the order given."""
        place = np.full(self.images, -1)
        place[images] = np.arange(len(images))
        kept = place[self.owner] >= 0
        others = {field.name: getattr(self, field.name)[kept] for field in fields(self) if field.name != "owner"}
        return ImageStatistics(place[self.owner[kept]], **others)


def measure_images(images: Iterable[np.ndarray], *, side: int = SIDE, name: str = "images") -> ImageStatistics:
    """Measure the crops of some images, of which only one need be in memory.

    Args:
        images: (H, W) or (H, W, 3) in [0, 1], H and W at least ``side``.
        side: of the crops, pixels.
        name: what errors call the set.

    Raises:
        UserError: no image, or one that is smaller than ``side``; ``side`` is too small.

    Example:
        >>> flat = measure_images([np.full((160, 300), 0.5)], side=128)
        >>> flat.owner, flat.level.round(1)[0, 0], flat.intensity[0, 128]
        (array([0, 0]), array([-22.8, -22.8, -19.8, -16.8, -13.8]), np.float64(1.0))
    """
    if side < LEAST_SIDE:
        raise UserError(f"crops of {side} pixels are too small to be measured: give images of {LEAST_SIDE} or more")
    owner, parts = [], []
    for index, image in enumerate(images):
        cut = crops(image, side)
        if not len(cut):
            height, width = image.shape[:2]
            raise UserError(f"{name}: image {index} is {width}x{height}, smaller than crops of {side}: leave it out")
        owner += [index] * len(cut)
        parts.append(_measure_crops(cut))
    if not parts:
        raise UserError(f"{name}: holds no image: give some")
    return ImageStatistics(np.array(owner), *(np.concatenate(column) for column in zip(*parts, strict=True)))


def crops(image: np.ndarray, side: int) -> np.ndarray:
    """(k, side, side) grey levels, 0 to 255, at most 2 by 2, from the middles of equal parts of an image.

    Example:
        >>> crops(np.zeros((64, 100, 3)), 64).shape, crops(np.zeros((300, 130)), 64).shape, len(crops(np.eye(63), 64))
        ((1, 64, 64), (4, 64, 64), 0)
    """
    grey = to_uint8(luma(image)).astype(np.float32)
    tops, lefts = (_starts(length, side) for length in grey.shape)
    cut = [grey[top : top + side, left : left + side] for top in tops for left in lefts]
    return np.stack(cut) if cut else np.empty((0, side, side), np.float32)


def _starts(length: int, side: int) -> list[int]:
    parts = min(PARTS, length // side)
    return [int((part + 0.5) * length / parts - side / 2) for part in range(parts)]


def _measure_crops(cut: np.ndarray) -> tuple[np.ndarray, ...]:
    """The fields of :class:`ImageStatistics` after ``owner``."""
    spectrum = _spectrum(cut)
    gradient = np.hypot(np.diff(cut, axis=2)[:, :-1], np.diff(cut, axis=1)[:, :, :-1])
    return *_subbands(cut), spectrum, _slope(spectrum), _shares(cut, GREYS), _shares(gradient, GRADIENTS)


def _subbands(cut: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Levels (k, 2, Z) and kurtosis (k, Z) of fixed empirical wavelet subbands of rows and columns."""
    centred = torch.from_numpy(cut - cut.mean(axis=(1, 2), keepdims=True))
    signals = torch.stack((centred, centred.mT), dim=1)
    boundaries = math.pi * torch.tensor(CUTS, dtype=torch.float64)
    square = ewt(signals, len(WIDTHS), boundaries=boundaries).subbands.numpy().astype(np.float64) ** 2
    second, fourth = square.mean(axis=(2, 4)), (square**2).mean(axis=(2, 4))
    noise = ROUNDING * WIDTHS
    # Of the signal plus Gaussian noise: fourth moments add with a mixed term.
    kurtosis = (fourth + 6 * second * noise + 3 * noise**2) / (second + noise) ** 2
    return 10 * np.log10(second + noise), np.log(kurtosis).mean(axis=1)


def _spectrum(cut: np.ndarray) -> np.ndarray:
    side = cut.shape[-1]
    window, ring, size = _rings(side)
    power = np.abs(np.fft.fft2((cut - cut.mean(axis=(1, 2), keepdims=True)) * window)) ** 2 / (window**2).sum()
    rings = np.stack([np.bincount(ring, one.ravel(), len(size)) for one in power]) / size
    return 10 * np.log10(rings[:, 1 : side // 2 + 1] + ROUNDING)


@cache
def _rings(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A Hann window, the ring of every frequency (flat), and how many frequencies a ring has."""
    hann = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    axis = np.fft.fftfreq(side) * side
    ring = np.rint(np.hypot(axis[:, None], axis)).astype(int).ravel()
    return np.outer(hann, hann), ring, np.bincount(ring)


def _slope(spectrum: np.ndarray) -> np.ndarray:
    """Least squares over rings 3 to side / 4: the window blurs the lowest, rounding and compression fill the others."""
    ring = np.arange(3, spectrum.shape[1] // 2 + 1)
    x = np.log10(ring) - np.log10(ring).mean()
    return spectrum[:, ring - 1] @ x / (x @ x) / 10


def _shares(values: np.ndarray, bins: int) -> np.ndarray:
    whole = np.rint(values).astype(int).reshape(len(values), -1)
    return np.stack([np.bincount(one, minlength=bins) for one in whole]) / whole.shape[1]


def _quantiles(shares: np.ndarray, at: tuple[float, ...]) -> np.ndarray:
    # Sums of shares end just below 1.
    return (shares.cumsum(axis=1)[:, :, None] >= np.array(at) - 1e-9).argmax(axis=1).astype(np.float64)
