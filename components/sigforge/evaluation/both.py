r"""``both``: where a method stands when it must keep both sources and invent nothing; one number that no copy can win.

The quadratic mean of a method's ranks in :data:`sigforge.metrics.BOTH`: the smaller of both sources' parts of Q_G, Q_P
and VIF, the similarity to the source that is kept worse at each place, and the artefacts N_abf. Squares, because a
picture is as good as its weakest side: a collage leads three of the five. ``docs/metrics.md`` argues with pictures.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sigforge.evaluation.references import is_reference
from sigforge.metrics.registry import BOTH, get_metric

DIGITS = 4
"""Means that are equal after so many decimals share a rank."""


def both_ranks(means: Mapping[str, Mapping[str, float | None]]) -> dict[str, float]:
    """The value of ``both`` of every method and of copies and collage; less is better.

    Methods are ranked among themselves, 1 best, ties by their mean rank. Copies and collage take no rank from them:
    each is placed alone, halfway between the methods that it is better and worse than, from 0.5 to half a place behind.

    Args:
        means: method to metric to mean over the pairs. A value that is missing, None or NaN ranks last.

    Returns:
        Method to ``both``; empty if a metric of :data:`BOTH` was measured for none.

    Example:
        >>> means = {"good": dict.fromkeys(BOTH, 0.5), "b alone": dict.fromkeys(BOTH, 0.1)}
        >>> both_ranks({name: values | {"nabf": 0.0} for name, values in means.items()})
        {'good': 1.0, 'b alone': 1.4142135623730951}
    """
    if any(all(values.get(name) is None for values in means.values()) for name in BOTH):
        return {}
    methods = [method for method in means if not is_reference(method)]
    squares = dict.fromkeys(means, 0.0)
    for name in BOTH:
        keys = {method: _key(name, values.get(name)) for method, values in means.items()}
        others = [keys[method] for method in methods]
        for method, key in keys.items():
            squares[method] += _place(key, others) ** 2
    return {method: math.sqrt(total / len(BOTH)) for method, total in squares.items()}


def _place(key: float, others: Sequence[float]) -> float:
    """Of a method among all of them, itself included, its mean rank; of anything else its place between them."""
    return 0.5 + sum(other < key for other in others) + sum(other == key for other in others) / 2


def _key(name: str, mean: float | None) -> float:
    """Less is better; infinite where there is no value."""
    if mean is None or math.isnan(mean):
        return np.inf
    return round(-mean if get_metric(name).higher_is_better else mean, DIGITS)
