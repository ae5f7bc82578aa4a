"""Classifier two-sample test: how well a fixed classifier tells images of two sets apart that it has not seen.

Lopez-Paz & Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017, with the area under the ROC curve in place of
accuracy, which depends on the sizes of the sets. The classifier is a linear discriminant (Fisher, 1936) on standardised
features and their squares, so that sets that differ in spread alone are told apart too.

Its interval is not a bootstrap of the scores: that holds the classifiers fixed, and in simulations of 120 pairs of
equal sets (7 and 16 to 66 and 200 images, 24 correlated features) its 95 % intervals held 0.5 in 80 to 91 % of cases;
the one below did in 93 to 99 %.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sigforge.core.seeds import rng_of

FOLDS = 5
REPEATS = 5
"""Cross-validations with other folds; their mean scatters less."""

SHRINKAGE = 0.2
"""Share of the identity in the covariance: with some ten images there are fewer samples than features."""

OUTLIER = 4.0
"""Standard deviations at which features are cut off."""

NORMAL_95 = 1.959964


@dataclass(frozen=True)
class IntervalEstimate:
    """A number with the ends of its 95 % interval; NaN where it has none."""

    value: float
    low: float = math.nan
    high: float = math.nan


def two_sample_auc(
    first: np.ndarray, second: np.ndarray, *, owners: np.ndarray, second_owners: np.ndarray, seed: int = 0
) -> IntervalEstimate:
    r"""Cross-validated AUC of telling two sets apart: 0.5 if they cannot be, 1 if they always can.

    Folds are of images: crops of one image are never on both sides. Only scores of one and the same classifier are
    compared, and every pair of images weighs the same. The interval is Wilson's (JASA 22, 1927) for a share of min(n1,
    n2) cases, since the variance of an AUC is at most :math:`\theta (1 - \theta) / \min(n_1, n_2)` (Birnbaum & Klose,
    Annals of Mathematical Statistics 28(4), 1957): rather wide than narrow, and not empty where all are told apart.

    Args:
        first: (m1, F) features, finite.
        second: (m2, F) of the other set.
        owners: (m1,) the image, 0..n1-1, that each row is from.
        second_owners: (m2,), 0..n2-1.
        seed: of the folds.

    Raises:
        ValueError: fewer than two images in a set, or features that are not finite.

    Example:
        >>> numbers = np.arange(20.0)[:, None]
        >>> two_sample_auc(numbers, numbers + 40, owners=np.arange(20), second_owners=np.arange(20)).value
        1.0
    """
    n1, n2 = owners.max() + 1, second_owners.max() + 1
    if min(n1, n2) < 2 or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError(f"{n1} and {n2} images: at least two of each, and finite features are needed")
    random = rng_of(seed, "two_sample")
    folds = min(FOLDS, n1, n2)
    won, compared = 0.0, 0
    for _ in range(REPEATS):
        fold, second_fold = (random.permutation(n) % folds for n in (n1, n2))
        for held in range(folds):
            out, second_out = fold[owners] == held, second_fold[second_owners] == held
            score = _discriminant(first[~out], second[~second_out])
            wins = _mean_wins(score(first[out]), score(second[second_out]), owners[out], second_owners[second_out])
            won, compared = won + wins.sum(), compared + wins.size
    return with_interval(won / compared, min(n1, n2))


def with_interval(share: float, cases: int) -> IntervalEstimate:
    """A share of independent cases with Wilson's 95 % interval.

    Example:
        >>> with_interval(1.0, 15)
        IntervalEstimate(value=1.0, low=0.7961..., high=1.0)
    """
    z2 = NORMAL_95**2 / cases
    middle = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * share * (1 - share) + z2**2 / 4) / (1 + z2)
    return IntervalEstimate(float(share), max(0.0, middle - half), min(1.0, middle + half))


def _discriminant(first: np.ndarray, second: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function from features (m, F) to scores (m,), larger for what is like ``second``."""
    centre = (first.mean(axis=0) + second.mean(axis=0)) / 2
    scale = np.sqrt((first.var(axis=0) + second.var(axis=0)) / 2) + 1e-6

    def expand(features: np.ndarray) -> np.ndarray:
        standard = np.clip((features - centre) / scale, -OUTLIER, OUTLIER)
        return np.concatenate((standard, standard**2), axis=1)

    one, other = expand(first), expand(second)
    within = (np.cov(one, rowvar=False, bias=True) + np.cov(other, rowvar=False, bias=True)) / 2
    shrunk = (1 - SHRINKAGE) * within + SHRINKAGE * np.eye(len(within))
    direction = np.linalg.solve(shrunk, other.mean(axis=0) - one.mean(axis=0))
    return lambda features: expand(features) @ direction


def _mean_wins(scores: np.ndarray, others: np.ndarray, owners: np.ndarray, other_owners: np.ndarray) -> np.ndarray:
    """(n1, n2) how often crops of an image of the other set score higher than crops of one of the first; ties half."""
    higher = (others > scores[:, None]) + 0.5 * (others == scores[:, None])
    return _means(_means(higher, owners).T, other_owners).T


def _means(values: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Mean of the rows of each owner."""
    images, place = np.unique(owners, return_inverse=True)
    member = np.arange(len(images))[:, None] == place
    return member @ values / member.sum(axis=1, keepdims=True)
