"""What a modality adds of its own: the grey levels, the strength of details, the blur and the noise of real images.

A modulated photograph has the sharpness and the clean sky of a photograph. Every synthetic source therefore takes the
numbers of one real training image of its modality: four bands of details are made as strong, grey levels are mapped to
as many quantiles, and noise is added as far as it lacks.
"""

import cv2
import numpy as np

from sigforge.methods.sigfusion.prior import BANDS, QUANTILES

GAIN = (0.4, 2.0)
"""Least and largest factor of a band of details, each time that they are fitted."""

PERIOD = 4
"""Pixels between tokens."""

_SHARES = np.linspace(0, 1, QUANTILES)


def style_of(plane: np.ndarray) -> np.ndarray:
    """(22,): 17 quantiles of the grey levels, 4 standard deviations of bands of details, and the noise.

    Args:
        plane: (H, W) in [0, 1].
    """
    details, _ = _bands(plane.astype(np.float32))
    deviations = [band.std() for band in details]
    return np.array([*np.quantile(plane, _SHARES), *deviations, noise_of(plane)], np.float32)


def noise_of(plane: np.ndarray) -> float:
    """Standard deviation of the noise, robust, from second differences in both directions (Immerkaer, CVIU 1996)."""
    kernel = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32)
    response = cv2.filter2D(plane.astype(np.float32), -1, kernel)[1:-1, 1:-1]
    return float(np.median(np.abs(response)) / 0.6745 / 6)


def restyled(plane: np.ndarray, style: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A plane with the numbers of a real image.

    Args:
        plane: (H, W), about [0, 1].
        style: of the real image, see :func:`style_of`.
        rng: of the noise.
    """
    quantiles, deviations, noise = np.split(style, (QUANTILES, QUANTILES + BANDS))
    fitted = _as_strong(_as_bright(_as_strong(plane, deviations), quantiles), deviations)
    fitted = _as_bright(fitted, quantiles)
    lacking = max(0.0, float(noise[0]) ** 2 - noise_of(fitted) ** 2) ** 0.5
    return (fitted + lacking * rng.standard_normal(fitted.shape)).astype(np.float32)


def without_lattice(plane: np.ndarray, before: np.ndarray) -> np.ndarray:
    """A modulated plane without what modulation repeats from token to token.

    Args:
        plane: (H, W), modulated.
        before: (H, W), the photograph's.
    """
    change, window = (plane - before).astype(np.float32), (PERIOD, PERIOD)
    smooth = cv2.blur(cv2.blur(change, window, anchor=(1, 1)), window, anchor=(2, 2))
    return plane - cv2.filter2D(change - smooth, -1, _comb(), borderType=cv2.BORDER_REFLECT_101)


def _comb() -> np.ndarray:
    """The mean over places of the same phase, up to two tokens away in both directions."""
    kernel = np.zeros((4 * PERIOD + 1,) * 2, np.float32)
    kernel[::PERIOD, ::PERIOD] = 1 / 25
    return kernel


def _bands(plane: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Details at four scales, finest first, and what is left."""
    details = []
    for scale in range(BANDS):
        smooth = cv2.GaussianBlur(plane, (0, 0), float(2**scale))
        details.append(plane - smooth)
        plane = smooth
    return details, plane


def _as_strong(plane: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    details, fitted = _bands(plane)
    for band, wanted in zip(details, deviations, strict=True):
        fitted = fitted + band * np.clip(wanted / max(float(band.std()), 1e-4), *GAIN)
    return fitted


def _as_bright(plane: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    own = np.maximum.accumulate(np.quantile(plane, _SHARES) + 1e-6 * np.arange(QUANTILES))
    return np.interp(plane, own, quantiles).astype(np.float32)
