"""What every table of methods shows beside them: copies of the sources, and a collage of both.

The usual metrics reward a copy of one source: on RoadScene the infrared image alone beats every method in Q_G, Q_M and
VIF. The smaller of two parts rewards a collage. So readers see what these get. They take no place and no rank.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from scipy.stats import rankdata

COLLAGE = "collage"
REFERENCES = ("a alone", "b alone", COLLAGE)
WINDOW = 16
"""Side of the collage's windows, in pixels."""

NEAR = 0.02
"""A picture this near to a source, as a part of the distance between both, is called a copy of it."""


def reference_images(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """The images of :data:`REFERENCES` for two registered lumas (H, W)."""
    return dict(zip(REFERENCES, (a, b, collage(a, b)), strict=True))


def collage(a: np.ndarray, b: np.ndarray, *, window: int = WINDOW) -> np.ndarray:
    """In every square window the source whose contrast ranks higher among the windows of its own image.

    It holds half of the windows of either source untouched, and is torn along their borders. Contrast is the standard
    deviation; where both rank alike, the first source is shown.

    Args:
        a: luma (H, W).
        b: the same scene, same shape.
        window: side in pixels; the last row and column of windows may be smaller.

    Returns:
        (H, W), every pixel from ``a`` or ``b``.

    Example:
        >>> int(collage(np.eye(32), np.zeros((32, 32))).trace())
        32
    """
    of_a, of_b = (_ranks_of_contrast(image, window) for image in (a, b))
    first = (of_a >= of_b).repeat(window, 0).repeat(window, 1)
    return np.where(first[: a.shape[0], : a.shape[1]], a, b)


def is_reference(method: str) -> bool:
    """Whether a row of a table is one of :data:`REFERENCES`."""
    return method in REFERENCES


def copies(means: Mapping[str, Mapping[str, float | None]]) -> Iterator[str]:
    """A line for every method whose pictures are within 2 % of a copy, by the mean grey-level distances to the sources.

    Args:
        means: method to metric to mean; silent without ``distance_a`` and ``distance_b`` of methods and copies.
    """
    apart = means.get(REFERENCES[1], {}).get("distance_a")
    for method in (name for name in means if not is_reference(name)):
        for source in "ab":
            distance = means[method].get(f"distance_{source}")
            if apart and distance is not None and distance <= NEAR * apart:
                yield (
                    f"{method} is within {100 * NEAR:g} % of a copy of {source}: {distance:.2g} grey levels from it "
                    f"on average, where a and b are {apart:.3g} apart"
                )


def references_last(methods: Iterable[str]) -> list[str]:
    """The same names with :data:`REFERENCES` behind all others, in their own order."""
    names = list(methods)
    return [name for name in names if not is_reference(name)] + [name for name in REFERENCES if name in names]


def _ranks_of_contrast(image: np.ndarray, window: int) -> np.ndarray:
    """Rank of the standard deviation of every window, (rows, columns), equal ones their mean rank."""

    def means(values: np.ndarray) -> np.ndarray:
        rows = np.add.reduceat(values, range(0, image.shape[0], window), axis=0)
        return np.add.reduceat(rows, range(0, image.shape[1], window), axis=1) / counts

    counts: np.ndarray = np.ones(())
    counts = means(np.ones(image.shape))
    exact = image.astype(np.float64)
    deviation = np.sqrt((means(exact**2) - means(exact) ** 2).clip(min=0)).round(6)
    return rankdata(deviation).reshape(deviation.shape)
