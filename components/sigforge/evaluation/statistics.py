"""Statistics of scores that methods got on the same pairs: intervals of their means, and a test of two of them.

Everything is seeded: the same scores give the same numbers, whatever the order in which files were found.
"""

from collections.abc import Iterator

import numpy as np
from scipy.stats import norm, t

LEVEL = 0.95
RESAMPLES = 10_000
ROUNDS = 100_000
EXACT_PAIRS = 20
"""Up to here all 2^n sign changes are counted: at most a million sums."""

BLOCK = 4_000_000
"""Random numbers drawn at a time, so that memory does not grow with the pairs."""


def bootstrap_interval(
    values: np.ndarray, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    r"""Interval of the mean of every method, by resampling pairs.

    One resample draws the same pairs for all methods (paired), so intervals of several methods move together. The
    percentiles are those of Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13, at the level
    :math:`\Phi(\sqrt{n/(n-1)}\, t_{n-1})` of Hesterberg, "What Teachers Should Know About the Bootstrap", The American
    Statistician 69(4), 2015: plain percentiles are too narrow for few pairs.

    Args:
        values: (P, M) scores of M methods on P pairs, finite.
        level: share of samples whose interval holds the true mean.
        resamples: how often P pairs are drawn with replacement.
        seed: of the draws.

    Returns:
        (2, M): lower and upper ends; NaN for fewer than two pairs, which say nothing about their spread.

    Raises:
        ValueError: ``values`` has another shape or holds a value that is not finite.

    Example:
        >>> low, high = bootstrap_interval(np.array([[0.1], [0.2], [0.3], [0.4]]))
        >>> bool(low[0] < 0.25 < high[0])
        True
    """
    _check(values, 2)
    count, methods = values.shape
    if count < 2:
        return np.full((2, methods), np.nan)
    means = np.concatenate([draws @ values for draws in _draws(count, resamples, seed)]) / count
    tail = norm.cdf(np.sqrt(count / (count - 1)) * t.ppf((1 - level) / 2, count - 1))
    return np.quantile(means, (tail, 1 - tail), axis=0)


def permutation_test(x: np.ndarray, y: np.ndarray, *, rounds: int = ROUNDS, seed: int = 0) -> float:
    r"""Two-sided p-value of "both methods score alike": how often chance gives a mean difference as large as theirs.

    If both score alike, the two scores of a pair may be swapped, so their difference may change its sign. All
    :math:`2^P` signs are counted up to :data:`EXACT_PAIRS` pairs; beyond, ``rounds`` random ones and the observed one
    (Efron & Tibshirani 1993, ch. 15).

    Args:
        x: (P,) scores of one method, finite.
        y: (P,) scores of the other on the same pairs.
        rounds: random sign changes where there are too many to count.
        seed: of these.

    Returns:
        p in (0, 1]: at least 2 / 2^P or 1 / (rounds + 1); NaN without a pair.

    Raises:
        ValueError: shapes differ, or a value is not finite.

    Example:
        >>> permutation_test(np.array([3.0, 4.0, 5.0]), np.array([1.0, 1.0, 1.0]))
        0.25
    """
    _check(x, 1)
    _check(y, 1)
    if x.shape != y.shape:
        raise ValueError(f"{len(x)} and {len(y)} scores: a paired test needs two per pair")
    difference = x - y
    if not len(difference):
        return float("nan")
    # Sums of the same numbers in another order differ by rounding, and must count as equal.
    bound = abs(difference.sum()) - 1e-12 * np.abs(difference).sum()
    if len(difference) <= EXACT_PAIRS:
        return float((np.abs(_signed_sums(difference)) >= bound).mean())
    extreme = sum(int((np.abs(signs @ difference) >= bound).sum()) for signs in _signs(len(difference), rounds, seed))
    return (extreme + 1) / (rounds + 1)


def _signed_sums(values: np.ndarray) -> np.ndarray:
    """The sums under all signs but the first, which only mirrors them."""
    sums = values[:1]
    for value in values[1:]:
        sums = np.concatenate((sums + value, sums - value))
    return sums


def _draws(count: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of (R, P) matrices: how often each resample holds each pair."""
    random = np.random.default_rng(seed)
    for size in _blocks(count, resamples):
        chosen = random.integers(count, size=(size, count)) + count * np.arange(size)[:, None]
        yield np.bincount(chosen.ravel(), minlength=size * count).reshape(size, count)


def _signs(count: int, rounds: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of (R, P) matrices of -1 and 1."""
    random = np.random.default_rng(seed)
    for size in _blocks(count, rounds):
        yield 2.0 * random.integers(2, size=(size, count), dtype=np.int8) - 1.0


def _blocks(count: int, total: int) -> Iterator[int]:
    """Numbers of rows of ``count`` values that add up to ``total``, each within :data:`BLOCK`."""
    rows = max(1, BLOCK // count)
    for start in range(0, total, rows):
        yield min(rows, total - start)


def _check(values: np.ndarray, dimensions: int) -> None:
    if values.ndim != dimensions or not np.isfinite(values).all():
        raise ValueError(f"scores of shape {values.shape}; expected {dimensions} axes and finite values only")
