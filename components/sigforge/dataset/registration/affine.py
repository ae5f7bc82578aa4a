"""The affine map between two images of one scene, from the shifts of many windows.

Gradient methods (ECC, mutual information) were tried and stay where they start on edges of two modalities; the shift of
a window is found from anywhere within it. See ``docs/data.md``.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from sigforge.dataset.registration.edges import edges
from sigforge.dataset.registration.shift import edge_shift

WINDOWS = 4
"""Windows along each side, overlapping."""
LEAST_SIDE = 64
"""Of a window, pixels."""
ROUNDS = 5
BELIEVED = 0.2
"""Certainty of a window that counts."""
LEAST_WINDOWS = 5
_DOUBT = 1.0
"""Pixels off the fit from which a window counts less."""
LEFT, QUARTER_CERTAIN = 1.0, 0.25
"""Pixels of shift that an alignment may leave, and from when on a quarter of the image is believed."""


@dataclass(frozen=True)
class PairWarp:
    """Where the second image lies against the first.

    Attributes:
        matrix: (2, 3); the point (x, y) of the first image is found in the second at ``matrix @ (x, y, 1)``.
        certainty: of the shift that is left once aligned, see :class:`sigforge.dataset.registration.shift.PairShift`;
            0 where more than a pixel is left, or no alignment was found.
    """

    matrix: np.ndarray
    certainty: float

    def displacement(self, height: int, width: int) -> float:
        """The farthest that a corner of an image of this size moves, pixels."""
        corners = np.array([(x, y, 1.0) for x in (0, width - 1) for y in (0, height - 1)])
        return float(np.linalg.norm(corners @ self.matrix.T - corners[:, :2], axis=1).max())


def estimate_affine(first: np.ndarray, second: np.ndarray) -> PairWarp:
    """The affine map that lays the edges of ``second`` on those of ``first``.

    Args:
        first: (H, W) or (H, W, 3) in [0, 1].
        second: of the same height and width.
    """
    a, b = edges(first), edges(second)
    start = edge_shift(a, b)
    matrix = np.array([[1, 0, -start.dx], [0, 1, -start.dy], [0, 0, 1]])
    for _ in range(ROUNDS):
        step = _fit(*_window_shifts(a, _warped(b, matrix)))
        if step is None:
            return PairWarp(np.eye(2, 3), 0.0)
        matrix = matrix @ step
    return PairWarp(matrix[:2], _certainty(a, _warped(b, matrix)))


def _warped(edge: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(edge, matrix[:2].astype(np.float32), edge.shape[::-1], flags=flags)


def _window_shifts(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middles (N, 2) of the windows that are believed, where these are found in ``b``, and how much they count."""
    sizes = [min(length, max(LEAST_SIDE, 2 * length // WINDOWS)) for length in a.shape]
    starts = [np.linspace(0, length - size, WINDOWS).astype(int) for length, size in zip(a.shape, sizes, strict=True)]
    middles, found, weights = [], [], []
    for top in starts[0]:
        for left in starts[1]:
            part = np.s_[top : top + sizes[0], left : left + sizes[1]]
            shift = edge_shift(a[part], b[part])
            if shift.certainty > BELIEVED:
                middle = (left + (sizes[1] - 1) / 2, top + (sizes[0] - 1) / 2)
                middles.append(middle)
                found.append((middle[0] - shift.dx, middle[1] - shift.dy))
                weights.append(shift.certainty)
    return np.array(middles), np.array(found), np.array(weights)


def _fit(middles: np.ndarray, found: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    """(3, 3) that maps middles to where they are found, windows far from the fit counting less; None if too few are."""
    if len(middles) < LEAST_WINDOWS:
        return None
    points = np.column_stack([middles, np.ones(len(middles))])
    weight = weights.copy()
    for _ in range(5):
        root = np.sqrt(weight)[:, None]
        solution, _, rank, _ = np.linalg.lstsq(points * root, found * root, rcond=1e-6)
        if rank < 3:
            return None
        off = np.linalg.norm(points @ solution - found, axis=1)
        weight = weights * np.minimum(1, _DOUBT / np.maximum(off, 1e-9))
    return np.vstack([solution.T, [0, 0, 1]])


def _certainty(a: np.ndarray, moved: np.ndarray) -> float:
    """Of the peak at no shift. A quarter of the image that is certain to be elsewhere speaks against the whole."""
    rows, columns = (((0, length // 2), (length // 2, length)) for length in a.shape)
    quarters = [np.s_[slice(*row), slice(*column)] for row in rows for column in columns]
    rest = [edge_shift(a[part], moved[part]) for part in quarters]
    if any(one.certainty > QUARTER_CERTAIN and one.length > LEFT for one in rest):
        return 0.0
    whole = edge_shift(a, moved)
    return whole.certainty if whole.length <= LEFT else 0.0
