"""The shift between two images of one scene, by phase correlation of their edges.

Kuglin & Hines, "The Phase Correlation Image Alignment Method", 1975; the peak is refined as by Guizar-Sicairos, Thurman
& Fienup, "Efficient subpixel image registration algorithms", Optics Letters 33(2), 2008.
"""

from dataclasses import dataclass

import numpy as np

from sigforge.dataset.registration.edges import edges

UPSAMPLING = 20
"""Steps per pixel of the refined peak."""
WHITENING = 0.7
"""Power of the spectrum that is divided out: 1 is phase alone, whose peak is sharp but drowns in noise."""
APART = 4
"""Pixels around the peak that cannot be its rival."""


@dataclass(frozen=True)
class PairShift:
    """Where the second image lies against the first.

    Attributes:
        dx, dy: move the second image's content by so many pixels, right and down, to lay it on the first.
        certainty: 1 - (height of the highest rival) / (height of the peak), in [0, 1]; near 0 nothing stands out.
    """

    dx: float
    dy: float
    certainty: float

    @property
    def length(self) -> float:
        """Pixels."""
        return float(np.hypot(self.dx, self.dy))


def estimate_shift(first: np.ndarray, second: np.ndarray, *, most: float = 0.25) -> PairShift:
    """The shift that lays the edges of ``second`` on those of ``first``.

    Args:
        first: (H, W) or (H, W, 3) in [0, 1].
        second: of the same height and width.
        most: largest shift looked for, as a part of the shorter side.

    Returns:
        The shift; certainty 0 where an image has no edges.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> scene = np.kron(rng.random((16, 16)), np.ones((8, 8)))
        >>> found = estimate_shift(scene, np.roll(scene, (3, -5), (0, 1)))
        >>> round(found.dx), round(found.dy), found.certainty > 0.5
        (5, -3, True)
    """
    return edge_shift(edges(first), edges(second), most=most)


def edge_shift(first: np.ndarray, second: np.ndarray, *, most: float = 0.25) -> PairShift:
    """The same, of edges that are known already.

    Args:
        first: (H, W), from :func:`sigforge.dataset.registration.edges.edges`.
        second: likewise.
        most: as there.
    """
    window = np.outer(*(np.hanning(length) for length in first.shape)).astype(np.float32)
    spectrum = np.fft.fft2(first * window) * np.conj(np.fft.fft2(second * window))
    strength = np.abs(spectrum)
    if not strength.any():
        return PairShift(0.0, 0.0, 0.0)
    spectrum = spectrum * _low_pass(first.shape) / np.maximum(strength, strength.max() * 1e-9) ** WHITENING
    surface = np.fft.ifft2(spectrum).real
    allowed = _allowed(surface.shape, most)
    peak = np.unravel_index(np.argmax(np.where(allowed, surface, -np.inf)), surface.shape)
    rows, columns = (_signed(int(place), length) for place, length in zip(peak, surface.shape, strict=True))
    height = float(surface[peak])
    rival = float(surface[allowed & ~_around(surface.shape, peak)].max(initial=0.0))
    certainty = max(0.0, 1 - max(rival, 0.0) / height) if height > 0 else 0.0
    dy, dx = _refined(spectrum, rows, columns)
    return PairShift(dx, dy, certainty)


def _low_pass(shape: tuple[int, int]) -> np.ndarray:
    """A Gaussian over frequencies: the highest ones are noise and interpolation."""
    y, x = (np.fft.fftfreq(length) for length in shape)
    return np.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * 0.15**2))


def _signed(place: int, length: int) -> int:
    return int(place) - length if place > length // 2 else int(place)


def _allowed(shape: tuple[int, int], most: float) -> np.ndarray:
    y, x = (np.abs(np.fft.fftfreq(length) * length) for length in shape)
    reach = max(2.0, most * min(shape))
    return (y[:, None] <= reach) & (x[None] <= reach)


def _around(shape: tuple[int, int], peak: tuple) -> np.ndarray:
    offsets = (np.arange(length) - place for length, place in zip(shape, peak, strict=True))
    y, x = ((offset + length // 2) % length - length // 2 for offset, length in zip(offsets, shape, strict=True))
    return (y[:, None] ** 2 + x[None] ** 2) <= APART**2


def _refined(spectrum: np.ndarray, row: int, column: int) -> tuple[float, float]:
    """The peak on a grid of 1/20 pixel, one pixel around the whole-pixel one."""
    steps = np.arange(-UPSAMPLING, UPSAMPLING + 1) / UPSAMPLING
    y, x = (np.fft.fftfreq(length) for length in spectrum.shape)
    down = np.exp(2j * np.pi * np.outer(row + steps, y))
    across = np.exp(2j * np.pi * np.outer(x, column + steps))
    fine = (down @ spectrum @ across).real
    place = np.unravel_index(np.argmax(fine), fine.shape)
    return row + float(steps[place[0]]), column + float(steps[place[1]])
