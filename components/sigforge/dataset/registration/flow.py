"""The dense displacement between two images of one scene, by optical flow on their edges.

Kroeger, Timofte, Dai & Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV 2016, as OpenCV has it, smoothed:
what differs between two sensors is parallax and lens, both smooth, and not every edge.
"""

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np

from sigforge.dataset.registration.edges import edges

SMOOTHING = 8.0
"""Sigma of the field, pixels."""
CONSISTENT = 1.0
"""Pixels by which there and back may differ where the field is believed."""


@dataclass(frozen=True)
class PairFlow:
    """Where the second image lies against the first, pixel by pixel.

    Attributes:
        field: (H, W, 2); the point (x, y) of the first image is found in the second at (x, y) + field[y, x].
        certainty: part of the pixels where the flow there and the flow back agree to a pixel.
    """

    field: np.ndarray
    certainty: float


def estimate_flow(first: np.ndarray, second: np.ndarray) -> PairFlow:
    """The field that lays ``second`` on ``first``.

    Args:
        first: (H, W) or (H, W, 3) in [0, 1].
        second: of the same height and width.
    """
    a, b = (_bytes(edges(image)) for image in (first, second))
    there, back = _flow(a, b), _flow(b, a)
    y, x = np.mgrid[: a.shape[0], : a.shape[1]].astype(np.float32)
    returned = cv2.remap(back, x + there[..., 0], y + there[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    apart = np.linalg.norm(there + returned, axis=2)
    return PairFlow(there, float((apart < CONSISTENT).mean()))


def _flow(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return cv2.GaussianBlur(finder.calc(a, b, cast(Any, None)), (0, 0), SMOOTHING)


def _bytes(strength: np.ndarray) -> np.ndarray:
    return np.clip(128 + 42 * strength, 0, 255).astype(np.uint8)
